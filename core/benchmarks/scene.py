"""The bundled benchmark: held-out records of the scene world, drawn anew from a seed, with their answer key."""

from __future__ import annotations

from collections.abc import Iterator

from core.benchmarks.fields import RowProblem
from core.benchmarks.rows import Benchmark, Fields, Grouping, Row
from core.records import Comparison
from core.world.questions import MANNER_FAMILIES, VISUAL_FAMILIES
from core.world.splits import couple, held_out

RECORDS = 2000


def rows(seed: int) -> Iterator[Row]:
    for index, record in enumerate(held_out(RECORDS, seed)):
        # Its sides are balanced already, and the two halves of a couple keep their order on purpose.
        stored = tuple(range(len(record.responses)))
        yield Row(index, record.id, record.id, record.category, record.id, record, stored)


def record(index: int) -> Comparison:
    """Record number `index` of seed 0 by itself."""
    families = VISUAL_FAMILIES + MANNER_FAMILIES
    number, half = divmod(index, 2)
    return couple(families[number % len(families)], f"held-out-0-{number}")[half]


def _no_file(raw: dict) -> Fields:
    raise RowProblem("the scene benchmark is built in and reads no file")


SCENE = Benchmark(
    "scene",
    "Scene world, held out",
    "Drawn by this project; every record knows which dimension decides it. Blind judges stand at 0.50 by construction.",
    _no_file,
    (
        Grouping("family", {f: f for f in VISUAL_FAMILIES + MANNER_FAMILIES}),
        Grouping(
            "kind", {**dict.fromkeys(VISUAL_FAMILIES, "visual"), **dict.fromkeys(MANNER_FAMILIES, "manner")}
        ),
    ),
    built_in=rows,
    built_in_record=record,
)
