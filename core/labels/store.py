"""The label store: who said what of which comparison, in SQLite or PostgreSQL.

Every word is an event that is added and never changed: a human's never overwrites a machine's, an undo is one more
event, and the present label is a view over them. Which annotator has which item in hand is kept beside it as leases.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from core.labels import leases
from core.labels.database import Database
from core.labels.records import (
    Claim,
    Item,
    Label,
    LabelError,
    Opinion,
    Progress,
    Queue,
    checked_name,
    present,
    shown_order,
)
from core.labels.tables import dump, events, item_of, item_row, items, people, pictures, queues, slots
from core.records import plain

LEASE = 30 * 60.0  # seconds an item stays with somebody who says nothing
GRACE = 60.0  # ... and with somebody whose page was closed, or whose connection broke
TRIES = 50  # times a claim looks again after somebody else was faster


class LabelStore:
    """One database. Safe to share between threads and processes. clock: seconds since 1970."""

    def __init__(self, url: str, lease: float = LEASE, clock: Callable[[], float] = time.time) -> None:
        self.url, self.lease, self.clock = url, lease, clock
        self.db = Database(url)

    def close(self) -> None:
        self.db.close()

    # -- people ----------------------------------------------------------------------------------------------

    def enter(self, name: str) -> str:
        """Takes a name that nobody has. Gives the secret that proves it from now on; only its hash is kept."""
        name = checked_name(name)
        secret = secrets.token_urlsafe(32)
        row = {"name": name, "folded": name.casefold(), "proof": _hash(secret), "created": self.clock()}
        try:
            with self.db.writing() as db:
                db.execute(people.insert().values(**row))
        except IntegrityError as error:
            raise LabelError(
                f"'{name}' is taken here: choose another, or use the browser that took it."
            ) from error
        return secret

    def who(self, secret: object) -> str | None:
        """The name that a secret proves; None for anything else."""
        if not isinstance(secret, str) or not secret.isascii() or not 20 <= len(secret) <= 100:
            return None
        with self.db.reading() as db:
            found = db.execute(sa.select(people.c.name).where(people.c.proof == _hash(secret))).first()
        return found.name if found else None

    # -- queues ----------------------------------------------------------------------------------------------

    def add_queue(
        self,
        about: dict[str, Any],
        entries: Sequence[Item],
        stored: Iterable[tuple[str, bytes]],
        overlap: int = 1,
    ) -> Queue:
        """Adds a queue whole. The entries' own `queue` and `position` are set here; stored: pictures by hash."""
        if not entries:
            raise LabelError("There is nothing to put into this queue.")
        queue = Queue(secrets.token_hex(6), self.clock(), overlap, len(entries), plain(about))
        placed = [replace(e, queue=queue.id, position=i) for i, e in enumerate(entries)]
        new = dict(stored)

        def work(db: sa.Connection) -> Queue:
            have = {h for (h,) in db.execute(sa.select(pictures.c.hash))}
            for hash_, data in new.items():
                if hash_ not in have:
                    db.execute(pictures.insert().values(hash=hash_, data=data))
            db.execute(queues.insert().values(**{**asdict(queue), "about": dump(queue.about)}))
            db.execute(items.insert(), [item_row(e) for e in placed])
            open_slots = [
                {"queue": queue.id, "position": e.position, "slot": n, "done": False} for e in placed for n in range(overlap)
            ]  # fmt: skip
            db.execute(slots.insert(), open_slots)
            return queue

        return self.db.write(work)

    def queues(self) -> list[Queue]:
        """The newest first."""
        with self.db.reading() as db:
            found = db.execute(sa.select(queues).order_by(queues.c.created.desc(), queues.c.id)).all()
        return [_queue(r) for r in found]

    def queue(self, id_: object) -> Queue:
        """Raises LabelError where there is none."""
        found = None
        if isinstance(id_, str) and id_.isalnum() and id_.isascii():
            with self.db.reading() as db:
                found = db.execute(sa.select(queues).where(queues.c.id == id_)).first()
        if found is None:
            raise LabelError("This queue is not in this store.")
        return _queue(found)

    def items(self, queue: str) -> dict[int, Item]:
        """By position."""
        with self.db.reading() as db:
            found = db.execute(
                sa.select(items).where(items.c.queue == queue).order_by(items.c.position)
            ).all()
        return {r.position: item_of(r) for r in found}

    def picture(self, hash_: str) -> bytes | None:
        with self.db.reading() as db:
            return db.execute(sa.select(pictures.c.data).where(pictures.c.hash == hash_)).scalar()

    def progress(self, queue: str, annotator: str | None = None) -> Progress:
        now = self.clock()
        mine = sa.and_(slots.c.done, slots.c.annotator == annotator)
        held = sa.and_(
            sa.not_(slots.c.done), sa.not_(leases.free(now)), slots.c.annotator != (annotator or "")
        )
        columns = [sa.func.count().filter(slots.c.done), sa.func.count(), sa.func.count().filter(mine), sa.func.count().filter(held)]  # fmt: skip
        with self.db.reading() as db:
            found = db.execute(sa.select(*columns).where(slots.c.queue == queue)).one()
        return Progress(found[0], found[1], found[2], found[3])

    # -- work ------------------------------------------------------------------------------------------------

    def claim(self, queue: str, annotator: str, tab: str = "", beside: Sequence[int] = ()) -> Claim | None:
        """The next item for this person, theirs until the lease runs out; None where nothing is left for them now.

        An item they already have in hand comes first (another tab, a page loaded anew), but for those at the positions
        `beside`; one that they skipped comes last. tab: what `release` frees when it closes.
        """
        for _ in range(TRIES):
            try:
                with self.db.writing() as db:
                    slot = (
                        leases.in_hand(db, queue, annotator, beside)
                        or leases.open_slot(db, queue, annotator, beside, self.clock(), skipped=False)
                        or leases.open_slot(db, queue, annotator, beside, self.clock(), skipped=True)
                    )
                    if slot is None:
                        return None
                    ticket = self._take(db, slot, annotator, tab)
                    if ticket:
                        return self._claim(db, queue, slot.position, annotator, ticket)
            except IntegrityError:
                continue  # the same person's other tab took this item between our look and our write
        return None

    def _take(self, db: sa.Connection, slot: Any, annotator: str, tab: str) -> str | None:
        """The ticket, or None where somebody was faster."""
        now = self.clock()
        mine = slot.annotator == annotator and slot.ticket
        ticket = slot.ticket if mine else secrets.token_hex(16)
        held = leases.free(now) if not mine else slots.c.ticket == slot.ticket
        values = {
            "annotator": annotator,
            "tab": tab,
            "ticket": ticket,
            "given": now,
            "until": now + self.lease,
        }
        done = db.execute(
            slots.update().where(leases.same(slot), sa.not_(slots.c.done), held).values(**values)
        )
        if done.rowcount != 1:
            return None
        if not mine:
            self._add(db, slot, annotator, ticket, "given", f"{ticket}:given")
        return ticket

    def _claim(self, db: sa.Connection, queue: str, position: int, annotator: str, ticket: str) -> Claim:
        row = db.execute(sa.select(items).where(items.c.queue == queue, items.c.position == position)).one()
        item = item_of(row)
        label = next(iter(self._labels(db, queue, position, annotator)), None)
        return Claim(
            item, ticket, shown_order(annotator, item), label, self._seen_before(db, item.key, annotator)
        )

    def again(self, ticket: str, annotator: str) -> Claim:
        """An item that this person has or had in hand, as it stands now. Raises LabelError."""
        with self.db.reading() as db:
            slot = db.execute(leases.of_ticket(ticket, annotator)).first()
            if slot is None:
                raise LabelError("This item is not in your hands any more.")
            return self._claim(db, slot.queue, slot.position, annotator, ticket)

    def renew(self, ticket: str, annotator: str, tab: str = "") -> Claim | None:
        """A claim made ahead, from now on for a whole lease; None where it is gone or has its verdict already."""

        def work(db: sa.Connection) -> Claim | None:
            slot = self._slot(db, ticket, annotator) or self._regain(db, ticket, annotator)
            if slot is None or slot.done or not self._take(db, slot, annotator, tab):
                return None
            return self._claim(db, slot.queue, slot.position, annotator, ticket)

        return self.db.write(work)

    def release(self, tab: str) -> None:
        """What a closed tab held and did not judge goes to others soon; not at once, for the page may come back."""
        if tab:
            soon = self.clock() + GRACE
            held = sa.and_(slots.c.tab == tab, sa.not_(slots.c.done), slots.c.until > soon)
            with self.db.writing() as db:
                db.execute(slots.update().where(held).values(until=soon))

    def judge(self, ticket: str, annotator: str, opinion: Opinion, seconds: float | None = None) -> Claim:
        """Writes the first verdict and gives the item back with what now stands of it.

        Said again (a double click, a retry after a crash), it changes nothing. Raises LabelError: if the lease ran
        out and somebody else took the item meanwhile, the verdict is kept as a late one, which is no label.
        """

        def work(db: sa.Connection) -> Claim | bool:
            slot = self._slot(db, ticket, annotator) or self._regain(db, ticket, annotator)
            if slot is None:
                return self._keep_late(db, ticket, annotator, opinion, seconds)
            if not slot.done:
                item = self._item(db, slot)
                said = opinion.checked(len(item.responses))
                detail = {"blind": not self._seen_before(db, item.key, annotator), **_seen(item, annotator)}
                self._add(db, slot, annotator, ticket, "first", f"{ticket}:first", said, seconds, detail)
                db.execute(slots.update().where(leases.same(slot)).values(done=True, until=None))
            return self._claim(db, slot.queue, slot.position, annotator, ticket)

        found = self.db.write(work)
        if isinstance(found, Claim):
            return found
        raise LabelError(
            "This item has gone to somebody else, because nothing was heard of you for long. "
            + (
                "Your verdict is kept as a late one; it is not the label."
                if found
                else "Nothing was written."
            )
        )

    def revise(self, ticket: str, annotator: str, opinion: Opinion) -> Claim:
        """Writes what stands after the reveal, the same or another mind. The first verdict stays as it was."""

        def work(db: sa.Connection) -> Claim:
            slot = self._slot(db, ticket, annotator)
            if slot is None or not slot.done:
                raise LabelError("This item has no first verdict of yours. Nothing was written.")
            said = opinion.checked(len(self._item(db, slot).responses))
            known = db.execute(
                sa.select(events).where(events.c.ticket == ticket, events.c.kind == "final").order_by(events.c.seq)
            ).all()  # fmt: skip
            if not known or _opinion(known[-1]) != said:
                self._add(db, slot, annotator, ticket, "final", f"{ticket}:final:{len(known)}", said)
            return self._claim(db, slot.queue, slot.position, annotator, ticket)

        return self.db.write(work)

    def skip(self, ticket: str, annotator: str) -> None:
        """Leaves the item to others; for this person it comes back at the end."""

        def work(db: sa.Connection) -> None:
            slot = self._slot(db, ticket, annotator)
            if slot is not None and not slot.done:
                self._add(db, slot, annotator, ticket, "skip", f"{ticket}:skip")
                db.execute(slots.update().where(leases.same(slot)).values(**leases.EMPTY))

        self.db.write(work)

    def undo(self, queue: str, annotator: str, tab: str = "", ticket: str | None = None) -> Claim | None:
        """Takes a verdict or skip of this person back (that of `ticket`, or their last) and gives them the item again;
        None where there is nothing to take back. Raises LabelError where a skipped item has gone to somebody else."""
        try:
            with self.db.writing() as db:
                last = db.execute(leases.standing(queue, annotator, ticket).limit(1)).first()
                if last is None:
                    return None
                mine = (
                    slots.c.queue == queue,
                    slots.c.position == last.position,
                    slots.c.annotator == annotator,
                )
                db.execute(slots.update().where(*mine).values(**leases.EMPTY))
                place = (slots.c.queue == queue, slots.c.position == last.position, sa.not_(slots.c.done))
                free = db.execute(
                    sa.select(slots).where(*place, leases.free(self.clock())).order_by(slots.c.slot).limit(1).with_for_update()
                ).first()  # fmt: skip
                taken = self._take(db, free, annotator, tab) if free else None
                if taken is None:
                    raise LabelError("Somebody else has the item that you skipped: it stays skipped.")
                self._add(db, last, annotator, last.ticket, "undo", f"{last.ticket}:undo")
                return self._claim(db, queue, last.position, annotator, taken)
        except IntegrityError as error:  # a double click: the first one did it
            raise LabelError("This is taken back already.") from error

    def history(self, queue: str, annotator: str) -> list[str]:
        """Tickets of this person's present labels, the oldest first: where "back" leads."""
        with self.db.reading() as db:
            found = db.execute(leases.standing(queue, annotator)).all()
        return [r.ticket for r in reversed(found) if r.kind == "first"]

    def last_queue(self, annotator: str) -> str | None:
        """Where this person worked last."""
        query = sa.select(events.c.queue).where(events.c.annotator == annotator).order_by(events.c.seq.desc())
        with self.db.reading() as db:
            return db.execute(query.limit(1)).scalar()

    # -- what stands -----------------------------------------------------------------------------------------

    def labels(self, queue: str) -> list[Label]:
        """The present labels of a queue, by position and annotator."""
        with self.db.reading() as db:
            return self._labels(db, queue)

    def _labels(self, db: sa.Connection, queue: str, position: int | None = None, annotator: str | None = None) -> list[Label]:  # fmt: skip
        query = sa.select(events).where(events.c.queue == queue).order_by(events.c.seq)
        if position is not None:
            query = query.where(events.c.position == position, events.c.annotator == annotator)
        return present(db.execute(query))

    def events(self, after: int = 0, queue: str | None = None) -> list[dict[str, Any]]:
        """Every event (of a queue) in order: what is backed up, and what "nothing is lost" is checked by."""
        query = sa.select(events).where(events.c.seq > after).order_by(events.c.seq)
        with self.db.reading() as db:
            rows = db.execute(query.where(events.c.queue == queue) if queue else query).mappings()
            return [{**r, "detail": json.loads(r["detail"])} for r in rows]

    # -- pieces ----------------------------------------------------------------------------------------------

    def _slot(self, db: sa.Connection, ticket: str, annotator: str) -> Any:
        """Locked till the transaction ends, so that nothing comes between the look and the write."""
        return db.execute(leases.of_ticket(ticket, annotator).with_for_update()).first()

    def _item(self, db: sa.Connection, slot: Any) -> Item:
        place = (items.c.queue == slot.queue, items.c.position == slot.position)
        return item_of(db.execute(sa.select(items).where(*place)).one())

    def _seen_before(self, db: sa.Connection, key: str, annotator: str) -> bool:
        """Whether this person ever had the same content revealed to them, in any queue, taken back or not."""
        same = sa.and_(items.c.queue == events.c.queue, items.c.position == events.c.position)
        query = sa.select(events.c.seq).join(items, same).where(
            items.c.key == key, events.c.annotator == annotator, events.c.kind == "first"
        )  # fmt: skip
        return db.execute(query.limit(1)).first() is not None

    def _add(self, db: sa.Connection, place: Any, annotator: str, ticket: str, kind: str, id_: str,
             opinion: Opinion | None = None, seconds: float | None = None, detail: dict[str, Any] | None = None) -> None:  # fmt: skip
        said = {"dimensions": opinion.dimensions, "note": opinion.note} if opinion else {}
        db.execute(
            events.insert().values(
                id=id_, queue=place.queue, position=place.position, annotator=annotator, ticket=ticket, kind=kind,
                verdict=opinion.verdict if opinion else None, at=self.clock(), seconds=_sane(seconds), detail=dump({**said, **(detail or {})}),
            )
        )  # fmt: skip

    def _regain(self, db: sa.Connection, ticket: str, annotator: str) -> Any:
        """The slot of an item that was released or ran out meanwhile, if nobody else has taken it."""
        given = leases.given(db, ticket, annotator)
        if given is None:
            return None
        other = slots.alias()
        own = sa.exists().where(
            other.c.queue == slots.c.queue,
            other.c.position == slots.c.position,
            other.c.annotator == annotator,
        )
        place = (slots.c.queue == given.queue, slots.c.position == given.position, sa.not_(slots.c.done))
        now = self.clock()
        free = db.execute(
            sa.select(slots).where(*place, leases.free(now), sa.not_(own)).limit(1).with_for_update()
        ).first()
        if free is None:
            return None
        values = {"annotator": annotator, "ticket": ticket, "given": now, "until": now + self.lease}
        done = db.execute(slots.update().where(leases.same(free), leases.free(now)).values(**values))
        return self._slot(db, ticket, annotator) if done.rowcount == 1 else None

    def _keep_late(self, db: sa.Connection, ticket: str, annotator: str, opinion: Opinion, seconds: float | None) -> bool:  # fmt: skip
        given = leases.given(db, ticket, annotator)
        if given is not None:
            opinion = opinion.checked(len(self._item(db, given).responses))
            try:
                with db.begin_nested():
                    self._add(db, given, annotator, ticket, "late", f"{ticket}:late", opinion, seconds)
            except IntegrityError:
                pass  # said twice
        return given is not None


def _queue(row: Any) -> Queue:
    return Queue(row.id, row.created, row.overlap, row.size, json.loads(row.about))


def _seen(item: Item, annotator: str) -> dict[str, Any]:
    """What lay before this person: content, picture, order of the sides, and the revisions of the models revealed."""
    models = [[j.get("judge", ""), j.get("revision", "")] for j in item.judged]
    return {"key": item.key, "picture": item.picture, "shown": shown_order(annotator, item), "models": models}


def _opinion(event: Any) -> Opinion:
    detail = json.loads(event.detail)
    return Opinion(event.verdict, tuple(detail["dimensions"]), detail["note"])


def _sane(seconds: float | None) -> float | None:
    return seconds if seconds is not None and 0 <= seconds < 86_400 else None


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
