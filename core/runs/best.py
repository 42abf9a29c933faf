"""Which judge is best on what, and whether the difference to the next one is more than chance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pandas as pd

from core.benchmarks import BENCHMARKS
from core.runs.metrics import LEVEL, Paired, Rate, compare, rate
from core.runs.run import Run
from core.runs.shared import Shared, largest

OVERALL = "overall"


@dataclass(frozen=True)
class Best:
    """On one group of the shared records, or on all of them: who is right most often, by name where several are equally often, and
    the next one. paired: the difference of the first to the next; None where there is no next. p_value: of McNemar's exact
    test, the largest where several are first, corrected over the groups by Holm's method (1979); the overall is a test of its own."""

    what: str
    n: int
    firsts: tuple[str, ...]
    first_rate: Rate
    second: str = ""
    second_rate: Rate | None = None
    paired: Paired | None = None
    p_value: float = 1.0

    @property
    def first(self) -> str:
        return self.firsts[0]

    @property
    def real(self) -> bool:
        """Whether chance alone gives such a difference in fewer than one of twenty cases."""
        return self.paired is not None and self.p_value < 1 - LEVEL


def best_on(runs: Mapping[str, Run], benchmark: str) -> tuple[list[Best], Shared | None]:
    """The overall first, then each group of the benchmark's first grouping; a tie counts as wrong. Names are those of `runs`.
    Empty where no judge is among them. Raises RunError."""
    shared = largest(runs)
    if shared is None:
        return [], None
    known = BENCHMARKS.get(benchmark)
    subgroup = next(iter(shared.frames.values()))["subgroup"]
    groups = subgroup.map(known.groupings[0].group_of) if known and known.groupings else subgroup
    names = sorted({g for g in groups.dropna() if g})
    outcomes = {name: frame["outcome"] for name, frame in shared.frames.items()}
    overall = _best(OVERALL, outcomes)
    if len(names) < 2:
        return [overall], shared
    each = [_best(g, {name: o[(groups == g).to_numpy()] for name, o in outcomes.items()}) for g in names]
    return [overall, *_holm(each)], shared


def _best(what: str, outcomes: Mapping[str, pd.Series]) -> Best:
    rates = {name: rate(o) for name, o in outcomes.items()}
    order = sorted(rates, key=lambda name: (-rates[name].value, name))
    top = rates[order[0]]
    firsts = tuple(name for name in order if rates[name].points == top.points)
    best = Best(what, top.n, firsts, top)
    if len(firsts) == len(order):
        return best
    second = order[len(firsts)]
    paired = [compare(outcomes[name], outcomes[second]) for name in firsts]
    return replace(
        best,
        second=second,
        second_rate=rates[second],
        paired=paired[0],
        p_value=max(p.p_value for p in paired),
    )


def _holm(tests: list[Best]) -> list[Best]:
    """Step down: the smallest of m values is multiplied by m, the next by m - 1, and none falls below an earlier one."""
    order = sorted(range(len(tests)), key=lambda i: tests[i].p_value)
    out, least = list(tests), 0.0
    for place, i in enumerate(order):
        least = max(least, min(1.0, (len(tests) - place) * tests[i].p_value))
        out[i] = replace(tests[i], p_value=least)
    return out
