"""The front page of a replay: which runs there are, and where to look at them. No model, no GPU."""

from __future__ import annotations

from urllib.parse import urlencode

import gradio as gr
from markupsafe import Markup

from app.common.html import html
from app.common.problems import problems_html
from app.replay.bundle_view import bundle_html, open_bundle
from core.runs import leaderboard
from core.runs.library import Library
from core.runs.manifest import RunError


def runs_html(library: Library) -> Markup:
    rows = []
    runs, problems = library.surveyed()
    for name, run in runs.items():
        try:
            o = leaderboard.overall(run)
        except RunError as error:
            problems.append(str(error))
            continue
        rows.append({
            "title": run.manifest.title, "name": run.name,
            "number": f"{100 * o.value:.1f} % of {o.n:,}" if o.n else "nothing scored",
            "failures": urlencode({"run": name}), "board": urlencode({"benchmark": run.manifest.benchmark}),
        })  # fmt: skip
    return html(
        """
        <div class="wide"><table class="contributions"><thead><tr><th>benchmark</th><th>judge</th><th>right (a tie is wrong)</th>
        <th>look at</th></tr></thead><tbody>
        {%- for r in rows %}
        <tr><td>{{ r.title }}</td><td>{{ r.name }}</td><td>{{ r.number }}</td><td><a href="failures?{{ r.failures }}">its failures</a> ·
        <a href="leaderboard?{{ r.board }}">leaderboard</a></td></tr>
        {%- endfor %}</tbody></table></div>{{ problems }}
        """,
        rows=rows,
        problems=problems_html(problems),
    )


def build_replay(library: Library, demo: gr.Blocks) -> None:
    gr.HTML("<header><h1>Rewardscope</h1><p>A replay: finished runs with every judgement in them, open to be looked at. "
            "No model is loaded; start <code>python app.py</code> without <code>--replay</code> to judge with a model.</p></header>")  # fmt: skip
    table = gr.HTML(elem_id="runs")
    gr.HTML("<h2>One comparison from a bundle</h2>")
    upload = gr.UploadButton("Open a bundle", file_types=[".zip"], size="sm", elem_id="open-bundle")
    shown = gr.HTML(elem_id="bundle")
    upload.upload(lambda path: bundle_html(open_bundle(path)), [upload], [shown], api_visibility="private")
    demo.load(lambda: runs_html(library), None, [table], api_visibility="private")
