"""Leases: which slot of which item is in whose hands. Functions within a transaction of the store.

A slot is free when nobody has it, when its lease ran out, or when it was given "in the future": the clock went back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from core.labels.tables import events, slots

SKEW = 300.0  # seconds by which the clocks of servers on one database may differ
EMPTY: dict[str, Any] = {
    "done": False,
    "annotator": None,
    "tab": None,
    "ticket": None,
    "given": None,
    "until": None,
}


def in_hand(db: sa.Connection, queue: str, annotator: str, beside: Sequence[int]) -> Any:
    """What this person has already, in another tab or from before the page was loaded anew."""
    mine = sa.select(slots).where(
        slots.c.queue == queue, slots.c.annotator == annotator, sa.not_(slots.c.done), slots.c.position.not_in(beside)
    )  # fmt: skip
    return db.execute(mine.order_by(slots.c.position).limit(1)).first()


def open_slot(
    db: sa.Connection, queue: str, annotator: str, beside: Sequence[int], now: float, skipped: bool
) -> Any:
    """The first free slot of an item that this person is not on; skipped: only, or only not, what they skipped."""
    other = slots.alias()
    own = sa.exists().where(
        other.c.queue == slots.c.queue,
        other.c.position == slots.c.position,
        other.c.annotator == annotator,
    )
    taken_back = events.alias()
    skip = sa.select(sa.func.max(events.c.seq)).where(
        events.c.queue == queue, events.c.position == slots.c.position, events.c.annotator == annotator,
        events.c.kind == "skip",
        sa.not_(sa.exists().where(taken_back.c.ticket == events.c.ticket, taken_back.c.kind == "undo")),
    ).scalar_subquery()  # fmt: skip
    query = sa.select(slots).where(
        slots.c.queue == queue, sa.not_(slots.c.done), free(now), sa.not_(own),
        slots.c.position.not_in(beside), skip.is_not(None) if skipped else skip.is_(None),
    )  # fmt: skip
    order = (skip, slots.c.position) if skipped else (slots.c.position, slots.c.slot)
    return db.execute(query.order_by(*order).limit(1).with_for_update(of=slots, skip_locked=True)).first()


def of_ticket(ticket: str, annotator: str) -> sa.Select:
    """The slot that a ticket of this person's holds."""
    return sa.select(slots).where(slots.c.ticket == str(ticket), slots.c.annotator == annotator)


def standing(queue: str, annotator: str, ticket: str | None = None) -> sa.Select:
    """First verdicts and skips of this person that were not taken back, the last first; of one ticket, or all."""
    undo = events.alias()
    undone = sa.exists().where(undo.c.ticket == events.c.ticket, undo.c.kind == "undo")
    query = sa.select(events).where(
        events.c.queue == queue, events.c.annotator == annotator, events.c.kind.in_(("first", "skip")), sa.not_(undone)
    )  # fmt: skip
    if ticket is not None:
        query = query.where(events.c.ticket == ticket)
    return query.order_by(events.c.seq.desc())


def given(db: sa.Connection, ticket: str, annotator: str) -> Any:
    """Where a ticket of this person's led, unless they took it back or skipped it since."""
    of_ticket = sa.select(events).where(events.c.ticket == str(ticket), events.c.annotator == annotator)
    said = {r.kind: r for r in db.execute(of_ticket)}
    return said.get("given") if not {"undo", "skip"} & set(said) else None


def free(now: float) -> sa.ColumnElement[bool]:
    """Nobody has it: never taken, run out, or given "in the future" (the clock went back by more than SKEW)."""
    return sa.or_(slots.c.annotator.is_(None), slots.c.until <= now, slots.c.given > now + SKEW)


def same(slot: Any) -> sa.ColumnElement[bool]:
    return sa.and_(slots.c.queue == slot.queue, slots.c.position == slot.position, slots.c.slot == slot.slot)
