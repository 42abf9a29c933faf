"""Where rows come from: one door for the hub and for local files, plain dicts behind it.

One bad row, byte or line never ends the reading: it is a Broken in its place. Lines are read up to a limit, so that
memory stays bounded whatever the file holds.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.records import plain

BATCH = 64
MAX_LINE = 64 << 20  # bytes of one line or cell; a picture of 40 megapixels as base64 fits
MAX_JSON = 512 << 20  # bytes of a JSON file, which is read whole and takes twice its size for a moment
LOOKED_AT = 1000  # rows among which the first good one is looked for
SUFFIXES = (".jsonl", ".json", ".csv", ".tsv", ".parquet")  # what every door offers
csv.field_size_limit(MAX_LINE)


class BenchmarkError(ValueError):
    """Data that cannot be read; the message names row, column and what was expected."""


@dataclass(frozen=True)
class Broken:
    """In the place of a row that is broken by itself."""

    words: str


Raw = dict[str, Any] | Broken


@dataclass(frozen=True)
class Opened:
    """rows(columns) yields dicts, or a Broken in the place of one. columns: only these are wanted, None for all: a help
    to sources that need not read the others. first: the first good row, and its columns. notes: what was noticed."""

    name: str
    revision: str
    columns: tuple[str, ...]
    rows: Callable[..., Iterator[Raw]]
    length: int | None
    folder: Path | None
    streaming: bool = False
    notes: tuple[str, ...] = ()
    first: dict[str, Any] | None = None


def open_source(source: str | Path, split: str, revision: str | None, streaming: bool) -> Opened:
    """Raises BenchmarkError."""
    path = Path(source)
    try:
        there, folder = path.exists(), path.is_dir()
    except (OSError, ValueError):  # a name that no file can have
        there, folder = False, False
    if not there:
        if isinstance(source, Path) or path.suffix or path.is_absolute() or len(str(source).split("/")) != 2:
            raise BenchmarkError(f"There is no file or folder {str(source)[:200]!r}.")
        return _from_hub(str(source), split, revision, streaming)
    if folder:
        return _from_folder(path, split)
    return _from_file(path)


def _from_file(path: Path) -> Opened:
    readers: dict[str, Callable[[Path, set[str] | None], Iterator[Raw]]] = {
        ".jsonl": _jsonl, ".ndjson": _jsonl, ".json": _json, ".csv": _csv, ".tsv": _csv, ".parquet": _parquet,
    }  # fmt: skip
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise BenchmarkError(f"{path.name}: use {', '.join(SUFFIXES)} or a folder written by `datasets`.")
    try:
        if path.stat().st_size == 0:
            raise BenchmarkError(f"{path.name} is an empty file.")
    except OSError as error:
        raise BenchmarkError(f"{path.name} cannot be opened.") from error
    with path.open("rb") as file:
        if file.read(2) in (b"\xff\xfe", b"\xfe\xff"):
            raise BenchmarkError(f"{path.name} is UTF-16; save the file as UTF-8 and try again.")
    notes = []
    if path.suffix.lower() == ".json" and reader is _json and _is_lines(path):
        reader = _jsonl
        notes.append("The .json file holds JSON Lines, one object a line.")
    if reader is _jsonl and _is_array(path):
        reader = _json
        notes.append("The .jsonl file holds one JSON list.")

    def rows(columns: set[str] | None = None) -> Iterator[Raw]:
        try:
            yield from reader(path, columns)
        except OSError as error:
            raise BenchmarkError(f"{path.name} cannot be read ({error.strerror or error}).") from error

    first = _first(path.name, rows())
    return Opened(path.name, "", tuple(map(str, first)), rows, None, path.parent, False, tuple(notes), first)


def _first(name: str, rows: Iterator[Raw]) -> dict[str, Any]:
    """The first good row. Raises BenchmarkError with what is wrong with the first of all where there is none."""
    wrong = None
    for number, row in enumerate(rows):
        if isinstance(row, dict):
            return row
        wrong = wrong or f"{name}, row {number}: {row.words}"
        if number >= LOOKED_AT:
            break
    raise BenchmarkError(wrong or f"{name} has no rows.")


# -- JSON and JSON Lines ------------------------------------------------------------------------------------


def _jsonl(path: Path, columns: set[str] | None) -> Iterator[Raw]:
    del columns
    with path.open("rb") as file:
        while line := file.readline(MAX_LINE + 1):
            if len(line) > MAX_LINE:
                while len(line) > MAX_LINE and not line.endswith(b"\n"):
                    line = file.readline(MAX_LINE + 1)  # the rest of it, piece by piece
                yield Broken(f"the line is longer than {MAX_LINE >> 20} MiB, which is the most that is read")
            elif line.strip() and line != b"\xef\xbb\xbf\n":
                yield _object(line)


def _object(line: bytes) -> Raw:
    try:
        value = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return Broken(f"byte {error.start} is not UTF-8")
    except (ValueError, RecursionError) as error:
        return Broken(f"not JSON ({str(error)[:120]})")
    return _checked(value, b"\\ud" in line or b"\\uD" in line)


def _checked(value: Any, halves: bool) -> Raw:
    """halves: the text holds escapes of surrogates, which may stand alone."""
    if not isinstance(value, dict):
        return Broken(f"{type(value).__name__} where an object was expected")
    if halves:
        try:
            return plain(value)
        except RecursionError:
            return Broken("it is nested too deeply")
    return value


def _is_lines(path: Path) -> bool:
    """Whether the first line is a whole object, and another begins after it."""
    with path.open("rb") as file:
        line = file.readline(MAX_LINE)
        while line and not line.strip():
            line = file.readline(MAX_LINE)
        more = file.readline(1 << 16)
        while more and not more.strip():
            more = file.readline(1 << 16)
    return more.lstrip()[:1] == b"{" and isinstance(_object(line), dict)


def _is_array(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(1 << 12).removeprefix(b"\xef\xbb\xbf").lstrip()
    return head[:1] == b"[" and head[1:].lstrip()[:1] == b"{" and path.stat().st_size <= MAX_JSON


def _json(path: Path, columns: set[str] | None) -> Iterator[Raw]:
    del columns
    if path.stat().st_size > MAX_JSON:
        raise BenchmarkError(
            f"{path.name} is larger than {MAX_JSON >> 20} MiB, and a JSON file is read whole: save it as JSON Lines, "
            "one object a line, in a .jsonl file."
        )
    content = path.read_bytes()
    halves = b"\\ud" in content or b"\\uD" in content
    try:
        text = content.decode("utf-8-sig")
        del content
        data = json.loads(text)
        del text
    except UnicodeDecodeError as error:
        raise BenchmarkError(
            f"{path.name}: byte {error.start} is not UTF-8; save the file as UTF-8 and try again."
        ) from error
    except (ValueError, RecursionError) as error:
        raise BenchmarkError(f"{path.name}: not JSON ({str(error)[:120]})") from error
    if isinstance(data, dict):
        data = _list_in(data)
    if not isinstance(data, list):
        raise BenchmarkError(f"{path.name}: {type(data).__name__} where a list of objects was expected")
    for value in data:
        yield _checked(value, halves)


def _list_in(data: dict[str, Any]) -> Any:
    """{"pairs": [...]}, {"data": [...]}: the only list of objects; one row where the object is a row itself."""
    lists = [v for v in data.values() if isinstance(v, list) and v and all(isinstance(r, dict) for r in v)]
    texts = [v for v in data.values() if isinstance(v, str)]
    if len(lists) == 1 and len(data) - len(lists) <= 3 and not ({"chosen", "rejected"} & set(data)):
        rows = lists[0]
        return [r["row"] if isinstance(r.get("row"), dict) and "row_idx" in r else r for r in rows]
    if data and all(isinstance(v, dict) for v in data.values()):  # rows by their id
        return [{"id": key, **row} for key, row in data.items()]
    if data and len(lists) != 1 and all(isinstance(v, list) for v in data.values()) and len({len(v) for v in data.values()}) == 1:  # fmt: skip
        return [dict(zip(data, row, strict=True)) for row in zip(*data.values(), strict=True)]  # columns
    return [data] if texts and len(data) > 2 else data


# -- tables -------------------------------------------------------------------------------------------------


def _csv(path: Path, columns: set[str] | None) -> Iterator[Raw]:
    """Bytes that are not UTF-8 come through as lone surrogates, which name their row."""
    del columns
    delimiter = _delimiter(path)
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        reader = csv.reader(_Lines(file), delimiter=delimiter)
        header: list[str] | None = None
        while True:
            before = reader.line_num
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield Broken(f"line {reader.line_num}: {_csv_words(error)}")
                continue
            if not cells:
                continue
            if header is None:
                header = [_column(c) for c in cells]
                if twice := next((c for c in header if c and header.count(c) > 1), None):
                    raise BenchmarkError(f"{path.name}: two columns are called {twice!r}; give each its own name.")  # fmt: skip
                continue
            if len(cells) != len(header):
                lines = f"lines {before + 1} to {reader.line_num}: is a quote left open?" if reader.line_num > before + 1 else f"line {reader.line_num}"  # fmt: skip
                yield Broken(f"{len(cells)} cells where the header has {len(header)} ({lines})")
            elif bad := next((c for c, v in zip(header, cells, strict=True) if not _is_utf8(v)), None):
                yield Broken(f"column {bad}: it holds a byte that is not UTF-8; save the file as UTF-8")
            else:
                yield dict(zip(header, cells, strict=True))


class _Lines:
    """The lines of a text file. One beyond the limit is left out with an error, after which the next one comes."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self.file.readline(MAX_LINE + 1)
        if not line:
            raise StopIteration
        if len(line) > MAX_LINE:
            while line and not line.endswith(("\n", "\r")):
                line = self.file.readline(MAX_LINE + 1)
            raise csv.Error("line beyond the limit")
        return line


