"""Is an explanation true? Take away what it marks, and see what the model really does.

Deletion and insertion curves after Petsiuk et al. 2018 (RISE); units are words and regions, the prompt stays.
"""

from __future__ import annotations

import math
import random

import torch
from torch import Tensor

from core.explain.problem import Problem, Units
from core.records import Faithfulness, Removal

SHARE = 0.1  # of the units, the strongest ones, at least one
DRAWS = 12  # random choices of as many units, for comparison
BATCH = 32


def words(units: Units) -> list[int]:
    return list(range(units.text_count - 1))


def regions(units: Units) -> list[int]:
    return list(range(units.text_count, units.count))


def strongest(values: Tensor, among: list[int], target: float, share: float = SHARE) -> list[int]:
    """The units that speak most for the target's sign (for the winner, where the target is a margin), strongest
    first. Those that speak against it would undo their effect."""
    count = max(1, math.ceil(share * len(among) - 1e-9))
    sign = 1 if target >= 0 else -1
    return sorted(among, key=lambda u: -sign * float(values[u]))[:count]


@torch.no_grad()
def without(problem: Problem, gone: list[list[int]], batch: int = BATCH) -> list[float]:
    """The target with each of these sets of units replaced by the baseline."""
    z = problem.ones().repeat(len(gone), 1)
    for row, units in zip(z, gone, strict=True):
        row[units] = 0
    return [float(v) for part in z.split(batch) for v in problem(part)]


def removal(
    problem: Problem, values: Tensor, among: list[int], before: float, seed: int = 0
) -> Removal | None:
    """What removing the strongest of `among` does, beside random choices of as many. None where there are none.
    before: the target as given."""
    if not among:
        return None
    top = strongest(values, among, before)
    rng = random.Random(seed)
    after, *drawn = without(problem, [top, *(rng.sample(among, len(top)) for _ in range(DRAWS))])
    names = tuple(_name(problem.units, u) for u in top)
    return Removal(names, before, after, sum(abs(v - before) for v in drawn) / len(drawn))


def faithfulness(problem: Problem, values: Tensor, before: float) -> Faithfulness:
    """before: the target as given."""
    units = problem.units
    return Faithfulness(
        words=removal(problem, values, words(units), before),
        regions=removal(problem, values, regions(units), before),
    )


def _name(units: Units, u: int) -> str:
    first = len(units.texts[0])
    if u < first:
        return f"“{units.texts[0][u][0]}”"
    if u < units.text_count - 1:
        return f"“{units.texts[1][u - first][0]}”"
    row, column = divmod(u - units.text_count, units.grid[1])
    return f"row {row + 1}, column {column + 1}"


def curve(problem: Problem, order: list[int], insert: bool = False) -> list[float]:
    """The target after 0, 1, 2, ... of the ordered units are taken away (or put into an input without any)."""
    steps = [order[:n] for n in range(len(order) + 1)]
    if insert:
        steps = [[u for u in order if u not in set(s)] for s in steps]
    return without(problem, steps)


def area(values: list[float], whole: float) -> float:
    """Mean height of a curve over [0, 1] by trapezia, in units of the target as given (`whole`)."""
    return (sum(values) - (values[0] + values[-1]) / 2) / max(1, len(values) - 1) / whole
