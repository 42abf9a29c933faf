"""Corrected data as files: JSON Lines, Parquet, and a `datasets` folder that TRL trains from."""

from __future__ import annotations

import base64
import io
import json
import os
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from core.images import FORMATS, ImageError, open_image
from core.label_analysis.corrections import BATCH, FROM_RUN, Corrected, Corrections, Picture
from core.labels.records import UNDECIDED
from core.records import plain

if TYPE_CHECKING:
    from datasets import Features

FEWEST = 4  # responses that the columns of votes always have room for
_text = pa.string()


def schema(responses: int = FEWEST) -> pa.Schema:
    """Of the Parquet file. responses: the most that an item of the queue has."""
    preferred = pa.int8() if responses <= 127 else pa.int32()
    return pa.schema([
        ("row", pa.int64()), ("key", _text), ("id", _text), ("subgroup", _text), ("prompt", _text),
        ("responses", pa.list_(_text)), ("preferred_before", preferred), ("preferred", preferred), ("status", _text),
        ("votes", pa.struct([(v, pa.int32()) for v in _verdicts(responses)])), ("annotators", pa.int32()),
        ("reasons", pa.list_(_text)), ("benchmark", _text), ("source", _text), ("revision", _text), ("data_hash", _text),
        ("image", pa.binary()), ("image_from", _text),
    ])  # fmt: skip


def _verdicts(responses: int) -> list[str]:
    return [*(str(i) for i in range(max(responses, FEWEST))), *UNDECIDED]


def fields(corrected: Corrected) -> dict[str, Any]:
    """The columns of JSON Lines and Parquet, but for the picture."""
    row = {k: v for k, v in asdict(corrected).items() if k != "data"}
    return plain(row | asdict(corrected.data))


def write_jsonl(corrections: Corrections, path: Path, images: bool = False) -> None:
    """One object per row. images: with `image`, the picture as a data URL or null, and `image_from`."""

    def write(temporary: Path) -> None:
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            for corrected, picture in corrections.with_pictures(images):
                row = fields(corrected)
                if images:
                    row |= {
                        "image": data_url(picture.data) if picture else None,
                        "image_from": _origin(picture),
                    }
                file.write(json.dumps(row, ensure_ascii=False) + "\n")

    _whole(path, write)


def write_parquet(corrections: Corrections, path: Path) -> None:
    """One row per row of the data. image: encoded bytes or null; image_from: "data", "run" (the run's copy of at most
    512 pixels) or ""; votes: one number per kind of verdict."""

    def write(temporary: Path) -> None:
        form = schema(corrections.most_responses)
        with pq.ParquetWriter(temporary, form, compression="zstd") as writer:
            rows = (_parquet_row(*pair, corrections.most_responses) for pair in corrections.with_pictures())
            for batch in _batches(rows):
                writer.write_batch(pa.RecordBatch.from_pylist(batch, form))

    _whole(path, write)


def _parquet_row(corrected: Corrected, picture: Picture | None, responses: int) -> dict[str, Any]:
    row = fields(corrected)
    votes = {v: row["votes"].get(v, 0) for v in _verdicts(responses)}
    image = picture.data if picture else None
    return row | {"votes": votes, "image": image, "image_from": _origin(picture)}


def _origin(picture: Picture | None) -> str:
    return picture.origin if picture else ""


def data_url(picture: bytes) -> str:
    try:
        kind = Image.open(io.BytesIO(picture), formats=FORMATS).get_format_mimetype()
    except (OSError, ValueError, Image.DecompressionBombError):
        kind = None
    return f"data:{kind or 'application/octet-stream'};base64,{base64.b64encode(picture).decode()}"


# -- TRL ---------------------------------------------------------------------------------------------------


def _features(vision: bool) -> Features:
    from datasets import Features, Image, List, Value  # slow: for this alone

    text = {"role": Value("string"), "content": Value("string")}
    parts = {"role": Value("string"), "content": List({"type": Value("string"), "text": Value("string")})}
    said = List(parts if vision else text)
    pictures = {"images": List(Image())} if vision else {}
    return Features({**pictures, "prompt": said, "chosen": said, "rejected": said})


@dataclass(frozen=True)
class Written:
    """pairs: rows of the dataset. vision: whether it has pictures. left_out: rows of the data that gave no pair, by
    reason; from_run: pairs whose picture is the run's copy of at most 512 pixels."""

    pairs: int
    vision: bool
    left_out: dict[str, int]
    from_run: int


