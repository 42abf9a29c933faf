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
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from core.labels import recovery, views
from core.labels.database import Database
from core.labels.records import (
    Claim,
    Item,
    Label,
    LabelError,
    Opinion,
    Progress,
    Queue,
    checked_dimensions,
    checked_name,
)
from core.labels.tables import (
    browsers,
    dump,
    events,
    item_of,
    item_row,
    items,
    people,
    pictures,
    queues,
    slots,
)
from core.labels.tables import recovery as phrases
from core.labels.work import Work
from core.records import plain

LEASE = 30 * 60.0  # seconds an item stays with somebody who says nothing
GRACE = 60.0  # ... and with somebody whose page was closed, or whose connection broke
Result = TypeVar("Result")


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
                f"'{name}' is taken here: choose another, or take it up again by its recovery phrase."
            ) from error
        return secret

    def who(self, secret: object) -> str | None:
        """The name that a secret proves; None for anything else."""
        if not isinstance(secret, str) or not secret.isascii() or not 20 <= len(secret) <= 100:
            return None
        with self.db.reading() as db:
            for table in (people, browsers):
                if name := db.execute(sa.select(table.c.name).where(table.c.proof == _hash(secret))).scalar():
                    return str(name)
        return None

    def new_phrase(self, name: str) -> str:
        """A recovery phrase for this name, in place of any that it had. Only its hash is kept: it is told here and never
        again. Browsers that are in stay in."""
        phrase = recovery.new_phrase()
        row = {"name": name, "phrase": recovery.hashed(phrase), "created": self.clock()}

        def work(db: sa.Connection) -> None:
            db.execute(phrases.delete().where(phrases.c.name == name))
            db.execute(phrases.insert().values(**row))

        self.db.write(work)
        return phrase

    def recover(self, name: str, phrase: object) -> str | None:
        """A secret for one more browser of whoever knows the name's phrase; None where it is another's. Raises LabelError
        where it cannot be a phrase at all."""
        folded, given = checked_name(name).casefold(), recovery.read(phrase)
        of_name = sa.select(people.c.name, phrases.c.phrase).join(phrases, phrases.c.name == people.c.name)
        with self.db.reading() as db:
            found = db.execute(of_name.where(people.c.folded == folded)).first()
        if not recovery.matches(given, found.phrase if found else None) or found is None:
            return None
        secret = secrets.token_urlsafe(32)
        row = {"proof": _hash(secret), "name": found.name, "created": self.clock()}
        with self.db.writing() as db:
            db.execute(browsers.insert().values(**row))
        return secret

    # -- queues ----------------------------------------------------------------------------------------------

    def add_queue(
        self,
        about: dict[str, Any],
        entries: Sequence[Item],
        stored: Iterable[tuple[str, bytes]],
        overlap: int = 1,
    ) -> Queue:
        """Adds a queue whole. The entries' own `queue` and `position` are set here; stored: pictures by hash. Raises
        LabelError."""
        if not entries:
            raise LabelError("There is nothing to put into this queue.")
        if "dimensions" in about:
            about = {**about, "dimensions": checked_dimensions(about["dimensions"])}
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
            return views.all_queues(db)

    def queue(self, id_: object) -> Queue:
        """Raises LabelError where there is none."""
        with self.db.reading() as db:
            return views.queue(db, id_)

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
        with self.db.reading() as db:
            return views.progress(db, queue, annotator, self.clock())

    # -- work: each call one transaction ------------------------------------------------------------------------

    def work(self, annotator: str, tab: str, act: Callable[[Work], Result | LabelError]) -> Result:
        """`act` as one transaction. An error that it returns is raised after what it wrote is on disk; one that it raises
        takes back what it wrote."""
        done = self.db.write(lambda db: act(Work(db, annotator, tab, self.clock(), self.lease)))
        if isinstance(done, LabelError):
            raise done
        return done

    def claim(self, queue: str, annotator: str, tab: str = "", beside: Sequence[int] = ()) -> Claim | None:
        return self.work(annotator, tab, lambda w: w.claim(queue, beside))

    def renew(self, ticket: str, annotator: str, tab: str = "") -> Claim | None:
        return self.work(annotator, tab, lambda w: w.renew(ticket))

    def release(self, tab: str) -> None:
        self.work("", tab, lambda w: w.release(GRACE))

    def judge(self, ticket: str, annotator: str, opinion: Opinion, seconds: float | None = None) -> Claim:
        return self.work(annotator, "", lambda w: w.judge(ticket, opinion, seconds))

    def revise(self, ticket: str, annotator: str, opinion: Opinion) -> Claim:
        return self.work(annotator, "", lambda w: w.revise(ticket, opinion))

    def skip(self, ticket: str, annotator: str) -> None:
        self.work(annotator, "", lambda w: w.skip(ticket))

    def undo(self, queue: str, annotator: str, tab: str = "", ticket: str | None = None) -> Claim | None:
        """As Work.undo; without a ticket it takes the last act back, whichever that is by now."""
        return self.work(annotator, tab, lambda w: w.undo(queue, ticket))

    # -- what stands -----------------------------------------------------------------------------------------

    def labels(self, queue: str) -> list[Label]:
        """The present labels of a queue, by position and annotator."""
        with self.db.reading() as db:
            return views.labels(db, queue)

    def events(self, after: int = 0, queue: str | None = None) -> list[dict[str, Any]]:
        """Every event (of a queue) in order: what is backed up, and what "nothing is lost" is checked by."""
        query = sa.select(events).where(events.c.seq > after).order_by(events.c.seq)
        with self.db.reading() as db:
            rows = db.execute(query.where(events.c.queue == queue) if queue else query).mappings()
            return [{**r, "detail": json.loads(r["detail"])} for r in rows]


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
