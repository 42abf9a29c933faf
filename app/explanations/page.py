"""The Explanations page: how true each method's explanations are, measured against the scene world's answer keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gradio as gr
import pandas as pd
import plotly.graph_objects as go

from app.common.downloads import FORMATS, Downloads, table_file
from app.common.figures import FIRST, NONE, QUIET, SECOND, layout
from app.common.html import html

ASSETS = Path(__file__).parents[2] / "assets"
MEASURED = ASSETS / "explanations.json"
PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "minimal"}
# What a method should reach, from the project's own aims.
AIMS = {"word": 0.9, "region": 0.9, "top10": 5.0}
SHOWN = {
    "word": "top-1 hit rate", "precision": "precision", "recall": "recall", "region": "pointing game",
    "mass": "relevance mass", "top10": "comprehensiveness at 10 % ÷ random", "infidelity": "infidelity",
    "correlation": "set correlation", "random_head": "random head", "random_backbone": "random backbone",
    "deletion": "deletion", "insertion": "insertion", "completeness": "convergence delta", "sensitivity": "sensitivity",
    "stability": "stability",
}  # fmt: skip


def load(path: Path = MEASURED) -> dict[str, Any]:
    return json.loads(path.read_text())


def table(measured: dict[str, Any]) -> pd.DataFrame:
    """Methods x measures, each "value (low to high)"."""
    out: dict[str, dict[str, str]] = {}
    for row in measured["table"]:
        if row["measure"] in SHOWN:
            cell = f"{row['value']:.2f} ({row['low']:.2f} to {row['high']:.2f})"
            out.setdefault(row["method"], {})[SHOWN[row["measure"]]] = cell
    frame = pd.DataFrame.from_dict(out, orient="index").reindex(columns=list(SHOWN.values())).fillna("")
    return frame.rename_axis("method").reset_index()


def measure_figure(measured: dict[str, Any], measure: str) -> go.Figure:
    """Every method's value with its interval; the dashed line is the aim, the grey dots what chance gives."""
    rows = [r for r in measured["table"] if r["measure"] == measure]
    chance = {r["method"]: r["value"] for r in measured["table"] if r["measure"] == f"{measure}_random"}
    figure = go.Figure()
    figure.add_scatter(
        x=[r["value"] for r in rows], y=[r["method"] for r in rows], mode="markers",
        marker={"color": [QUIET if "no model" in r["method"] else FIRST for r in rows], "size": 11},
        error_x={
            "type": "data", "symmetric": False, "array": [r["high"] - r["value"] for r in rows],
            "arrayminus": [r["value"] - r["low"] for r in rows],
        },
        name=SHOWN.get(measure, measure), hovertemplate="%{y}: %{x:.3f}<extra></extra>",
    )  # fmt: skip
    if chance and measure != "top10":
        figure.add_scatter(
            x=list(chance.values()), y=list(chance), mode="markers", marker={"color": QUIET, "size": 9}, name="random order"
        )  # fmt: skip
    if measure == "mass":
        figure.add_vline(x=measured["evidence_area"], line={"dash": "dot", "color": QUIET})
    if measure in AIMS:
        figure.add_vline(x=AIMS[measure], line={"dash": "dash", "color": SECOND})
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(title=measured["measures"][measure])
    return layout(figure, 120 + 36 * len(rows), showlegend=bool(chance) and measure != "top10")


def agreement_figure(measured: dict[str, Any]) -> go.Figure:
    """Rank correlation of every two methods' maps."""
    cells = pd.DataFrame(measured["agreement"]).pivot(index="a", columns="b", values="value")
    order = list(dict.fromkeys(r["a"] for r in measured["agreement"]))
    cells = cells.loc[order, order]
    figure = go.Figure(
        go.Heatmap(
            z=cells.to_numpy(), x=order, y=order, zmin=-1, zmax=1, texttemplate="%{z:.2f}", showscale=False,
            colorscale=[[0, SECOND], [0.5, NONE], [1, FIRST]], xgap=1, ygap=1,
        )
    )  # fmt: skip
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(tickangle=-35)
    return layout(figure, 430)


def build_explanations(demo: gr.Blocks) -> None:
    gr.HTML(
        "<header><h1>Explanations</h1><p>Here an answer key says which words are erroneous and which pixels are the evidence, so "
        "each method's maps are measured, beside baselines that need no model and models with random weights. The default, "
        "ablation, is not the one that hits the key most often: it is the one whose values predict best what the model does "
        "when words and regions are replaced (infidelity, set correlation).</p></header>"
    )
    if not MEASURED.exists():
        gr.Markdown("The benchmark has not been run yet: `python -m core explain-benchmark`.")
        return
    measured = load()
    gr.HTML(
        html(
            """
            <p class="small">{{ m["judged_right"]|f(",") }} held-out comparisons that {{ m["judge"] }} judges right
            (seed {{ m.get("seed", 0) }}); infidelity, set correlation, randomization tests, deletion, insertion,
            sensitivity, stability and Shapley sampling on the first {{ m["part"] }}. Intervals: 95 %, bootstrap over records. The evidence
            region covers {{ m["evidence_area"]|f(".0%") }} of a picture on average. Both answers of a pair are worded alike, so the
            words that the winner lacks (no model) name the erroneous one about as often as any method: a top-1 hit rate says little
            about a method here. Command: <code>{{ m.get("command", "python -m core explain-benchmark") }}</code></p>
            """,
            m=measured,
        )
    )
    frame = table(measured)
    gr.Dataframe(
        frame, interactive=False, label="Methods and measures", show_label=False, wrap=True, elem_id="explanation-table"
    )  # fmt: skip
    downloads = Downloads()
    with gr.Row():
        for kind in FORMATS:
            button = gr.Button(f"Download {kind}", size="sm", elem_id=f"explanations-{kind}")
            downloads.offer(button, _download(frame, kind), [])
    choice = gr.Dropdown(
        [(title, key) for key, title in SHOWN.items()], value="word", label="Measure", elem_id="measure"
    )
    plot = gr.Plot(measure_figure(measured, "word"), show_label=False, elem_id="measure-plot")
    choice.input(
        lambda key: measure_figure(measured, key if key in SHOWN else "word"), [choice], [plot], **PRIVATE
    )
    gr.HTML("<h2>Do the methods agree?</h2>")
    gr.Plot(agreement_figure(measured), show_label=False, elem_id="agreement")
    gr.Markdown((ASSETS / "explanations.md").read_text(), elem_id="misleads")
    del demo


def _download(frame: pd.DataFrame, kind: str) -> Any:
    def write() -> str:
        return table_file(frame, "explanations", kind)

    return write
