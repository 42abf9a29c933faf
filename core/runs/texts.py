"""texts.parquet: a run's texts in lower case beside what a search lists them by, so that a search reads one narrow file instead of
the whole run. It is made from judgements.parquet and can be thrown away: whoever finds none, or one of another file, reads the run.
"""

from __future__ import annotations

import hashlib
import logging
from functools import lru_cache
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

log = logging.getLogger(__name__)
NAME = "texts.parquet"
GROUP = 20_480  # rows of a row group
FEWEST = 10_000  # rows of a run; a smaller one is read as fast as it is
BETWEEN = "\x00"  # between prompt and responses: no search goes across it
COLUMNS = {"row", "id", "outcome", "margin", "text"}
# As a search over the run itself has it (core.runs.browse): responses joined by line breaks, DuckDB's lower().
QUERY = f"""
    SELECT "row", lower(id) AS id, outcome, margin,
           lower(prompt) || '{BETWEEN}' || lower(array_to_string(responses, chr(10))) AS text
    FROM read_parquet(?)
"""


def write_texts(judgements: Path, folder: Path) -> None:
    """Beside the run in `folder`, from its judgements (which may lie elsewhere still)."""
    temporary, written = folder / f"{NAME}.tmp", folder / NAME
    if pq.read_metadata(judgements).num_rows < FEWEST:
        written.unlink(missing_ok=True)
        return
    of = {b"of": _print(judgements).encode()}
    with duckdb.connect() as db:
        reader = db.execute(QUERY, [str(judgements)]).to_arrow_reader(GROUP)
        schema = reader.schema.with_metadata(of)
        with pq.ParquetWriter(temporary, schema, compression="lz4", use_dictionary=["outcome"]) as writer:
            for batch in reader:
                writer.write_table(
                    pa.Table.from_batches([batch]).replace_schema_metadata(of), row_group_size=GROUP
                )
    temporary.replace(written)


def texts_of(judgements: Path) -> Path | None:
    """The side file of these judgements, if there is one of this very file."""
    file = judgements.parent / NAME
    try:
        stamps = (file.stat().st_mtime_ns, judgements.stat().st_mtime_ns)
        return file if _fits(file, judgements, *stamps) else None
    except OSError:
        return None


@lru_cache(maxsize=256)
def _fits(file: Path, judgements: Path, *stamps: int) -> bool:
    del stamps  # part of the cache's key
    try:
        schema = pq.read_schema(file)
        said = (schema.metadata or {}).get(b"of", b"")
        return set(schema.names) == COLUMNS and said.decode("ascii", "replace") == _print(judgements)
    except (pa.ArrowException, OSError, ValueError) as error:
        log.warning("%s is damaged (%s): searches read the run itself.", file, type(error).__name__)
        return False


def _print(judgements: Path) -> str:
    """Of the file's size and footer, in which the places and sizes of all its columns stand."""
    size = judgements.stat().st_size
    with judgements.open("rb") as opened:
        opened.seek(max(0, size - 8))
        length = int.from_bytes(opened.read(4), "little")
        opened.seek(max(0, size - 8 - length))
        return f"{size}-{hashlib.sha256(opened.read()).hexdigest()[:24]}"