def _csv_words(error: csv.Error) -> str:
    return f"a line or a cell is longer than {MAX_LINE >> 20} MiB, or a quote is not closed" if "limit" in str(error) else str(error)  # fmt: skip


def _column(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace").strip()


def _is_utf8(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _delimiter(path: Path) -> str:
    """By the header: Excel writes semicolons where the comma is the decimal sign."""
    if path.suffix.lower() == ".tsv":
        return "\t"
    with path.open("rb") as file:
        header = file.readline(1 << 16)
    counts = {d: header.count(d.encode()) for d in (",", ";", "\t", "|")}
    return max(counts, key=lambda d: (counts[d], d == ","))


def _parquet(path: Path, columns: set[str] | None) -> Iterator[Raw]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BenchmarkError(f"{path.name} is not a readable Parquet file ({str(error)[:200]}).") from error
    wanted = None if columns is None else [c for c in file.schema_arrow.names if c in columns]
    for group in range(file.num_row_groups):
        left = file.metadata.row_group(group).num_rows
        try:
            for batch in file.iter_batches(BATCH, row_groups=[group], columns=wanted):
                yield from _of_batch(batch)
                left -= len(batch)
        except (pa.ArrowException, OSError, ValueError) as error:
            for _ in range(left):
                yield Broken(f"its part of the Parquet file is damaged ({str(error)[:120]})")


def _of_batch(batch: Any) -> Iterator[Raw]:
    try:
        rows = batch.to_pylist()
    except (UnicodeDecodeError, ValueError, OverflowError, ArithmeticError):
        rows = []
        for i in range(len(batch)):
            try:
                rows += batch.slice(i, 1).to_pylist()
            except (UnicodeDecodeError, ValueError, OverflowError, ArithmeticError) as error:
                rows.append(Broken(f"a value cannot be read ({str(error)[:120]})"))
    yield from rows


# -- folders and the hub ------------------------------------------------------------------------------------


def _from_folder(path: Path, split: str) -> Opened:
    """A folder of `save_to_disk`; pictures with one table beside them; or one that `load_dataset` understands."""
    import datasets

    if not any((path / name).exists() for name in ("dataset_info.json", "dataset_dict.json")):
        tables = sorted(
            p for p in path.iterdir() if p.suffix.lower() in (*SUFFIXES, ".ndjson") and p.is_file()
        )
        if len(tables) == 1:
            opened = _from_file(tables[0])
            return Opened(f"{path.name}/{opened.name}", "", opened.columns, opened.rows, None, path, False, opened.notes, opened.first)  # fmt: skip
        named = [p for p in tables if p.stem == split]
        if len(tables) > 1 and len(named) != 1 and len({p.suffix for p in tables}) > 1:
            names = ", ".join(p.name for p in tables[:5])
            raise BenchmarkError(f"{path.name} holds several tables ({names}): give the path of one of them.")
    try:
        if (path / "dataset_info.json").exists() or (path / "dataset_dict.json").exists():
            data = datasets.load_from_disk(str(path))
        else:
            data = datasets.load_dataset(str(path))
    except Exception as error:  # datasets raises many kinds for folders it does not understand
        raise BenchmarkError(
            f"{path.name}: not a folder that `datasets` can read ({str(error)[:200]})."
        ) from error
    if isinstance(data, dict):
        data = data[split if split in data else next(iter(data))]
    return _from_datasets(data, path.name, "", path)


def _from_hub(repository: str, split: str, revision: str | None, streaming: bool) -> Opened:
    """The revision is resolved to a commit first, so that what was read can be read again."""
    import datasets
    from huggingface_hub import HfApi

    token = os.environ.get("HF_TOKEN")
    try:
        commit = HfApi(token=token).dataset_info(repository, revision=revision).sha or ""
        data = datasets.load_dataset(
            repository, split=split, revision=commit, streaming=streaming, token=token
        )
    except Exception as error:  # network, access, missing split: all end here
        raise BenchmarkError(
            f"{repository} cannot be read from the hub ({type(error).__name__}: {str(error)[:200]}). Is the name right, "
            "is there a network, and is HF_TOKEN set if the data set is gated?"
        ) from error
    return _from_datasets(data, repository, commit, None)


def _from_datasets(data: Any, name: str, revision: str, folder: Path | None) -> Opened:
    """Pictures stay encoded wherever they stand: decoding is the runner's, row by row."""
    import datasets

    features = data.features or {}
    for column, feature in features.items():
        encoded = _encoded(feature)
        if encoded != feature:
            data = data.cast_column(column, encoded)
    streaming = isinstance(data, datasets.IterableDataset)
    length = None if streaming else len(data)
    if length == 0:
        raise BenchmarkError(f"{name} has no rows.")

    def rows(columns: set[str] | None = None) -> Iterator[Raw]:
        wanted = [c for c in features if columns is None or c in columns]
        chosen = data if columns is None or not wanted else data.select_columns(wanted)
        if streaming:
            yield from chosen
            return
        for i in range(len(chosen)):
            try:
                yield chosen[i]
            except Exception as error:  # a value that its feature cannot give: datasets raises many kinds
                yield Broken(f"a value cannot be read ({type(error).__name__}: {str(error)[:120]})")

    first = _first(name, rows())
    return Opened(
        name, revision, tuple(features) or tuple(first), rows, length, folder, streaming, first=first
    )


def _encoded(feature: Any) -> Any:
    """The feature with each Image in it left as bytes or path."""
    import datasets

    if isinstance(feature, datasets.Image):
        return datasets.Image(decode=False)
    if isinstance(feature, datasets.List | datasets.LargeList):
        return replace(feature, feature=_encoded(feature.feature))
    if isinstance(feature, dict):
        return {k: _encoded(v) for k, v in feature.items()}
    return feature
