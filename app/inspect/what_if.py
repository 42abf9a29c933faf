"""What if the gate had chosen otherwise? Moves at once: the judgement's own numbers are enough, no model is run."""

from __future__ import annotations

from typing import Any

import gradio as gr
from markupsafe import Markup

from app.common.html import html, signed
from app.common.sections import section
from app.common.words import flip_words
from app.inspect.views import View
from core.records import JudgeCard, Judgement, RecordError, letter
from core.records.headline import TIE
from core.records.what_if import Flip, Gate, Outcome, apply, gate_of, smallest_flip

PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "queue": False}


class WhatIf:
    """A section of the Inspect page."""

    def __init__(self, card: JudgeCard) -> None:
        self.card = card

    def build(self) -> None:
        names = [(d.name, i) for i, d in enumerate(self.card.dimensions)]
        with section("Change the weights", elem_id="what-if"):
            gr.Markdown(
                "The scores stay the model's; only the gate is changed: which dimensions are active, and their weights. The "
                "model is not run again, so the verdict moves at once."
            )
            self.outcome = gr.HTML(elem_id="what-if-outcome")
            with gr.Row():
                self.k = gr.Slider(
                    1,
                    len(names),
                    value=self.card.top_k or 1,
                    step=1,
                    label="k, dimensions selected",
                    elem_id="k",
                )
                self.which = gr.Dropdown([], label="Weight of", elem_id="which")
                self.factor = gr.Slider(0, 10, value=1, step=0.05, label="times", elem_id="factor")
            with gr.Row():
                self.muted = gr.Dropdown(
                    names, value=[], multiselect=True, label="Switch off", elem_id="mute"
                )
                self.forced = gr.Dropdown(
                    names, value=[], multiselect=True, label="Switch on", elem_id="force"
                )
            self.back = gr.Button("Back to the model's gate", size="sm", elem_id="what-if-back")

    @property
    def outputs(self) -> list[Any]:
        return [self.outcome, self.k, self.which, self.factor, self.muted, self.forced]

    def connect(self, view: gr.State) -> None:
        controls: list[Any] = [self.k, self.which, self.factor, self.muted, self.forced]
        changed = {"fn": self.on_change, "inputs": [view, *controls], "outputs": [self.outcome], **PRIVATE}
        for control in controls:
            if isinstance(control, gr.Slider):  # once it is let go, not at every step on the way
                control.release(**changed)
            else:
                control.input(**changed)
        self.back.click(self.reset, [view], self.outputs, **PRIVATE)

    def reset(self, view: View | None) -> tuple:
        if view is None:
            return (gr.skip(),) * 6
        j = view.judgement
        chosen = [(j.dimensions[d].name, d) for d in j.selected]
        outcome = what_if_html(view, gate_of(j))
        return (
            outcome, len(j.selected) or 1, gr.Dropdown(choices=chosen, value=j.selected[0] if chosen else None), 1, [], [],
        )  # fmt: skip

    def on_change(
        self,
        view: View | None,
        k: float,
        which: int | None,
        factor: float,
        muted: list[int],
        forced: list[int],
    ) -> str:
        if view is None:
            return ""
        factors = {int(which): float(factor)} if which is not None and factor != 1 else {}
        return what_if_html(view, Gate(int(k), frozenset(muted or []), frozenset(forced or []), factors))


def what_if_html(view: View, gate: Gate) -> Markup:
    j, (a, b) = view.judgement, view.pair
    try:
        found, flip = apply(j, gate), smallest_flip(j, a, b)
    except RecordError as error:
        return html('<p class="warning" role="alert">{{ text }}</p>', text=error)
    return html(
        '<p class="verdict" role="status">{{ sentence }}</p>{{ table }}{{ flip }}',
        sentence=_sentence(j.margin(a, b), found.margin(a, b), a, b),
        table=_table(view, found),
        flip=_flip(j, flip),
    )


def _sentence(before: float, after: float, a: int, b: int) -> str:
    if abs(after) < TIE:
        return f"A tie: the margin would be {signed(after)} instead of {signed(before)}."
    winner = letter(a) if after > 0 else letter(b)
    if before * after < 0:
        return f"The verdict turns: the model would prefer {winner} by {abs(after):.2f} (the margin was {signed(before)})."
    return f"The model prefers {winner} by {abs(after):.2f}" + (
        "." if abs(after - before) < TIE else f" instead of {abs(before):.2f}."
    )


def _table(view: View, found: Outcome) -> Markup:
    a, b = view.pair
    j = view.judgement
    return html(
        """
        <div class="wide"><table class="contributions"><thead><tr><th>dimension</th><th>weight before</th><th>now</th>
        <th>adds to {{ a }} − {{ b }}</th></tr></thead><tbody>
        {%- for d, value in parts %}
        <tr><td>{{ j.dimensions[d].name }}</td><td>{{ j.weights[d]|f(".2f") }}</td><td>{{ found.weights[d]|f(".2f") }}</td>
        <td class="{{ "for" if value > 0 else "against" }}">{{ value|signed }}</td></tr>
        {%- endfor %}</tbody></table></div>
        """,
        a=letter(a), b=letter(b), j=j, found=found,
        parts=[(d, found.weights[d] * (j.scores[a][d] - j.scores[b][d])) for d in found.selected],
    )  # fmt: skip


def _flip(judgement: Judgement, flip: Flip | None) -> Markup:
    if flip is None:
        return html('<p class="small">No single change of the gate turns this verdict.</p>')
    return html(
        '<p class="small">The smallest change that turns the verdict: <b>{{ words }}</b>.</p>',
        words=flip_words(judgement, flip),
    )
