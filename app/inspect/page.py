"""The Inspect page: give a picture, a prompt and responses; see which wins and exactly why."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
from markupsafe import Markup

from app.common import downloads, lane, privately, words
from app.common.downloads import Downloads
from app.common.html import NOTHING, html
from app.common.lane import LANE
from app.common.orders_view import orders_html
from app.common.region_map import NEITHER
from app.common.sections import section
from app.common.tasks import ASKED, default_pair, explained, first_explained, first_target, planned
from app.inspect import links, views
from app.inspect.edits import Edits
from app.inspect.first_looks import Looks
from app.inspect.gallery import Example, by_id, gallery
from app.inspect.views import needed
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
from core.images import ImageError
from core.judges.protocols import Writes
from core.records import Comparison, RecordError, letter, plain
from core.records.bundle import Bundle, write
from core.runs.library import Library

PRIVATE: dict[str, Any] = {"api_visibility": "private"}
CHOOSE = """element.addEventListener('click', event => {
    const chosen = event.target.closest('button[data-index]');
    if (chosen) trigger('select', {index: Number(chosen.dataset.index), value: chosen.textContent.trim()});
});"""
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


class InspectPage:
    """Components and events. The session holds one `views.View`; nothing is shared between sessions."""

    def __init__(self, looks: Looks, library: Library) -> None:
        self.looks, self.judge, self.library = looks, looks.judge, library
        self.cancel_flags: dict[str, threading.Event] = {}
        self.what_if, self.edits = WhatIf(self.judge.card), Edits(self.judge)
        # A section that this judge cannot fill is not built.
        self.gate = has_gate(self.judge)  # one that can be changed and explained
        self.gated, self.writes = has_dimensions(self.judge), isinstance(self.judge, Writes)
        self.asks_first, self.gradients = is_costly(self.judge), has_gradients(self.judge)
        # Nobody waits for his verdict behind other people's maps.
        self.quick = not self.asks_first and (self.judge.card.parameters or 0) < SMALL and not lane.forks()
        self.names = [
            "view", "verdict", *(["orders"] if self.writes else []), *(["waterfall", "scores", "gates"] if self.gated else []),
            "table", "heat", "target", "pair", "download",
        ]  # fmt: skip

    # -- layout ----------------------------------------------------------------------------------------------

    def build(self, demo: gr.Blocks) -> None:
        gr.HTML(
            html(
                "<header><h1>Rewardscope</h1><p>Why did the reward model prefer this response? {{ what }}</p></header>",
                what=WHAT["gated" if self.gate else self.judge.card.kind],
            )
        )
        self.view = gr.State(None)
        self.example = gr.State(None)
        self.labelled = gr.State(
            None
        )  # (prompt, responses, preferred) of the record that was opened, if it has a label
        self.wanted = gr.State(None)  # (a number, the comparison that waits for the model)
        with gr.Row(equal_height=False):
            with gr.Column(scale=5, min_width=320):
                self._inputs()
            with gr.Column(scale=6, min_width=320):
                self.verdict = gr.HTML(elem_id="verdict")
                if self.writes:
                    gr.HTML("<h2>Both orders</h2>")
                    self.orders = gr.HTML(elem_id="both-orders")
                if self.gated:
                    gr.HTML("<h2>Contributions to the margin</h2>")
                    self.waterfall = gr.HTML(elem_id="waterfall")
                self.pair = gr.Radio([], label="Pair to explain", visible=False)
                self._explanation()
        if self.gate:
            self.what_if.build()
        self.edits.build()
        if self.gated:
            with gr.Row(equal_height=False):
                with gr.Column(scale=5, min_width=320):
                    gr.HTML("<h2>Scores on the selected dimensions</h2>")
                    self.scores = gr.HTML(elem_id="scores")
                with gr.Column(scale=6, min_width=320):
                    gr.HTML("<h2>All gates</h2>")
                    self.gates = gr.HTML(elem_id="gates")
        with section("The same in numbers"):
            self.table = gr.Dataframe(interactive=False, label="All dimensions", show_label=False)
        with gr.Accordion("What this model is, and what it is not", open=True):
            gr.Markdown(words.about(self.judge.card), elem_id="about")
        self._events(demo)

    def _inputs(self) -> None:
        self.picture = _as_it_came(gr.Image(
            label="Picture", type="filepath", image_mode=None, sources=["upload", "clipboard", "webcam"],
            height=300, elem_id="picture",
        ))  # fmt: skip
        self.gallery = gr.HTML(views.gallery_html(), js_on_load=CHOOSE, elem_id="examples")
        self.prompt = gr.Textbox(label="Prompt", lines=2, elem_id="prompt")
        self.responses = [
            gr.Textbox(label=f"Response {x}", lines=2, visible=x in "AB", elem_id=f"response-{x.lower()}")
            for x in map(letter, range(words.BOXES))
        ]
        with gr.Row():
            self.judge_button = gr.Button("Judge", variant="primary", elem_id="judge")
            self.more = gr.Button("Add a response", elem_id="more")
            self.link_button = gr.Button("Make a link", elem_id="make-link")
        self.link = gr.Textbox(label="Link to this view", visible=False, buttons=["copy"], elem_id="link")
        self.download = gr.HTML(elem_id="download")
        with gr.Row():
            self.bundle = gr.Button("Download as a bundle", size="sm", elem_id="bundle")
            self.open = gr.UploadButton(
                "Open a bundle", file_types=[".zip"], size="sm", elem_id="open-bundle"
            )
        self.files = Downloads()

    def _explanation(self) -> None:
        gr.HTML("<h2>Which words and which pixels</h2>")
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
            with gr.Column(min_width=220):
                self.exact = gr.Button("Explain", elem_id="exact", size="md")
                self.cancel = gr.Button("Cancel", elem_id="cancel", size="md")
        self.check = (
            gr.State(True)
            if self.gradients
            else gr.Checkbox(value=False, label="Deletion check as well", elem_id="check")
        )
        self.cost = gr.HTML(elem_id="cost")
        self.status = gr.HTML(elem_id="status")
        self.heat = gr.HTML(elem_id="heat")
        with gr.Accordion("How to read this", open=False):
            gr.Markdown(
                views.method_help(self.judge)
                + HOW["gated" if self.gate else self.judge.card.kind]
                + " Attribution says what the model reacted to, not what is true of the picture."
            )

    def _targets(self) -> Any:
        """Where there is but one target, there is nothing to choose."""
        if self.writes and self.gradients:
            return gr.Dropdown([], label="Explain", elem_id="target")
        return gr.Radio([], label="Explain", elem_id="target") if self.gate else gr.State("margin")

    # -- events ----------------------------------------------------------------------------------------------

    def _events(self, demo: gr.Blocks) -> None:
        inputs = [self.picture, self.prompt, *self.responses]
        what_if = self.what_if.outputs if self.gate else []
        shown = [
            *(getattr(self, name) for name in self.names),
            self.cost,
            *self.edits.outputs,
            *what_if,
            self.status,
        ]
        self.shown = len(shown)
        fields = [self.example, self.labelled, self.picture, self.prompt, *self.responses, self.more]
        run = {
            "fn": self.on_asked,
            "inputs": [self.labelled, *inputs],
            "outputs": [*shown, self.wanted],
            "concurrency_limit": 8,
            **PRIVATE,
        }
        # One event shows everything: each further one is a request or two, and a person waits for all of them.
        asks = [self.judge_button.click, self.prompt.submit, *(box.submit for box in self.responses)]
        opened = [*fields, *shown, self.wanted]
        judged = [
            gr.on(asks, **run),
            demo.load(self.on_open, None, opened, **PRIVATE),
            self.gallery.select(self.on_example, None, opened, **PRIVATE),
            self.wanted.change(self.on_judge, [self.wanted], shown, **LANE, **PRIVATE),
            self.pair.input(self.on_pair, [self.view, self.pair], shown, **LANE, **PRIVATE),
        ]
        if self.gate:
            self.what_if.connect(self.view)
        self.edits.connect(self.view)
        self.more.click(self.on_more, self.responses, [*self.responses, self.more], **PRIVATE)
        explained = [self.view, self.heat, self.status]
        choice = [self.view, self.target, self.method, self.level, self.check]
        if self.gate or (self.writes and self.gradients):
            self.target.input(self.on_target, choice, [*explained, self.cost], **LANE, **PRIVATE)
        if not self.gradients:  # no first look of it says what explaining it would take
            for event in judged:
                event.success(self.on_choice, choice, [self.cost], show_progress="hidden", **LANE, **PRIVATE)
        for control in (c for c in choice[2:] if not isinstance(c, gr.State)):
            control.input(self.on_choice, choice, [self.cost], show_progress="hidden", **LANE, **PRIVATE)
        self.method.change(self.on_method, [self.method], [self.seconds], show_progress="hidden", **PRIVATE)
        exact = self.exact.click(self.on_exact, [*choice, self.seconds], explained, **LANE, **PRIVATE)
        self.cancel.click(self.on_cancel, None, [self.status], cancels=[exact], queue=False, **PRIVATE)
        self.files.offer(self.bundle, self.on_bundle, [self.view])
        self.open.upload(self.on_open_bundle, [self.open], [*fields, *shown], **LANE, **PRIVATE)
        self.link_button.click(self.on_link, [self.example, *inputs], [self.link], **PRIVATE)
        demo.unload(self.on_leave)

    def _show(self, view: views.View) -> tuple:
        """One value a name of `names`."""
        waterfall, scores, gates = views.figures_of(view)
        pairs = views.pairs_of(view.judgement)
        chosen = f"{view.pair[0]}{view.pair[1]}"
        target = view.explanation.target_key if view.explanation else "margin"
        offered = gr.update(choices=views.targets_of(view, self.judge), value=target)
        values = {
            "view": view, "verdict": views.verdict_html(view), "orders": orders_html(view.judgement, *view.pair),
            "waterfall": waterfall, "scores": scores, "gates": gates, "table": views.table(view), "heat": views.heat_html(view),
            "target": offered if self.gate or (self.writes and self.gradients) else target,
            "pair": gr.Radio(choices=pairs, value=chosen, visible=len(pairs) > 1),
            "download": views.download_html(view, self.judge),
        }  # fmt: skip
        cost = self._said(ASKED.method, ASKED.level, view.plan) if view.plan else NOTHING
        return (*(values[name] for name in self.names), cost, *self._afresh(view), "")

    def _afresh(self, view: views.View | None) -> tuple:
        """Edits and changed weights belong to the view before."""
        return (*self.edits.reset(), *(self.what_if.reset(view) if self.gate else ()))

    def on_asked(self, labelled: tuple | None, picture: str | None, prompt: str, *responses: str) -> tuple:
        """Shows at once what is stored or was judged before, and of anything else the verdict; the model is queued for its map.
        Where the model is large or somewhere else, it is queued for all of it."""
        with _told():
            comparison = views.comparison_of(picture, prompt, list(responses))
            if labelled and (comparison.prompt, comparison.responses) == (labelled[0], tuple(labelled[1])):
                comparison = replace(comparison, preferred=labelled[2])  # its texts are as they were labelled
            if view := views.known_view(self.looks, comparison):
                return (*self._show(view), gr.skip())
            if self.quick:
                verdict = views.verdict_view(self.looks, comparison)
                return (*self._show(verdict), (time.monotonic_ns(), comparison))
        return self._asked_for(comparison)

    def _asked_for(self, comparison: Comparison) -> tuple:
        """What was to be shown stays as it is, until the model has had its turn."""
        return (*(gr.skip() for _ in range(self.shown)), (time.monotonic_ns(), comparison))

    def _opened(self, view: links.View) -> tuple:
        """Its fields filled, and all that is known of it; for anything else the model is queued for, or where asking it costs
        something, what asking it would take is said."""
        try:
            texts = list(map(plain, view.responses))
            comparison = views.comparison_of(view.picture, plain(view.prompt), texts)
        except (ImageError, RecordError) as error:
            if self.asks_first:
                return (*_fill(view), *self._nothing(""), gr.skip())
            gr.Warning(str(error), title="This cannot be judged", duration=12)
            return (*_fill(view), *(gr.skip() for _ in range(self.shown + 1)))
        comparison = replace(comparison, preferred=view.preferred)
        if known := views.known_view(self.looks, comparison):
            return (*_fill(view), *self._show(known), gr.skip())
        if self.asks_first:
            told = views.before_judging(self.judge, comparison)
            return (
                *_fill(view),
                *self._nothing(html('<p role="status">{{ text }}</p>', text=told)),
                gr.skip(),
            )
        return (*_fill(view), *self._asked_for(comparison))

    def _nothing(self, verdict: str) -> tuple:
        empty = {
            "view": None,
            "table": None,
            "target": gr.skip(),
            "pair": gr.Radio(visible=False),
            "verdict": verdict,
        }
        return (*(empty.get(name, "") for name in self.names), NOTHING, *self._afresh(None), "")

    def on_judge(self, wanted: tuple[int, Comparison]) -> tuple:
        with _told():
            return self._show(views.judge_view(self.looks, wanted[1]))

    def on_open(self, request: gr.Request) -> tuple:
        view, problem = links.open_link(dict(request.query_params), self.library)
        if problem:
            gr.Warning(problem)
        if view is None:
            view = _of_example(gallery()[0])
        return self._opened(view)

    def on_example(self, event: gr.SelectData) -> tuple:
        examples = gallery()
        index = event.index if isinstance(event.index, int) and 0 <= event.index < len(examples) else 0
        return self._opened(_of_example(examples[index]))

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

    def on_open_bundle(self, path: str) -> tuple:
        """Shows what the bundle says, and verifies it with this model."""
        bundle = open_bundle(path)
        with _told():
            view, found = views.checked_view(self.judge, bundle)
        assert isinstance(bundle.comparison.image, bytes)
        picture = privately.write(Path(path).with_suffix(".png"), bundle.comparison.image)
        filled = links.View(str(picture), None, bundle.comparison.prompt, bundle.comparison.responses)
        *rest, _ = self._show(view)
        told = html(
            '<p class="small" role="status"><b>From a bundle.</b> {{ text }}</p>',
            text=words.verified_words(
                found.same_model, found.holds, found.worst, found.differences[found.worst]
            ),
        )
        return (*_fill(filled), *rest, told)

    def on_more(self, *responses: str) -> tuple:
        del responses
        return (*(gr.update(visible=True) for _ in range(4)), gr.update(interactive=False))

    def on_pair(self, view: views.View | None, pair: str) -> tuple:
        with _told():
            view = needed(view)
            a, b = (int(i) for i in pair)
            found = lane.run_on_model(first_explained, self.judge, view.comparison, view.judgement, (a, b))
            return self._show(replace(view, pair=(a, b), explanation=found))

    def on_target(
        self, view: views.View | None, target: str, method: str, level: str, check: bool = True
    ) -> tuple:
        with _told():
            view = needed(view)
            how = "gradient" if target.startswith("gate:") else default_method(self.judge, view.comparison)
            asked = Request(view.pair, target, how)
            found = lane.run_on_model(explained, self.judge, view.comparison, view.judgement, asked)
            view = replace(view, explanation=found)
            return view, views.heat_html(view), "", self.on_choice(view, target, method, level, check)

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
        flag = self.cancel_flags[request.session_hash or ""] = threading.Event()
        with _told():
            view = needed(view)
            try:
                allowed = min(max(seconds or SECONDS, 1), MOST_SECONDS) if METHODS[method].timed else None
                asked = Request(
                    view.pair, target or "margin", method, level=level, check=check, seconds=allowed
                )
                found = lane.run_on_model(
                    explained, self.judge, view.comparison, view.judgement, asked, seconds=lane.time_for(self.judge, allowed),
                    watch={
                        "on_step": lambda done, total: progress((done, total), desc="evaluating the model"),
                        "cancelled": flag.is_set,
                    },
                )  # fmt: skip
            except Cancelled:
                return view, views.heat_html(view), "Cancelled: the map below is the one from before."
            view = replace(view, explanation=found)
            return view, views.heat_html(view), ""

    def on_cancel(self, request: gr.Request) -> str:
        if flag := self.cancel_flags.get(request.session_hash or ""):
            flag.set()
        return "Cancelled."

    def on_leave(self, request: gr.Request) -> None:
        self.cancel_flags.pop(request.session_hash or "", None)

    def on_link(
        self,
        example: str | None,
        picture: str | None,
        prompt: str,
        a: str,
        b: str,
        c: str,
        d: str,
        request: gr.Request,
    ) -> Any:  # four names, not *responses: gradio puts the request where it stands among the names
        with _told():
            comparison = views.comparison_of(picture, prompt, [a, b, c, d])
            known = by_id(example) if example else None
            # Gradio copies a gallery file on its way through the page: same pixels, another path.
            same = (
                known is not None
                and known.comparison.load_image().tobytes() == comparison.load_image().tobytes()
            )
            view = links.View(
                known.path if same and known else picture,
                example if same else None,
                prompt,
                comparison.responses,
            )
            return gr.update(value=links.make_link(_page_url(request), view), visible=True)


def _page_url(request: gr.Request) -> str:
    """Where the page lives as its reader sees it (behind a proxy the server's own address is another one)."""
    headers = request.headers
    return (headers.get("referer") or f"http://{headers.get('host')}/").split("?")[0].split("#")[0]


def _small(text: object) -> Markup:
    return html('<p class="small">{{ text }}</p>', text=text)


def _cost(plan: Plan) -> str:
    return words.plan_words(plan.points, plan.batch, plan.bytes, plan.asked)


def _fill(view: links.View) -> tuple:
    texts = [plain(t) for t in (*view.responses, "", "", "", "")][:4]
    boxes = [gr.update(value=t, visible=i < 2 or bool(t)) for i, t in enumerate(texts)]
    label = (
        None
        if view.preferred is None
        else (plain(view.prompt), tuple(map(plain, view.responses)), view.preferred)
    )
    return (view.example, label, view.picture, plain(view.prompt), *boxes, gr.update(interactive=True))


def _of_example(example: Example) -> links.View:
    c = example.comparison
    return links.View(example.path, example.id, c.prompt, c.responses, c.preferred)


def build_inspect(looks: Looks, demo: gr.Blocks, library: Library) -> InspectPage:
    page = InspectPage(looks, library)
    page.build(demo)
    return page
