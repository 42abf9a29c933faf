"""What people see: a folder a page. Figures are pure functions from records; no mathematics.

pages.py      puts the pages together
api.py        the published endpoints
space.py      writes a folder for a Hugging Face Space
common/       what several pages share: words, figures, heat maps, identity, downloads, and the one lane to the model
inspect/      one comparison: verdict, contributions, maps, what-if, edits; the gallery and its stored results
failures/     the records behind a number
leaderboard/  runs side by side; makes a run
audit/        whether published results add up, and a row of one's own
explanations/ how true the explanations are
label/        the label desk: one comparison at a time
queues/       queues of likely label errors, and what came of them
replay/       the front page where no model is loaded; bundles
"""
