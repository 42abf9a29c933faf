"""Records to Plotly figures. Pure functions; every number in a figure is a number of the record."""

from __future__ import annotations

import plotly.graph_objects as go

from app.common.html import label, signed
from core.records import Judgement, letter

# Blue speaks for the first response of a pair, orange for the second: apart for every kind of colour blindness.
FIRST, SECOND = "#2d73c0", "#d9730d"  # white is readable on the first, black on the second
RESPONSES = (FIRST, SECOND, "#378063", "#8a5fb5")
QUIET = "#838d99"
NONE = "#eceef1"  # middle of a two-sided scale; opaque, or text on it would drown in the dark theme
INK = "#757a82"  # on the page the style sheet puts the theme's own text colour in its place


def layout(figure: go.Figure, height: int, **extra: object) -> go.Figure:
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 12, "t": 8, "b": 8},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": INK, "size": 13},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        bargap=0.3,
        modebar={
            "remove": ["select2d", "lasso2d"]
        },  # nothing to select: two stops of the keyboard for nothing
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
    names = [label(judgement.dimensions[d].name) for d, _ in parts] + [f"Margin {letter(a)} − {letter(b)}"]
    values = [v for _, v in parts] + [sum(v for _, v in parts)]
    figure = go.Figure(
        go.Waterfall(
            orientation="h",
            y=names,
            x=values,
            measure=["relative"] * len(parts) + ["total"],
            text=[signed(v) for v in values],
            textposition="auto",
            increasing={"marker": {"color": FIRST}},
            decreasing={"marker": {"color": SECOND}},
            totals={"marker": {"color": FIRST if values[-1] >= 0 else SECOND}},
            connector={"line": {"color": QUIET, "width": 1}},
        )
    )
    figure.update_yaxes(autorange="reversed")
    return layout(figure, 90 + 46 * len(names), showlegend=False)


def scores(judgement: Judgement) -> go.Figure:
    """Score of every response on the selected dimensions, with the weight each dimension has."""
    names = [
        f"{label(judgement.dimensions[d].name)}<br>weight {judgement.weights[d]:.2f}"
        for d in judgement.selected
    ]
    figure = go.Figure()
    for i, row in enumerate(judgement.scores):
        values = [row[d] for d in judgement.selected]
        figure.add_bar(
            name=f"Response {letter(i)}", x=names, y=values, marker_color=RESPONSES[i % len(RESPONSES)],
            text=[signed(v, 1) for v in values], textposition="auto",
        )  # fmt: skip
    return layout(figure, 300, barmode="group", yaxis_title="score")


def gates(judgement: Judgement) -> go.Figure:
    """All relevances under their capabilities, where the dimensions have such; the selected ones in full colour."""
    selected = set(judgement.selected)
    names: list[str] = []
    values: list[float | None] = []
    colours: list[str] = []
    help_texts: list[str] = []
    for capability in dict.fromkeys(d.capability for d in judgement.dimensions):
        if capability:  # a row of its own heads each capability
            names.append(f"<b>{label(capability)}</b>")
            values.append(None)
            colours.append(QUIET)
            help_texts.append("")
        for i, dimension in enumerate(judgement.dimensions):
            if dimension.capability == capability:
                names.append(("● " if i in selected else "") + label(dimension.name))
                values.append(judgement.relevance[i])
                colours.append(FIRST if i in selected else QUIET)
                help_texts.append(label(dimension.description))
    figure = go.Figure(
        go.Bar(
            orientation="h",
            y=names,
            x=values,
            marker_color=colours,
            text=["" if v is None else f"{v:.2f}" for v in values],
            textposition="outside",
            hovertext=help_texts,
            cliponaxis=False,
        )
    )
    figure.update_yaxes(autorange="reversed", tickmode="linear", dtick=1, tickfont={"size": 12})
    figure.update_xaxes(range=[0, 1.15], title="relevance", tickvals=[0, 0.5, 1])
    return layout(figure, 96 + 22 * len(names), showlegend=False)
