"""Labels that outlive a wiped disk: the store as plain files, committed to a data set on a schedule and read back.

Every start of the server writes files of its own name, so that nothing saved before is ever written over, even if it
could not be fetched at the start.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from huggingface_hub import CommitScheduler, HfApi, snapshot_download
from huggingface_hub.errors import RepositoryNotFoundError
from sqlalchemy.engine import make_url

from core.labels import leases, migrations
from core.labels.records import LabelError, present
from core.labels.store import LabelStore
from core.labels.tables import browsers, events, items, people, pictures, queues, recovery, slots

log = logging.getLogger(__name__)
EVERY = 5  # minutes
LATE = 1000  # events
# Besides queues and events; by the column that changes where a row does. A new phrase of a name is one more line.
KEPT = ((people, "name"), (recovery, "phrase"), (browsers, "proof"))
COLUMNS = ("id", "queue", "position", "annotator", "ticket", "kind", "verdict", "at", "seconds", "detail")


class Files:
    """The store as files below `folder`: queues/ID.json, pictures/HASH, and events, people, recovery and browsers, each as
    NAME-START.jsonl."""

    def __init__(self, store: LabelStore, folder: Path, saved: Iterable[str] = ()) -> None:
        """saved: ids of the events that are in the files of earlier starts."""
        self.store, self.folder, self.start = store, folder, secrets.token_hex(4)
        self.saved = set(saved)
        self.written: dict[str, set[str]] = {t.name: set() for t, _ in KEPT}
        self.upto = 0

    def write(self) -> None:
        """Adds what is new since the last call."""
        # In PostgreSQL a smaller number may be committed after a greater one: look a little back, and go by the id.
        new = [e for e in self.store.events(max(0, self.upto - LATE)) if e["id"] not in self.saved]
        with self.store.db.reading() as db:
            for queue in db.execute(sa.select(queues)).mappings():
                self._queue(db, dict(queue))
            kept = {t.name: [dict(r) for r in db.execute(sa.select(t)).mappings()] for t, _ in KEPT}
        _append(self.folder / f"events-{self.start}.jsonl", ({k: e[k] for k in COLUMNS} for e in new))
        for table, key in KEPT:
            fresh = [r for r in kept[table.name] if r[key] not in self.written[table.name]]
            _append(self.folder / f"{table.name}-{self.start}.jsonl", fresh)
            self.written[table.name] |= {r[key] for r in fresh}
        self.saved |= {e["id"] for e in new}
        self.upto = max([self.upto, *(e["seq"] for e in new)])

    def _queue(self, db: sa.Connection, queue: dict[str, Any]) -> None:
        path = self.folder / "queues" / f"{queue['id']}.json"
        if path.exists():
            return
        rows = [dict(r) for r in db.execute(sa.select(items).where(items.c.queue == queue["id"])).mappings()]
        for hash_ in {r["picture"] for r in rows if r["picture"]}:
            place = self.folder / "pictures" / hash_
            if not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(
                    db.execute(sa.select(pictures.c.data).where(pictures.c.hash == hash_)).scalar_one()
                )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"format": migrations.NEWEST, "queue": queue, "items": rows}))


def restore(store: LabelStore, folder: Path) -> set[str]:
    """Reads such files into the store, all or nothing; gives the ids of the events in them."""
    # Within a file the order is that of the events; clocks only say which start of the server came first.
    starts = [lines for path in folder.glob("events-*.jsonl") if (lines := _lines(path))]
    said = [e for lines in sorted(starts, key=lambda lines: lines[0]["at"]) for e in lines]
    with store.db.writing() as db:
        for path in sorted((folder / "queues").glob("*.json")):
            _restore_queue(db, folder, _saved(path))
        have = {i for (i,) in db.execute(sa.select(events.c.id))}
        new = [
            {**{k: e[k] for k in COLUMNS}, "detail": json.dumps(e["detail"])}
            for e in {e["id"]: e for e in said}.values() if e["id"] not in have
        ]  # fmt: skip
        if new:
            db.execute(events.insert(), new)
        for table, _ in KEPT:
            _restore_rows(db, folder, table)
        for queue in {e["queue"] for e in new}:
            _restore_slots(db, queue)
    return {e["id"] for e in said}


def _saved(path: Path) -> dict[str, Any]:
    """A queue's file with its rows as they are today; release 0.1 wrote no version. Raises LabelError."""
    saved = json.loads(path.read_text())
    version = saved.get("format", 1)
    if type(version) is not int or version < 1:
        raise LabelError(
            f"The version of the saved queue {path.name} is damaged ({str(version)[:40]!r}). Nothing was restored: get the file "
            "from an earlier commit of the data set."
        )
    if version > migrations.NEWEST:
        raise LabelError(migrations.newer(f"The saved queue {path.name}", version))
    return migrations.upgraded(saved, version)


