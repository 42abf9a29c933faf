"""What would have changed the verdict? Edits of picture and texts, each judged again by the whole model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np
from markupsafe import Markup

from app.common import lane
from app.common.charts import FIRST, SECOND, Cells, Row, Rows
from app.common.html import NOTHING, html, joined, signed
from app.common.lane import LANE
from app.common.sections import section
from app.common.tasks import try_edits
from app.inspect.views import View, needed, told, undecided
from core.explain import has_gate, is_costly
from core.judges.protocols import Explainable
from core.records import RecordError, letter
from core.taxonomy import Dimension

if TYPE_CHECKING:
    from core.explain.counterfactual import Effect, Suggestion

PRIVATE: dict[str, Any] = {"api_visibility": "private"}
MOST_EDITS = 8  # of standard_edits


class Edits:
    """A section of the Inspect page."""

    def __init__(self, judge: Explainable) -> None:
        self.judge = judge
        self.rewords, self.gated = judge.rewords, has_gate(judge)

    def build(self) -> None:
        with section("Counterfactual edits", elem_id="edits"):
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
            self.strip = gr.HTML(elem_id="strip")
            if self.rewords:
                self.words = gr.HTML(elem_id="suggestions")
            if self.gated:
                self.regions = gr.HTML(elem_id="region-dimension")

    @property
    def outputs(self) -> list[Any]:
        return [self.strip, *([self.words] if self.rewords else []), *([self.regions] if self.gated else [])]

    def connect(self, view: gr.State) -> None:
        self.run.click(self.on_run, [view], self.outputs, **LANE, **PRIVATE)

    def reset(self) -> tuple:
        return tuple("" for _ in self.outputs)

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
            out: list[Any] = [strip_figure(found, a, b).html()]
            if self.rewords:
                out.append(suggestions_html(suggested, view))
            if self.gated:
                out.append(regions_html(grid, parts, a, b, view.judgement.dimensions) if parts else NOTHING)
            return out if len(out) > 1 else out[0]


def strip_figure(found: list[Effect], a: int, b: int) -> Rows:
    """Margin after each edit; the dashed line is the margin as given, a diamond marks a turned verdict."""
    rows = tuple(
        Row(
            e.label + ("  ◆ turns" if e.flips else ""), e.after, 0.0, signed(e.after), FIRST if e.after >= 0 else SECOND,
            title=f"changes the margin by {signed(e.change)}",
        )
        for e in found
    )  # fmt: skip
    axis = f"margin {letter(a)} − {letter(b)} after the edit; dashed: as given"
    return Rows(rows, axis, lines=(found[0].before,) if found else ())


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
    from core.explain.counterfactual import Outcome  # loaded with the model

    if s.outcome is Outcome.TIES:
        return "a tie: both responses then say the same" if s.same_text else "a tie"
    return (
        f"yes, {loser} would have won" if s.outcome is Outcome.FLIPS else f"no, {loser} would still have lost"
    )


def regions_html(
    grid: tuple[int, int], parts: dict[int, list[float]], a: int, b: int, dimensions: Sequence[Dimension]
) -> Markup:
    """One small map a selected dimension: what each region adds to its contribution, in one scale."""
    maps = [m.html() for m in region_maps(grid, parts, dimensions)]
    return html(
        '<div class="maps">{{ maps }}</div><p class="small">What each region adds to each dimension\'s part of {{ a }} − {{ b }}.</p>',
        maps=joined(maps), a=letter(a), b=letter(b),
    )  # fmt: skip


def region_maps(
    grid: tuple[int, int], parts: dict[int, list[float]], dimensions: Sequence[Dimension]
) -> list[Cells]:
    most = max([abs(v) for values in parts.values() for v in values] + [1e-9])
    return [
        Cells(
            tuple(map(tuple, np.array(values).reshape(grid).tolist())), most, title=dimensions[d].name, digits=1,
            hidden=most / 20,
        )
        for d, values in parts.items()
    ]  # fmt: skip
