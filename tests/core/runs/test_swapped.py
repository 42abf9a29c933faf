"""Exchanged pictures: as when all rows are held at once, but read as a stream."""

import random
import tracemalloc
from dataclasses import replace

import pytest

from core.benchmarks.rows import Row
from core.judges.conditions import shuffled
from core.records import Comparison
from core.runs.swapped import NO_OTHER, swapped


def rows_of(seed, n, groups):
    rng = random.Random(seed)
    out = []
    for i in range(n):
        image = rng.choice([f"{i}".encode() * 5, f"/pictures/{i}.png", None])
        comparison = Comparison(
            f"c{i}",
            image,
            "p",
            ("a", "b"),
            0,
            more_images=(b"more%d" % i,) if image and rng.random() < 0.3 else (),
        )
        if rng.random() < 0.1:
            comparison = None
        out.append(
            Row(
                i,
                f"k{i}",
                f"i{i}",
                f"g{rng.randrange(groups)}",
                rng.choice(["", f"pair{i // 2}"]),
                comparison,
            )
        )
    return out


def all_at_once(rows):
    """The plain way."""
    able = [r for r in rows if r.comparison and r.comparison.image is not None]
    others = shuffled([r.subgroup for r in able], [r.cluster for r in able])
    other = {r.index: None if o is None else able[o] for r, o in zip(able, others, strict=True)}
    for r in rows:
        if r.index in other:
            o = other[r.index]
            images = (o.comparison.image, *o.comparison.more_images) if o else (None,)
            r = replace(r, comparison=replace(r.comparison, image=images[0], more_images=images[1:]))
        yield r


@pytest.mark.parametrize("seed", range(12))
def test_every_row_gets_the_picture_that_it_would_get_with_all_rows_at_hand(seed):
    rows = rows_of(seed, 60, (1, 2, 5, 40)[seed % 4])
    found = list(swapped(lambda: iter(rows)))
    assert [(r.index, r.comparison) for r in found] == [(r.index, r.comparison) for r in all_at_once(rows)]
    for before, after in zip(rows, found, strict=True):
        alone = before.comparison and before.comparison.image is not None and after.comparison.image is None
        assert [p.words for p in after.problems] == ([NO_OTHER] if alone else [])


def test_pictures_of_bytes_wait_on_the_disk():
    """Of 4,000 pictures of 10 kB, 40 MB in all, hardly anything is held."""

    def rows():
        for i in range(4000):
            yield Row(
                i, f"k{i}", f"i{i}", "g", "", Comparison(f"c{i}", b"%06d" % i * 1600, "p", ("a", "b"), 0)
            )

    tracemalloc.start()
    others = sum(r.comparison.image != b"%06d" % r.index * 1600 for r in swapped(rows))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert others == 4000 and most < 8e6
