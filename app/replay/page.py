"""The front page of a replay: which runs there are, and where to look at them. No model, no GPU."""

from __future__ import annotations

import html
from urllib.parse import urlencode

import gradio as gr

from app.replay.bundle_view import bundle_html, open_bundle
from core.runs import leaderboard
from core.runs.library import Library


def runs_html(library: Library) -> str:
    out = []
    for name, run in library.runs().items():
        o = leaderboard.overall(run)
        number = f"{100 * o.value:.1f} % of {o.n:,}" if o.n else "nothing scored"
        manifest = run.manifest
        links = (
            f'<a href="failures?{urlencode({"run": name})}">its failures</a> · '
            f'<a href="leaderboard?{urlencode({"benchmark": manifest.benchmark})}">leaderboard</a>'
        )
        out.append(
            f"<tr><td>{html.escape(manifest.title)}</td><td>{html.escape(run.name)}</td><td>{number}</td><td>{links}</td></tr>"
        )
    head = "<tr><th>benchmark</th><th>judge</th><th>right (a tie is wrong)</th><th>look at</th></tr>"
    return f'<div class="wide"><table class="ledger"><thead>{head}</thead><tbody>{"".join(out)}</tbody></table></div>'


def build_replay(library: Library, demo: gr.Blocks) -> None:
    gr.HTML("<header><h1>Rewardscope</h1><p>A replay: finished runs with every judgement in them, open to be looked at. "
            "No model is loaded; start <code>python app.py</code> without <code>--replay</code> to judge anew.</p></header>")  # fmt: skip
    table = gr.HTML(elem_id="runs")
    gr.HTML("<h2>One comparison from a bundle</h2>")
    upload = gr.UploadButton("Open a bundle", file_types=[".zip"], size="sm", elem_id="open-bundle")
    shown = gr.HTML(elem_id="bundle")
    upload.upload(lambda path: bundle_html(open_bundle(path)), [upload], [shown], api_visibility="private")
    demo.load(lambda: runs_html(library), None, [table], api_visibility="private")
