"""The label store: who said what of which comparison, in SQLite or PostgreSQL.

Every word is an event that is added and never changed: a human's never overwrites a machine's, an undo is one more
event, and the present label is a view over them. Which annotator has which item in hand is kept beside it as leases.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from core import label_leases as leases
from core.label_records import (
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
from core.label_tables import (
    dump,
    engines,
    events,
    item_of,
    item_row,
    items,
    metadata,
    people,
    pictures,
    queues,
    slots,
)

LEASE = 30 * 60.0  # seconds an item stays with somebody who says nothing
TRIES = 50  # times a claim looks again after somebody else was faster


class LabelStore:
    """One database. Safe to share between threads and processes. clock: seconds since 1970."""

    def __init__(self, url: str, lease: float = LEASE, clock: Callable[[], float] = time.time) -> None:
        self.url, self.lease, self.clock = url, lease, clock
        try:
            self._reader, self._writer = engines(url)
            metadata.create_all(self._writer)
        except (SQLAlchemyError, OSError, ImportError) as error:
            raise LabelError(f"The label store cannot be opened: {_cause(error)}") from error

    def close(self) -> None:
        self._reader.dispose()
        self._writer.dispose()

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """One transaction: all of it is on disk when the block ends, or nothing is."""
        try:
            with self._writer.begin() as connection:
                yield connection
        except IntegrityError:
            raise
        except DBAPIError as error:
            raise LabelError(
                f"The label store cannot be written to just now ({_cause(error)}). This was NOT saved: please try again."
            ) from error

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        try:
            with self._reader.connect() as connection:
                yield connection
        except DBAPIError as error:
            raise LabelError(f"The label store cannot be read just now ({_cause(error)}).") from error

    # -- people ----------------------------------------------------------------------------------------------

    def enter(self, name: str) -> str:
        """Takes a name that nobody has. Gives the secret that proves it from now on; only its hash is kept."""
        name = checked_name(name)
        secret = secrets.token_urlsafe(32)
        try:
            with self.writing() as db:
                taken = db.execute(
                    sa.select(people.c.name).where(sa.func.lower(people.c.name) == name.lower())
                )
                if taken.first():
                    raise LabelError(
                        f"'{name}' is taken here: choose another, or use the browser that took it."
                    )
                db.execute(people.insert().values(name=name, proof=_hash(secret), created=self.clock()))
        except IntegrityError as error:
            raise LabelError(f"'{name}' is taken here: choose another.") from error
        return secret

    def who(self, secret: object) -> str | None:
        """The name that a secret proves; None for anything else."""
        if not isinstance(secret, str) or not 20 <= len(secret) <= 100:
            return None
        with self.reading() as db:
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
        queue = Queue(secrets.token_hex(6), self.clock(), overlap, len(entries), about)
        with self.writing() as db:
            for hash_, data in stored:
                if not db.execute(sa.select(pictures.c.hash).where(pictures.c.hash == hash_)).first():
                    db.execute(pictures.insert().values(hash=hash_, data=data))
            db.execute(queues.insert().values(**{**asdict(queue), "about": dump(about)}))
            placed = [replace(e, queue=queue.id, position=i) for i, e in enumerate(entries)]
            db.execute(items.insert(), [item_row(e) for e in placed])
            open_slots = [
                {"queue": queue.id, "position": e.position, "slot": n, "done": False} for e in placed for n in range(overlap)
            ]  # fmt: skip
            db.execute(slots.insert(), open_slots)
        return queue

    def queues(self) -> list[Queue]:
        """The newest first."""
        with self.reading() as db:
            found = db.execute(sa.select(queues).order_by(queues.c.created.desc(), queues.c.id)).all()
        return [Queue(r.id, r.created, r.overlap, r.size, json.loads(r.about)) for r in found]

    def queue(self, id_: object) -> Queue:
        """Raises LabelError where there is none."""
        for queue in self.queues():
            if queue.id == id_:
                return queue
        raise LabelError("This queue is not in this store.")

    def items(self, queue: str) -> dict[int, Item]:
        """By position."""
        with self.reading() as db:
            found = db.execute(
                sa.select(items).where(items.c.queue == queue).order_by(items.c.position)
            ).all()
        return {r.position: item_of(r) for r in found}

    def picture(self, hash_: str) -> bytes | None:
        with self.reading() as db:
            return db.execute(sa.select(pictures.c.data).where(pictures.c.hash == hash_)).scalar()

    def progress(self, queue: str, annotator: str | None = None) -> Progress:
        now = self.clock()
        mine = sa.and_(slots.c.done, slots.c.annotator == annotator)
        held = sa.and_(
            sa.not_(slots.c.done), sa.not_(leases.free(now)), slots.c.annotator != (annotator or "")
        )
        columns = [sa.func.count().filter(slots.c.done), sa.func.count(), sa.func.count().filter(mine), sa.func.count().filter(held)]  # fmt: skip
        with self.reading() as db:
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
                with self.writing() as db:
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
        return Claim(item, ticket, shown_order(annotator, item), label, self._seen_before(db, row, annotator))

    def again(self, ticket: str, annotator: str) -> Claim:
        """An item that this person has or had in hand, as it stands now. Raises LabelError."""
        with self.reading() as db:
            slot = self._slot(db, ticket, annotator)
            if slot is None:
                raise LabelError("This item is not in your hands any more.")
            return self._claim(db, slot.queue, slot.position, annotator, ticket)

    def release(self, tab: str) -> None:
        """Gives back what a closed tab held and did not judge."""
        if tab:
            with self.writing() as db:
                db.execute(
                    slots.update().where(slots.c.tab == tab, sa.not_(slots.c.done)).values(**leases.EMPTY)
                )

    def judge(self, ticket: str, annotator: str, opinion: Opinion, seconds: float | None = None) -> Claim:
        """Writes the first verdict and gives the item back with what now stands of it.

        Said again (a double click, a retry after a crash), it changes nothing. Raises LabelError: if the lease ran
        out and somebody else took the item meanwhile, the verdict is kept as a late one, which is no label.
        """
        with self.writing() as db:
            slot = self._slot(db, ticket, annotator) or self._regain(db, ticket, annotator)
            if slot is not None and not slot.done:
                opinion = opinion.checked(self._responses(db, slot))
                blind = not self._seen_before(db, slot, annotator)
                detail = {"blind": blind, **self._seen(db, slot, annotator)}
                self._add(db, slot, annotator, ticket, "first", f"{ticket}:first", opinion, seconds, detail)
                db.execute(slots.update().where(leases.same(slot)).values(done=True, until=None))
            if slot is not None:
                return self._claim(db, slot.queue, slot.position, annotator, ticket)
            kept = self._keep_late(db, ticket, annotator, opinion, seconds)
        if not kept:
            raise LabelError("This item is not in your hands any more. Nothing was written.")
        raise LabelError(
            "You were away for long, and this item has gone to somebody else. Your verdict is kept as a late one; it "
            "is not the label."
        )

    def revise(self, ticket: str, annotator: str, opinion: Opinion) -> Claim:
        """Writes what stands after the reveal, the same or another mind. The first verdict stays as it was."""
        with self.writing() as db:
            slot = self._slot(db, ticket, annotator)
            if slot is None or not slot.done:
                raise LabelError("This item has no first verdict of yours. Nothing was written.")
            opinion = opinion.checked(self._responses(db, slot))
            known = db.execute(
                sa.select(events).where(events.c.ticket == ticket, events.c.kind == "final").order_by(events.c.seq)
            ).all()  # fmt: skip
            if not known or _opinion(known[-1]) != opinion:
                self._add(db, slot, annotator, ticket, "final", f"{ticket}:final:{len(known)}", opinion)
            return self._claim(db, slot.queue, slot.position, annotator, ticket)

    def skip(self, ticket: str, annotator: str) -> None:
        """Leaves the item to others; for this person it comes back at the end."""
        with self.writing() as db:
            slot = self._slot(db, ticket, annotator)
            if slot is not None and not slot.done:
                self._add(db, slot, annotator, ticket, "skip", f"{ticket}:skip")
                db.execute(slots.update().where(leases.same(slot)).values(**leases.EMPTY))

    def undo(self, queue: str, annotator: str, tab: str = "") -> Claim | None:
        """Takes this person's last verdict or skip back and gives them the item again; None where there is none."""
        with self.writing() as db:
            undone = sa.select(events.c.ticket).where(events.c.kind == "undo", events.c.queue == queue)
            last = db.execute(
                sa.select(events).where(
                    events.c.queue == queue, events.c.annotator == annotator, events.c.kind.in_(("first", "skip")),
                    events.c.ticket.not_in(undone),
                ).order_by(events.c.seq.desc()).limit(1)
            ).first()  # fmt: skip
            if last is None:
                return None
            self._add(db, last, annotator, last.ticket, "undo", f"{last.ticket}:undo")
            mine = sa.and_(
                slots.c.queue == queue, slots.c.position == last.position, slots.c.annotator == annotator
            )
            db.execute(slots.update().where(mine).values(**leases.EMPTY))
            open_ = db.execute(
                sa.select(slots).where(
                    slots.c.queue == queue, slots.c.position == last.position, sa.not_(slots.c.done), leases.free(self.clock())
                ).order_by(slots.c.slot).limit(1)
            ).first()  # fmt: skip
            ticket = self._take(db, open_, annotator, tab) if open_ else None
            return self._claim(db, queue, last.position, annotator, ticket) if ticket else None

    def history(self, queue: str, annotator: str) -> list[str]:
        """Tickets of this person's present labels, the oldest first: where "back" leads."""
        undone = sa.select(events.c.ticket).where(events.c.kind == "undo", events.c.queue == queue)
        with self.reading() as db:
            found = db.execute(
                sa.select(events.c.ticket).where(
                    events.c.queue == queue, events.c.annotator == annotator, events.c.kind == "first",
                    events.c.ticket.not_in(undone),
                ).order_by(events.c.seq)
            )  # fmt: skip
            return [t for (t,) in found]

    # -- what stands -----------------------------------------------------------------------------------------

    def labels(self, queue: str) -> list[Label]:
        """The present labels of a queue, by position and annotator."""
        with self.reading() as db:
            return self._labels(db, queue)

    def _labels(self, db: sa.Connection, queue: str, position: int | None = None, annotator: str | None = None) -> list[Label]:  # fmt: skip
        query = sa.select(events).where(events.c.queue == queue).order_by(events.c.seq)
        if position is not None:
            query = query.where(events.c.position == position, events.c.annotator == annotator)
        return present(db.execute(query))

    def events(self, after: int = 0) -> list[dict[str, Any]]:
        """Every event ever written, in order: what is backed up, and what "nothing is lost" is checked by."""
        with self.reading() as db:
            rows = db.execute(sa.select(events).where(events.c.seq > after).order_by(events.c.seq)).mappings()
            return [{**r, "detail": json.loads(r["detail"])} for r in rows]

    # -- pieces ----------------------------------------------------------------------------------------------

    def _slot(self, db: sa.Connection, ticket: str, annotator: str) -> Any:
        return db.execute(
            sa.select(slots).where(slots.c.ticket == str(ticket), slots.c.annotator == annotator)
        ).first()

    def _responses(self, db: sa.Connection, slot: Any) -> int:
        return len(self._item(db, slot).responses)

    def _item(self, db: sa.Connection, slot: Any) -> Item:
        place = (items.c.queue == slot.queue, items.c.position == slot.position)
        return item_of(db.execute(sa.select(items).where(*place)).one())

    def _seen(self, db: sa.Connection, slot: Any, annotator: str) -> dict[str, Any]:
        """What lay before this person: content, picture, order of the sides, and the revisions of the models revealed."""
        item = self._item(db, slot)
        models = [[j.get("judge", ""), j.get("revision", "")] for j in item.judged]
        return {
            "key": item.key,
            "picture": item.picture,
            "shown": shown_order(annotator, item),
            "models": models,
        }

    def _seen_before(self, db: sa.Connection, place: Any, annotator: str) -> bool:
        before = sa.select(events.c.seq).where(
            events.c.queue == place.queue, events.c.position == place.position, events.c.annotator == annotator,
            events.c.kind == "first",
        )  # fmt: skip
        return db.execute(before.limit(1)).first() is not None

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
        free = db.execute(
            sa.select(slots).where(*place, leases.free(self.clock()), sa.not_(own)).limit(1)
        ).first()
        if free is None:
            return None
        now = self.clock()
        values = {"annotator": annotator, "ticket": ticket, "given": now, "until": now + self.lease}
        db.execute(slots.update().where(leases.same(free)).values(**values))
        return self._slot(db, ticket, annotator)

    def _keep_late(self, db: sa.Connection, ticket: str, annotator: str, opinion: Opinion, seconds: float | None) -> bool:  # fmt: skip
        given = leases.given(db, ticket, annotator)
        if given is not None:
            opinion = opinion.checked(self._responses(db, given))
            try:
                with db.begin_nested():
                    self._add(db, given, annotator, ticket, "late", f"{ticket}:late", opinion, seconds)
            except IntegrityError:
                pass  # said twice
        return given is not None


def _opinion(event: Any) -> Opinion:
    detail = json.loads(event.detail)
    return Opinion(event.verdict, tuple(detail["dimensions"]), detail["note"])


def _sane(seconds: float | None) -> float | None:
    return seconds if seconds is not None and 0 <= seconds < 86_400 else None


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _cause(error: BaseException) -> str:
    return (
        str(getattr(error, "orig", None) or error).strip().splitlines()[0][:200]
        if str(error)
        else type(error).__name__
    )
