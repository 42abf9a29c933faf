"""The Label page: one comparison at a time, blind first, then with what was hidden; both verdicts are kept.

Nothing here waits in the queue of the model, and every handler that writes asks the door who is writing.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import gradio as gr

from app.common.identity import Door, refusal
from app.common.keys import keys_switch
from app.common.words import BOXES, queue_title
from app.label import desk_view
from core.labels import queues
from core.labels.records import Claim, Label, LabelError, Opinion
from core.labels.store import LabelStore
from core.taxonomy import DIMENSIONS, KEYS

log = logging.getLogger(__name__)
PRIVATE: dict[str, Any] = {"api_visibility": "private", "queue": False, "show_progress": "hidden"}
OTHERS = (("tie", "Tie (T)"), ("bad", "Both bad (B)"), ("unsure", "Cannot tell (C)"))
NOBODY = '<p role="status">Say who you are above, and the first comparison appears here.</p>'
NO_QUEUE = '<p role="status">There is no queue yet: make one on the <a href="queues">Queues</a> page.</p>'
SEEN = '<p class="small" role="status">You have seen before what is hidden here, so a verdict given now is not counted as blind.</p>'
AT_END = '<p class="verdict" role="status">Nothing is left for you in this queue.</p>'

ZOOM_JS = """() => {
  if (window.rewardscopeZoom) return;
  window.rewardscopeZoom = true;
  document.addEventListener('click', e => {
    const button = e.target.closest && e.target.closest('#zoom');
    if (button) button.setAttribute('aria-expanded', button.getAttribute('aria-expanded') !== 'true');
  });
}"""


@dataclass(frozen=True)
class Desk:
    """What lies before one person in one tab. shown_at: monotonic seconds. pending: a claim left by going back.

    seconds: per item judged in this sitting. streak: judged in a row, without a skip.
    """

    queue: str
    claim: Claim | None = None
    shown_at: float = 0.0
    seconds: tuple[float, ...] = ()
    streak: int = 0
    pending: Claim | None = None

    @property
    def label(self) -> Label | None:
        return self.claim.label if self.claim else None


@dataclass(frozen=True)
class Ahead:
    """The next item, claimed and drawn while the present one is being looked at."""

    claim: Claim
    html: str
    who: str = field(default="")


class LabelPage:
    def __init__(self, store: LabelStore, door: Door) -> None:
        self.store, self.door = store, door

    # -- layout ----------------------------------------------------------------------------------------------

    def build(self, demo: gr.Blocks, storage: str) -> None:
        gr.HTML("<header><h1>Label</h1><p>Which response is better? First you, without model and label; then you see both, "
                "and may change your mind. Both verdicts are kept.</p></header>")  # fmt: skip
        if storage:
            gr.HTML(f'<div class="warning" role="note">{storage}</div>')
        self.desk, self.ahead = gr.State(None), gr.State(None)
        self.door.build()
        demo.load(None, js=ZOOM_JS)
        self.queue = gr.Dropdown([], label="Queue", elem_id="queue")
        self.tally = gr.HTML(elem_id="tally")
        self.item = gr.HTML(elem_id="item")
        self.message = gr.HTML(elem_id="message", visible=False)
        with gr.Row(elem_id="verdicts"):
            self.verdicts = [
                gr.Button(_side_label(n, 2), elem_id=f"verdict-{n}", visible=n < 2, min_width=90) for n in range(BOXES)
            ]  # fmt: skip
            self.verdicts += [gr.Button(text, elem_id=f"verdict-{key}", min_width=90) for key, text in OTHERS]
        with gr.Row(elem_id="moves"):
            self.next = gr.Button("Next (Enter)", elem_id="next-item", variant="primary", min_width=90)
            self.back = gr.Button("Back (K)", elem_id="back", min_width=90)
            self.skip = gr.Button("Skip (S)", elem_id="skip", min_width=90)
            self.undo = gr.Button("Undo (U)", elem_id="undo", min_width=90)
        self.reveal = gr.HTML(elem_id="reveal")
        with gr.Accordion("What decided it, and a note (both optional, kept with the verdict)", open=False):
            self.dimensions = gr.CheckboxGroup(
                [(d.name, d.key) for d in DIMENSIONS], label="Dimensions that decided", elem_id="decided"
            )
            self.note = gr.Textbox(label="Note (N)", lines=2, elem_id="note")
        keys_switch(demo)
        self._events(demo)

    def _events(self, demo: gr.Blocks) -> None:
        here = [self.door.secret, self.desk]
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
        ]
        whole = [self.message, self.door.box, self.queue, *shown[1:]]
        ahead = {"fn": self.on_ahead, "inputs": here, "outputs": [self.ahead], **PRIVATE}
        demo.load(self._answered(self.on_open), [self.door.secret], whole, **PRIVATE).then(**ahead)
        self.door.connect(self._answered(self.on_open), [self.door.secret], whole)
        self.queue.input(
            self._answered(self.on_queue), [self.door.secret, self.queue, self.desk, *said], shown, **PRIVATE
        ).then(**ahead)
        for n, button in enumerate(self.verdicts):
            choice = str(n) if n < BOXES else OTHERS[n - BOXES][0]
            button.click(self._answered(self._verdict(choice)), [*here, *said], shown, **PRIVATE)
        forward = [*here, self.ahead, *said]
        for button, handler in ((self.next, self.on_next), (self.skip, self.on_skip)):
            button.click(self._answered(handler), forward, [*shown, self.ahead], **PRIVATE).then(**ahead)
        self.back.click(self._answered(self.on_back), [*here, *said], shown, **PRIVATE)
        self.undo.click(self._answered(self.on_undo), here, shown, **PRIVATE)
        demo.unload(self.on_leave)

    # -- events ----------------------------------------------------------------------------------------------
    def _answered(self, handler: Callable[..., tuple]) -> Callable[..., Any]:
        """Puts what is refused into the message and leaves all else as it is: Gradio shows no notice for handlers that do
        not wait in its queue."""

        @functools.wraps(handler)
        def answer(*args: Any, **kwargs: Any) -> Any:
            try:
                return gr.HTML("", visible=False), *handler(*args, **kwargs)
            except (LabelError, gr.Error) as error:
                return {self.message: gr.HTML(refusal(error), visible=True)}
            except Exception:
                log.exception("the label desk")
                broken = LabelError("Something broke on this server. This was NOT saved: please try again.")
                return {self.message: gr.HTML(refusal(broken), visible=True)}

        return answer

    def on_open(self, secret: str, request: gr.Request) -> tuple:
        who = self.door.known(request, secret)
        known = self.store.queues()
        asked = dict(request.query_params).get("queue", "")
        ids = [q.id for q in known]
        last = self.store.last_queue(who) if who else None
        chosen = next((q for q in (asked, last, *ids) if q in ids), None)
        menu = gr.Dropdown(choices=[(queue_title(q), q.id) for q in known], value=chosen, visible=bool(known))
        door = gr.Column(visible=who is None)
        if who is None or chosen is None:
            return door, menu, *self._empty(NOBODY if who is None else NO_QUEUE)
        return door, menu, *self._open(who, chosen, request)

    def on_queue(self, secret: str, queue: str, desk: Desk | None, dimensions: list, note: str, request: gr.Request) -> tuple:  # fmt: skip
        who = self.door.annotator(request, secret)
        chosen = self.store.queue(queue).id
        if desk is not None:
            self._keep(who, desk.claim, dimensions, note)
        self.store.release(request.session_hash or "")
        return self._open(who, chosen, request)

    def on_ahead(self, secret: str, desk: Desk | None, request: gr.Request) -> Ahead | None:
        """Claims and draws the item after this one."""
        who = self.door.known(request, secret)
        if who is None or desk is None or desk.claim is None:
            return None
        beside = [c.item.position for c in (desk.claim, desk.pending) if c]
        try:
            claim = self.store.claim(desk.queue, who, request.session_hash or "", beside)
            return Ahead(claim, self._draw(claim), who) if claim else None
        except LabelError:
            return None  # `on_next` will look for itself, and say what is wrong

    def _verdict(self, choice: str) -> Callable[..., tuple]:
        def on_verdict(
            secret: str, desk: Desk | None, dimensions: list, note: str, request: gr.Request
        ) -> tuple:
            who, desk = self.door.annotator(request, secret), _needed(desk)
            claim = desk.claim
            assert claim
            opinion = Opinion(_index(choice, claim.shown), tuple(dimensions or ()), note or "")
            if claim.label is not None:
                return self._show(
                    who, replace(desk, claim=self.store.revise(claim.ticket, who, opinion)), item=False
                )
            took = time.monotonic() - desk.shown_at
            claim = self.store.judge(claim.ticket, who, opinion, took)
            # Said in another tab already: the reveal shows what stands.
            desk = replace(desk, claim=claim, seconds=(*desk.seconds, took), streak=desk.streak + 1)
            return self._show(who, desk, item=False)

        return on_verdict

    def on_next(self, secret: str, desk: Desk | None, ahead: Ahead | None, dimensions: list, note: str, request: gr.Request) -> tuple:  # fmt: skip
        who, desk = self.door.annotator(request, secret), _needed(desk)
        claim = desk.claim
        assert claim
        if claim.label is None:
            raise LabelError("Give a verdict first, or skip this one (S).")
        self._keep(who, claim, dimensions, note, confirm=True)
        known = self.store.history(desk.queue, who)
        after = known[known.index(claim.ticket) + 1 :] if claim.ticket in known else []
        if after:  # on the way forward through what was said before
            return *self._show(who, replace(desk, claim=self.store.again(after[0], who))), ahead
        return *self._advance(who, desk, ahead, request), None

    def on_skip(self, secret: str, desk: Desk | None, ahead: Ahead | None, dimensions: list, note: str, request: gr.Request) -> tuple:  # fmt: skip
        del dimensions, note
        who, desk = self.door.annotator(request, secret), _needed(desk)
        assert desk.claim
        if desk.claim.label is not None:
            raise LabelError("This one has your verdict already: go on with Next, or take it back with Undo.")
        self.store.skip(desk.claim.ticket, who)
        return *self._advance(who, replace(desk, streak=0), ahead, request), None

    def on_back(self, secret: str, desk: Desk | None, dimensions: list, note: str, request: gr.Request) -> tuple:  # fmt: skip
        who, desk = self.door.annotator(request, secret), _needed(desk, even_empty=True)
        self._keep(who, desk.claim, dimensions, note)
        known = self.store.history(desk.queue, who)
        ticket = desk.claim.ticket if desk.claim else ""
        before = known[: known.index(ticket)] if ticket in known else known
        if not before:
            raise LabelError("There is nothing before this one.")
        pending = desk.claim if desk.claim and desk.claim.label is None else desk.pending
        return self._show(who, replace(desk, claim=self.store.again(before[-1], who), pending=pending))

    def on_undo(self, secret: str, desk: Desk | None, request: gr.Request) -> tuple:
        who, desk = self.door.annotator(request, secret), _needed(desk, even_empty=True)
        ticket = (
            desk.claim.ticket if desk.claim and desk.claim.label else None
        )  # what is on the screen, else the last
        claim = self.store.undo(desk.queue, who, request.session_hash or "", ticket)
        if claim is None:
            raise LabelError("There is nothing to take back.")
        pending = desk.claim if desk.claim and desk.claim.label is None else desk.pending
        desk = replace(
            desk, claim=claim, pending=pending, shown_at=time.monotonic(), streak=max(0, desk.streak - 1)
        )
        return self._show(who, desk)

    def on_leave(self, request: gr.Request) -> None:
        self.store.release(request.session_hash or "")

    # -- what is shown ---------------------------------------------------------------------------------------

    def _open(self, who: str, queue: str, request: gr.Request) -> tuple:
        claim = self.store.claim(queue, who, request.session_hash or "")
        return self._show(who, Desk(queue, claim, time.monotonic()))

    def _advance(self, who: str, desk: Desk, ahead: Ahead | None, request: gr.Request) -> tuple:
        """To the item left by going back, the one drawn ahead, or a fresh one."""
        desk, tab = replace(desk, shown_at=time.monotonic()), request.session_hash or ""
        if desk.pending and (pending := self.store.renew(desk.pending.ticket, who, tab)):
            return self._show(who, replace(desk, claim=pending, pending=None))
        if ahead and ahead.who == who and ahead.claim.item.queue == desk.queue:
            claim = self.store.renew(ahead.claim.ticket, who, tab)
            if claim:
                return self._show(who, replace(desk, claim=claim, pending=None), ahead.html)
        claim = self.store.claim(desk.queue, who, tab)
        return self._show(who, replace(desk, claim=claim, pending=None))

    def _keep(
        self, who: str, claim: Claim | None, dimensions: list, note: str, confirm: bool = False
    ) -> None:
        """What was typed since the verdict. confirm: the verdict stands after the reveal, and that is written too.

        The verdict itself is taken from the store: another tab may have changed it."""
        if claim is None or claim.label is None:
            return
        now = self.store.again(claim.ticket, who).label
        typed = tuple(k for k in KEYS if k in (dimensions or ())), note or ""
        if now and typed != (claim.label.dimensions, claim.label.note):
            self.store.revise(claim.ticket, who, Opinion(now.final, *typed))
        elif now and confirm:
            self.store.revise(claim.ticket, who, Opinion(now.final, now.dimensions, now.note))

    def _show(self, who: str, desk: Desk, drawn: str = "", item: bool = True) -> tuple:
        """item: False where the item itself stays on the screen as it is."""
        p = self.store.progress(desk.queue, who)
        tally = desk_view.tally_html(who, p.done, p.total, p.mine, desk.seconds, desk.streak)
        claim, label = desk.claim, desk.label
        if claim is None:
            others = f'<p class="small">{p.held} are in the hands of others just now.</p>' if p.held else ""
            return desk, tally, *self._empty(AT_END + others)[2:]
        picture = (drawn or self._draw(claim)) if item else gr.skip()
        reveal = desk_view.reveal_html(claim, label) if label else SEEN if claim.seen else ""
        said = [list(label.dimensions), label.note] if label else [[], ""]
        return (
            desk,
            tally,
            picture,
            reveal,
            gr.Button(interactive=label is not None),
            *_buttons(claim, label),
            *said,
        )

    def _draw(self, claim: Claim) -> str:
        queue = self.store.queue(claim.item.queue)
        return desk_view.item_html(claim, queues.picture_of(self.store, queue.about["benchmark"], claim.item))

    def _empty(self, message: str) -> tuple:
        off = [gr.Button(interactive=False, variant="secondary") for _ in self.verdicts]
        return None, "", message, "", gr.Button(interactive=False), *off, [], ""


def _buttons(claim: Claim, label: Label | None) -> list[gr.Button]:
    """The verdicts that this item can have; the one that stands is marked."""
    count = len(claim.shown)
    names = [_index(str(n), claim.shown) if n < count else None for n in range(BOXES)] + [
        k for k, _ in OTHERS
    ]
    out = []
    for n, verdict in enumerate(names):
        chosen = label is not None and label.final == verdict
        look: dict[str, Any] = {"interactive": True, "variant": "primary" if chosen else "secondary"}
        if n < BOXES:
            look |= {"value": _side_label(n, count), "visible": n < count}
        out.append(gr.Button(**look))
    return out


def _side_label(n: int, count: int) -> str:
    return f"{desk_view.sides(max(count, n + 1))[n]} ({n + 1})"


def _index(choice: str, shown: tuple[int, ...]) -> str:
    """A button's place on the screen as the index in the record. Raises LabelError for one that is not there."""
    if not choice.isdecimal():
        return choice
    if int(choice) >= len(shown):
        raise LabelError("There is no such response here. Nothing was written.")
    return str(shown[int(choice)])


def _needed(desk: Desk | None, even_empty: bool = False) -> Desk:
    """Raises LabelError where this tab has nothing in hand, as after a restart of the server."""
    if desk is None or (desk.claim is None and not even_empty):
        raise LabelError("There is no item before you: load the page again. What was acknowledged is safe.")
    return desk
