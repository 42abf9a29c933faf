"""What people see. Pages are built here; figures are pure functions from records; no mathematics.

inspect_page.py  the Inspect page: layout and events
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

import gradio as gr

from app.api import publish
from app.inspect_page import build_inspect
from core.judges.vlmdr import VLMDRJudge

TITLE = "Rewardscope"


def build(judge: VLMDRJudge) -> gr.Blocks:
    """The whole interface around one loaded judge."""
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(3600, 86400)) as demo:
        build_inspect(judge, demo)
        publish(judge)
    return demo
