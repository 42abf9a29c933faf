"""What one person does to the items of the label store, within one transaction: take, judge, change, skip, take back.

Every act is idempotent: a double click, a second tab or a retry after a crash writes nothing twice.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from core.labels import leases, views
from core.labels.records import Claim, Item, LabelError, Opinion, shown_order
from core.labels.tables import dump, events, slots

LOOKS = 50  # times a claim looks again after another annotator was faster
NOT_YOURS = (
    "This item is not assigned to you any more: it was skipped or taken back, perhaps in another tab. Nothing was written: "
    "load the page again to go on."
)
LATE = (
    "Your lease on this item expired and it was assigned to another annotator. Your verdict is kept as a late one, which "
    "is not counted as a label: skip this item to go on."
)


class Work:
    """annotator, tab: whose work it is and where; now: seconds since 1970; lease: seconds an item is assigned for."""

    def __init__(self, db: sa.Connection, annotator: str, tab: str, now: float, lease: float) -> None:
        self.db, self.annotator, self.tab, self.now, self.lease = db, annotator, tab, now, lease
        if (
            db.dialect.name == "postgresql"
        ):  # one act of a person at a time, from whichever tab; SQLite has one writer
            db.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext(f"rewardscope {annotator}"))))

    # -- taking ----------------------------------------------------------------------------------------------

    def claim(self, queue: str, beside: Sequence[int] = ()) -> Claim | None:
        """The next item for this person, theirs until the lease runs out; None where nothing is left for them now.

        An item that they already have in hand comes first (another tab, a page loaded anew), but for those at the
        positions `beside`; one that they skipped comes last.
        """
        for _ in range(LOOKS):
            slot = (
                leases.in_hand(self.db, queue, self.annotator, beside)
                or leases.open_slot(self.db, queue, self.annotator, beside, self.now, skipped=False)
                or leases.open_slot(self.db, queue, self.annotator, beside, self.now, skipped=True)
            )
            if slot is None:
                return None
            if ticket := self._take(slot):
                return self.look(queue, slot.position, ticket)
        return None

    def renew(self, ticket: str) -> Claim | None:
        """A claim made earlier, from now on for a whole lease; None where it is gone or has its verdict already."""
        slot = self.slot(ticket) or self._regain(ticket)
        if slot is None or slot.done or not self._take(slot):
            return None
        return self.look(slot.queue, slot.position, ticket)

    def release(self, grace: float) -> None:
        """What this tab holds and did not judge goes to others in `grace` seconds: not at once, for the page may come
        back."""
        if self.tab:
            soon = self.now + grace
            held = sa.and_(slots.c.tab == self.tab, sa.not_(slots.c.done), slots.c.until > soon)
            self.db.execute(slots.update().where(held).values(until=soon))

    def look(self, queue: str, position: int, ticket: str) -> Claim:
        """An item as it now stands for this person."""
        item = views.item(self.db, queue, position)
        label = next(iter(views.labels(self.db, queue, position, self.annotator)), None)
        seen = views.seen_before(self.db, item.key, self.annotator)
        return Claim(item, ticket, shown_order(self.annotator, item), label, seen)

    def again(self, ticket: str) -> Claim:
        """An item that this person has or had in hand, as it stands now. Raises LabelError."""
        slot = self.slot(ticket)
        if slot is None:
            raise LabelError(NOT_YOURS)
        return self.look(slot.queue, slot.position, ticket)

    # -- saying ----------------------------------------------------------------------------------------------

    def judge(self, ticket: str, opinion: Opinion, seconds: float | None = None) -> Claim | LabelError:
        """Writes the first verdict and gives the item back with what now stands of it.

        Said again, it changes nothing. If the lease ran out and another annotator took the item meanwhile, the verdict
        is kept as a late one, which is not a label; the error is then returned and not raised, for it has to be written
        all the same.
        """
        slot = self.slot(ticket) or self._regain(ticket)
        if slot is None:
            return LabelError(LATE if self._keep_late(ticket, opinion, seconds) else NOT_YOURS)
        if not slot.done:
            item = views.item(self.db, slot.queue, slot.position)
            said = self._checked(slot.queue, item, opinion)
            blind = not views.seen_before(self.db, item.key, self.annotator)
            detail = {"blind": blind, **_seen(item, self.annotator)}
            self._add(slot, ticket, "first", f"{ticket}:first", said, seconds, detail)
            self.db.execute(slots.update().where(leases.same(slot)).values(done=True, until=None))
        return self.look(slot.queue, slot.position, ticket)

    def revise(self, ticket: str, opinion: Opinion) -> Claim:
        """Writes what stands after the reveal, the same or another mind. The first verdict stays as it was."""
        slot = self.slot(ticket)
        if slot is None or not slot.done:
            raise LabelError("You have no verdict on this item that could be changed. Nothing was written.")
        said = self._checked(slot.queue, views.item(self.db, slot.queue, slot.position), opinion)
        finals = sa.select(events).where(events.c.ticket == ticket, events.c.kind == "final")
        known = self.db.execute(finals.order_by(events.c.seq)).all()
        if not known or _opinion(known[-1]) != said:
            self._add(slot, ticket, "final", f"{ticket}:final:{len(known)}", said)
        return self.look(slot.queue, slot.position, ticket)

    def skip(self, ticket: str) -> None:
        """Leaves the item to others; for this person it comes back at the end."""
        slot = self.slot(ticket)
        if slot is not None and not slot.done:
            self._add(slot, ticket, "skip", f"{ticket}:skip")
            self.db.execute(slots.update().where(leases.same(slot)).values(**leases.EMPTY))

    def last(self, queue: str) -> str | None:
        """The ticket of this person's last verdict or skip that stands: what undo takes back."""
        found = self.db.execute(leases.standing(queue, self.annotator).limit(1)).first()
        return found.ticket if found else None

    def undo(self, queue: str, ticket: str | None = None) -> Claim | None:
        """Takes a verdict or skip of this person back (that of `ticket`, or their last) and gives them the item again;
        None where there is nothing to take back. Raises LabelError where a skipped item was assigned to another
        annotator."""
        last = self.db.execute(leases.standing(queue, self.annotator, ticket).limit(1)).first()
        if last is None:
            return None
        item = (slots.c.queue == queue, slots.c.position == last.position)
        self.db.execute(
            slots.update().where(*item, slots.c.annotator == self.annotator).values(**leases.EMPTY)
        )
        free = sa.select(slots).where(*item, sa.not_(slots.c.done), leases.free(self.now))
        slot = self.db.execute(free.order_by(slots.c.slot).limit(1).with_for_update()).first()
        taken = self._take(slot) if slot else None
        if taken is None:
            raise LabelError(
                "The item that you skipped is now assigned to another annotator: it stays skipped."
            )
        self._add(last, last.ticket, "undo", f"{last.ticket}:undo")
        return self.look(queue, last.position, taken)

    # -- pieces ----------------------------------------------------------------------------------------------

    def slot(self, ticket: str) -> Any:
        """Locked till the transaction ends, so that nothing comes between the look and the write."""
        return self.db.execute(leases.of_ticket(ticket, self.annotator).with_for_update()).first()

    def _take(self, slot: Any) -> str | None:
        """The ticket, or None where another annotator was faster."""
        mine = slot.annotator == self.annotator and slot.ticket
        ticket = slot.ticket if mine else secrets.token_hex(16)
        held = leases.free(self.now) if not mine else slots.c.ticket == slot.ticket
        values = self._held(ticket) | {"tab": self.tab}
        done = self.db.execute(
            slots.update().where(leases.same(slot), sa.not_(slots.c.done), held).values(**values)
        )
        if done.rowcount != 1:
            return None
        if not mine:
            self._add(slot, ticket, "given", f"{ticket}:given")
        return ticket

    def _held(self, ticket: str) -> dict[str, Any]:
        return {
            "annotator": self.annotator,
            "ticket": ticket,
            "given": self.now,
            "until": self.now + self.lease,
        }

    def _regain(self, ticket: str) -> Any:
        """The slot of an item that was released or ran out meanwhile, if no other annotator has taken it."""
        given = leases.given(self.db, ticket, self.annotator)
        if given is None:
            return None
        other = slots.alias()
        own = sa.exists().where(
            other.c.queue == slots.c.queue,
            other.c.position == slots.c.position,
            other.c.annotator == self.annotator,
        )
        place = (slots.c.queue == given.queue, slots.c.position == given.position, sa.not_(slots.c.done))
        query = sa.select(slots).where(*place, leases.free(self.now), sa.not_(own))
        free = self.db.execute(query.limit(1).with_for_update()).first()
        if free is None:
            return None
        mine = slots.update().where(leases.same(free), leases.free(self.now)).values(**self._held(ticket))
        return self.slot(ticket) if self.db.execute(mine).rowcount == 1 else None

    def _keep_late(self, ticket: str, opinion: Opinion, seconds: float | None) -> bool:
        given = leases.given(self.db, ticket, self.annotator)
        if given is not None:
            item = views.item(self.db, given.queue, given.position)
            said = self._checked(given.queue, item, opinion)
            try:
                with self.db.begin_nested():
                    self._add(given, ticket, "late", f"{ticket}:late", said, seconds)
            except IntegrityError:
                pass  # said twice
        return given is not None

    def _checked(self, queue: str, item: Item, opinion: Opinion) -> Opinion:
        return opinion.checked(len(item.responses), views.queue(self.db, queue).dimensions)

    def _add(self, place: Any, ticket: str, kind: str, id_: str, opinion: Opinion | None = None,
             seconds: float | None = None, detail: dict[str, Any] | None = None) -> None:  # fmt: skip
        said = {"dimensions": opinion.dimensions, "note": opinion.note} if opinion else {}
        row = {
            "id": id_, "queue": place.queue, "position": place.position, "annotator": self.annotator, "ticket": ticket,
            "kind": kind, "verdict": opinion.verdict if opinion else None, "at": self.now, "seconds": _sane(seconds),
            "detail": dump({**said, **(detail or {})}),
        }  # fmt: skip
        self.db.execute(events.insert().values(**row))


def _seen(item: Item, annotator: str) -> dict[str, Any]:
    """What lay before this person: content, picture, order of the sides, and the revisions of the models revealed."""
    models = [[j.get("judge", ""), j.get("revision", "")] for j in item.judged]
    return {"key": item.key, "picture": item.picture, "shown": shown_order(annotator, item), "models": models}


def _opinion(event: Any) -> Opinion:
    detail = json.loads(event.detail)
    return Opinion(event.verdict, tuple(detail["dimensions"]), detail["note"])


def _sane(seconds: float | None) -> float | None:
    return seconds if seconds is not None and 0 <= seconds < 86_400 else None
