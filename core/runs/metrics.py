"""Benchmark metrics as the official scripts define them, with the denominators always beside the number.

Input everywhere: a data frame with one row per judgement and the columns
  subgroup (str), cluster (str), outcome ("right", "wrong", "tie", "unparsed", "missing", "unlabelled").
"missing" rows were never judged (no image, unreadable); they and unlabelled rows are counted and never scored.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.benchmarks.rows import Grouping

OUTCOMES = ("right", "wrong", "tie", "unparsed", "missing", "unlabelled")
POLICIES = ("wrong", "half", "dropped", "coin")
COIN_SEED = 123  # as in Multimodal RewardBench's 2_get_accuracy.py
LEVEL = 0.95


def outcome(rewards: Sequence[float], preferred: int | None) -> str:
    """Strict: right only if the preferred response's reward is above every other one's. Compared as stored (fp32)."""
    if not rewards:
        return "missing"
    if preferred is None:
        return "unlabelled"
    if any(np.isnan(r) for r in rewards):
        return "unparsed"
    best_other = max(r for i, r in enumerate(rewards) if i != preferred)
    return (
        "right" if rewards[preferred] > best_other else "tie" if rewards[preferred] == best_other else "wrong"
    )


@dataclass(frozen=True)
class Rate:
    """value = points / n, with a 95 % interval. counts: rows per outcome; n: those in the denominator."""

    value: float
    points: float
    n: int
    low: float
    high: float
    counts: dict[str, int]


def points_of(outcomes: pd.Series, ties: str = "wrong", stored: pd.Series | None = None) -> np.ndarray:
    """(rows,) 1, 0.5 or 0 per row, NaN where the row leaves the denominator.

    ties: what a tie or an unparsed answer counts. "wrong" (strict; MM-RLHF, VLMEvalKit), "half" (RewardBench),
    "dropped" (VL-RewardBench's cal.py), "coin": Multimodal RewardBench's 2_get_accuracy.py, seed 123, which says "A" or "B" by
    one draw a row and is right where that is the label. So it must see the whole file, in the order of its rows, and
    stored: where the preferred response stood in the file (0 for "A"; without it, 0).
    """
    if ties not in POLICIES:
        raise ValueError(f"no such tie policy: {ties}; use one of {', '.join(POLICIES)}")
    known = {"right": 1.0, "wrong": 0.0, "missing": np.nan, "unlabelled": np.nan}
    undecided = {"wrong": 0.0, "half": 0.5, "dropped": np.nan, "coin": -1.0}[ties]
    mapped = outcomes.map({**known, "tie": undecided, "unparsed": undecided})
    points: np.ndarray = mapped.to_numpy(dtype=float, copy=True)
    if ties == "coin":
        coin = random.Random(COIN_SEED)
        labels = np.zeros(len(points)) if stored is None else stored.to_numpy(dtype=float)
        for i in np.flatnonzero(points == -1.0):
            said = 0 if coin.random() < 0.5 else 1
            points[i] = float(said == labels[i])
    return points


def rate(outcomes: pd.Series, ties: str = "wrong", points: np.ndarray | None = None) -> Rate:
    """Accuracy with Wilson's interval (Wilson 1927; statsmodels). NaN where nothing was scored. points: of these rows, where
    they were worked out over the whole file (`points_of`)."""
    points = points_of(outcomes, ties) if points is None else points
    scored = ~np.isnan(points)
    n, total = int(scored.sum()), float(points[scored].sum())
    return _rate(total, n, {o: int((outcomes == o).sum()) for o in OUTCOMES})


def _rate(total: float, n: int, counts: dict[str, int]) -> Rate:
    if n == 0:
        return Rate(float("nan"), 0.0, 0, float("nan"), float("nan"), counts)
    from statsmodels.stats.proportion import proportion_confint  # slow: not at every start

    low, high = proportion_confint(total, n, alpha=1 - LEVEL, method="wilson")
    return Rate(total / n, total, n, float(low), float(high), counts)


def frame_points(frame: pd.DataFrame, ties: str) -> np.ndarray:
    """`points_of` a whole run's rows, in their order. Columns: outcome, and preferred_stored where it is known."""
    return points_of(frame["outcome"], ties, frame.get("preferred_stored"))


def rate_of_counts(counts: Sequence[tuple[str, int]], ties: str = "wrong") -> Rate:
    """The same from (outcome, how often) pairs."""
    if ties == "coin":  # a draw a row
        return rate(pd.Series([o for o, n in counts for _ in range(n)], dtype=object), ties)
    points = points_of(pd.Series([o for o, _ in counts], dtype=object), ties)
    each = np.array([n for _, n in counts], dtype=float)
    scored = ~np.isnan(points)
    found = Counter({o: 0 for o in OUTCOMES})
    for o, n in counts:
        if o in found:
            found[o] += n
    return _rate(float((points * each)[scored].sum()), int(each[scored].sum()), dict(found))


@dataclass(frozen=True)
class Report:
    """overall: micro over all rows. groups by name; macro is their plain mean, or None with the reason in `refused`."""

    grouping: str
    overall: Rate
    groups: dict[str, Rate]
    macro: float | None
    refused: str


def report(frame: pd.DataFrame, grouping: Grouping, ties: str = "wrong") -> Report:
    """Overall = sum of points / sum of scored rows; macro = unweighted mean of the group accuracies (cal.py)."""
    group = frame["subgroup"].map(grouping.group_of)
    points = frame_points(frame, ties)
    groups = {
        name: rate(frame.loc[group == name, "outcome"], ties, points[(group == name).to_numpy()])
        for name in sorted(set(group.dropna()))
    }
    refused = check_groups(frame, grouping)
    named = {g: r for g, r in groups.items() if g}  # rows that cannot be read belong to no group
    if not refused and any(r.n == 0 for r in named.values()):
        refused = "no row was scored in " + ", ".join(g for g, r in named.items() if r.n == 0)
    macro = None if refused or not named else float(np.mean([r.value for r in named.values()]))
    return Report(grouping.name, rate(frame["outcome"], ties, points), groups, macro, refused)


def check_groups(frame: pd.DataFrame, grouping: Grouping) -> str:
    """Why a macro over these rows would not be the published one; empty if the counts fit."""
    group = frame["subgroup"].map(grouping.group_of)
    strange = sorted(set(frame.loc[group.isna(), "subgroup"]))
    if strange:
        return f"subgroups that belong to no group: {', '.join(map(repr, strange[:5]))}"
    counts = group.value_counts().to_dict()
    wrong = [
        f"{g} has {counts.get(g, 0)} rows, not {n}"
        for g, n in grouping.expected.items()
        if counts.get(g, 0) != n
    ]
    return "; ".join(wrong)


def accuracy_plus(frame: pd.DataFrame, ties: str = "wrong", resamples: int = 2000, seed: int = 0) -> Rate:
    """Acc+: share of clusters all of whose rows are right (MM-RLHF, cal_performance_mmreweard_bench.py).

    A cluster with a missing row cannot be all right: it is left out and counted as missing. The interval is a
    percentile bootstrap over clusters. Under "half" and "coin" a tie counts as in `points_of`, and only 1 is right.
    """
    points = pd.Series(frame_points(frame, ties), index=frame.index)
    absent = frame["outcome"].isin(["missing", "unlabelled"])
    whole = ~absent.groupby(frame["cluster"]).any()
    right = (points.fillna(1.0 if ties == "dropped" else 0.0) == 1.0).groupby(frame["cluster"]).all()[whole]
    n, k = len(right), int(right.sum())
    counts = {"right": k, "wrong": n - k, "missing": int((~whole).sum())}
    if n == 0:
        return Rate(float("nan"), 0, 0, float("nan"), float("nan"), counts)
    draws = np.random.default_rng(seed).binomial(n, k / n, resamples) / n  # resampling n clusters of 0 and 1
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Rate(k / n, k, n, float(low), float(high), counts)


@dataclass(frozen=True)
class Paired:
    """Two judges on the rows that both scored. difference = accuracy_a - accuracy_b with a 95 % interval."""

    n: int
    both_right: int
    only_a: int
    only_b: int
    both_wrong: int
    difference: float
    low: float
    high: float
    p_value: float


def compare(a: pd.Series, b: pd.Series) -> Paired:
    """Outcomes of two judges, aligned by index. McNemar's exact test; the interval of the paired difference is
    Agresti and Min's (2005): half an observation added to each cell, then Wald."""
    both = pd.DataFrame({"a": points_of(a), "b": points_of(b)}, index=a.index).dropna()
    right_a, right_b = both["a"] == 1, both["b"] == 1
    table = [[int((right_a & right_b).sum()), int((right_a & ~right_b).sum())],
             [int((~right_a & right_b).sum()), int((~right_a & ~right_b).sum())]]  # fmt: skip
    n = len(both)
    if n == 0:
        return Paired(0, 0, 0, 0, 0, *[float("nan")] * 4)
    only_a, only_b = table[0][1], table[1][0]
    x, y, m = (only_a + 0.5) / (n + 2), (only_b + 0.5) / (n + 2), n + 2
    half = 1.959963984540054 * np.sqrt((x + y - (x - y) ** 2) / m)
    from statsmodels.stats.contingency_tables import mcnemar  # slow, as above

    p = float(mcnemar(table, exact=True).pvalue) if only_a + only_b else 1.0
    return Paired(n, table[0][0], only_a, only_b, table[1][1], (only_a - only_b) / n,
                  max(-1.0, float(x - y - half)), min(1.0, float(x - y + half)), p)  # fmt: skip


@dataclass(frozen=True)
class Bin:
    low: float
    high: float
    n: int
    said: float
    was: float


def calibration(margins: np.ndarray, right: np.ndarray, bins: int = 10) -> tuple[list[Bin], float]:
    """Reliability of sigma(|margin|): what the judge says its winner is worth, against how often the winner is
    the preferred one. Bins of equal width on [0.5, 1]; the second value is the expected calibration error
    (Guo et al. 2017, arXiv 1706.04599, eq. 3)."""
    said = 1 / (1 + np.exp(-np.abs(np.asarray(margins, dtype=float))))
    right = np.asarray(right, dtype=float)
    edges = np.linspace(0.5, 1.0, bins + 1)
    place = np.clip(np.digitize(said, edges[1:-1]), 0, bins - 1)
    out = []
    for i in range(bins):
        inside = place == i
        n = int(inside.sum())
        means = (float(said[inside].mean()), float(right[inside].mean())) if n else (float("nan"),) * 2
        out.append(Bin(float(edges[i]), float(edges[i + 1]), n, *means))
    error = sum(b.n * abs(b.said - b.was) for b in out if b.n) / max(len(said), 1)
    return out, float(error)
