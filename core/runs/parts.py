"""The finished windows of a run under way: first a file each, whole or not there at all, then many of them gathered into one.

parts/0000123.parquet              one window
parts/0000000-0000255.parquet      256 of them, each a row group as it was in its own file

So a run of ten million rows has some hundred files at any moment, not 156,250, and whoever looks for a window finds the very table
that was written. Where both are there, the window's own file counts: it was judged anew.
"""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from core.benchmarks.rows import Row
from core.runs.manifest import RunError, write_whole
from core.runs.schema import SCHEMA, completed, reads

log = logging.getLogger(__name__)
GATHERED = 16_384  # rows of a gathered file, about


class Parts:
    """Of one run. window: rows of a window."""

    def __init__(self, folder: Path, window: int) -> None:
        self.run, self.folder = folder.name, folder / "parts"
        self.span = max(2, GATHERED // window)

    def make(self) -> None:
        self.folder.mkdir(exist_ok=True)

    def path(self, number: int) -> Path:
        return self.folder / f"{number:07d}.parquet"

    def gathered(self, number: int) -> Path:
        """The file in which this window is, once it is gathered."""
        first = number - number % self.span
        return self.folder / f"{first:07d}-{first + self.span - 1:07d}.parquet"

    def finished(self, number: int, rows: Sequence[Row]) -> bool:
        """Whether the window is there, whole and of these rows. One that is not is judged again, and a file that cannot be read is
        thrown away."""
        own, several = self.path(number), self.gathered(number)
        if own.exists():
            found = self._names(own, None)
        elif several.exists():
            found = self._names(several, number % self.span)
        else:
            return False
        if found == [(r.index, r.key) for r in rows]:
            return True
        if found is not None:
            log.warning("Window %d of %s is not of this run's rows and is judged again.", number, self.run)
            own.unlink(missing_ok=True)
        return False

    def _names(self, file: Path, group: int | None) -> list[tuple[int, str]] | None:
        """(row, key) of a file's rows, or of one row group; None where the file cannot be read, which is then thrown away."""
        try:
            return (
                _names_of(file, group) if group is None else _groups_of(file, file.stat().st_mtime_ns)[group]
            )
        except (pa.ArrowException, OSError, ValueError, IndexError) as error:
            log.warning("%s is damaged (%s): what it held is judged again.", file, type(error).__name__)
            file.unlink(missing_ok=True)
            return None

    def write(self, number: int, table: pa.Table) -> None:
        out = io.BytesIO()
        pq.write_table(table, out, compression="zstd", write_page_checksum=True)
        write_whole(self.path(number), out.getvalue())
        self._gather(number)

    def _gather(self, number: int) -> None:
        """Joins the windows around this one, if it was the last of them to be finished. Processes may do it at the same time: the
        file is the same, and it is there before any window is removed."""
        first = number - number % self.span
        own = [self.path(n) for n in range(first, first + self.span)]
        here = set(os.listdir(self.folder))
        if not all(p.name in here for p in own):
            return
        temporary = self.folder / f".{first:07d}.{os.getpid()}.tmp"
        try:
            with pq.ParquetWriter(temporary, SCHEMA, compression="zstd", write_page_checksum=True) as writer:
                for part in own:
                    table = completed(pq.read_table(part, page_checksum_verification=True), SCHEMA.names)
                    writer.write_table(table, row_group_size=max(1, len(table)))
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            temporary.replace(self.gathered(number))
        except (
            pa.ArrowException,
            FileNotFoundError,
        ):  # another process was faster, or a part is damaged: it stays as it is
            temporary.unlink(missing_ok=True)
            return
        for part in own:
            part.unlink(missing_ok=True)

    def read(self, number: int) -> pa.Table:
        """A finished window. Raises RunError."""
        own = self.path(number)
        try:
            if own.exists():
                table = pq.read_table(own, page_checksum_verification=True)
            else:
                several = self.gathered(number)
                table = _opened(several, several.stat().st_mtime_ns).read_row_group(number % self.span)
            return completed(table, SCHEMA.names)  # release 0.1 may have begun it
        except (pa.ArrowException, FileNotFoundError, IndexError) as error:
            raise RunError(
                f"{own.name} of {self.run} was damaged while the run went on: run the same command again and it continues."
            ) from error


def _names_of(file: Path, group: int | None) -> list[tuple[int, str]]:
    with pq.ParquetFile(file, page_checksum_verification=True) as opened:
        if not reads(opened.schema_arrow):
            raise ValueError("another schema")
        table = opened.read() if group is None else opened.read_row_group(group, ["row", "key"])
    return list(zip(table["row"].to_pylist(), table["key"].to_pylist(), strict=True))


@lru_cache(maxsize=2)
def _groups_of(file: Path, version: int) -> list[list[tuple[int, str]]]:
    """The whole file is read once, so that damage anywhere in it is found."""
    del version  # part of the cache's key
    with pq.ParquetFile(file, page_checksum_verification=True) as opened:
        groups = opened.num_row_groups
        for group in range(groups):
            opened.read_row_group(group)
    return [_names_of(file, group) for group in range(groups)]


@lru_cache(maxsize=1)
def _opened(file: Path, version: int) -> pq.ParquetFile:
    del version
    return pq.ParquetFile(file, page_checksum_verification=True)
