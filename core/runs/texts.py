"""texts.arrow: a run's texts in lower case beside what a search lists them by, so that a search reads these alone instead of the
whole run. It lies in memory as it lies on the disk, is looked through by several threads, and needs no index: a million rows of
200 words take a third of a second. It is made from judgements.parquet and can be thrown away: whoever finds none, or one of
another file, reads the run.
"""

from __future__ import annotations

import hashlib
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

log = logging.getLogger(__name__)
NAME = "texts.arrow"
GROUP = 8_192  # rows of a batch
FEWEST = 10_000  # rows of a run; a smaller one is read as fast as it is
BETWEEN = "\x00"  # between prompt and responses: no search goes across it
SCHEMA = pa.schema([
    ("row", pa.int64()), ("id", pa.large_string()), ("outcome", pa.large_string()), ("margin", pa.float32()), ("text", pa.large_string()),
])  # fmt: skip
# As a search over the run itself has it (core.runs.browse): responses joined by line breaks, DuckDB's lower().
QUERY = """
    SELECT "row", lower(id) AS id, outcome, margin,
           lower(prompt) || chr(0) || lower(array_to_string(responses, chr(10))) AS text
    FROM read_parquet($file)
"""


def write_texts(judgements: Path, folder: Path) -> None:
    """Beside the run in `folder`, from its judgements (which may still have another name)."""
    temporary, written = folder / f"{NAME}.tmp", folder / NAME
    if pq.read_metadata(judgements).num_rows < FEWEST:
        written.unlink(missing_ok=True)
        return
    schema = SCHEMA.with_metadata({"of": fingerprint(judgements)})
    with (
        duckdb.connect() as db,
        pa.OSFile(str(temporary), "wb") as out,
        pa.ipc.new_file(out, schema) as writer,
    ):
        reader = db.sql(QUERY, params={"file": str(judgements)}).to_arrow_reader(GROUP)
        for batch in reader:
            writer.write_table(
                pa.Table.from_batches([batch]).cast(SCHEMA).replace_schema_metadata(schema.metadata)
            )
    temporary.replace(written)


def search(judgements: Path, term: str) -> pa.Table | None:
    """Rows whose texts hold the term (in lower case), or whose id is it: row, outcome, margin. None where there is no side file
    of these very judgements."""
    file = judgements.parent / NAME
    try:
        stamps = (file.stat().st_mtime_ns, judgements.stat().st_mtime_ns)
        if BETWEEN in term or not _fits(file, judgements, *stamps):
            return None
        with pa.memory_map(str(file)) as opened:
            reader = pa.ipc.open_file(opened)
            batches = [reader.get_batch(i) for i in range(reader.num_record_batches)]
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                found = list(pool.map(lambda batch: _hits(batch, term), batches))
            return pa.Table.from_batches(found, found[0].schema) if found else None
    except (OSError, pa.ArrowException) as error:
        if not isinstance(error, FileNotFoundError):
            log.warning(
                "%s cannot be read (%s): the search reads the run itself.", file, type(error).__name__
            )
        return None


def _hits(batch: pa.RecordBatch, term: str) -> pa.RecordBatch:
    # A pattern of plain characters: its search is four times as fast as match_substring's.
    pattern = "".join(c if c.isalnum() or c == " " else f"\\x{{{ord(c):x}}}" for c in term)
    within = pc.match_substring_regex(batch["text"], pattern)
    named = pc.equal(batch["id"], pa.scalar(term, pa.large_string()))
    return batch.select(["row", "outcome", "margin"]).filter(pc.or_kleene(within, named))


@lru_cache(maxsize=256)
def _fits(file: Path, judgements: Path, *stamps: int) -> bool:
    """Whether it is what `write_texts` makes of these judgements. A run's folder may come from anywhere, and Arrow believes what
    a file says of where its texts end."""
    del stamps  # part of the cache's key
    with pa.memory_map(str(file)) as opened:
        reader = pa.ipc.open_file(opened)
        of = (reader.schema.metadata or {}).get(b"of", b"")
        if not reader.schema.equals(SCHEMA) or of.decode("ascii", "replace") != fingerprint(judgements):
            return False
        batches = (reader.get_batch(i) for i in range(reader.num_record_batches))
        return all(
            _sound(column) for batch in batches for column in (batch["id"], batch["outcome"], batch["text"])
        )


def _sound(column: pa.Array) -> bool:
    """Whether each text of the column begins where the one before it ends, inside of what is there."""
    try:
        column.validate()
    except pa.ArrowInvalid:
        return False
    _, offsets, texts = column.buffers()
    if not len(column):
        return True
    ends = np.frombuffer(offsets, dtype=np.int64)[column.offset : column.offset + len(column) + 1]
    return bool(ends[0] >= 0 and (np.diff(ends) >= 0).all() and ends[-1] <= (texts.size if texts else 0))


def fingerprint(judgements: Path) -> str:
    """Of the file's size and footer, in which the places and sizes of all its columns stand."""
    size = judgements.stat().st_size
    with judgements.open("rb") as opened:
        opened.seek(max(0, size - 8))
        length = int.from_bytes(opened.read(4), "little")
        opened.seek(max(0, size - 8 - length))
        return f"{size}-{hashlib.sha256(opened.read()).hexdigest()[:24]}"
