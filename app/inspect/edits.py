"""What would have changed the verdict? Edits of picture and texts, each judged again by the whole model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr
import numpy as np
import plotly.graph_objects as go
from markupsafe import Markup
from PIL import Image
from plotly.subplots import make_subplots

from app.common import lane
from app.common.figures import FIRST, INK, NONE, SECOND, layout
from app.common.html import html, label, signed
from app.common.lane import LANE
from app.common.tasks import try_edits
from app.inspect.views import View, needed, told, undecided
from core.explain import has_gate, is_costly
from core.explain.counterfactual import (
    Effect,
    Outcome,
    Suggestion,
    change_masked,
    effects,
)
from core.judges.protocols import Explainable
from core.records import RecordError, letter
from core.taxonomy import Dimension

PRIVATE: dict[str, Any] = {"api_visibility": "private"}
MOST_EDITS = 8  # of standard_edits


class Edits:
    """A section of the Inspect page."""

    def __init__(self, judge: Explainable) -> None:
        self.judge = judge
        self.rewords, self.gated = judge.rewords, has_gate(judge)

    def build(self) -> None:
        with gr.Accordion("Counterfactual edits", open=False, elem_id="edits"):
            gr.Markdown(
                "What would have changed the verdict? Every bar is an edited input, judged again by the whole model. "
                + (
                    "Suggested words are found by the model's own gradient, then judged again."
                    if self.rewords
                    else ""
                )
                + (
                    f"{MOST_EDITS} edits at most, each asked in both orders as the comparison itself was."
                    if is_costly(self.judge)
                    else ""
                )
            )
            self.run = gr.Button("Try the edits", variant="primary", elem_id="try-edits")
            self.strip = gr.Plot(show_label=False, elem_id="strip")
            if self.rewords:
                self.words = gr.HTML(elem_id="suggestions")
            if self.gated:
                self.regions = gr.Plot(show_label=False, elem_id="region-dimension")
            gr.HTML("<h3>Draw on the picture</h3>")
            self.fetch = gr.Button("Take the picture", size="sm", elem_id="fetch")
            self.canvas = gr.ImageEditor(
                type="pil", sources=[], layers=False, transforms=[], label="Paint over what is to go", height=320,
                brush=gr.Brush(default_size=18, colors=["#d9730d"], color_mode="fixed"), elem_id="canvas",
            )  # fmt: skip
            with gr.Row():
                self.how = gr.Radio(["erase", "blur"], value="erase", label="and then", elem_id="how")
                self.drawn = gr.Button("Judge it without that", size="sm", elem_id="judge-drawn")
            self.drawn_outcome = gr.HTML(elem_id="drawn-outcome")

    @property
    def outputs(self) -> list[Any]:
        return [*self._found, self.drawn_outcome]

    @property
    def _found(self) -> list[Any]:
        return [self.strip, *([self.words] if self.rewords else []), *([self.regions] if self.gated else [])]

    def connect(self, view: gr.State) -> None:
        self.run.click(self.on_run, [view], self._found, **LANE, **PRIVATE)
        self.fetch.click(self.on_fetch, [view], [self.canvas], **PRIVATE)
        self.drawn.click(
            self.on_drawn, [view, self.canvas, self.how], [self.drawn_outcome], **LANE, **PRIVATE
        )

    def reset(self, view: View | None) -> tuple:
        del view
        return None, *([""] if self.rewords else []), *([None] if self.gated else []), ""

    def on_run(self, view: View | None) -> Any:
        with told():
            view = needed(view)
            if undecided(view.judgement):
                raise RecordError("There is no verdict that an edit could change.")
            found, suggested, (grid, parts) = lane.run_on_model(
                try_edits,
                self.judge,
                view.comparison,
                view.judgement,
                view.explanation,
                view.other,
                view.pair,
            )
            a, b = view.pair
            out: list[Any] = [strip_figure(found, a, b)]
            if self.rewords:
                out.append(suggestions_html(suggested, view))
            if self.gated:
                out.append(region_figure(grid, parts, a, b, view.judgement.dimensions) if parts else None)
            return out if len(out) > 1 else out[0]

    def on_fetch(self, view: View | None) -> Image.Image:
        with told():
            return needed(view).comparison.load_image()

    def on_drawn(self, view: View | None, drawn: dict | None, how: str) -> str:
        with told():
            view = needed(view)
            mask = painted(view.comparison.load_image(), drawn)
            edit = change_masked(view.comparison, mask, "blur" if how == "blur" else "erase", "what you drew")
            found = lane.run_on_model(effects, self.judge, view.judgement, *view.pair, [edit])[0]
            return html(
                '<p class="verdict" role="status">{{ text }}</p>', text=_told_effect(found, *view.pair)
            )


def painted(image: Image.Image, drawn: dict | None) -> Image.Image:
    """What lies under the brush as a mask of the picture's size. Raises RecordError where nothing does."""
    mask = np.zeros((image.height, image.width), dtype=bool)
    for layer in (drawn or {}).get("layers", []):
        if layer is not None:
            alpha = layer.convert("RGBA").getchannel("A").resize(image.size, Image.Resampling.NEAREST)
            mask |= np.asarray(alpha) > 0
    if not mask.any():
        raise RecordError("Nothing is painted: take the picture, paint over a part of it, and try again.")
    return Image.fromarray(mask.astype("uint8") * 255)


