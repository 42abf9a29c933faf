"""What each word and each region adds to each dimension: what links them to one another."""

from __future__ import annotations

from dataclasses import dataclass

Row = tuple[float, ...]  # one number a dimension


@dataclass(frozen=True)
class Parts:
    """How far each selected dimension's contribution to a margin falls when one word or region is replaced by the baseline.

    dimensions: (S,) their indices. words: per response of the pair, (S,) for each of its pieces. regions: (S,) for each
    region, row by row.
    """

    dimensions: tuple[int, ...]
    words: tuple[tuple[Row, ...], tuple[Row, ...]]
    regions: tuple[Row, ...]