def _restore_queue(db: sa.Connection, folder: Path, saved: dict[str, Any]) -> None:
    queue, rows = saved["queue"], saved["items"]
    if db.execute(sa.select(queues.c.id).where(queues.c.id == queue["id"])).first():
        return
    db.execute(queues.insert().values(**queue))
    db.execute(items.insert(), rows)
    for hash_ in {r["picture"] for r in rows if r["picture"]}:
        if not db.execute(sa.select(pictures.c.hash).where(pictures.c.hash == hash_)).first():
            db.execute(pictures.insert().values(hash=hash_, data=(folder / "pictures" / hash_).read_bytes()))
    open_slots = [{"queue": queue["id"], "position": r["position"], "slot": n, "done": False} for r in rows for n in range(queue["overlap"])]  # fmt: skip
    db.execute(slots.insert(), open_slots)


def _restore_rows(db: sa.Connection, folder: Path, table: sa.Table) -> None:
    """Of people, their phrases and browsers: what the store does not have. The newest row of a name is its phrase."""
    (key,) = table.primary_key
    rows = [r for path in sorted(folder.glob(f"{table.name}-*.jsonl")) for r in _lines(path)]
    rows.sort(key=lambda r: r["created"], reverse=table is recovery)
    have = {k for (k,) in db.execute(sa.select(key))}
    for row in rows:
        if row[key.name] not in have:
            db.execute(table.insert().values(**row))
            have.add(row[key.name])


def _restore_slots(db: sa.Connection, queue: str) -> None:
    """Slots follow from the events: each present label fills one."""
    rows = db.execute(sa.select(events).where(events.c.queue == queue).order_by(events.c.seq)).all()
    tickets = {(r.position, r.annotator): r.ticket for r in rows if r.kind == "first"}
    db.execute(slots.update().where(slots.c.queue == queue).values(**leases.EMPTY))
    taken: dict[int, int] = {}
    for label in present(rows):
        n = taken[label.position] = taken.get(label.position, -1) + 1
        values = {
            "annotator": label.annotator,
            "ticket": tickets[(label.position, label.annotator)],
            "done": True,
        }
        place = (slots.c.queue == queue, slots.c.position == label.position, slots.c.slot == n)
        db.execute(slots.update().where(*place).values(**values))


def _append(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    lines = [json.dumps(row) + "\n" for row in rows]
    if lines:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file:
            file.seek(max(0, file.tell() - 1))
            if file.read(1) not in (b"", b"\n"):  # a line that was cut off must not swallow the next one
                file.write(b"\n")
            file.write("".join(lines).encode())


def _lines(path: Path) -> list[dict[str, Any]]:
    """Rows of a file, less what a killed process left half written."""
    out = []
    for line in path.read_text().splitlines():
        try:
            out.append(json.loads(line))
        except ValueError:
            continue
    return out


class Schedule(CommitScheduler):
    """Writes the new files before each commit."""

    def __init__(self, files: Files, repository: str, api: HfApi | None = None) -> None:
        self.files = files
        super().__init__(
            repo_id=repository,
            repo_type="dataset",
            folder_path=files.folder,
            every=EVERY,
            private=True,
            hf_api=api,
        )

    def push_to_hub(self) -> Any:
        with self.lock:
            self.files.write()
        return super().push_to_hub()


def _start(store: LabelStore, folder: Path, repository: str) -> str:
    """Reads back what was saved and starts the schedule; why not, if that fails."""
    token = os.environ.get("HF_TOKEN")
    try:
        try:
            saved = restore(store, Path(snapshot_download(repository, repo_type="dataset", token=token)))
        except RepositoryNotFoundError:
            saved = set()  # the first start: the schedule makes it
        Schedule(Files(store, folder, saved), repository, HfApi(token=token))
    except Exception as error:  # whatever the hub, the network or old files do, the app must start
        log.exception("labels cannot be saved to %s", repository)
        return str(error) if isinstance(error, LabelError) else type(error).__name__
    return ""


def _keep_trying(store: LabelStore, folder: Path, repository: str) -> None:
    while _start(store, folder, repository):
        time.sleep(60 * EVERY)


def keep(store: LabelStore, folder: Path, repository: str | None = None) -> str:
    """Keeps labels beyond a restart where that is needed; gives what people must know of it, or "".

    repository: a data set of the hub (private if it is made here); HF_TOKEN must be able to write to it.
    """
    if repository:
        failed = _start(store, folder, repository)
        if not failed:
            return f"Labels are saved to the data set {repository} every {EVERY} minutes and come back after a restart."
        threading.Thread(target=_keep_trying, args=(store, folder, repository), daemon=True).start()
        return (
            f"Labels cannot be saved to {repository} just now ({failed}): until that works they live until this server restarts. "
            "What was saved before is still there. Download what you say now before you leave."
        )
    address = make_url(store.url)
    passing = address.get_backend_name() == "sqlite" and not str(address.database or "").startswith("/data/")
    if os.environ.get("SPACE_ID") and passing:
        return "Labels live here only until this Space restarts: download them before you leave."
    return ""
