"""Where rows come from: one door for the hub and for local files, plain dicts behind it."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BATCH = 64
LONGEST_LINE = 64 << 20  # bytes of a row that is read
csv.field_size_limit(1 << 27)  # a cell may hold an image as base64


class BenchmarkError(ValueError):
    """Data that cannot be read; the message names row, column and what was expected."""


@dataclass(frozen=True)
class Opened:
    """rows() yields dicts, or a BenchmarkError in the place of a row that is broken by itself."""

    name: str
    revision: str
    columns: tuple[str, ...]
    rows: Callable[[], Iterator[dict[str, Any] | BenchmarkError]]
    length: int | None
    folder: Path | None


def open_source(source: str | Path, split: str, revision: str | None, streaming: bool) -> Opened:
    """Raises BenchmarkError."""
    path = Path(source)
    if not path.exists():
        if isinstance(source, Path) or path.suffix or path.is_absolute() or len(str(source).split("/")) != 2:
            raise BenchmarkError(f"There is no file or folder {str(source)!r}.")
        return _from_hub(str(source), split, revision, streaming)
    if path.is_dir():
        return _from_folder(path, split)
    readers = {
        ".jsonl": _jsonl, ".json": _json, ".csv": _csv("," ), ".tsv": _csv("\t"), ".parquet": _parquet,
    }  # fmt: skip
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise BenchmarkError(f"{path.name}: use {', '.join(readers)} or a folder written by `datasets`.")
    if path.stat().st_size == 0:
        raise BenchmarkError(f"{path.name} is an empty file.")

    def rows() -> Iterator[dict[str, Any] | BenchmarkError]:
        return reader(path)

    try:
        first = next(rows(), None)
    except UnicodeDecodeError as error:
        raise BenchmarkError(
            f"{path.name}: byte {error.start} is not UTF-8; save the file as UTF-8 and try again."
        ) from error
    if first is None:
        raise BenchmarkError(f"{path.name} has no rows.")
    if isinstance(first, BenchmarkError):
        raise first
    return Opened(path.name, "", tuple(first), rows, None, path.parent)


def _jsonl(path: Path) -> Iterator[dict[str, Any] | BenchmarkError]:
    with path.open("rb") as file:
        number = 0
        while line := file.readline(LONGEST_LINE):
            if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
                while (rest := file.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
                    pass
                yield BenchmarkError(f"{path.name}, row {number}: longer than {LONGEST_LINE >> 20} MiB")
                number += 1
            elif line.strip():
                yield _object(path, number, line)
                number += 1


def _object(path: Path, number: int, line: bytes) -> dict[str, Any] | BenchmarkError:
    try:
        value = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return BenchmarkError(f"{path.name}, row {number}: byte {error.start} is not UTF-8")
    except (ValueError, RecursionError) as error:
        return BenchmarkError(f"{path.name}, row {number}: not JSON ({error})")
    if not isinstance(value, dict):
        return BenchmarkError(
            f"{path.name}, row {number}: {type(value).__name__} where an object was expected"
        )
    return value


def _json(path: Path) -> Iterator[dict[str, Any] | BenchmarkError]:
    try:
        data = json.loads(path.read_text("utf-8-sig"))
    except UnicodeDecodeError:
        raise
    except (ValueError, RecursionError) as error:
        raise BenchmarkError(f"{path.name}: not JSON ({error})") from error
    if not isinstance(data, list):
        raise BenchmarkError(f"{path.name}: {type(data).__name__} where a list of objects was expected")
    for number, value in enumerate(data):
        yield (
            value
            if isinstance(value, dict)
            else BenchmarkError(
                f"{path.name}, row {number}: {type(value).__name__} where an object was expected"
            )
        )


def _csv(delimiter: str) -> Callable[[Path], Iterator[dict[str, Any] | BenchmarkError]]:
    def read(path: Path) -> Iterator[dict[str, Any] | BenchmarkError]:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter=delimiter)
            try:
                for number, row in enumerate(reader):
                    if None in row or None in row.values():
                        fields = len(reader.fieldnames or ())
                        yield BenchmarkError(
                            f"{path.name}, row {number}: not {fields} fields as in the header"
                        )
                    else:
                        yield row
            except csv.Error as error:
                raise BenchmarkError(f"{path.name}, line {reader.line_num}: {error}") from error

    return read


def _parquet(path: Path) -> Iterator[dict[str, Any] | BenchmarkError]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        for batch in file.iter_batches(BATCH):
            yield from batch.to_pylist()
    except (pa.ArrowInvalid, OSError) as error:
        raise BenchmarkError(f"{path.name} is not a readable Parquet file ({error}).") from error


def _from_folder(path: Path, split: str) -> Opened:
    """A folder of `save_to_disk`, or one that `load_dataset` understands (data files, an image folder)."""
    import datasets

    try:
        if (path / "dataset_info.json").exists() or (path / "dataset_dict.json").exists():
            data = datasets.load_from_disk(str(path))
        else:
            data = datasets.load_dataset(str(path))
    except Exception as error:  # datasets raises many kinds for folders it does not understand
        raise BenchmarkError(f"{path.name}: not a folder that `datasets` can read ({error}).") from error
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
    import datasets

    for column, feature in (data.features or {}).items():
        if isinstance(feature, datasets.Image):
            data = data.cast_column(
                column, datasets.Image(decode=False)
            )  # decoding is the runner's, row by row
    length = None if isinstance(data, datasets.IterableDataset) else len(data)
    if length == 0:
        raise BenchmarkError(f"{name} has no rows.")
    return Opened(name, revision, tuple(data.features or {}), lambda: iter(data), length, folder)
