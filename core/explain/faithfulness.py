"""Is an explanation true? Take away what it marks, and see what the model really does.

Deletion and insertion curves after Petsiuk et al. 2018 (RISE); features are words and regions, the prompt stays.
"""

from __future__ import annotations

import math
import random

from torch import Tensor

from core.explain import memory
from core.judges.features import Features
from core.judges.protocols import MaskedForward
from core.records import DeletionCheck, Faithfulness

SHARE = 0.1  # of the features, the strongest ones, at least one
SHOWN = 120  # characters of a sentence's name
DRAWS = 12  # random choices of as many features, for comparison


def words(features: Features) -> list[int]:
    return list(range(features.prompt))


def sentences(features: Features) -> list[int]:
    return list(range(features.text_count))[features.sentences]


def regions(features: Features) -> list[int]:
    return list(range(features.text_count, features.count))


def strongest(values: Tensor, among: list[int], target: float, share: float = SHARE) -> list[int]:
    """The features that speak most for the target's sign (for the winner, where the target is a margin), strongest
    first. Those that speak against it would undo their effect."""
    count = max(1, math.ceil(share * len(among) - 1e-9))
    sign = 1 if target >= 0 else -1
    return sorted(among, key=lambda u: -sign * float(values[u]))[:count]


def without(forward: MaskedForward, gone: list[list[int]]) -> list[float]:
    """The target with each of these sets of features replaced by the baseline."""
    z = forward.ones().repeat(len(gone), 1)
    for row, features in zip(z, gone, strict=True):
        row[features] = 0
    return memory.evaluate(forward, z, memory.most_at_once(forward, len(gone))).tolist()


def deletion_check(
    forward: MaskedForward, values: Tensor, among: list[int], before: float, seed: int = 0
) -> DeletionCheck | None:
    """What removing the strongest of `among` does, beside random choices of as many. None where there are none.
    before: the target as given."""
    if not among:
        return None
    top = strongest(values, among, before)
    rng = random.Random(seed)
    after, *drawn = without(forward, [top, *(rng.sample(among, len(top)) for _ in range(DRAWS))])
    names = tuple(_name(forward.features, u) for u in top)
    return DeletionCheck(names, before, after, sum(abs(v - before) for v in drawn) / len(drawn))


def faithfulness(forward: MaskedForward, values: Tensor, before: float) -> Faithfulness:
    """before: the target as given."""
    features = forward.features
    return Faithfulness(
        words=deletion_check(forward, values, words(features), before),
        regions=deletion_check(forward, values, regions(features), before),
        critique=deletion_check(forward, values, sentences(features), before),
    )


def checks_of(features: Features) -> int:
    """Points that `faithfulness` evaluates."""
    return sum(
        bool(among) * (1 + DRAWS) for among in (words(features), regions(features), sentences(features))
    )


def _name(features: Features, u: int) -> str:
    first = len(features.texts[0])
    if u < first:
        return f"“{features.texts[0][u][0]}”"
    if u < features.prompt:
        return f"“{features.texts[1][u - first][0]}”"
    if u < features.text_count:
        said = features.critique[u - features.prompt - 1][0]
        return f"“{said if len(said) <= SHOWN else said[: SHOWN - 1] + '…'}”"
    row, column = divmod(u - features.text_count, features.grid[1])
    return f"row {row + 1}, column {column + 1}"


def curve(forward: MaskedForward, order: list[int], insert: bool = False) -> list[float]:
    """The target after 0, 1, 2, ... of the ordered features are taken away (or put into an input without any)."""
    steps = [order[:n] for n in range(len(order) + 1)]
    if insert:
        steps = [[u for u in order if u not in set(s)] for s in steps]
    return without(forward, steps)


def area(values: list[float], whole: float) -> float:
    """Mean height of a curve over [0, 1] by trapezia, in units of the target as given (`whole`)."""
    return (sum(values) - (values[0] + values[-1]) / 2) / max(1, len(values) - 1) / whole
