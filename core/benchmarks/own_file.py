"""Anyone's own file, in any of the formats of core.benchmarks.formats."""

from __future__ import annotations

from typing import Any

from core.benchmarks.formats import preference, understand
from core.benchmarks.rows import Benchmark, Fields


def parse(raw: dict[str, Any]) -> Fields:
    """A row by itself, in the general form. Raises RowProblem."""
    return preference.parse(raw, {})[0]


OWN_FILE = Benchmark(
    "own",
    "Your own file",
    "JSONL, JSON, CSV, Parquet or a `datasets` folder with an image, a prompt, and responses or chosen and rejected.",
    parse,
    understand=understand,
)