NO_LABEL, NO_PICTURE, SAME = "no preference", "no picture that opens", "no response with another text"


def write_datasets(corrections: Corrections, folder: Path) -> Written:
    """A `datasets.Dataset` saved to `folder`, in TRL's vision preference format (TRL's documentation, "Dataset formats
    and types", sections "Preference" and "Vision datasets").

    images: [picture]. prompt: one user message, its content an image and a text. chosen, rejected: one assistant message
    each. One row per decided row of the data and other response. Where no row has a picture, the conversational form
    of texts is written, without the column images; where some have, the rows without one are left out, because they
    would teach to answer blindly. Which data it is stands in the description of the dataset's info.
    """
    from datasets import Dataset, DatasetInfo

    vision = any(
        c.preferred is not None and picture and _opens(picture) for c, picture in corrections.with_pictures()
    )
    left_out: Counter[str] = Counter()
    pairs = from_run = 0
    features = _features(vision)
    with tempfile.TemporaryDirectory(prefix="rewardscope-", dir=folder.parent) as temporary:
        file = Path(temporary) / "pairs.arrow"
        with pa.ipc.new_stream(file, features.arrow_schema) as stream:
            for batch in _batches(_pairs(corrections, vision, left_out)):
                pairs += len(batch)
                from_run += sum(origin == FROM_RUN for _, origin in batch)
                rows = [row for row, _ in batch]
                stream.write_batch(pa.RecordBatch.from_pylist(rows, features.arrow_schema))
        description = json.dumps({"made by": "Rewardscope", **plain(asdict(corrections.data))})
        info = DatasetInfo(description=description, features=features)
        # Of no pairs `datasets` would write no file, and then refuse to open the folder.
        shards = None if pairs else 1
        Dataset.from_file(str(file), info=info).save_to_disk(str(folder), num_shards=shards)
    return Written(pairs, vision, dict(left_out), from_run)


def _pairs(
    corrections: Corrections, vision: bool, left_out: Counter[str]
) -> Iterator[tuple[dict[str, Any], str]]:
    """(row of the dataset, where its picture is from)."""
    for corrected, picture in corrections.with_pictures():
        if corrected.preferred is None:
            left_out[NO_LABEL] += 1
            continue
        # A damaged picture is no reason to take the row for one without: then no text-only row is made of it either.
        if (vision or picture) and not (picture and _opens(picture)):
            left_out[NO_PICTURE] += 1
            continue
        prompt, *texts = plain([corrected.prompt, *corrected.responses])
        chosen = texts[corrected.preferred]
        others = [t for t in texts if t != chosen]
        if not others:
            left_out[SAME] += 1
        for rejected in others:
            row = {
                "prompt": [_message("user", prompt, vision, "image")],
                "chosen": [_message("assistant", chosen, vision)],
                "rejected": [_message("assistant", rejected, vision)],
            }
            images = {"images": [{"bytes": picture.data, "path": None}]} if picture else {}
            yield row | images, _origin(picture)


def _message(role: str, text: str, vision: bool, *before: str) -> dict[str, Any]:
    """before: kinds of content that stand before the text."""
    parts = [*({"type": kind, "text": None} for kind in before), {"type": "text", "text": text}]
    return {"role": role, "content": parts if vision else text}


def _opens(picture: Picture) -> bool:
    try:
        open_image(picture.data)
    except ImageError:
        return False
    return True


# -- files ---------------------------------------------------------------------------------------------------


def zip_folder(folder: Path, path: Path) -> Path:
    """All files of a folder as one zip, under the folder's name; the same files give the same zip."""

    def write(temporary: Path) -> None:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(p for p in folder.rglob("*") if p.is_file()):
                info = zipfile.ZipInfo(f"{folder.name}/{file.relative_to(folder)}", (1980, 1, 1, 0, 0, 0))
                info.compress_type = zipfile.ZIP_DEFLATED
                info.file_size = file.stat().st_size
                with file.open("rb") as source, archive.open(info, "w") as target:
                    while chunk := source.read(1 << 20):
                        target.write(chunk)

    _whole(path, write)
    return path


def _whole(path: Path, write: Callable[[Path], None]) -> None:
    """The file is there whole or not at all."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        write(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _batches(rows: Iterator[Any]) -> Iterator[list[Any]]:
    while batch := list(islice(rows, BATCH)):
        yield batch
