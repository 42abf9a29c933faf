"""The Label page: one comparison at a time, blind first, then with what was hidden; both verdicts are kept.

Nothing here waits in the queue of the model, and every handler that writes asks who is writing (app/common/identity.py).
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.common.html import html
from app.common.identity import Identity, refusal
from app.common.keys import keys_switch
from app.common.label_words import neutral_titles, sides
from app.common.turns import in_turn, takes_turns
from app.label import desk_view
from core.labels import queues
from core.labels.records import Claim, Label, LabelError, Queue
from core.labels.session import AnnotationSession, DeskState, Typed, typed
from core.labels.store import LabelStore

log = logging.getLogger(__name__)
PRIVATE: dict[str, Any] = {"api_visibility": "private", "queue": False, "show_progress": "hidden"}
BUTTONS = 16  # responses of one item that this page draws; the store takes any number
OTHERS = (("tie", "Tie (T)"), ("bad", "Both bad (B)"), ("unsure", "Cannot tell (C)"))
NOBODY = '<p role="status">Sign in above, and the first comparison appears here.</p>'
NO_QUEUE = '<p role="status">There is no queue yet: make one on the <a href="queues">Queues</a> page.</p>'
SEEN = '<p class="small" role="status">You have seen before what is hidden here, so a verdict given now is not counted as blind.</p>'
AT_END = '<p class="verdict" role="status">You are done: nothing is left for you in this queue.</p>'
TOO_MANY = '<p class="verdict" role="status">This item has {n:,} responses, and this page shows at most {most}: skip it.</p>'

# After a verdict the reveal is brought into view, and after a move the next item: on a phone neither is.
SHOW_REVEAL = (
    "() => requestAnimationFrame(() => document.getElementById('reveal')?.scrollIntoView({block: 'nearest'}))"
)
SHOW_ITEM = """() => {
  const item = document.getElementById('item');
  if (item && item.getBoundingClientRect().top < 0) item.scrollIntoView();
}"""
ZOOM_JS = """() => {
  if (window.rewardscopeZoom) return;
  window.rewardscopeZoom = true;
  document.addEventListener('click', e => {
    const button = e.target.closest && e.target.closest('#zoom');
    if (button) button.setAttribute('aria-expanded', button.getAttribute('aria-expanded') !== 'true');
  });
}"""


@dataclass(frozen=True)
class Ahead:
    """The next item, claimed and drawn while the present one is being looked at."""

    claim: Claim
    html: str
    picture: str


class LabelPage:
    def __init__(self, store: LabelStore, identity: Identity) -> None:
        self.store, self.identity = store, identity

    # -- layout ----------------------------------------------------------------------------------------------

    def build(self, demo: gr.Blocks, storage: str) -> None:
        gr.HTML("<header><h1>Label</h1><p>Which response is better? First you, without model and label; then you see both, "
                "and may change your mind. Both verdicts are kept.</p></header>", elem_id="desk-about")  # fmt: skip
        if storage:
            gr.HTML(html('<div class="warning" role="note">{{ text }}</div>', text=storage))
        self.desk, self.ahead = gr.State(None), gr.State(None)
        self.identity.build()
        demo.load(None, js=ZOOM_JS)
        with gr.Row(equal_height=True, elem_id="desk-head"):
            self.queue = gr.Dropdown([], label="Queue", elem_id="queue", scale=1, min_width=240)
            self.tally = gr.HTML(elem_id="tally")
        self.message = gr.HTML(elem_id="message", visible=False)
        # The picture on the left; on the right all that is read and pressed, the reveal among it.
        with gr.Row(elem_id="item"):
            with gr.Column(scale=5, min_width=260):
                self.picture = gr.HTML(elem_id="item-picture")
            with gr.Column(scale=8, min_width=320):
                self.item = gr.HTML(elem_id="item-text")
                with gr.Row(elem_id="verdicts"):
                    self.verdicts = [
                        gr.Button(_side_label(n, 2), elem_id=f"verdict-{n}", elem_classes="side-verdict", visible=n < 2, min_width=90)
                        for n in range(BUTTONS)
                    ]  # fmt: skip
                    self.verdicts += [
                        gr.Button(text, elem_id=f"verdict-{key}", min_width=90) for key, text in OTHERS
                    ]
                with gr.Row(elem_id="moves"):
                    self.next = gr.Button(
                        "Next (Enter)", elem_id="next-item", variant="primary", size="md", min_width=90
                    )
                    self.back = gr.Button("Back (K)", elem_id="back", size="md", min_width=90)
                    self.skip = gr.Button("Skip (S)", elem_id="skip", size="md", min_width=90)
                    self.undo = gr.Button("Undo (U)", elem_id="undo", size="md", min_width=90)
                self.reveal = gr.HTML(elem_id="reveal")
        self.note = gr.Textbox(
            label="Note (N)", lines=1, max_lines=6, elem_id="note", placeholder="optional, kept with the verdict; Escape goes back to the keys",
        )  # fmt: skip
        with gr.Accordion("What decided it (optional, kept with the verdict)", open=False):
            self.dimensions = gr.CheckboxGroup([], label="Dimensions that decided", elem_id="decided")
        with gr.Row(elem_id="desk-foot"):
            keys_switch(demo)
            self.identity.build_renewal()
        self._events(demo)

    def _events(self, demo: gr.Blocks) -> None:
        here = [self.identity.secret, self.desk]
        said = [self.dimensions, self.note]
        shown = [
            self.message,
            self.desk,
            self.tally,
            self.item,
            self.reveal,
            self.next,
            *self.verdicts,
            *said,
            self.picture,
        ]
        whole = [self.message, self.identity.box, self.queue, *shown[1:], self.identity.renew]
        ahead = {"fn": takes_turns(self.on_ahead), "inputs": here, "outputs": [self.ahead], **PRIVATE}
        demo.load(self._answered(self.on_open), [self.identity.secret], whole, **PRIVATE).then(**ahead)
        self.identity.connect(self._answered(self.on_open), [self.identity.secret], whole)
        self.queue.input(
            self._answered(self.on_queue),
            [self.identity.secret, self.queue, self.desk, *said],
            shown,
            **PRIVATE,
        ).then(**ahead)
        for n, button in enumerate(self.verdicts):
            choice = str(n) if n < BUTTONS else OTHERS[n - BUTTONS][0]
            event = button.click(self._answered(self._verdict(choice)), [*here, *said], shown, **PRIVATE)
            event.then(None, js=SHOW_REVEAL, **PRIVATE)
        forward = [*here, self.ahead, *said]
        for button, handler in ((self.next, self.on_next), (self.skip, self.on_skip)):
            button.click(self._answered(handler), forward, [*shown, self.ahead], **PRIVATE).then(
                **ahead
            ).then(None, js=SHOW_ITEM, **PRIVATE)
        self.back.click(self._answered(self.on_back), [*here, *said], shown, **PRIVATE)
        self.undo.click(self._answered(self.on_undo), here, shown, **PRIVATE)
        demo.unload(takes_turns(self.on_leave))

    # -- events ----------------------------------------------------------------------------------------------
    def _answered(self, handler: Callable[..., tuple]) -> Callable[..., Any]:
        """Puts what is refused into the message and leaves all else as it is: Gradio shows no notice for handlers that do
        not wait in its queue."""

        @functools.wraps(handler)
        async def answer(*args: Any, **kwargs: Any) -> Any:
            try:
                shown = await in_turn(functools.partial(handler, *args, **kwargs))
            except (LabelError, gr.Error) as error:
                return {self.message: gr.HTML(refusal(error), visible=True)}
            except Exception:
                log.exception("the label desk")
                broken = LabelError("Something broke on this server. This was NOT saved: please try again.")
                return {self.message: gr.HTML(refusal(broken), visible=True)}
            notice = next((s.notice for s in shown if isinstance(s, DeskState)), "")
            return gr.HTML(refusal(LabelError(notice)) if notice else "", visible=bool(notice)), *shown

        return answer

    def _session(self, request: gr.Request, secret: str) -> AnnotationSession:
        """Raises gr.Error for a stranger."""
        who = self.identity.annotator(request, secret)
        return AnnotationSession(self.store, who, request.session_hash or "")

    def on_open(self, secret: str, request: gr.Request) -> tuple:
        known = self.store.queues()
        who = self.identity.known(request, secret)
        box = gr.Column(visible=who is None)
        state = None
        if who is not None:
            asked = dict(request.query_params).get("queue", "")
            state = AnnotationSession(self.store, who, request.session_hash or "").open(asked)
        chosen = state.queue.id if state else known[0].id if known else None
        menu = gr.Dropdown(
            choices=[(title, id_) for id_, title in neutral_titles(known).items()],
            value=chosen,
            visible=bool(known),
        )
        if who is None or state is None:
            return (
                box,
                menu,
                None,
                "",
                *self._empty(NOBODY if who is None else NO_QUEUE),
                self.identity.renewal(who),
            )
        return box, menu, *self._show(who, state), self.identity.renewal(who)

    def on_queue(self, secret: str, queue: str, state: DeskState | None, dimensions: list, note: str, request: gr.Request) -> tuple:  # fmt: skip
        session = self._session(request, secret)
        return self._show(session.annotator, session.choose(state, queue, typed(dimensions, note)))

    def on_ahead(self, secret: str, state: DeskState | None, request: gr.Request) -> Ahead | None:
        """Claims and draws the item after this one."""
        who = self.identity.known(request, secret)
        if who is None or state is None:
            return None
        try:
            claim = AnnotationSession(self.store, who, request.session_hash or "").ahead(state)
            return Ahead(claim, *self._draw(state.queue, claim)) if claim else None
        except LabelError:
            return None  # `on_next` will look for itself, and say what is wrong

    def _verdict(self, choice: str) -> Callable[..., tuple]:
        def on_verdict(
            secret: str, state: DeskState | None, dimensions: list, note: str, request: gr.Request
        ) -> tuple:
            session = self._session(request, secret)
            said = typed(dimensions, note)
            state = session.verdict(state, choice, said)
            return self._show(session.annotator, state, kept=said)

        return on_verdict

    def on_next(self, secret: str, state: DeskState | None, ahead: Ahead | None, dimensions: list, note: str, request: gr.Request) -> tuple:  # fmt: skip
        session = self._session(request, secret)
        state = session.next(state, typed(dimensions, note), ahead.claim if ahead else None)
        return *self._show(session.annotator, state, ahead), _unused(ahead, state)

    def on_skip(self, secret: str, state: DeskState | None, ahead: Ahead | None, dimensions: list, note: str, request: gr.Request) -> tuple:  # fmt: skip
        del dimensions, note
        session = self._session(request, secret)
        state = session.skip(state, ahead.claim if ahead else None)
        return *self._show(session.annotator, state, ahead), _unused(ahead, state)

    def on_back(self, secret: str, state: DeskState | None, dimensions: list, note: str, request: gr.Request) -> tuple:  # fmt: skip
        session = self._session(request, secret)
        return self._show(session.annotator, session.back(state, typed(dimensions, note)))

    def on_undo(self, secret: str, state: DeskState | None, request: gr.Request) -> tuple:
        session = self._session(request, secret)
        return self._show(session.annotator, session.undo(state))

    def on_leave(self, request: gr.Request) -> None:
        self.store.release(request.session_hash or "")

    # -- what is shown ---------------------------------------------------------------------------------------

    def _show(
        self, who: str, state: DeskState, ahead: Ahead | None = None, kept: Typed | None = None
    ) -> tuple:
        """ahead: may be drawn already. kept: what was typed beside a verdict: then the item stays on the screen as it is, and
        so does a form that holds just that, for somebody may be typing on."""
        p = state.progress
        tally = desk_view.tally_html(who, p.done, p.total, p.mine, state.seconds, state.streak)
        claim, label = state.claim, state.label
        if claim is None:
            others = (
                f'<p class="small">{p.held} are assigned to other annotators just now.</p>' if p.held else ""
            )
            return state, tally, *self._empty(AT_END + others)
        item: Any = gr.skip()
        picture: Any = gr.skip()
        if kept is None:
            drawn = ahead is not None and ahead.claim.ticket == claim.ticket
            item, picture = (ahead.html, ahead.picture) if ahead and drawn else self._draw(state.queue, claim)
        reveal = desk_view.reveal_html(claim, label) if label else SEEN if claim.seen else ""
        ticks = [(name, key) for key, name in state.queue.dimensions.items()]
        form: tuple[Any, Any] = (
            gr.CheckboxGroup(ticks, value=list(label.dimensions) if label else []),
            label.note if label else "",
        )
        if kept and label and (set(kept.dimensions), kept.note) == (set(label.dimensions), label.note):
            form = gr.skip(), gr.skip()
        return (
            state, tally, item, reveal, gr.Button(interactive=label is not None), *_buttons(claim, label), *form, picture,
        )  # fmt: skip

    def _draw(self, queue: Queue, claim: Claim) -> tuple[str, str]:
        """Texts and picture."""
        if len(claim.shown) > BUTTONS:
            return TOO_MANY.format(n=len(claim.shown), most=BUTTONS), ""
        picture = queues.picture_of(self.store, queue.about["benchmark"], claim.item)
        return desk_view.item_html(claim), desk_view.picture_html(picture)

    def _empty(self, message: str) -> tuple:
        """What stands after state and tally where there is no item."""
        off = [gr.Button(interactive=False, variant="secondary") for _ in self.verdicts]
        return message, "", gr.Button(interactive=False), *off, [], "", ""


def _unused(ahead: Ahead | None, state: DeskState) -> Ahead | None:
    taken = ahead is not None and state.claim is not None and state.claim.ticket == ahead.claim.ticket
    return None if taken else ahead


def _buttons(claim: Claim, label: Label | None) -> list[gr.Button]:
    """The verdicts that this item can have; the one that stands is marked."""
    count = len(claim.shown)
    out = []
    for n in range(BUTTONS):
        chosen = label is not None and n < count and label.final == str(claim.shown[n])
        out.append(
            gr.Button(
                value=_side_label(n, count), visible=n < count <= BUTTONS, interactive=True, variant="primary" if chosen else "secondary"
            )
        )  # fmt: skip
    for verdict, _ in OTHERS:
        chosen = label is not None and label.final == verdict
        out.append(gr.Button(interactive=count <= BUTTONS, variant="primary" if chosen else "secondary"))
    return out


def _side_label(n: int, count: int) -> str:
    """With its key, where there is one."""
    return f"{sides(max(count, n + 1))[n]}{f' ({n + 1})' if n < 9 else ''}"
