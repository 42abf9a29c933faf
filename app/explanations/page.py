"""The Explanations page: how true each method's explanations are, measured against the scene world's answer keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gradio as gr
import pandas as pd

from app.common.charts import FIRST, QUIET, Cells, Row, Rows, round_ticks
from app.common.downloads import FORMATS, Downloads, table_file
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


def measure_figure(measured: dict[str, Any], measure: str) -> Rows:
    """Every method's value with its interval; the dashed line is the aim, the grey dots what chance gives."""
    chance = {r["method"]: r["value"] for r in measured["table"] if r["measure"] == f"{measure}_random"}
    if measure == "top10":
        chance = {}
    rows = tuple(
        Row(
            r["method"], r["value"], 0.0, f"{r['value']:.2f}", QUIET if "no model" in r["method"] else FIRST, True,
            (r["low"], r["high"]), chance.get(r["method"]),
        )
        for r in measured["table"]
        if r["measure"] == measure
    )  # fmt: skip
    lines = [measured["evidence_area"]] if measure == "mass" else []
    lines += [AIMS[measure]] if measure in AIMS else []
    values = [v for r in rows for v in (r.end, *(r.interval or ()), r.beside, *lines) if v is not None]
    low, high = min(0.0, *values), max([*values, 1e-9])
    legend = (("random order", QUIET),) if chance else ()
    axis = measured["measures"][measure]
    return Rows(rows, axis, (low, high), round_ticks(low, high), tuple(lines), legend)


def agreement_figure(measured: dict[str, Any]) -> Cells:
    """Rank correlation of every two methods' maps."""
    cells = pd.DataFrame(measured["agreement"]).pivot(index="a", columns="b", values="value")
    order = list(dict.fromkeys(r["a"] for r in measured["agreement"]))
    values = tuple(tuple(line) for line in cells.loc[order, order].to_numpy().tolist())
    return Cells(values, 1.0, tuple(order), tuple(order))


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
    plot = gr.HTML(measure_figure(measured, "word").html(), elem_id="measure-plot")
    choice.input(
        lambda key: measure_figure(measured, key if key in SHOWN else "word").html(),
        [choice],
        [plot],
        **PRIVATE,
    )
    gr.HTML("<h2>Do the methods agree?</h2>")
    gr.HTML(agreement_figure(measured).html(), elem_id="agreement")
    gr.Markdown((ASSETS / "explanations.md").read_text(), elem_id="misleads")
    del demo


def _download(frame: pd.DataFrame, kind: str) -> Any:
    def write() -> str:
        return table_file(frame, "explanations", kind)

    return write
