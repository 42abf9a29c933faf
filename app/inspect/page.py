"""The Inspect page: give a picture, a prompt and responses; see which wins and exactly why."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import gradio as gr
from markupsafe import Markup

from app.common import address, downloads, export, lane, privately, words
from app.common.downloads import Downloads
from app.common.html import NOTHING, html, notice
from app.common.lane import LANE
from app.common.orders_view import orders_html
from app.common.region_map import NEITHER
from app.common.sections import section
from app.common.tasks import ASKED, checked_pair, default_pair, explained, first_target, flipped, planned
from app.inspect import answer, links, views
from app.inspect.address import Inspect, Origins, query_of, unpacked
from app.inspect.edits import Edits
from app.inspect.first_looks import Looks
from app.inspect.gallery import Example, by_id, gallery
from app.inspect.views import Invalid, needed
from app.inspect.views import told as _told
from app.inspect.what_if import WhatIf
from app.replay.bundle_view import open_bundle
from core.explain import (
    METHODS,
    Cancelled,
    Plan,
    Request,
    default_method,
    has_dimensions,
    has_gate,
    has_gradients,
    is_costly,
    methods_for,
)
from core.explain.request import SMALL
from core.images import ImageError, open_image
from core.judges.protocols import Writes
from core.records import Comparison, RecordError, letter, plain
from core.records.bundle import Bundle, write
from core.records.edit_path import Step, cells, step_between
from core.runs.library import Library

PRIVATE: dict[str, Any] = {"api_visibility": "private"}
CHOOSE = """element.addEventListener('click', event => {
    const chosen = event.target.closest('button[data-index]');
    if (chosen) trigger('select', {index: Number(chosen.dataset.index), value: chosen.textContent.trim()});
});"""
SHOW = "() => ({__type__: 'update', visible: true})"
# What is painted over the picture comes as an event of its component.
PAINTED = "window.rewardscopeBrush?.connect(element, value => trigger('select', {index: 0, value}));"
LETTERS = [letter(i).lower() for i in range(words.BOXES)]
HINT = html(
    """
    <p id="hint" aria-live="polite" data-quiet="Point at a word, a region of the picture or a dimension: what the margin is without it, and what acts with it, is said here. Click a word to strike or replace it.">
    Point at a word, a region of the picture or a dimension: what the margin is without it, and what acts with it, is said here. Click a word to strike or replace it.</p>
    <p id="stale-note" role="status" hidden data-quiet="These results are of the earlier text or picture: press Judge." data-first="Press Judge first, or Escape in the text to take back what you wrote.">These results are of the earlier text or picture: press Judge.</p>
    """
)
GLOSSARY = html(
    """
    <p class="small">A <b>gate</b> says how relevant a dimension is for this picture and prompt; the most relevant ones are selected. A <b>score</b>
    rates a response on one dimension. A response's <b>reward</b> is the weighted sum of its scores; the <b>margin</b> is the difference of two rewards,
    and σ(margin) the probability that the first is preferred.</p>
    """
)
JUDGING = "1 of 3: the model is judging …"
MAPPING = "2 of 3: finding the words and regions that did it …"
CHECKING = "3 of 3: checking the map …"
FLIPPING = "Looking for a small change that turns the verdict …"
EXPLAINING = "Making the map …"
UNASKED = 15  # seconds for a map that nobody asked for
MOST_ASKED = 120  # seconds for one that somebody asked for, by a method that knows no time of its own
TIMED = "Under “Another map” “Coarse to fine” gives one in the time you name."
TOO_LONG = f"The map was stopped after {UNASKED} seconds, so that others need not wait. {TIMED}"
LONG = f"This text is long: no map is made of it unless you ask, so that others need not wait. {TIMED}"
STOPPED = f"Stopped after {MOST_ASKED} seconds, so that others need not wait: the map is the one from before. “Coarse to fine” takes the time you name."
IN_THE_LINK = "Copied. The link itself says all of it: whoever opens it sees what you see."
KEPT_HERE = (
    f"Copied. Your own picture or long texts do not fit into a link: they are now kept on this server (the newest {links.KEPT:,}). "
    "A page that lasts: Download as a page."
)
SECONDS, MOST_SECONDS = 20, 3600  # that a method which can stop at any time may take
WHAT = {
    "gated": "Which dimensions mattered, how each response scored, and which words and pixels did it.",
    "scalar": "The reward of each response, which words and pixels made it, and what would have changed it.",
    "generative": "What it wrote, whether it says the same in both orders, and which sentence, words and pixels decided.",
    "hybrid": "Which part decided, a rule or the model, what each added, and which words and pixels moved the model.",
    "remote": "What it wrote, whether it says the same in both orders, and what it says once words or parts of the picture are gone.",
}
HOW = {
    "gated": "\n\nThe active set of dimensions is held fixed: which three are chosen is a step function that no gradient can "
    "explain; a gate's own logit can be explained instead.",
    "scalar": "",
    "hybrid": "\n\nRules read the texts as they are: words and regions move the model's part alone, and nothing where a rule has "
    "settled the margin.",
    "generative": "\n\n" + NEITHER,
    "remote": "\n\nNothing is known of this judge but its answers: words are cut out of the texts, regions of the picture are made "
    "grey, and it is asked again in both orders. An answer that could not be had counts as unmoved, and is counted.",
}


def _as_it_came(component: gr.Image) -> gr.Image:
    """Lets the component hand over the file untouched: core.images opens it, with errors in plain words."""
    decode = component.preprocess

    def preprocess(payload: Any) -> Any:
        if payload is not None and payload.path and not (payload.url or "").startswith("data:"):
            return payload.path
        return decode(payload)

    component.preprocess = preprocess  # type: ignore[method-assign]
    return component


@dataclass(frozen=True, eq=False)
class Wanted:
    """What the model is asked for next. view: what is judged of it already. before, step: what was on show, and the edit that
    led from it here, where it was one."""

    number: int
    comparison: Comparison
    view: views.View | None = None
    before: views.View | None = None
    step: Step | None = None
    asked: Inspect | None = None  # an address that wants another pair or map, once there is a verdict


class InspectPage:
    """Components and events. The session holds one `views.View`; nothing is shared between sessions."""

    def __init__(self, looks: Looks, library: Library) -> None:
        self.looks, self.judge, self.library = looks, looks.judge, library
        self.cancel_flags: dict[str, threading.Event] = {}
        self.origins = Origins()
        self.newest: dict[
            str, int
        ] = {}  # by session, the last thing asked for: what came before it is not shown
        self.what_if, self.edits = WhatIf(self.judge.card), Edits(self.judge)
        # A section that this judge cannot fill is not built.
        self.gate = has_gate(self.judge)  # one that can be changed and explained
        self.gated, self.writes = has_dimensions(self.judge), isinstance(self.judge, Writes)
        self.asks_first, self.gradients = is_costly(self.judge), has_gradients(self.judge)
        # Nobody waits for his verdict behind other people's maps.
        self.quick = not self.asks_first and (self.judge.card.parameters or 0) < SMALL and not lane.forks()
        # Verdict, map and check one after another; where each would be a turn of its own on a GPU, all at once.
        self.staged = self.gradients and not self.asks_first and not lane.forks()
        self.names = [
            "view", "verdict", "said-prompt", *(f"said-{x}" for x in LETTERS), "heat", "path", "undo", "flip",
            *(["orders"] if self.writes else []), *(["contributions", "waterfall", "scores", "gates"] if self.gated else []),
            "map", "use", "table", "target", "method", "pair", "download", "link", "address",
        ]  # fmt: skip

    # -- layout ----------------------------------------------------------------------------------------------

    def build(self, demo: gr.Blocks) -> None:
        gr.HTML(
            html(
                "<header><h1>Why did the reward model prefer this response?</h1><p>{{ what }}</p></header>",
                what=WHAT["gated" if self.gate else self.judge.card.kind],
            ),
            elem_id="inspect-title",
        )
        self.view = gr.State(None)
        self.example = gr.State(None)
        self.labelled = gr.State(
            None
        )  # (prompt, responses, preferred) of the record that was opened, if it has a label
        self.wanted = gr.State(None)
        with gr.Column(elem_id="answer"):
            self._answer()
        self.gallery = gr.HTML(views.gallery_html(), js_on_load=CHOOSE, elem_id="examples")
        if self.writes:
            gr.HTML("<h2>Both orders</h2>")
            self.orders = gr.HTML(elem_id="both-orders")
        self._explanation()
        if self.gated:
            with section("Scores, weights and gates"):
                gr.HTML(GLOSSARY)
                self.waterfall = gr.HTML(elem_id="waterfall")
                with gr.Row(equal_height=False):
                    with gr.Column(scale=5, min_width=320):
                        gr.HTML("<h2>Scores on the selected dimensions</h2>")
                        self.scores = gr.HTML(elem_id="scores")
                    with gr.Column(scale=6, min_width=320):
                        gr.HTML("<h2>All gates</h2>")
                        self.gates = gr.HTML(elem_id="gates")
        with section("Does it use the picture?"):
            self.use = gr.HTML(elem_id="image-use")
        if self.gate:
            self.what_if.build()
        self.edits.build()
        with section("All numbers as a table"):
            self.table = gr.Dataframe(interactive=False, label="All dimensions", show_label=False)
        with gr.Accordion("What this model is, and what it is not", open=False):
            gr.Markdown(words.about(self.judge.card), elem_id="about")
        self._sharing()
        self._events(demo)

    def _answer(self) -> None:
        """The first screen."""
        self.problems: dict[str, gr.HTML] = {}
        self.said: dict[str, gr.HTML] = {}
        with gr.Column(elem_id="card-prompt", elem_classes="card"):
            self.prompt = self._card("prompt", "Prompt")
        self.verdict = gr.HTML(elem_id="verdict")
        self.pair = gr.Radio([], label="Compare", visible=False, elem_id="pair")
        self.columns: list[gr.Column] = []
        self.responses: list[gr.Textbox] = []
        with gr.Row(equal_height=True, elem_id="cards"):
            self._response("a")
            with gr.Column(scale=5, min_width=280, elem_id="card-picture"):
                self.heat = gr.HTML(elem_id="heat", js_on_load=PAINTED, apply_default_css=False)
                self._problem("picture")
                self.picture = _as_it_came(gr.Image(
                    label="Picture", type="filepath", image_mode=None, sources=["upload", "clipboard", "webcam"],
                    height=220, elem_id="picture", visible=False,
                ))  # fmt: skip
            self._response("b")
        with gr.Row(equal_height=True, elem_id="more-cards"):
            for x in LETTERS[2:]:
                self._response(x, visible=False)
        with gr.Row(equal_height=False, elem_id="under"):
            if self.gated:
                with gr.Column(scale=6, min_width=320):
                    self.contributions = gr.HTML(elem_id="contributions", apply_default_css=False)
            with gr.Column(scale=6, min_width=320, elem_id="beside"):
                gr.HTML(HINT, elem_id="hints")
                with gr.Row(elem_id="actions"):
                    self.judge_button = gr.Button(
                        "Judge", variant="primary", size="md", elem_id="judge", min_width=90
                    )
                    self.flip = gr.Button(
                        "Flip it", variant="primary", size="md", elem_id="flip", min_width=90
                    )
                    self.undo = gr.Button("Undo", size="md", elem_id="undo", interactive=False, min_width=80)
                    self.more = gr.Button("Add a response", size="md", elem_id="more", min_width=130)
                    self.change_picture = gr.Button(
                        "Change the picture", size="md", elem_id="change-picture", min_width=130
                    )
                    self.cancel = gr.Button("Cancel", size="md", elem_id="cancel", min_width=80)
                self.status = gr.HTML(elem_id="status")
                self.path = gr.HTML(elem_id="path")

    def _response(self, x: str, visible: bool = True) -> None:
        with gr.Column(
            scale=4, min_width=240, elem_id=f"card-{x}", elem_classes="card", visible=visible
        ) as column:
            self.responses.append(self._card(f"response-{x}", f"Response {x.upper()}"))
        self.columns.append(column)

    def _card(self, field: str, name: str) -> gr.Textbox:
        """A text as it is shown, and the box in which it is written (assets/cards.js swaps them)."""
        self.said[field] = gr.HTML(elem_id=f"said-{field}", apply_default_css=False)
        box = gr.Textbox(label=name, show_label=False, lines=2, elem_id=field)
        self._problem(field)
        return box

    def _problem(self, field: str) -> None:
        self.problems[field] = gr.HTML(elem_id=f"problem-{field}")

    def _explanation(self) -> None:
        with section("Another map: target, method, and whether to trust it", elem_id="another-map"):
            self.target = self._targets()
            with gr.Row():
                self.method = gr.Dropdown(
                    [(m.name, key) for key, m in methods_for(self.judge).items()], value=ASKED.method, label="by",
                    elem_id="method", min_width=190,
                )  # fmt: skip
                self.level = gr.Dropdown(
                    [("words", "word"), ("sentences", "sentence")], value="word", label="for", elem_id="level",
                    min_width=110,
                )  # fmt: skip
                self.seconds = gr.Number(
                    SECONDS,
                    label="seconds",
                    minimum=1,
                    maximum=MOST_SECONDS,
                    precision=0,
                    visible=False,
                    elem_id="seconds",
                    min_width=110,
                )
                self.exact = gr.Button("Explain", elem_id="exact", size="md", min_width=110)
            self.check = (
                gr.State(True)
                if self.gradients
                else gr.Checkbox(value=False, label="Deletion check as well", elem_id="check")
            )
            self.cost = gr.HTML(elem_id="cost")
            self.map = gr.HTML(elem_id="map-details")
            gr.Markdown(
                views.method_help(self.judge)
                + HOW["gated" if self.gate else self.judge.card.kind]
                + " Attribution says what the model reacted to, not what is true of the picture."
            )

    def _sharing(self) -> None:
        with gr.Row(elem_id="sharing"):
            self.link_button = gr.Button("Copy a link", size="sm", elem_id="make-link", min_width=130)
            self.bundle = gr.Button("Download as a bundle", size="sm", elem_id="bundle", min_width=130)
            self.exports = {
                kind: gr.Button(label, size="sm", elem_id=f"export-{kind}", min_width=130)
                for kind, label in (
                    ("html", "Download as a page"),
                    ("png", "Figure, PNG"),
                    ("svg", "Figure, SVG"),
                )
            }
            self.open = gr.UploadButton(
                "Open a bundle", file_types=[".zip"], size="sm", elem_id="open-bundle", min_width=130
            )
        self.link = gr.Textbox(label="Link to this view", visible=False, buttons=["copy"], elem_id="link")
        self.download = gr.HTML(elem_id="download")
        self.address = gr.Textbox(visible="hidden", elem_id="address")
        self.files = Downloads()

    def _targets(self) -> Any:
        """Where there is but one target, there is nothing to choose."""
        if self.writes and self.gradients:
            return gr.Dropdown([], label="Explain", elem_id="target")
        return gr.Radio([], label="Explain", elem_id="target") if self.gate else gr.State("margin")

    # -- events ----------------------------------------------------------------------------------------------

    def _component(self, name: str) -> Any:
        return self.said[f"response-{name[-1]}" if name != "said-prompt" else "prompt"] if name.startswith("said-") else getattr(self, name)  # fmt: skip

    def _events(self, demo: gr.Blocks) -> None:
        inputs = [self.picture, self.prompt, *self.responses]
        shown = [
            *map(self._component, self.names),
            self.cost,
            *self.edits.outputs,
            *(self.what_if.outputs if self.gate else []),
            *self.problems.values(),
            self.status,
        ]
        self.shown = len(shown)
        fields = [self.example, self.labelled, *inputs, *self.columns[2:], self.more]
        # One quiet line says how far it is; nothing else on the page shows that it waits.
        quiet = {"show_progress": "minimal", "show_progress_on": [self.status], **PRIVATE}
        asked = {
            "fn": self.on_asked, "inputs": [self.view, self.labelled, *inputs], "outputs": [*shown, self.wanted],
            "concurrency_limit": 8, **quiet,
        }  # fmt: skip

        def said(event: Any, text: str) -> Any:
            """Tells at once what goes on, while it waits for the model, so that it can be cancelled."""
            return event(lambda: _working(text), None, [self.status], queue=False, show_progress="hidden", **PRIVATE)  # fmt: skip

        # One event shows everything: each further one is a request or two, and a person waits for all of them.
        asks = [self.judge_button.click, self.prompt.submit, *(box.submit for box in self.responses)]
        opened = [*fields, *shown, self.wanted]
        judged = [
            gr.on(asks, **asked),
            demo.load(self.on_open, None, opened, **quiet),
            self.gallery.select(self.on_example, None, opened, **quiet),
            self.wanted.change(self.on_wanted, [self.wanted], [*shown, self.wanted], **LANE, **quiet),
            self.pair.input(self.on_pair, [self.view, self.pair], shown, **LANE, **quiet),
            said(self.flip.click, FLIPPING).then(self.on_flip, [self.view], opened, **LANE, **quiet),
            self.heat.select(self.on_painted, [self.view], opened, **quiet),
            self.undo.click(self.on_undo, [self.view, self.example], opened, **quiet),
        ]
        if self.gate:
            self.what_if.connect(self.view)
        self.edits.connect(self.view)
        self.more.click(self.on_more, None, [*self.columns[2:], self.more], **PRIVATE)
        self.change_picture.click(None, None, [self.picture], js=SHOW, show_progress="hidden", **PRIVATE)
        self.picture.input(None, None, None, js="() => { window.rewardscopeCards?.pictureChanged(); }")
        explained = [*(self._component(name) for name in self._of_map), self.status]
        choice = [self.view, self.target, self.method, self.level, self.check]
        if self.gate or (self.writes and self.gradients):
            self.target.input(self.on_target, choice, [*explained, self.cost], **LANE, **quiet)
        if not self.gradients:  # no first look of it says what explaining it would take
            for event in judged:
                event.success(self.on_choice, choice, [self.cost], show_progress="hidden", **LANE, **PRIVATE)
        for control in (c for c in choice[2:] if not isinstance(c, gr.State)):
            control.input(self.on_choice, choice, [self.cost], show_progress="hidden", **LANE, **PRIVATE)
        self.method.change(self.on_method, [self.method], [self.seconds], show_progress="hidden", **PRIVATE)
        exact = said(self.exact.click, EXPLAINING).then(
            self.on_exact, [*choice, self.seconds], explained, **LANE, **quiet
        )
        self.cancel.click(
            self.on_cancel, [self.view], [self.view, self.heat, self.map, self.status], cancels=[*judged, exact], queue=False,
            show_progress="hidden", **PRIVATE,
        )  # fmt: skip
        self.files.offer(self.bundle, self.on_bundle, [self.view])
        for kind, button in self.exports.items():
            self.files.offer(button, partial(self.on_export, kind), [self.view])
        self.open.upload(self.on_open_bundle, [self.open], [*fields, *shown], **LANE, **quiet)
        shared = self.link_button.click(
            self.on_link, [self.view, self.example, *inputs], [self.link], **PRIVATE
        )
        shared.success(
            None, [self.link], None, js="(link) => { window.rewardscopeAddress.copy(link); }", **PRIVATE
        )
        self.address.change(None, [self.address], None, js=address.SHOWN, **PRIVATE)
        demo.unload(self.on_leave)

    # -- what is shown -----------------------------------------------------------------------------------------

    @property
    def _of_map(self) -> list[str]:
        """What changes with the map alone."""
        contributions = ["contributions"] if self.gated else []
        return ["view", *(f"said-{x}" for x in LETTERS), "heat", *contributions, "map", "download", "address"]

    def _values(self, view: views.View) -> dict[str, Any]:
        waterfall, scores, gates = views.figures_of(view)
        pairs = views.pairs_of(view.judgement)
        chosen = f"{view.pair[0]}{view.pair[1]}"
        target = view.explanation.target_key if view.explanation else "margin"
        offered = gr.update(choices=views.targets_of(view, self.judge), value=target)
        return {
            **self._map_values(view), "verdict": views.verdict_html(view), "said-prompt": answer.prompt_html(view.comparison.prompt),
            "path": views.path_html(view), "undo": gr.Button(interactive=bool(view.path and view.path.steps)),
            "flip": gr.Button(interactive=not views.undecided(view.judgement)), "orders": orders_html(view.judgement, *view.pair),
            "waterfall": waterfall, "scores": scores, "gates": gates, "table": views.table(view), "use": views.image_use_html(view),
            "method": view.explanation.method_key if view.explanation else gr.skip(),
            "target": offered if self.gate or (self.writes and self.gradients) else target,
            "pair": gr.Radio(choices=pairs, value=chosen, visible=len(pairs) > 1), "link": gr.update(visible=False),
        }  # fmt: skip

    def _address(self, view: views.View) -> str:
        first = (
            first_target(self.judge, view.judgement, view.pair),
            default_method(self.judge, view.comparison),
        )
        return query_of(view, self.origins, self.judge.card, first)

    def _map_values(self, view: views.View) -> dict[str, Any]:
        shown = views.shown_of(view)
        texts = (*view.comparison.responses, *([None] * words.BOXES))[: words.BOXES]
        cards = {
            f"said-{x}": NOTHING if text is None else answer.card_html(i, text, shown)
            for i, (x, text) in enumerate(zip(LETTERS, texts, strict=True))
        }
        return {
            "view": view, **cards, "heat": views.heat_html(view), "contributions": answer.strip_html(shown),
            "map": views.map_html(view), "download": views.download_html(view, self.judge),
            "address": self._address(view),
        }  # fmt: skip

    def _show(self, view: views.View, status: str = "", first: bool = True) -> tuple:
        """One value an output. first: whether it is another comparison than before, so that edits and changed weights of the
        one before are gone."""
        values = self._values(view)
        if not first:  # a link that was made meanwhile is still right
            values["link"] = gr.skip()
        cost = self._said(ASKED.method, ASKED.level, view.plan) if view.plan else NOTHING
        afresh = self._afresh(view) if first else tuple(gr.skip() for _ in self._afresh(None))
        return (
            *(values[name] for name in self.names), cost, *afresh, *("" for _ in self.problems), status,
        )  # fmt: skip

    def _afresh(self, view: views.View | None) -> tuple:
        """Edits and changed weights belong to the view before."""
        return (*self.edits.reset(), *(self.what_if.reset(view) if self.gate else ()))

    def _kept(self, status: Any = None, problem: Invalid | None = None) -> tuple:
        """All stays as it is. problem: what is said at its field."""
        told = [_problem(problem) if problem and problem.field == field else "" for field in self.problems]
        rest = self.shown - len(told) - 1
        return (
            *(gr.skip() for _ in range(rest)), *told, gr.skip() if status is None else status,
        )  # fmt: skip

    def _nothing(self, verdict: str, view: links.View, status: str = "", problem: Invalid | None = None) -> tuple:  # fmt: skip
        """The texts of something that was not judged, and nothing else."""
        texts = (*map(plain, view.responses), *([None] * words.BOXES))[: words.BOXES]
        try:
            image = open_image(view.picture) if view.picture else None
        except ImageError:
            image = None
        values = {
            **{f"said-{x}": NOTHING if t is None else answer.card_html(i, t, None) for i, (x, t) in enumerate(zip(LETTERS, texts, strict=True))},
            "view": None, "table": None, "target": gr.skip(), "method": gr.skip(), "pair": gr.Radio(visible=False), "link": gr.update(visible=False),
            "verdict": verdict, "said-prompt": answer.prompt_html(plain(view.prompt)), "heat": answer.bare_stage_html(image),
            "undo": gr.Button(interactive=False), "flip": gr.Button(interactive=False),
        }  # fmt: skip
        told = [_problem(problem) if problem and problem.field == field else "" for field in self.problems]
        return (
            *(values.get(name, "") for name in self.names), NOTHING, *self._afresh(None), *told, status,
        )  # fmt: skip

    # -- asking ------------------------------------------------------------------------------------------------

    def _number(self, request: gr.Request | None) -> int:
        """Of something newly asked for: whatever this session asked for before is not wanted any more."""
        number = time.monotonic_ns()
        session = _session(request)
        if flag := self.cancel_flags.pop(session, None):
            flag.set()
        self.cancel_flags[session], self.newest[session] = threading.Event(), number
        return number

    def on_asked(
        self,
        request: gr.Request | None,
        view: views.View | None,
        labelled: tuple | None,
        picture: str | None,
        prompt: str,
        *responses: str,
    ) -> tuple:
        """Shows at once what is stored or was judged before, and of anything else the verdict; the model is queued for its map.
        Where the model is large or somewhere else, it is queued for all of it."""
        number = self._number(request)
        try:
            comparison = views.comparison_of(picture, prompt, list(responses))
        except Invalid as problem:
            return (*self._kept("", problem), gr.skip())
        if labelled and (comparison.prompt, comparison.responses) == (labelled[0], tuple(labelled[1])):
            comparison = replace(comparison, preferred=labelled[2])  # its texts are as they were labelled
        return self._judged(
            number, comparison, view, step_between(view.comparison, comparison) if view else None
        )

    def _judged(
        self, number: int, comparison: Comparison, before: views.View | None, step: Step | None
    ) -> tuple:
        """What is shown of it now, and what is wanted of the model."""
        try:
            if view := views.known_view(self.looks, comparison):
                return (*self._show(view.coming_from(before, step)), gr.skip())
            if self.quick:
                view = views.verdict_view(self.looks, comparison).coming_from(before, step)
                if views.is_long(comparison):
                    return (*self._show(replace(view, awaited=False), _alert(LONG)), gr.skip())
                return (*self._show(view, _working(MAPPING)), Wanted(number, comparison, view))
        except (ImageError, RecordError) as error:
            return (*self._kept(_alert(error)), gr.skip())
        return (*self._kept(_working(JUDGING)), Wanted(number, comparison, None, before, step))

    def on_wanted(self, request: gr.Request | None, wanted: Wanted | None) -> tuple:
        """One turn of the model: the verdict, or its map, or what follows the map. Each shows itself and asks for the next."""
        if wanted is None or self.newest.get(_session(request), wanted.number) != wanted.number:
            return (*(gr.skip() for _ in range(self.shown)), gr.skip())
        try:
            shown = self._turn(wanted, self.cancel_flags.get(_session(request)))
        except (ImageError, RecordError) as error:
            shown = (*self._kept(_alert(error)), gr.skip())
        except Cancelled:
            shown = (*self._kept(""), gr.skip())
        if self.newest.get(_session(request), wanted.number) != wanted.number:
            return (*(gr.skip() for _ in range(self.shown)), gr.skip())
        return shown

    def _turn(self, wanted: Wanted, flag: threading.Event | None) -> tuple:
        view = wanted.view
        if wanted.asked and view and view.image_ablation:  # all else is there
            return (*self._as_asked(view, wanted.asked), gr.skip())
        if view is None and not self.staged:
            view = views.judge_view(self.looks, wanted.comparison).coming_from(wanted.before, wanted.step)
            return (*self._show(view), self._then(wanted, view))
        if view is None:
            view = views.verdict_view(self.looks, wanted.comparison)
            view = view.coming_from(wanted.before, wanted.step)
            if views.is_long(wanted.comparison):
                return (*self._show(replace(view, awaited=False), _alert(LONG)), gr.skip())
            return (*self._show(view, _working(MAPPING)), replace(wanted, view=view))
        if view.explanation is None:
            stop = time.monotonic() + UNASKED
            try:
                view = views.mapped_view(
                    self.looks, view, lambda: time.monotonic() > stop or bool(flag and flag.is_set())
                )
            except Cancelled:
                if flag and flag.is_set():
                    raise
                view = replace(view, awaited=False)
                return (*self._show(view, _alert(TOO_LONG), first=False), gr.skip())
            return (*self._show(view, _working(CHECKING), first=False), replace(wanted, view=view))
        view = views.full_view(self.looks, view)
        return (*self._show(view, first=False), self._then(wanted, view))

    def _then(self, wanted: Wanted, view: views.View) -> Any:
        """What is still wanted after the first map."""
        return replace(wanted, view=view) if wanted.asked and view.image_ablation else gr.skip()

    def _as_asked(self, view: views.View, asked: Inspect) -> tuple:
        """The pair and the map of an address, which anybody can have written."""
        pair = asked.indices or view.pair
        try:
            if max(pair) >= len(view.comparison.responses):
                raise RecordError(f"There is no pair {asked.pair} here: this comparison has fewer responses.")
            if pair != view.pair:
                found, parts = lane.run_on_model(
                    checked_pair, self.judge, view.comparison, view.judgement, pair
                )
                view = replace(view, pair=pair, ablation=None, parts=None, image_ablation=None).explained_by(
                    found, parts
                )
            first = view.explanation
            target, method = (
                asked.target or (first.target_key if first else "margin"),
                asked.method or ASKED.method,
            )
            if (
                (asked.target or asked.method)
                and first
                and (target, method) != (first.target_key, first.method_key)
            ):
                stop = time.monotonic() + UNASKED
                request = Request(pair, target, method, level=asked.level or ASKED.level)
                watch = {"cancelled": lambda: time.monotonic() > stop}
                found = lane.run_on_model(
                    explained, self.judge, view.comparison, view.judgement, request, watch=watch
                )
                view = view.explained_by(found)
        except Cancelled:
            return self._show(view, _alert("The map of this address takes long: press Explain for it."))
        except (ImageError, RecordError) as error:
            return self._show(view, _alert(error))
        return self._show(view)

    def _opened(
        self, view: links.View, request: gr.Request | None = None, asked: Inspect | None = None
    ) -> tuple:
        """Its fields filled, and all that is known of it; for anything else the model is queued for, or where asking it costs
        something, what asking it would take is said. asked: the address that it was opened from."""
        number = self._number(request)
        try:
            texts = list(map(plain, view.responses))
            comparison = views.comparison_of(view.picture, plain(view.prompt), texts)
        except Invalid as problem:
            return (*_fill(view), *self._nothing("", view, problem=problem), gr.skip())
        comparison = replace(comparison, preferred=view.preferred)
        if asked and (asked.run or asked.view):
            self.origins.remember(comparison, asked)
        if asked and asked.edits and self.quick:
            return self._replayed(number, view, comparison, asked)
        more = asked if asked and any(asked.map) and self.gradients else None
        if known := views.known_view(self.looks, comparison):
            wanted = Wanted(number, comparison, known, asked=more) if more else gr.skip()
            return (*_fill(view), *self._show(known), wanted)
        if self.asks_first:
            told = html('<p role="status">{{ text }}</p>', text=views.before_judging(self.judge, comparison))
            return (*_fill(view), *self._nothing(told, view), gr.skip())
        return (
            *_fill(view), *self._nothing("", view, _working(JUDGING)), Wanted(number, comparison, asked=more),
        )  # fmt: skip

    def _replayed(self, number: int, filled: links.View, comparison: Comparison, asked: Inspect) -> tuple:
        """The edits of an address made again, each judged: what they did is measured here, not believed."""
        assert asked.edits
        try:
            *steps, last = unpacked(asked.edits)
            view = views.verdict_view(self.looks, comparison)
            for step in steps:
                after = views.verdict_view(self.looks, views.edited(view.comparison, step))
                view = after.coming_from(view, step)
            edited = views.edited(view.comparison, last)
        except (ImageError, RecordError) as error:
            gr.Warning(notice(error))
            return self._opened(filled, None, replace(asked, edits=None))
        fields = (filled.example, *self._filled(edited, filled.example)[1:])
        return (*fields, *self._judged(number, edited, view, last))

    def on_open(self, request: gr.Request) -> tuple:
        query = dict(request.query_params)
        asked, problems = address.read(Inspect, query)
        view, problem = links.open_link({k: v for k, v in vars(asked).items() if v is not None}, self.library)
        if asked.judge and asked.judge != self.judge.card.id and view:
            problems.append(
                f"This address was made with the judge {asked.judge}; here {self.judge.card.id} judges."
            )
        for said in filter(None, [*problems, problem]):
            gr.Warning(notice(said))
        if view is None:
            return self._opened(_of_example(gallery()[0]), request)
        return self._opened(view, request, asked)

    def on_example(self, event: gr.SelectData, request: gr.Request) -> tuple:
        examples = gallery()
        index = event.index if isinstance(event.index, int) and 0 <= event.index < len(examples) else 0
        return self._opened(_of_example(examples[index]), request)

    # -- flipping it -------------------------------------------------------------------------------------------

    def on_flip(self, view: views.View | None, request: gr.Request | None) -> tuple:
        """The smallest change found that turns the verdict, made and judged."""
        if view is None:
            return self._unchanged("Judge something first.")
        self._number(request)
        if views.is_long(view.comparison):
            return self._unchanged("These texts are too long to search for a flip: strike a word or erase a part yourself.")  # fmt: skip
        try:
            found = lane.run_on_model(
                flipped,
                self.judge,
                view.comparison,
                view.judgement,
                view.ablation or view.explanation,
                view.pair,
            )
        except (ImageError, RecordError) as error:
            return self._unchanged(error)
        if found is None:
            return self._unchanged("No small change that was tried turns this verdict. Try your own: click a word, or erase a part.")  # fmt: skip
        return self._stepped(view, found.step, request)

    def on_painted(self, view: views.View | None, event: gr.SelectData, request: gr.Request) -> tuple:
        """value: "erase" or "blur", a colon, and the mask that was painted."""
        if view is None:
            return self._unchanged("Judge something first.")
        how, _, mask = str(event.value).partition(":")
        try:
            if not cells(mask).any():
                raise RecordError("Nothing is painted: paint over a part of the picture first.")
            return self._stepped(view, Step(mask=mask, how=how), request)
        except RecordError as error:
            return self._unchanged(error)

    def on_undo(self, view: views.View | None, example: str | None, request: gr.Request) -> tuple:
        """Back to before the last step: every step but that one made again from the start."""
        if view is None or view.path is None or view.start is None or not view.path.steps:
            return self._unchanged("There is nothing to undo.")
        comparison, path = view.start, replace(view.path, steps=view.path.steps[:-1])
        for step in path.steps:
            comparison = views.edited(comparison, step)
        before = replace(view, comparison=comparison, start=view.start, path=path)
        number = self._number(request)
        shown = self._judged(number, comparison, before, None)
        return (*self._filled(comparison, example), *shown)

    def _stepped(self, view: views.View, step: Step, request: gr.Request | None) -> tuple:
        number = self._number(request)
        comparison = views.edited(view.comparison, step)
        return (*self._filled(comparison, None), *self._judged(number, comparison, view, step))

    def _filled(self, comparison: Comparison, example: str | None) -> tuple:
        """The fields with an edited comparison."""
        assert isinstance(comparison.image, bytes)
        picture = links.kept_picture(comparison.image)
        view = links.View(picture, example, comparison.prompt, comparison.responses, comparison.preferred)
        return (gr.skip(), gr.skip(), *_fill(view)[2:])

    def _unchanged(self, text: object) -> tuple:
        fields = 4 + 2 * words.BOXES - 2 + 1
        return (*(gr.skip() for _ in range(fields)), *self._kept(_alert(text)), gr.skip())

    def on_bundle(self, view: views.View | None) -> str:
        with _told():
            view = needed(view)
            if view.explanation is None or views.undecided(view.judgement):
                raise RecordError("A bundle holds a verdict and its map: press Explain first.")
        v = Bundle(
            view.comparison,
            view.judgement,
            view.explanation,
            view.image_ablation,
            self.judge.card,
        )
        path = downloads.folder() / f"rewardscope-{view.comparison.id}.zip"
        path.write_bytes(write(v))
        return str(path)

    def on_export(self, kind: str, view: views.View | None) -> str:
        """kind: "html" the whole comparison as a page of its own; "png", "svg" its map and contributions as a figure."""
        with _told():
            v = needed(view)
            shown = export.Exported(
                v.comparison, v.judgement, v.explanation, v.pair, self.judge.card, v.image_ablation
            )
            data = export.page(shown).encode() if kind == "html" else export.figure(shown, kind)
        path = downloads.folder() / export.name(shown, kind)
        path.write_bytes(data)
        return str(path)

    def on_open_bundle(self, path: str) -> tuple:
        """Shows what the bundle says, and verifies it with this model."""
        bundle = open_bundle(path)
        with _told():
            view, found = views.checked_view(self.judge, bundle)
        assert isinstance(bundle.comparison.image, bytes)
        picture = privately.write(Path(path).with_suffix(".png"), bundle.comparison.image)
        filled = links.View(str(picture), None, bundle.comparison.prompt, bundle.comparison.responses)
        told = html(
            '<p class="small" role="status"><b>From a bundle.</b> {{ text }}</p>',
            text=words.verified_words(
                found.same_model, found.holds, found.worst, found.differences[found.worst]
            ),
        )
        return (*_fill(filled), *self._show(view, told))

    def on_more(self) -> tuple:
        return (*(gr.update(visible=True) for _ in self.columns[2:]), gr.update(interactive=False))

    def on_pair(self, view: views.View | None, pair: str) -> tuple:
        with _told():
            view = needed(view)
            a, b = (int(i) for i in pair)
            found, parts = lane.run_on_model(
                checked_pair, self.judge, view.comparison, view.judgement, (a, b)
            )
            other = replace(view, pair=(a, b), ablation=None, parts=None, image_ablation=None)
            return self._show(other.explained_by(found, parts))

    def on_target(
        self, view: views.View | None, target: str, method: str, level: str, check: bool = True
    ) -> tuple:
        try:
            view = needed(view)
            how = "gradient" if target.startswith("gate:") else default_method(self.judge, view.comparison)
            asked = Request(view.pair, target, how)
            found = lane.run_on_model(explained, self.judge, view.comparison, view.judgement, asked)
        except (ImageError, RecordError) as error:
            return (*(gr.skip() for _ in self._of_map), _alert(error), gr.skip())
        view = view.explained_by(found)
        return (*self._map_of(view), "", self.on_choice(view, target, method, level, check))

    def _map_of(self, view: views.View) -> tuple:
        values = self._map_values(view)
        return tuple(values[name] for name in self._of_map)

    def on_method(self, method: str) -> gr.Number:
        """Only a method that can stop at any time has a budget."""
        return gr.Number(visible=METHODS[method].timed)

    def on_choice(
        self, view: views.View | None, target: str, method: str, level: str, check: bool = True
    ) -> str:
        """What the chosen explanation would cost. Not said where saying it would itself cost a GPU call."""
        if view is None:
            return ""
        asked = Request(view.pair, target or "margin", method, level=level)
        pair = default_pair(view.judgement)
        first = asked == replace(ASKED, pair=pair, target=first_target(self.judge, view.judgement, pair))
        if not self.gradients:
            asked = replace(asked, check=check)
        if (first and view.plan) or lane.forks():
            return self._said(method, level, view.plan) if first and view.plan else NOTHING
        try:
            found = lane.run_on_model(planned, self.judge, view.comparison, view.judgement, asked)
        except ValueError as error:
            return _small(error)
        return self._said(method, level, found)

    def _said(self, method: str, level: str, plan: Plan) -> Markup:
        """The method is named: what is said may stand there while another one is being chosen."""
        how = METHODS[method]
        return _small(f"{how.name} by {level}: {'at most ' if how.timed else ''}{_cost(plan)}")

    def on_exact(
        self,
        view: views.View | None,
        target: str,
        method: str,
        level: str,
        check: bool,
        seconds: float | None,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple:
        flag = self.cancel_flags[_session(request)] = threading.Event()
        kept = tuple(gr.skip() for _ in self._of_map)
        stop = time.monotonic() + MOST_ASKED
        try:
            view = needed(view)
            allowed = min(max(seconds or SECONDS, 1), MOST_SECONDS) if METHODS[method].timed else None
            asked = Request(view.pair, target or "margin", method, level=level, check=check, seconds=allowed)
            # A method that knows its time keeps it; any other must not keep everybody else from the model.
            limited = allowed is None and self.gradients
            found = lane.run_on_model(
                explained, self.judge, view.comparison, view.judgement, asked, seconds=lane.time_for(self.judge, allowed),
                watch={
                    "on_step": lambda done, total: progress((done, total), desc="evaluating the model"),
                    "cancelled": lambda: flag.is_set() or (limited and time.monotonic() > stop),
                },
            )  # fmt: skip
        except Cancelled:
            if flag.is_set():
                return (*kept, _alert("Cancelled: the map is the one from before."))
            return (*kept, _alert(STOPPED))
        except (ImageError, RecordError) as error:
            return (*kept, _alert(error))
        return (*self._map_of(view.explained_by(found)), "")

    def on_cancel(self, view: views.View | None, request: gr.Request | None) -> tuple:
        session = _session(request)
        if flag := self.cancel_flags.get(session):
            flag.set()
        self.newest[session] = time.monotonic_ns()
        said = _alert("Cancelled.")
        if view is None or not view.awaited:
            return gr.skip(), gr.skip(), gr.skip(), said
        view = replace(view, awaited=False)
        return view, views.heat_html(view), views.map_html(view), said

    def on_leave(self, request: gr.Request) -> None:
        self.cancel_flags.pop(_session(request), None)
        self.newest.pop(_session(request), None)

    def on_link(
        self,
        view: views.View | None,
        example: str | None,
        picture: str | None,
        prompt: str,
        a: str,
        b: str,
        c: str,
        d: str,
        request: gr.Request,
    ) -> Any:  # four names, not *responses: gradio puts the request where it stands among the names
        """The address itself where it says all; else what is typed is kept on this server."""
        with _told():
            comparison = views.comparison_of(picture, prompt, [a, b, c, d])
            if view and view.comparison.id == comparison.id and (query := self._address(view)):
                return gr.update(value=f"{_page_url(request)}?{query}", visible=True, info=IN_THE_LINK)
            known = by_id(example) if example else None
            # Gradio copies a gallery file on its way through the page: same pixels, another path.
            same = (
                known is not None
                and known.comparison.load_image().tobytes() == comparison.load_image().tobytes()
            )
            kept = links.View(
                known.path if same and known else picture,
                example if same else None,
                prompt,
                comparison.responses,
            )
            link = links.make_link(_page_url(request), kept)
            self.origins.remember(comparison, address.read(Inspect, dict(parse_qsl(urlsplit(link).query)))[0])
            return gr.update(value=link, visible=True, info=KEPT_HERE)


def _session(request: gr.Request | None) -> str:
    return (request.session_hash if request else None) or ""


def _alert(text: object) -> Markup:
    return html('<p class="refused" role="alert">{{ text }}</p>', text=text)


def _working(text: str) -> Markup:
    """The one line that says how far it is; while it stands there, Cancel can be pressed."""
    return html('<p class="working" role="status">{{ text }}</p>', text=text)


def _problem(problem: Invalid) -> Markup:
    return html(
        '<p class="problem" role="alert" id="told-{{ field }}" data-field="{{ field }}">{{ text }}</p>',
        field=problem.field, text=problem,
    )  # fmt: skip


def _page_url(request: gr.Request) -> str:
    """Where the page lives as its reader sees it (behind a proxy the server's own address is another one)."""
    headers = request.headers
    return (headers.get("referer") or f"http://{headers.get('host')}/").split("?")[0].split("#")[0]


def _small(text: object) -> Markup:
    return html('<p class="small">{{ text }}</p>', text=text)


def _cost(plan: Plan) -> str:
    return words.plan_words(plan.points, plan.batch, plan.bytes, plan.asked)


def _fill(view: links.View) -> tuple:
    texts = [plain(t) for t in (*view.responses, *[""] * words.BOXES)][: words.BOXES]
    label = (
        None
        if view.preferred is None
        else (plain(view.prompt), tuple(map(plain, view.responses)), view.preferred)
    )
    columns = [gr.update(visible=bool(t)) for t in texts[2:]]
    return (view.example, label, view.picture, plain(view.prompt), *texts, *columns, gr.update(interactive=True))  # fmt: skip


def _of_example(example: Example) -> links.View:
    c = example.comparison
    return links.View(example.path, example.id, c.prompt, c.responses, c.preferred)


def build_inspect(looks: Looks, demo: gr.Blocks, library: Library) -> InspectPage:
    page = InspectPage(looks, library)
    page.build(demo)
    return page
