"""What people see. Pages are built here; figures are pure functions from records; no mathematics.

pages.py         puts the pages together
inspect_page.py  the Inspect page: layout and events
leaderboard_page.py, board_figures.py   runs and published rows: layout, events, figures
run_maker.py     makes a run from the Leaderboard page
failures_page.py, item_view.py          the records behind a number
replay_page.py   the front page where no model is loaded
library.py       the run folders on show
views.py         a judged comparison and its explanation as everything the page shows
words.py         verdicts and warnings in plain words
figures.py       records to Plotly
heat.py          attributions to HTML: words and picture
examples.py      the gallery, from the held-out split of the scene world
links.py         links that reopen a view
label_page.py, desk_view.py, door.py    the label desk: one comparison at a time, and who sits there
queues_page.py, queue_maker.py, queue_view.py   queues of suspicious labels, and what came of them
space.py         writes a folder for a Hugging Face Space
api.py           the published endpoints
lane.py          the one lane, and the one GPU boundary, through which everything touches the model
tasks.py         what is done with the model, as functions that cross that boundary
looks.py, shared.py   first looks: stored, seen before, or computed once for all who ask
gallery_results.py    the gallery's first looks as a file
look.py, keys.py theme, style sheet and scripts of all pages; the switch for single-key shortcuts
"""
