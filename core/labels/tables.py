"""The tables of the label store, the same in SQLite and PostgreSQL.

Events are the truth and are only ever added to. Slots say who has which item in hand just now: they are the one
table that changes, and everything in it but the leases follows from the events.
Texts from data sets and people are kept as ASCII JSON: neither a lone surrogate nor a NUL can break a row.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from core.labels.records import Item

metadata = MetaData()

store_format = Table(
    "store_format", metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # 1: there is one row
    Column("version", Integer, nullable=False),  # core.labels.migrations
)  # fmt: skip

people = Table(
    "people", metadata,
    Column("name", String(80), primary_key=True),
    Column("folded", String(160), nullable=False, unique=True),  # "Ann" and "ann" are one name, in every alphabet
    Column("proof", String(64), unique=True),  # sha256 of the secret that the browser keeps; none for OAuth and --auth
    Column("created", Double, nullable=False),
)  # fmt: skip

recovery = Table(
    "recovery", metadata,  # by which phrase a name is taken up again on another browser
    Column("name", String(80), primary_key=True),
    Column("phrase", String(200), nullable=False),  # salted and hashed (core.labels.recovery)
    Column("created", Double, nullable=False),
)  # fmt: skip

browsers = Table(
    "browsers", metadata,  # that took a name up again; the one that took it first stands in `people`
    Column("proof", String(64), primary_key=True),
    Column("name", String(80), nullable=False),
    Column("created", Double, nullable=False),
)  # fmt: skip

queues = Table(
    "queues", metadata,
    Column("id", String(16), primary_key=True),
    Column("created", Double, nullable=False),
    Column("overlap", Integer, nullable=False),
    Column("size", Integer, nullable=False),
    Column("about", Text, nullable=False),
)  # fmt: skip

items = Table(
    "items", metadata,
    Column("queue", String(16), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("row", Integer, nullable=False),
    Column("key", String(64), nullable=False),
    Column("picture", String(64), nullable=False),
    Column("content", Text, nullable=False),
    Index("items_by_key", "key"),
)  # fmt: skip

pictures = Table(
    "pictures", metadata, Column("hash", String(64), primary_key=True), Column("data", LargeBinary, nullable=False)
)  # fmt: skip

events = Table(
    "events", metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("id", String(80), nullable=False, unique=True),
    Column("queue", String(16), nullable=False),
    Column("position", Integer, nullable=False),
    Column("annotator", String(80), nullable=False),
    Column("ticket", String(32), nullable=False),
    Column("kind", String(8), nullable=False),  # given, first, final, skip, undo, late
    Column("verdict", String(8)),
    Column("at", Double, nullable=False),  # seconds since 1970 by the server's clock; the order is that of seq
    Column("seconds", Double),
    Column("detail", Text, nullable=False),
    Index("events_by_ticket", "ticket", "kind"),
    Index("events_by_annotator", "annotator", "seq"),
    Index("events_by_item", "queue", "position", "annotator"),
    Index("events_by_person", "queue", "annotator", "seq"),
    sqlite_autoincrement=True,
)  # fmt: skip

slots = Table(
    "slots", metadata,
    Column("queue", String(16), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("slot", Integer, primary_key=True),
    Column("annotator", String(80)),
    Column("tab", String(64)),
    Column("ticket", String(32), unique=True),
    Column("given", Double),
    Column("until", Double),
    Column("done", Boolean, nullable=False),
    UniqueConstraint("queue", "position", "annotator"),  # nobody is on one item twice, however the calls race
    Index("slots_by_tab", "tab"),
    Index("slots_open", "queue", "done", "position", "slot"),
)  # fmt: skip


def item_row(item: Item) -> dict[str, Any]:
    content = asdict(item)
    columns = {k: content.pop(k) for k in ("queue", "position", "row", "key", "picture")}
    return {**columns, "content": dump(content)}


def item_of(row: Any) -> Item:
    content = json.loads(row.content)
    content["responses"], content["judged"] = tuple(content["responses"]), tuple(content["judged"])
    return Item(
        queue=row.queue, position=row.position, row=row.row, key=row.key, picture=row.picture, **content
    )


def dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True)
