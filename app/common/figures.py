"""A judgement's charts. Pure functions; every number in a chart is a number of the record."""

from __future__ import annotations

from app.common.charts import FIRST, QUIET, RESPONSES, SECOND, Row, Rows
from app.common.html import signed
from core.records import Judgement, letter


def waterfall(judgement: Judgement, a: int, b: int) -> Rows:
    """How the margin of a over b adds up, dimension by dimension."""
    rows, total = [], 0.0
    for d, v in sorted(judgement.contributions(a, b).items(), key=lambda item: -abs(item[1])):
        colour = FIRST if v >= 0 else SECOND
        rows.append(Row(judgement.dimensions[d].name, total + v, total, signed(v), colour))
        total += v
    name, colour = f"Margin {letter(a)} − {letter(b)}", FIRST if total >= 0 else SECOND
    return Rows((*rows, Row(name, total, 0.0, signed(total), colour)))


def scores(judgement: Judgement) -> Rows:
    """Score of every response on the selected dimensions, with the weight each dimension has."""
    rows = []
    for d in judgement.selected:
        rows.append(Row(f"{judgement.dimensions[d].name}, weight {judgement.weights[d]:.2f}"))
        for i, row in enumerate(judgement.scores):
            colour = RESPONSES[i % len(RESPONSES)]
            rows.append(Row(f"Response {letter(i)}", row[d], 0.0, signed(row[d], 1), colour))
    return Rows(tuple(rows), "score")


def gates(judgement: Judgement) -> Rows:
    """All relevances under their capabilities, where the dimensions have such; the selected ones in full colour."""
    selected = set(judgement.selected)
    rows = []
    for capability in dict.fromkeys(d.capability for d in judgement.dimensions):
        if capability:  # a row of its own heads each capability
            rows.append(Row(capability))
        for i, dimension in enumerate(judgement.dimensions):
            if dimension.capability == capability:
                value, mark = judgement.relevance[i], "● " if i in selected else ""
                colour = FIRST if i in selected else QUIET
                rows.append(Row(mark + dimension.name, value, 0.0, f"{value:.2f}", colour, title=dimension.description))  # fmt: skip
    return Rows(tuple(rows), "relevance", (0.0, 1.0), (0.0, 0.5, 1.0))
