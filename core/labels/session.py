"""The rules of the label desk: one annotator in one tab, one comparison at a time, first blind, then with what was hidden.

Each act (open, choose, verdict, next, back, skip, undo, ahead) is one transaction: it takes the state that is on the
screen, writes, and returns the state to show. An act that cannot be done raises LabelError; what is on the screen then
stays as it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

from core.labels import views
from core.labels.records import Claim, Label, LabelError, Opinion, Progress, Queue
from core.labels.store import GRACE, LabelStore
from core.labels.work import Work

Result = TypeVar("Result")
NOTHING_HERE = "There is no item before you: load the page again. What was acknowledged is safe."
TAKEN_BACK = (
    "Your verdict on the item before this one was taken back meanwhile, perhaps in another tab: nothing that you "
    "changed there since was saved."
)


@dataclass(frozen=True)
class DeskState:
    """What lies before one annotator in one tab.

    claim: the item on the screen; None where nothing is left for now. progress: of the queue. shown_at: seconds by the
    session's timer. seconds: per item judged in this sitting. streak: judged in a row, without a skip. pending: items
    without a verdict that were left by going back or by undo, the last one comes first. last: the ticket of the act that
    undo takes back where the item on the screen has no verdict. notice: a sentence that the annotator has to know.
    """

    queue: Queue
    progress: Progress
    claim: Claim | None = None
    shown_at: float = 0.0
    seconds: tuple[float, ...] = ()
    streak: int = 0
    pending: tuple[Claim, ...] = ()
    last: str | None = None
    notice: str = ""

    @property
    def label(self) -> Label | None:
        return self.claim.label if self.claim else None


@dataclass(frozen=True)
class Typed:
    """What stands in the form beside the verdict: ticked dimensions and the note."""

    dimensions: tuple[str, ...] = ()
    note: str = ""


class AnnotationSession:
    """annotator: as the identity of the request proves it. tab: what `leave` frees. timer: seconds that only go forward."""

    def __init__(
        self, store: LabelStore, annotator: str, tab: str = "", timer: Callable[[], float] = time.monotonic
    ) -> None:
        self.store, self.annotator, self.tab, self.timer = store, annotator, tab, timer

    # -- coming and going ------------------------------------------------------------------------------------

    def open(self, asked: str | None = None) -> DeskState | None:
        """The queue that was asked for, else the one of the annotator's last act, else the newest; None where there is no
        queue at all."""

        def act(work: Work) -> DeskState | None:
            known = {q.id: q for q in views.all_queues(work.db)}
            wanted = (asked, views.last_queue(work.db, self.annotator), *known)
            chosen = next((known[i] for i in wanted if i in known), None)
            return self._enter(work, chosen) if chosen else None

        return self._do(act)

    def choose(self, state: DeskState | None, queue: object, typed: Typed) -> DeskState:
        """To another queue; what is in hand in this one goes to others soon."""

        def act(work: Work) -> DeskState:
            chosen = views.queue(work.db, queue)
            notice = self._keep(work, state, typed)
            work.release(GRACE)
            return replace(self._enter(work, chosen), notice=notice)

        return self._do(act)

    def leave(self) -> None:
        """The tab was closed: what it holds goes to others soon."""
        self.store.release(self.tab)

    def _enter(self, work: Work, queue: Queue) -> DeskState:
        claim = work.claim(queue.id)
        return self._state(work, DeskState(queue, Progress(0, 0, 0, 0), claim, self.timer()))

    # -- verdicts --------------------------------------------------------------------------------------------

    def verdict(self, state: DeskState | None, choice: str, typed: Typed) -> DeskState:
        """The first verdict, or after the reveal another mind.

        choice: "tie", "bad", "unsure", or the place of the better response on the screen, "0" for the first. A verdict
        given in another tab meanwhile stands, and is shown. Raises LabelError, also where the lease expired and another
        annotator has the item: the verdict is then kept as a late one.
        """
        state, claim = _needed(state)
        opinion = Opinion(_index(choice, claim), typed.dimensions, typed.note)
        took = self.timer() - state.shown_at

        def act(work: Work) -> DeskState | LabelError:
            if claim.label is not None:
                return self._state(work, replace(state, claim=work.revise(claim.ticket, opinion)))
            judged = work.judge(claim.ticket, opinion, took)
            if isinstance(judged, LabelError):
                return judged
            return self._state(
                work,
                replace(state, claim=judged, seconds=(*state.seconds, took), streak=state.streak + 1),
            )

        return self._do(act)

    def skip(self, state: DeskState | None, ahead: Claim | None = None) -> DeskState:
        """Leaves the item to others, and goes on; it comes back last."""
        state, claim = _needed(state)
        if claim.label is not None:
            raise LabelError("This one has your verdict already: go on with Next, or take it back with Undo.")

        def act(work: Work) -> DeskState:
            work.skip(claim.ticket)
            return self._advance(work, replace(state, streak=0), ahead)

        return self._do(act)

    def undo(self, state: DeskState | None) -> DeskState:
        """Takes back the verdict on the screen, else the last verdict or skip, and shows that item again, not blind any
        more."""
        state = _open(state)
        claim = state.claim
        ticket = claim.ticket if claim and claim.label else state.last
        if ticket is None:
            raise LabelError("There is nothing to take back.")

        def act(work: Work) -> DeskState:
            again = work.undo(state.queue.id, ticket)
            if again is None:
                raise LabelError("This is taken back already.")
            changed = replace(
                state, claim=again, pending=_pending(state), shown_at=self.timer(), streak=max(0, state.streak - 1)
            )  # fmt: skip
            return self._state(work, changed)

        return self._do(act)

    # -- moving ----------------------------------------------------------------------------------------------

    def next(self, state: DeskState | None, typed: Typed, ahead: Claim | None = None) -> DeskState:
        """Keeps what stands of this item, and goes to the one judged after it, else to one left by going back, else to
        `ahead` (from `ahead`), else to a fresh one."""
        state = _open(state)
        claim = state.claim
        if claim is not None and claim.label is None:
            raise LabelError("Give a verdict first, or skip this one (S).")

        def act(work: Work) -> DeskState:
            notice = self._keep(work, state, typed, confirm=True)
            known = views.history(work.db, state.queue.id, self.annotator)
            after = known[known.index(claim.ticket) + 1 :] if claim and claim.ticket in known else []
            if after:
                shown = self._state(work, replace(state, claim=work.again(after[0])))
            else:
                shown = self._advance(work, state, ahead)
            return replace(shown, notice=notice)

        return self._do(act)

    def back(self, state: DeskState | None, typed: Typed) -> DeskState:
        """To the item judged before this one; one without a verdict waits until the way forward leads to it again."""
        state = _open(state)
        claim = state.claim

        def act(work: Work) -> DeskState:
            known = views.history(work.db, state.queue.id, self.annotator)
            before = known[: known.index(claim.ticket)] if claim and claim.ticket in known else known
            if not before:
                raise LabelError("There is nothing before this one.")
            notice = self._keep(work, state, typed)
            shown = replace(state, claim=work.again(before[-1]), pending=_pending(state))
            return replace(self._state(work, shown), notice=notice)

        return self._do(act)

    def ahead(self, state: DeskState | None) -> Claim | None:
        """Claims the item after this one, to be drawn while this one is looked at; None where there is none for now."""
        if state is None or state.claim is None:
            return None
        beside = [c.item.position for c in (state.claim, *state.pending)]
        return self._do(lambda work: work.claim(state.queue.id, beside))

    def _advance(self, work: Work, state: DeskState, ahead: Claim | None) -> DeskState:
        waiting = list(state.pending)
        claim = None
        while waiting and claim is None:
            claim = work.renew(waiting.pop().ticket)
        if claim is None and ahead and ahead.item.queue == state.queue.id:
            claim = work.renew(ahead.ticket)
        if claim is None:
            claim = work.claim(state.queue.id)
        return self._state(work, replace(state, claim=claim, pending=tuple(waiting), shown_at=self.timer()))

    # -- pieces ----------------------------------------------------------------------------------------------

    def _do(self, act: Callable[[Work], Result | LabelError]) -> Result:
        return self.store.work(self.annotator, self.tab, act)

    def _state(self, work: Work, state: DeskState) -> DeskState:
        """The state with what else a screen shows of the queue, as of this transaction."""
        progress = views.progress(work.db, state.queue.id, self.annotator, work.now)
        return replace(state, progress=progress, last=work.last(state.queue.id), notice="")

    def _keep(self, work: Work, state: DeskState | None, typed: Typed, confirm: bool = False) -> str:
        """Writes what was typed since the verdict; gives the notice where the verdict does not stand any more.

        confirm: the verdict stands after the reveal, and that is written too. The verdict itself is taken from the
        store, for another tab may have changed it.
        """
        claim = state.claim if state else None
        if claim is None or claim.label is None:
            return ""
        slot = work.slot(claim.ticket)
        if slot is None or not slot.done:
            return TAKEN_BACK
        now = work.look(slot.queue, slot.position, claim.ticket).label
        if now is None:
            return TAKEN_BACK
        assert state
        ticked = tuple(k for k in state.queue.dimensions if k in typed.dimensions)
        if (ticked, typed.note) != (claim.label.dimensions, claim.label.note):
            work.revise(claim.ticket, Opinion(now.final, typed.dimensions, typed.note))
        elif confirm:
            work.revise(claim.ticket, Opinion(now.final, now.dimensions, now.note))
        return ""


def typed(dimensions: Iterable[str] | None, note: str | None) -> Typed:
    """From a form, whose fields may be empty."""
    return Typed(tuple(dimensions or ()), note or "")


def _index(choice: str, claim: Claim) -> str:
    """A place on the screen as the index in the record. Raises LabelError for one that is not there."""
    if not choice.isdecimal():
        return choice
    if int(choice) >= len(claim.shown):
        raise LabelError("This item does not have such a response. Nothing was written.")
    return str(claim.shown[int(choice)])


def _pending(state: DeskState) -> tuple[Claim, ...]:
    claim = state.claim
    if claim is None or claim.label is not None:
        return state.pending
    return (*(c for c in state.pending if c.ticket != claim.ticket), claim)


def _open(state: DeskState | None) -> DeskState:
    """Raises LabelError where this tab has nothing open, as after a restart of the server."""
    if state is None:
        raise LabelError(NOTHING_HERE)
    return state


def _needed(state: DeskState | None) -> tuple[DeskState, Claim]:
    state = _open(state)
    if state.claim is None:
        raise LabelError(NOTHING_HERE)
    return state, state.claim
