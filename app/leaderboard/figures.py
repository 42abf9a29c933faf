"""Leaderboard figures: pure functions from results to Plotly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from app.common.figures import FIRST, INK, QUIET, SECOND, layout
from app.common.html import label
from core.records import JudgeCard
from core.runs.leaderboard import Entry
from core.runs.metrics import Bin, Rate
from core.runs.votes import AtK
from core.taxonomy import DIMENSIONS


def intervals(names: list[str], rates: list[Rate], controls: dict[str, Rate]) -> go.Figure:
    """Accuracy with its 95 % interval, one line per judge; text-only baselines in grey below."""
    figure = go.Figure()
    for labels, values, colour, symbol in (
        (names, rates, FIRST, "circle"),
        ([_control(c, r) for c, r in controls.items()], list(controls.values()), QUIET, "diamond"),
    ):
        shown = [(n, r) for n, r in zip(labels, values, strict=True) if r.n]
        figure.add_scatter(
            x=[100 * r.value for _, r in shown], y=[label(n) for n, _ in shown], mode="markers+text",
            text=[f"{100 * r.value:.1f}" for _, r in shown], textposition="top center",
            marker={"color": colour, "size": 10, "symbol": symbol},
            error_x={"type": "data", "symmetric": False, "array": [100 * (r.high - r.value) for _, r in shown],
                     "arrayminus": [100 * (r.value - r.low) for _, r in shown], "color": colour},
        )  # fmt: skip
    figure.add_vline(x=50, line={"color": INK, "width": 1, "dash": "dot"})
    figure.update_xaxes(
        title="accuracy in percent with 95 % interval; in brackets: text-only baselines", range=[0, 104]
    )
    figure.update_yaxes(autorange="reversed")
    return layout(figure, 110 + 44 * (len(names) + len(controls)), showlegend=False)


def _control(name: str, rate: Rate) -> str:
    tied = rate.counts["tie"]
    return f"({name}, {tied} tied)" if tied else f"({name})"


def bars(rates: dict[str, Rate], names: dict[str, str] | None = None) -> go.Figure:
    """Accuracy per group or dimension with intervals; the worst first."""
    items = sorted(((k, r) for k, r in rates.items() if r.n), key=lambda kv: kv[1].value)
    figure = go.Figure(
        go.Bar(
            orientation="h",
            y=[f"{label((names or {}).get(k, k))} ({r.n})" for k, r in items],
            x=[100 * r.value for _, r in items],
            marker_color=FIRST,
            text=[f"{100 * r.value:.1f}" for _, r in items],
            textposition="inside",
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [100 * (r.high - r.value) for _, r in items],
                "arrayminus": [100 * (r.value - r.low) for _, r in items],
                "color": INK,
                "thickness": 1,
            },
        )  # fmt: skip
    )
    figure.update_xaxes(range=[0, 104], title="accuracy in percent")
    figure.update_yaxes(autorange="reversed", tickmode="linear", dtick=1)
    return layout(figure, 90 + 24 * len(items), showlegend=False)


def voting(curve: Sequence[AtK]) -> go.Figure:
    """Voting@K with 95 % intervals: accuracy by the majority of K answers."""
    shown = [at for at in curve if at.overall.n]
    figure = go.Figure()
    figure.add_scatter(
        x=[at.k for at in shown], y=[100 * at.overall.value for at in shown], mode="lines+markers", line={"color": FIRST},
        hovertext=[f"{at.overall.points:g}/{at.overall.n}" for at in shown],
        error_y={"type": "data", "symmetric": False, "array": [100 * (at.overall.high - at.overall.value) for at in shown],
                 "arrayminus": [100 * (at.overall.value - at.overall.low) for at in shown], "color": FIRST},
    )  # fmt: skip
    figure.update_xaxes(title="K: answers that vote", tickmode="array", tickvals=[at.k for at in shown])
    figure.update_yaxes(title="accuracy in percent", range=[0, 104])
    return layout(figure, 320, showlegend=False)


def dimensions(entry: Entry, card: JudgeCard) -> go.Figure:
    names = {
        d.key: d.name for d in (*DIMENSIONS, *card.dimensions)
    }  # the data may name some that the judge has not
    return bars(entry.by_dimension, {d: names.get(d, d) for d in entry.by_dimension})


def reliability(bins: list[Bin], error: float) -> go.Figure:
    """What sigma(|margin|) says against how often the winner is the preferred one. On the diagonal it is calibrated."""
    shown = [b for b in bins if b.n]
    figure = go.Figure()
    figure.add_scatter(
        x=[0.5, 1], y=[0.5, 1], mode="lines", line={"color": QUIET, "dash": "dot"}, name="calibrated"
    )
    figure.add_scatter(
        x=[b.said for b in shown], y=[b.was for b in shown], mode="lines+markers", line={"color": FIRST},
        marker={"size": [6 + 14 * (b.n / max(b.n for b in shown)) ** 0.5 for b in shown]}, name="this judge",
        hovertext=[f"{b.n} records" for b in shown],
    )  # fmt: skip
    figure.update_xaxes(
        title=f"confidence, σ(|margin|); expected calibration error {error:.3f}", range=[0.48, 1.02]
    )
    figure.update_yaxes(title="accuracy", range=[0, 1.04])
    return layout(figure, 320)


def margins(values: np.ndarray) -> go.Figure:
    """Histogram of reward(preferred) - best other: left of zero are mistakes."""
    figure = go.Figure()
    if len(values):
        edge = float(np.quantile(np.abs(values), 0.995)) or 1.0
        size = edge / 20
        clipped = np.clip(values, -edge, edge)
        for part, colour, name in (
            (clipped[clipped <= 0], SECOND, "wrong or tied"),
            (clipped[clipped > 0], FIRST, "right"),
        ):
            counts, edges = np.histogram(part, bins=np.arange(-edge, edge + size, size))
            keep = counts > 0
            figure.add_bar(
                x=((edges[:-1] + edges[1:]) / 2)[keep],
                y=counts[keep],
                width=size,
                marker_color=colour,
                name=name,
            )
    figure.update_xaxes(title="margin of the preferred response")
    figure.update_yaxes(title="records")
    return layout(figure, 320, barmode="overlay")
