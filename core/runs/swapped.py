"""Rows with another row's picture each (core.judges.conditions), read as a stream: of a row that waits for its turn only its
picture is kept, and pictures that came as bytes wait in a file."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import IO, Any

from core.benchmarks.rows import Problem, Row
from core.judges.conditions import shuffled

NO_OTHER = "no other picture in its group to shuffle with"


def swapped(rows: Callable[[], Iterator[Row]]) -> Iterator[Row]:
    """rows: reads them from the start each time, three times in all; of one pass no more than names and numbers is kept."""
    names: dict[str, str] = {}  # each text once
    groups, pairs = [], []
    for row in rows():
        if _able(row):
            groups.append(names.setdefault(row.subgroup, row.subgroup))
            pairs.append(names.setdefault(row.cluster, row.cluster))
    others = shuffled(groups, pairs)
    del names, groups, pairs
    with tempfile.TemporaryFile(prefix="rewardscope-pictures-") as file:
        yield from _exchanged(rows, others, file)


def _able(row: Row) -> bool:
    return row.comparison is not None and row.comparison.image is not None


def _exchanged(rows: Callable[[], Iterator[Row]], others: list[int | None], file: IO[bytes]) -> Iterator[Row]:
    wanted = Counter(o for o in others if o is not None)
    ahead = enumerate(row for row in rows() if _able(row))
    waiting: dict[int, tuple[Any, ...]] = {}
    numbers = iter(range(len(others)))
    read = -1
    for row in rows():
        if not _able(row):
            yield row
            continue
        mine = row.comparison
        assert mine
        other = others[next(numbers)]
        if other is None:
            problem = Problem(row.index, "image", NO_OTHER)
            yield replace(row, comparison=replace(mine, image=None, more_images=()), problems=(problem,))
            continue
        while read < other:
            read, source = next(ahead)
            if read in wanted:
                assert source.comparison
                pictures = (source.comparison.image, *source.comparison.more_images)
                waiting[read] = tuple(_put(p, file) for p in pictures)
        image, *more = (_got(p, file) for p in waiting[other])
        wanted[other] -= 1
        if not wanted[other]:
            del waiting[other]
        yield replace(row, comparison=replace(mine, image=image, more_images=tuple(more)))


def _put(picture: Any, file: IO[bytes]) -> Any:
    """Bytes as (where they begin, how many they are); whatever else a picture may be is small."""
    if not isinstance(picture, bytes):
        return picture
    place = file.seek(0, 2)
    file.write(picture)
    return place, len(picture)


def _got(kept: Any, file: IO[bytes]) -> Any:
    if not isinstance(kept, tuple):
        return kept
    file.seek(kept[0])
    return file.read(kept[1])
