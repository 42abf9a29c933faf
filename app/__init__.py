"""What people see. Pages are built here; figures are pure functions from records; no mathematics.

inspect_page.py  the Inspect page: layout and events
leaderboard_page.py, board_figures.py   runs and published rows: layout, events, figures
failures_page.py, item_view.py          the records behind a number
library.py       the run folders on show
views.py         a judged comparison and its explanation as everything the page shows
words.py         verdicts and warnings in plain words
figures.py       records to Plotly
heat.py          attributions to HTML: words and picture
examples.py      the gallery, from the held-out split of the scene world
links.py         links that reopen a view
api.py           the published endpoints
lane.py          the one lane through which everything touches the model
"""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from app.api import publish
from app.failures_page import build_failures
from app.inspect_page import build_inspect
from app.leaderboard_page import build_leaderboard
from app.library import Library
from core.judges.vlmdr import VLMDRJudge

TITLE = "Rewardscope"


def build(judge: VLMDRJudge, runs: Path = Path("runs")) -> gr.Blocks:
    """The whole interface around one loaded judge. runs: where runs are made and looked for, beside the bundled ones."""
    library = Library([runs])
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(3600, 86400)) as demo:
        gr.Navbar(main_page_name="Inspect")
        build_inspect(judge, demo, library)
        publish(judge)
    with demo.route("Leaderboard", "/leaderboard"):
        gr.Navbar(main_page_name="Inspect")
        build_leaderboard(library, judge, runs, demo)
    with demo.route("Failures", "/failures"):
        gr.Navbar(main_page_name="Inspect")
        build_failures(library, demo)
    return demo
