"""What stands in the label store. Functions within a transaction; nothing here writes."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa

from core.labels import leases
from core.labels.records import Item, Label, LabelError, Progress, Queue, present
from core.labels.tables import events, item_of, items, queues, slots


def all_queues(db: sa.Connection) -> list[Queue]:
    """The newest first."""
    return [_queue(r) for r in db.execute(sa.select(queues).order_by(queues.c.created.desc(), queues.c.id))]


def queue(db: sa.Connection, id_: object) -> Queue:
    """Raises LabelError where there is none."""
    found = None
    if isinstance(id_, str) and id_.isalnum() and id_.isascii():
        found = db.execute(sa.select(queues).where(queues.c.id == id_)).first()
    if found is None:
        raise LabelError("This queue is not in this store.")
    return _queue(found)


def _queue(row: Any) -> Queue:
    return Queue(row.id, row.created, row.overlap, row.size, json.loads(row.about))


def item(db: sa.Connection, queue: str, position: int) -> Item:
    place = (items.c.queue == queue, items.c.position == position)
    return item_of(db.execute(sa.select(items).where(*place)).one())


def labels(
    db: sa.Connection, queue: str, position: int | None = None, annotator: str | None = None
) -> list[Label]:
    """The present labels, by position and annotator; of one item and person, or all of the queue."""
    query = sa.select(events).where(events.c.queue == queue).order_by(events.c.seq)
    if position is not None:
        query = query.where(events.c.position == position, events.c.annotator == annotator)
    return present(db.execute(query))


def progress(db: sa.Connection, queue: str, annotator: str | None, now: float) -> Progress:
    mine = sa.and_(slots.c.done, slots.c.annotator == annotator)
    held = sa.and_(sa.not_(slots.c.done), sa.not_(leases.free(now)), slots.c.annotator != (annotator or ""))
    columns = [sa.func.count().filter(slots.c.done), sa.func.count(), sa.func.count().filter(mine), sa.func.count().filter(held)]  # fmt: skip
    found = db.execute(sa.select(*columns).where(slots.c.queue == queue)).one()
    return Progress(found[0], found[1], found[2], found[3])


def history(db: sa.Connection, queue: str, annotator: str) -> list[str]:
    """Tickets of this person's present labels, the oldest first: where "back" leads."""
    found = db.execute(leases.standing(queue, annotator)).all()
    return [r.ticket for r in reversed(found) if r.kind == "first"]


def last_queue(db: sa.Connection, annotator: str) -> str | None:
    """Where this person worked last."""
    query = sa.select(events.c.queue).where(events.c.annotator == annotator).order_by(events.c.seq.desc())
    return db.execute(query.limit(1)).scalar()


def seen_before(db: sa.Connection, key: str, annotator: str) -> bool:
    """Whether this person ever had the same content revealed to them, in any queue, taken back or not."""
    same = sa.and_(items.c.queue == events.c.queue, items.c.position == events.c.position)
    query = sa.select(events.c.seq).join(items, same).where(
        items.c.key == key, events.c.annotator == annotator, events.c.kind == "first"
    )  # fmt: skip
    return db.execute(query.limit(1)).first() is not None
