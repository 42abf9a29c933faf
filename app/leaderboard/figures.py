"""Leaderboard charts: pure functions from results."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from app.common.charts import FIRST, QUIET, SECOND, Points, Row, Rows, round_ticks
from core.records import JudgeCard
from core.runs.leaderboard import Entry
from core.runs.metrics import Bin, Rate
from core.runs.votes import AtK
from core.taxonomy import DIMENSIONS

PERCENT = (0.0, 25.0, 50.0, 75.0, 100.0)


def intervals(names: list[str], rates: list[Rate], controls: dict[str, Rate]) -> Rows:
    """Accuracy with its 95 % interval, one line per judge; text-only baselines in grey below."""
    rows = [
        _row(n, r, colour, dot=True)
        for shown, colour in (
            (zip(names, rates, strict=True), FIRST),
            (((_control(c, r), r) for c, r in controls.items()), QUIET),
        )
        for n, r in shown
        if r.n
    ]
    axis = "accuracy in percent with 95 % interval; in brackets: text-only baselines"
    return Rows(tuple(rows), axis, (0.0, 100.0), PERCENT, (50.0,))


def _row(name: str, rate: Rate, colour: str, dot: bool = False) -> Row:
    value = 100 * rate.value
    return Row(name, value, 0.0, f"{value:.1f}", colour, dot, (100 * rate.low, 100 * rate.high))


def _control(name: str, rate: Rate) -> str:
    tied = rate.counts["tie"]
    return f"({name}, {tied} tied)" if tied else f"({name})"


def bars(rates: dict[str, Rate], names: dict[str, str] | None = None) -> Rows:
    """Accuracy per group or dimension with intervals; the worst first."""
    items = sorted(((k, r) for k, r in rates.items() if r.n), key=lambda kv: kv[1].value)
    rows = [_row(f"{(names or {}).get(k, k)} ({r.n})", r, FIRST) for k, r in items]
    return Rows(tuple(rows), "accuracy in percent", (0.0, 100.0), PERCENT)


def voting(curve: Sequence[AtK]) -> Points:
    """Voting@K with 95 % intervals: accuracy by the majority of K answers."""
    shown = [at for at in curve if at.overall.n]
    points = [
        (
            float(at.k), 100 * at.overall.value,
            f"K = {at.k}: {100 * at.overall.value:.1f} ({at.overall.points:g}/{at.overall.n}; 95 %: {100 * at.overall.low:.1f} to {100 * at.overall.high:.1f})",
            FIRST,
        )
        for at in shown
    ]  # fmt: skip
    spans = [(100 * at.overall.low, 100 * at.overall.high) for at in shown]
    most = max((at.k for at in shown), default=1)
    ticks = (tuple(float(at.k) for at in shown), PERCENT)
    return Points(
        tuple(points),
        (0.5, most + 0.5),
        (0.0, 104.0),
        ("K: answers that vote", "accuracy in percent"),
        ticks,
        spans=tuple(spans),
    )


def dimensions(entry: Entry, card: JudgeCard) -> Rows:
    names = {
        d.key: d.name for d in (*DIMENSIONS, *card.dimensions)
    }  # the data may name some that the judge has not
    return bars(entry.by_dimension, {d: names.get(d, d) for d in entry.by_dimension})


def reliability(bins: list[Bin], error: float) -> Points:
    """What sigma(|margin|) says against how often the winner is the preferred one. On the diagonal it is calibrated."""
    shown = [b for b in bins if b.n]
    most = max((b.n for b in shown), default=1)
    points = [(b.said, b.was, f"said {b.said:.2f}, was {b.was:.2f} ({b.n:,} records)", FIRST) for b in shown]
    return Points(
        tuple(points), (0.48, 1.02), (0.0, 1.04),
        (f"confidence, σ(|margin|); expected calibration error {error:.3f}", "accuracy"),
        ((0.5, 0.6, 0.7, 0.8, 0.9, 1.0), (0.0, 0.25, 0.5, 0.75, 1.0)),
        tuple((b.n / most) ** 0.5 for b in shown), diagonal=True, legend=(("this judge", FIRST), ("calibrated (dashed)", QUIET)),
    )  # fmt: skip


def margins(values: np.ndarray) -> Points:
    """Histogram of reward(preferred) - best other: left of zero are mistakes."""
    if not len(values):
        return Points((), (-1, 1), (0, 1), ("margin of the preferred response", "records"))
    edge = float(np.quantile(np.abs(values), 0.995)) or 1.0
    size = edge / 20
    clipped = np.clip(values, -edge, edge)
    points = []
    for part, colour in ((clipped[clipped <= 0], SECOND), (clipped[clipped > 0], FIRST)):
        counts, edges = np.histogram(part, bins=np.arange(-edge, edge + size, size))
        for n, x in zip(counts.tolist(), ((edges[:-1] + edges[1:]) / 2).tolist(), strict=True):
            if n:
                points.append((x, float(n), f"{n:,} at {x:.2f}", colour))
    most = max(n for _, n, _, _ in points)
    return Points(
        tuple(points), (-edge - size, edge + size), (0.0, 1.05 * most), ("margin of the preferred response", "records"),
        (round_ticks(-edge, edge), round_ticks(0.0, most, 4)), width=size,
        legend=(("wrong or tied", SECOND), ("right", FIRST)),
    )  # fmt: skip
