"""Which version a label store has, and the plain steps that bring an older one up to today's.

| version | release | what changed |
| --- | --- | --- |
| 1 | 0.1 | said no version |
| 2 | 0.2 | the store says its version; why an item stands in a queue is data: {"kind", parameters} in place of a sentence; a queue names the dimensions that its annotators can tick |
| 3 | 0.2 | names can be taken up again by a recovery phrase: the tables `recovery` and `browsers`; no row of another table changes |

A step changes rows as plain mappings, so that backup files, which hold the same rows, take the same steps. A step never
uses today's taxonomy or records: it must do the same in ten years.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from core.labels.records import LabelError
from core.labels.tables import dump, items, metadata, queues, store_format

NEWEST = 3
LOCK = 0x52657761726473  # of PostgreSQL: one process at a time makes or migrates the tables
Row = dict[str, Any]

DIMENSIONS_OF_0_1 = {
    "object": "Object", "colour": "Colour", "size": "Size", "counting": "Counting", "position": "Position",
    "relation": "Relation", "text": "Text reading", "chart": "Chart reading", "table": "Table reading",
    "existence": "Existence", "completeness": "Completeness", "abstention": "Abstention", "arithmetic": "Arithmetic",
    "comparison": "Comparison", "path": "Path following", "format": "Format", "relevance": "Relevance",
    "conciseness": "Conciseness", "fluency": "Fluency", "respect": "Respect", "harm": "Harm avoidance",
}  # fmt: skip


@dataclass(frozen=True)
class Step:
    """From one version to the next. queue, item: a row of that table as it was -> as it is to be."""

    queue: Callable[[Row], Row]
    item: Callable[[Row], Row]


def _queue_2(row: Row) -> Row:
    """The 21 dimensions that every queue of 0.1 had now stand in it."""
    about = json.loads(row["about"])
    about.setdefault("dimensions", [{"key": k, "name": n} for k, n in DIMENSIONS_OF_0_1.items()])
    return {**row, "about": dump(about)}


def _item_2(row: Row) -> Row:
    """A reason was a sentence: it stays one, word for word."""
    content = json.loads(row["content"])
    reasons = content["evidence"].get("reasons")
    if reasons is not None:
        content["evidence"]["reasons"] = [
            {"kind": "sentence", "text": r} if isinstance(r, str) else r for r in reasons
        ]
    return {**row, "content": dump(content)}


# By the version that a step starts from; None where no row changes: new tables are made anyway.
STEPS: dict[int, Step | None] = {1: Step(_queue_2, _item_2), 2: None}


def migrate(db: sa.Connection, name: str) -> None:
    """Makes the tables of an empty database, or brings a store up to NEWEST; the caller's transaction is all or nothing.

    name: of the store, for people. Raises LabelError for a version that is damaged or newer than NEWEST.
    """
    if db.dialect.name == "postgresql":  # in SQLite the transaction itself is the lock
        db.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
    version = version_of(db, name)
    if version > NEWEST:
        raise LabelError(newer(f"The label store {name}", version))
    metadata.create_all(db)
    for start in range(version, NEWEST):
        if step := STEPS[start]:
            _take(db, step)
    if version < NEWEST or not db.execute(sa.select(store_format)).first():
        db.execute(store_format.delete())
        db.execute(store_format.insert().values(id=1, version=NEWEST))


def version_of(db: sa.Connection, name: str) -> int:
    """1 for a store of release 0.1, which says none; NEWEST for a database without tables of a store. Raises LabelError."""
    tables = sa.inspect(db).get_table_names()
    if store_format.name not in tables:
        return 1 if "events" in tables else NEWEST
    # A damaged SQLite file may hold anything in a column of numbers.
    found = list(db.execute(sa.select(store_format.c.version)).scalars())
    if len(found) != 1 or not isinstance(found[0], int) or found[0] < 1:
        said = ", ".join(repr(v) for v in found) or "nothing"
        raise LabelError(
            f"The version of the label store {name} is damaged: it says {said[:80]} where one number has to stand. Nothing was "
            "changed. Restore the store from a backup, or start with an empty one (--labels)."
        )
    return found[0]


def newer(what: str, version: int) -> str:
    return (
        f"{what} has version {version} of its format, and this Rewardscope reads versions up to {NEWEST}. Nothing was "
        "changed: update Rewardscope to open it."
    )


def upgraded(saved: dict[str, Any], version: int) -> dict[str, Any]:
    """A queue of a backup, {"queue": row, "items": rows}, of an older version -> as NEWEST has it."""
    queue, rows = saved["queue"], saved["items"]
    for step in (STEPS[start] for start in range(version, NEWEST)):
        if step is not None:
            queue, rows = step.queue(queue), [step.item(r) for r in rows]
    return {"queue": queue, "items": rows}


def _take(db: sa.Connection, step: Step) -> None:
    for row in db.execute(sa.select(queues)).mappings().all():
        new = step.queue(dict(row))
        db.execute(queues.update().where(queues.c.id == row["id"]).values(about=new["about"]))
    for queue, position in db.execute(sa.select(items.c.queue, items.c.position)).all():
        here = (
            items.c.queue == queue,
            items.c.position == position,
        )  # one at a time: a queue may not fit in memory
        row = db.execute(sa.select(items).where(*here)).mappings().one()
        db.execute(items.update().where(*here).values(content=step.item(dict(row))["content"]))
