"""Parts of a sum that still add up once they are rounded."""

from __future__ import annotations

import math
from collections.abc import Sequence


def summing(parts: Sequence[float], digits: int = 2) -> tuple[list[float], float]:
    """The parts and their sum, rounded to so many digits: each part to one of its two neighbours, and together they are the
    rounded sum (largest remainders). What is not finite stays as it is, and then nothing is made to add up."""
    total = math.fsum(parts)
    if not math.isfinite(total):
        return list(parts), total
    unit = 10**digits
    floors = [math.floor(p * unit) for p in parts]
    missing = round(total * unit) - sum(floors)
    order = sorted(range(len(parts)), key=lambda i: floors[i] - parts[i] * unit)
    up = set(order[: max(0, missing)])
    return [(f + (i in up)) / unit for i, f in enumerate(floors)], round(total * unit) / unit
