"""A run: one judge over one benchmark, as a folder that opens with no model and no GPU.

manifest.json        judge, data, versions and seeds: everything that decides the numbers, and how it went
judgements.parquet   one row per record, texts included; exists once the run is finished
parts/               finished windows of a run under way
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from core.records import Condition
from core.runs.manifest import Manifest, RunError
from core.runs.schema import ADDED, SCHEMA, accepts, completed


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run on disk. One that was written anew is another one: what is remembered of it goes by identity."""

    folder: Path
    manifest: Manifest

    @property
    def file(self) -> Path:
        return self.folder / "judgements.parquet"

    @property
    def name(self) -> str:
        """What it is called on pages: the judge, its condition, and how much of the data it saw where that was cut short."""
        m = self.manifest
        condition = "" if m.condition is Condition.AS_GIVEN else f", {m.condition}"
        return m.judge.name + condition + (f" (first {m.limit:,})" if m.limit else "")

    def table(self, columns: Sequence[str] | None = None, filters: Any = None) -> pa.Table:
        """Columns that an older release did not write are there, empty."""
        there = set(pq.read_schema(self.file).names)
        wanted = list(columns or SCHEMA.names)
        read = [c for c in wanted if c in there] or ["row"]
        return completed(pq.read_table(self.file, columns=read, filters=filters), wanted)

    def rows(self, wanted: Sequence[int], columns: Sequence[str]) -> dict[int, dict[str, Any]]:
        """Some rows by number, as far as they are there. columns: `row` among them."""
        if not wanted:
            return {}
        found = self.table(columns, [("row", "in", list(wanted))])
        return {r["row"]: r for r in found.to_pylist()}


Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
# What Parquet, DuckDB and arithmetic raise for a file that opens and is damaged further in.
DAMAGE = (pa.ArrowException, duckdb.Error, OSError, ValueError, LookupError, TypeError, ArithmeticError)


def damage_told(
    read: Callable[Concatenate[Run, Parameters], Result],
) -> Callable[Concatenate[Run, Parameters], Result]:
    """For functions that read a run: whatever is wrong inside its file is a RunError that names the run."""

    @wraps(read)
    def told(run: Run, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        try:
            return read(run, *args, **kwargs)
        except RunError:
            raise
        except DAMAGE as error:
            if not run.file.is_file():
                raise RunError(f"{run.folder.name} is not on this server any more.") from error
            raise RunError(
                f"{run.folder.name}: judgements.parquet is damaged inside ({type(error).__name__}). Make the run again, or "
                "remove the folder."
            ) from error

    return told  # type: ignore[return-value]  # mypy names the first argument


def open_run(folder: Path) -> Run:
    """Raises RunError."""
    manifest = Manifest.load(folder)
    file = folder / "judgements.parquet"
    if not file.is_file():
        raise RunError(f"{folder.name} is not finished: run the same command again and it continues.")
    try:
        schema = pq.read_schema(file)
    except (pa.ArrowInvalid, OSError) as error:
        raise RunError(f"{folder.name}: judgements.parquet is damaged ({error}).") from error
    for column in SCHEMA:
        if column.name not in schema.names:
            if column.name in ADDED:
                continue
            raise RunError(f"{folder.name}: judgements.parquet has no column {column.name}.")
        if not accepts(column, schema.field(column.name).type):
            raise RunError(
                f"{folder.name}: column {column.name} is {schema.field(column.name).type}, {column.type} was expected."
            )
    return Run(folder, manifest)


def find_runs(root: Path) -> list[Run]:
    """Finished runs below `root`, by benchmark and judge; what rules have a part in comes last."""
    return survey(root)[0]


def survey(root: Path) -> tuple[list[Run], list[str]]:
    """Finished runs below `root`, and a sentence for each folder that looks like one and cannot be shown. A run under way is
    neither."""
    runs, problems = [], []
    for manifest in sorted(root.rglob("manifest.json")):
        file = manifest.parent / "judgements.parquet"
        if not file.is_file() and (manifest.parent / "parts").is_dir():
            continue
        try:
            runs.append(_opened(manifest.parent, manifest.stat().st_mtime_ns, file.stat().st_mtime_ns))
        except RunError as error:
            problems.append(str(error))
        except OSError as error:
            problems.append(f"{manifest.parent.name} cannot be opened: {error.strerror or error}.")
    return sorted(runs, key=_place), problems


def _place(run: Run) -> tuple[str, bool, str, str, str]:
    m = run.manifest
    return m.benchmark, m.judge.kind in ("hybrid", "rule"), m.judge.name, m.condition, str(run.folder)


@lru_cache(maxsize=1024)
def _opened(folder: Path, *written: int) -> Run:
    del written  # part of the cache's key
    return open_run(folder)
