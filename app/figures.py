"""Records to Plotly figures. Pure functions; every number in a figure is a number of the record."""

from __future__ import annotations

import plotly.graph_objects as go

from core.records import Judgement
from core.taxonomy import CAPABILITIES, DIMENSIONS, NAMES

LETTERS = "ABCD"
# Blue speaks for the first response of a pair, orange for the second: apart for every kind of colour blindness.
FIRST, SECOND = "#2a6fbb", "#d9730d"
RESPONSES = (FIRST, SECOND, "#3d8b6d", "#8a5fb5")
QUIET = "#9aa3ad"
INK = "#757a82"  # readable on white and on the dark theme


def _layout(figure: go.Figure, height: int, **extra: object) -> go.Figure:
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 12, "t": 8, "b": 8},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": INK, "size": 13},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        bargap=0.3,
        **extra,
    )
    grid = {
        "gridcolor": "rgba(128,128,128,0.25)",
        "zerolinecolor": INK,
        "automargin": True,
        "fixedrange": True,
    }
    figure.update_xaxes(**grid)
    figure.update_yaxes(**{**grid, "gridcolor": "rgba(0,0,0,0)"})
    return figure


def waterfall(judgement: Judgement, a: int, b: int) -> go.Figure:
    """How the margin of a over b adds up, dimension by dimension."""
    parts = sorted(judgement.contributions(a, b).items(), key=lambda item: -abs(item[1]))
    names = [DIMENSIONS[d].name for d, _ in parts] + [f"Margin {LETTERS[a]} − {LETTERS[b]}"]
    values = [v for _, v in parts] + [sum(v for _, v in parts)]
    figure = go.Figure(
        go.Waterfall(
            orientation="h",
            y=names,
            x=values,
            measure=["relative"] * len(parts) + ["total"],
            text=[f"{v:+.2f}" for v in values],
            textposition="auto",
            increasing={"marker": {"color": FIRST}},
            decreasing={"marker": {"color": SECOND}},
            totals={"marker": {"color": FIRST if values[-1] >= 0 else SECOND}},
            connector={"line": {"color": QUIET, "width": 1}},
        )
    )
    figure.update_yaxes(autorange="reversed")
    return _layout(figure, 90 + 46 * len(names), showlegend=False)


def scores(judgement: Judgement) -> go.Figure:
    """Score of every response on the selected dimensions, with the weight each dimension has."""
    names = [f"{DIMENSIONS[d].name}<br>weight {judgement.weights[d]:.2f}" for d in judgement.selected]
    figure = go.Figure()
    for i, row in enumerate(judgement.scores):
        values = [row[d] for d in judgement.selected]
        figure.add_bar(
            name=f"Response {LETTERS[i]}", x=names, y=values, marker_color=RESPONSES[i],
            text=[f"{v:+.1f}" for v in values], textposition="auto",
        )  # fmt: skip
    return _layout(figure, 300, barmode="group", yaxis_title="score")


def gates(judgement: Judgement) -> go.Figure:
    """All 21 relevances, grouped by capability; the selected ones in full colour."""
    figure = go.Figure()
    rows = [(c, i) for c in CAPABILITIES for i, d in enumerate(DIMENSIONS) if d.capability == c]
    selected = set(judgement.selected)
    figure.add_bar(
        orientation="h",
        y=[[c for c, _ in rows], [("● " if i in selected else "") + NAMES[i] for _, i in rows]],
        x=[judgement.relevance[i] for _, i in rows],
        marker_color=[FIRST if i in selected else QUIET for _, i in rows],
        text=[f"{judgement.relevance[i]:.2f}" for _, i in rows],
        textposition="outside",
        hovertext=[DIMENSIONS[i].about for _, i in rows],
        cliponaxis=False,
    )
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(range=[0, 1.12], title="relevance for this picture and prompt")
    return _layout(figure, 640, showlegend=False)
