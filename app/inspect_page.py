"""The Inspect page: give a picture, a prompt and responses; see which wins and exactly why."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import gradio as gr

from app import lane, links, views, words
from app.examples import by_id, gallery
from app.lane import LANE
from app.library import Library
from core.explain import Cancelled, explain
from core.images import ImageError
from core.judges.vlmdr import VLMDRJudge
from core.records import RecordError

PRIVATE: dict[str, Any] = {"api_visibility": "private"}
STEPS = 32


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

    def __init__(self, judge: VLMDRJudge, library: Library) -> None:
        self.judge, self.library = judge, library
        self.cancel_flags: dict[str, threading.Event] = {}

    # -- layout ----------------------------------------------------------------------------------------------

    def build(self, demo: gr.Blocks) -> None:
        gr.HTML(
            "<header><h1>Rewardscope</h1><p>Why did the reward model prefer this response? Which of 21 dimensions "
            "mattered, how each response scored, and which words and pixels did it.</p></header>"
        )
        self.view = gr.State(None)
        self.example = gr.State(None)
        with gr.Row(equal_height=False):
            with gr.Column(scale=5, min_width=320):
                self._inputs()
            with gr.Column(scale=6, min_width=320):
                self.verdict = gr.HTML(elem_id="verdict")
                gr.HTML("<h2>How the margin adds up</h2>")
                self.waterfall = gr.Plot(show_label=False, elem_id="waterfall")
                self.pair = gr.Radio([], label="Pair to explain", visible=False)
        self._explanation()
        with gr.Row(equal_height=False):
            with gr.Column(scale=5, min_width=320):
                gr.HTML("<h2>Scores on the selected dimensions</h2>")
                self.scores = gr.Plot(show_label=False, elem_id="scores")
            with gr.Column(scale=6, min_width=320):
                gr.HTML("<h2>All 21 gates</h2>")
                self.gates = gr.Plot(show_label=False, elem_id="gates")
        with gr.Accordion("The same in numbers", open=False):
            self.table = gr.Dataframe(interactive=False, label="All 21 dimensions", show_label=False)
        with gr.Accordion("What this model is, and what it is not", open=True):
            gr.Markdown(words.about(self.judge.about), elem_id="about")
        self._events(demo)

    def _inputs(self) -> None:
        self.picture = _as_it_came(gr.Image(
            label="Picture", type="filepath", image_mode=None, sources=["upload", "clipboard", "webcam"],
            height=300, elem_id="picture",
        ))  # fmt: skip
        self.gallery = gr.Gallery(
            [(e.path, e.caption) for e in gallery()], label="Examples", columns=6, height=270, allow_preview=False,
            object_fit="contain", elem_id="examples", interactive=False,
        )  # fmt: skip
        self.prompt = gr.Textbox(label="Prompt", lines=2, elem_id="prompt")
        self.responses = [
            gr.Textbox(label=f"Response {x}", lines=2, visible=x in "AB", elem_id=f"response-{x.lower()}")
            for x in "ABCD"
        ]
        with gr.Row():
            self.judge_button = gr.Button("Judge", variant="primary", elem_id="judge")
            self.more = gr.Button("Add a response", elem_id="more")
            self.link_button = gr.Button("Make a link", elem_id="make-link")
        self.link = gr.Textbox(label="Link to this view", visible=False, buttons=["copy"], elem_id="link")
        self.download = gr.HTML(elem_id="download")

    def _explanation(self) -> None:
        gr.HTML("<h2>Which words and which pixels</h2>")
        with gr.Row():
            self.target = gr.Radio([], label="Explain", elem_id="target", scale=3)
            with gr.Column(scale=1, min_width=240):
                self.exact = gr.Button(f"Integrated gradients ({STEPS} steps)", elem_id="exact")
                self.cancel = gr.Button("Cancel", elem_id="cancel")
        self.status = gr.HTML(elem_id="status")
        self.heat = gr.HTML(elem_id="heat")
        with gr.Accordion("How to read this", open=False):
            gr.Markdown(
                views.method_help()
                + "\n\nThe active set of dimensions is held fixed: which three are chosen is a "
                "step function that no gradient can explain. Attribution says what the model reacted to, not what "
                "is true of the picture."
            )

    # -- events ----------------------------------------------------------------------------------------------

    def _events(self, demo: gr.Blocks) -> None:
        inputs = [self.picture, self.prompt, *self.responses]
        shown = [
            self.view, self.verdict, self.waterfall, self.scores, self.gates, self.table, self.heat, self.target,
            self.pair, self.download, self.status,
        ]  # fmt: skip
        fields = [self.example, self.picture, self.prompt, *self.responses, self.more]
        run = {"fn": self.on_judge, "inputs": inputs, "outputs": shown, **LANE, **PRIVATE}
        self.judge_button.click(**run)
        for box in (self.prompt, *self.responses):
            box.submit(**run)
        demo.load(self.on_open, None, fields, **PRIVATE).then(**run)
        self.gallery.select(self.on_example, None, fields, **PRIVATE).then(**run)
        self.more.click(self.on_more, self.responses, [*self.responses, self.more], **PRIVATE)
        self.target.input(
            self.on_target,
            [self.view, self.target, self.pair],
            [self.view, self.heat, self.status],
            **LANE,
            **PRIVATE,
        )
        self.pair.input(self.on_pair, [self.view, self.pair], shown, **LANE, **PRIVATE)
        exact = self.exact.click(
            self.on_exact, [self.view, self.target], [self.view, self.heat, self.status], **LANE, **PRIVATE
        )
        self.cancel.click(self.on_cancel, None, [self.status], cancels=[exact], queue=False, **PRIVATE)
        self.link_button.click(self.on_link, [self.example, *inputs], [self.link], **PRIVATE)
        demo.unload(self.on_leave)

    def _show(self, view: views.View, target: str = "margin") -> tuple:
        waterfall, scores, gates = views.figures_of(view)
        pairs = views.pairs_of(view.judgement)
        chosen = f"{view.pair[0]}{view.pair[1]}"
        return (
            view, views.verdict_html(view), waterfall, scores, gates, views.table(view), views.heat_html(view),
            gr.Radio(choices=views.targets_of(view), value=target),
            gr.Radio(choices=pairs, value=chosen, visible=len(pairs) > 1),
            views.download_html(view, self.judge), "",
        )  # fmt: skip

    def on_judge(self, picture: str | None, prompt: str, *responses: str) -> tuple:
        with _told():
            return self._show(views.judge_view(self.judge, picture, prompt, list(responses)))

    def on_open(self, request: gr.Request) -> tuple:
        view, problem = links.open_link(dict(request.query_params), self.library)
        if problem:
            gr.Warning(problem)
        if view is None:
            first = gallery()[0]
            view = links.View(first.path, first.id, first.comparison.prompt, first.comparison.responses)
        return _fill(view)

    def on_example(self, event: gr.SelectData) -> tuple:
        examples = gallery()
        index = event.index if isinstance(event.index, int) and 0 <= event.index < len(examples) else 0
        chosen = examples[index]
        return _fill(
            links.View(chosen.path, chosen.id, chosen.comparison.prompt, chosen.comparison.responses)
        )

    def on_more(self, *responses: str) -> tuple:
        del responses
        return (*(gr.update(visible=True) for _ in range(4)), gr.update(interactive=False))

    def on_pair(self, view: views.View | None, pair: str) -> tuple:
        with _told():
            view = _needed(view)
            a, b = (int(i) for i in pair)
            found = lane.run_on_model(explain, self.judge, view.comparison, view.judgement, a, b)
            return self._show(replace(view, pair=(a, b), explanation=found))

    def on_target(self, view: views.View | None, target: str, pair: str) -> tuple:
        del pair
        with _told():
            view = _needed(view)
            found = lane.run_on_model(
                explain, self.judge, view.comparison, view.judgement, *view.pair, target=target
            )
            view = replace(view, explanation=found)
            return view, views.heat_html(view), ""

    def on_exact(
        self,
        view: views.View | None,
        target: str,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple:
        flag = self.cancel_flags[request.session_hash or ""] = threading.Event()
        with _told():
            view = _needed(view)
            try:
                found = lane.run_on_model(
                    explain, self.judge, view.comparison, view.judgement, *view.pair,
                    target=target or "margin", method="integrated_gradients", steps=STEPS,
                    on_step=lambda done, total: progress((done, total), desc="walking from the baseline"),
                    cancelled=flag.is_set,
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


def _fill(view: links.View) -> tuple:
    texts = [*view.responses, "", "", "", ""][:4]
    boxes = [gr.update(value=t, visible=i < 2 or bool(t)) for i, t in enumerate(texts)]
    return (view.example, view.picture, view.prompt, *boxes, gr.update(interactive=True))


def _needed(view: views.View | None) -> views.View:
    if view is None:
        raise RecordError("Judge something first.")
    return view


class _told:  # noqa: N801 (reads as a clause: with _told(): ...)
    """Errors that were written for people reach them as such."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, ImageError | RecordError):
            raise gr.Error(str(error), title="This cannot be judged", duration=12) from error


def build_inspect(judge: VLMDRJudge, demo: gr.Blocks, library: Library) -> InspectPage:
    page = InspectPage(judge, library)
    page.build(demo)
    return page