def _told_effect(e: Effect, a: int, b: int) -> str:
    turned = "the verdict turns" if e.flips else "the verdict stays"
    return f"With {e.label}, {turned}: the margin {letter(a)} − {letter(b)} goes from {signed(e.before)} to {signed(e.after)}."


def strip_figure(found: list[Effect], a: int, b: int) -> go.Figure:
    """Margin after each edit; the dashed line is the margin as given, a diamond marks a turned verdict."""
    names = [label(e.label) + ("  ◆ turns" if e.flips else "") for e in found]
    figure = go.Figure(
        go.Bar(
            orientation="h", y=names, x=[e.after for e in found],
            marker_color=[FIRST if e.after >= 0 else SECOND for e in found],
            text=[f"{e.after:+.2f}" for e in found], textposition="auto",
            hovertext=[f"changes the margin by {e.change:+.2f}" for e in found],
        )
    )  # fmt: skip
    if found:
        figure.add_vline(x=found[0].before, line={"dash": "dash", "color": INK})
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(title=f"margin {letter(a)} − {letter(b)} after the edit; dashed: as given")
    return layout(figure, 90 + 34 * len(found), showlegend=False)


def suggestions_html(found: list[Suggestion], view: View) -> Markup:
    loser = letter(view.judgement.loser(*view.pair))
    if not found:
        return html(
            '<p class="small">No single word that was tried makes {{ loser }} any better.</p>', loser=loser
        )
    return html(
        """
        <p>Would {{ loser }} have won if it had said …</p><ul>
        {%- for s, outcome in found %}
        <li>“{{ s.new }}” in place of “{{ s.old }}”: margin {{ s.margin|signed }}, <b>{{ outcome }}</b></li>
        {%- endfor %}</ul>
        """,
        loser=loser,
        found=[(s, _told_outcome(s, loser)) for s in found],
    )


def _told_outcome(s: Suggestion, loser: str) -> str:
    if s.outcome is Outcome.TIES:
        return "a tie: both responses then say the same" if s.same_text else "a tie"
    return (
        f"yes, {loser} would have won" if s.outcome is Outcome.FLIPS else f"no, {loser} would still have lost"
    )


def region_figure(
    grid: tuple[int, int], parts: dict[int, list[float]], a: int, b: int, dimensions: Sequence[Dimension]
) -> go.Figure:
    """One small map a selected dimension: what each region adds to its contribution, in one scale."""
    dims = list(parts)
    figure = make_subplots(
        rows=1, cols=max(1, len(dims)), subplot_titles=[label(dimensions[d].name) for d in dims]
    )
    most = max([abs(v) for d in dims for v in parts[d]] + [1e-9])
    scale = [[0, SECOND], [0.5, NONE], [1, FIRST]]
    for n, d in enumerate(dims):
        values = np.array(parts[d]).reshape(grid)
        figure.add_trace(
            go.Heatmap(
                z=values[::-1], zmin=-most, zmax=most, colorscale=scale, showscale=False,
                text=[[f"{v:+.1f}" if abs(v) >= most / 20 else "" for v in row] for row in values[::-1]],
                texttemplate="%{text}", hovertemplate="%{z:+.2f}<extra></extra>", xgap=1, ygap=1,
            ),
            row=1, col=n + 1,
        )  # fmt: skip
    layout(figure, 300)
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    figure.update_layout(margin={"l": 8, "r": 12, "t": 40, "b": 36})
    figure.add_annotation(
        text=f"what each region adds to each dimension's part of {letter(a)} − {letter(b)}", showarrow=False,
        x=0, y=-0.02, xref="paper", yref="paper", xanchor="left", yanchor="top",
    )  # fmt: skip
    return figure
