"""The database behind the label store: SQLite in WAL mode or PostgreSQL, one transaction at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from core.labels import migrations
from core.labels.records import LabelError

WAIT = 5.0  # seconds a writer waits for another one
TRIES = 5
CLASH = (
    "40001",
    "40P01",
)  # PostgreSQL: serialization failure, deadlock; the transaction is as if it had not been
Result = TypeVar("Result")


def default_url() -> str:
    """A file of the user's own, outside any folder that the app serves from."""
    if url := os.environ.get("REWARDSCOPE_LABELS"):
        return url
    home = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "rewardscope"
    return f"sqlite:///{home / 'labels.sqlite'}"


def name_of(url: str) -> str:
    """A store for people: the file, or the address without its password."""
    address = make_url(url)
    if address.get_backend_name() == "sqlite" and address.database:
        return address.database
    return address.render_as_string(hide_password=True)


def engines(url: str) -> tuple[Engine, Engine]:
    """(reader, writer). In SQLite a writer takes the lock when it begins, so that it never fails half-way."""
    address = make_url(url)
    if address.get_backend_name() != "sqlite":
        engine = create_engine(address, pool_pre_ping=True)
        return engine, engine
    if address.database and address.database != ":memory:":
        Path(address.database).parent.mkdir(parents=True, exist_ok=True)
    pair = [
        create_engine(address, connect_args={"timeout": WAIT, "check_same_thread": False}) for _ in range(2)
    ]
    for engine in pair:
        event.listen(engine, "connect", _settings)
    event.listen(pair[1], "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return pair[0], pair[1]


def _settings(connection: Any, record: Any) -> None:
    del record
    connection.isolation_level = None  # sqlite3 begins nothing by itself
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")  # what was acknowledged survives a power cut
    cursor.close()


class Database:
    """Safe to share between threads and processes. Raises LabelError where it cannot be opened."""

    def __init__(self, url: str) -> None:
        try:
            self._reader, self._writer = engines(url)
            with self._writer.begin() as connection:
                migrations.migrate(connection, name_of(url))
        except (SQLAlchemyError, OSError, ImportError) as error:
            raise LabelError(f"The label store cannot be opened: {_cause(error)}") from error
        except LabelError:
            self.close()
            raise

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
        except (DBAPIError, PoolTimeout) as error:
            raise LabelError(
                f"The label store cannot be written to just now ({_cause(error)}). This was NOT saved: please try again."
            ) from error

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        try:
            with self._reader.connect() as connection:
                yield connection
        except (DBAPIError, PoolTimeout) as error:
            raise LabelError(f"The label store cannot be read just now ({_cause(error)}).") from error

    def write(self, work: Callable[[sa.Connection], Result]) -> Result:
        """`work` in one transaction; again from the start where somebody else wrote the same row at the same moment, or
        where two writers waited for each other and the database ended one."""
        for _ in range(TRIES):
            try:
                with self.writing() as connection:
                    return work(connection)
            except IntegrityError:
                continue
            except LabelError as error:
                if getattr(getattr(error.__cause__, "orig", None), "sqlstate", None) not in CLASH:
                    raise
        raise LabelError("Others are writing the same thing just now. This was NOT saved: please try again.")


def _cause(error: BaseException) -> str:
    return (
        str(getattr(error, "orig", None) or error).strip().splitlines()[0][:200]
        if str(error)
        else type(error).__name__
    )
