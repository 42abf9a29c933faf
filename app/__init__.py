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
api.py           the published endpoints
look.py          theme, style sheet and scripts of all pages
keys.py          the switch for single-key shortcuts
lane.py          the one lane through which everything touches the model
"""
