"""A row of a run as the record it was made from."""

from __future__ import annotations

import io
from typing import Any

import duckdb
from PIL import Image

from core.benchmarks import BENCHMARKS
from core.images import open_image, small_copy
from core.records import Comparison, Condition, RecordError
from core.runs import browse
from core.runs.run import Run, damage_told


def picture_of(run: Run, stored: dict[str, Any]) -> Image.Image | None:
    """The stored thumbnail, or the picture of a built-in benchmark drawn anew; None where there is neither."""
    if stored["image"]:
        return open_image(stored["image"])
    return _drawn(run, stored["row"])


def _drawn(run: Run, row: int) -> Image.Image | None:
    known = BENCHMARKS.get(run.manifest.benchmark)
    if known and known.built_in_record and run.manifest.condition is Condition.AS_GIVEN:
        return known.built_in_record(row).load_image()
    return None


@damage_told
def small_picture(run: Run, row: int, longest: int) -> Image.Image | None:
    """At most `longest` pixels on the longer side; None where there is no such row or no picture of it. Raises ImageError."""
    rows = run.manifest.stats.get("rows") or 0
    picture = _drawn(run, row) if row < rows else None  # a fifth of the time that finding one row takes
    if picture is None:
        with duckdb.connect() as db:
            found = db.execute(
                "SELECT image FROM read_parquet(?) WHERE row = ?", [str(run.file), row]
            ).fetchone()
        picture = picture_of(run, {"row": row, "image": found[0]}) if found else None
    return small_copy(picture, longest) if picture else None


def comparison_of(run: Run, row: int) -> Comparison | None:
    """The record of a run's row as far as the run knows it. Raises RecordError for a row of several pictures: the run
    keeps one small copy of all, side by side, which must not be judged as if it were the picture."""
    stored = browse.record(run, row)
    if stored is None or len(stored["responses"]) < 2:
        return None
    if (stored["pictures"] or 0) > 1:
        raise RecordError(
            f"Row {row} has {stored['pictures']} pictures, of which the run keeps one small copy, side by side: open it on "
            "the Failures page. It can be judged again only from its file, by a judge of several pictures."
        )
    picture = picture_of(run, stored)
    return Comparison(
        id=f"{stored['row']}-{stored['key']}", image=_bytes(picture) if picture else None, prompt=stored["prompt"],
        responses=tuple(stored["responses"]), preferred=stored["preferred"], benchmark=run.manifest.benchmark,
        category=stored["subgroup"],
    )  # fmt: skip


def _bytes(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
