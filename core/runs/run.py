"""A run: one judge over one benchmark, as a folder that opens with no model and no GPU.

manifest.json        judge, data, versions and seeds: everything that decides the numbers, and how it went
judgements.parquet   one row per record, texts included; exists once the run is finished
parts/               finished windows of a run under way
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from core.runs.schema import SCHEMA


class RunError(ValueError):
    """A run that cannot be opened or continued; the message says why and what to do."""


@dataclass
class Manifest:
    """What decides the numbers (compared when a run is continued), and how it went (not compared)."""

    benchmark: str
    title: str
    source: str
    data_revision: str
    judge: str
    judge_about: dict[str, Any]
    weights: str
    images: str
    limit: int | None
    batch: int
    window: int
    code: str
    seed: int
    how: dict[str, Any] = field(default_factory=dict)

    def decides(self) -> dict[str, Any]:
        return {k: v for k, v in asdict(self).items() if k not in ("how", "code")}

    def save(self, folder: Path) -> None:
        write_whole(folder / "manifest.json", json.dumps(asdict(self), indent=1, ensure_ascii=False).encode())

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        try:
            return cls(**json.loads((folder / "manifest.json").read_text()))
        except FileNotFoundError as error:
            raise RunError(f"{folder.name} is no run: it has no manifest.json.") from error
        except (ValueError, TypeError) as error:
            raise RunError(f"{folder.name}: its manifest.json is not one of ours ({error}).") from error


def write_whole(path: Path, data: bytes) -> None:
    """All or nothing, also when the process is killed in the middle."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


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
        """The judge, and how much of the data it saw where that was cut short."""
        limit = self.manifest.limit
        return self.manifest.judge + (f" (first {limit:,})" if limit else "")

    def table(self, columns: list[str] | None = None) -> pa.Table:
        return pq.read_table(self.file, columns=columns)

    def rows(self, wanted: Sequence[int], columns: Sequence[str]) -> dict[int, dict[str, Any]]:
        """Some rows by number, as far as they are there. columns: `row` among them."""
        if not wanted:
            return {}
        found = pq.read_table(self.file, columns=list(columns), filters=[("row", "in", list(wanted))])
        return {r["row"]: r for r in found.to_pylist()}


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
            raise RunError(f"{folder.name}: judgements.parquet has no column {column.name}.")
        if schema.field(column.name).type != column.type:
            raise RunError(
                f"{folder.name}: column {column.name} is {schema.field(column.name).type}, {column.type} was expected."
            )
    return Run(folder, manifest)


def find_runs(root: Path) -> list[Run]:
    """Finished runs below `root`, by benchmark and judge; what is not one is passed over."""
    out = []
    for manifest in sorted(root.rglob("manifest.json")):
        file = manifest.parent / "judgements.parquet"
        try:
            out.append(_opened(manifest.parent, manifest.stat().st_mtime_ns, file.stat().st_mtime_ns))
        except (RunError, OSError):
            continue
    return sorted(out, key=lambda r: (r.manifest.benchmark, r.manifest.judge, str(r.folder)))


@lru_cache(maxsize=1024)
def _opened(folder: Path, *written: int) -> Run:
    del written  # part of the cache's key
    return open_run(folder)
