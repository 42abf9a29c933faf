"""Columns to values, with a message that names the column, what was found and what was expected."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any


class RowProblem(ValueError):
    """This row cannot be read; the message names the column and what was expected."""


def first_of(raw: dict[str, Any], *columns: str) -> tuple[str, Any]:
    """(column, value) of the first column that the row has with a value."""
    for column in columns:
        if raw.get(column) is not None:
            return column, raw[column]
    raise RowProblem(f"column {' or '.join(columns)}: missing")


def text(raw: dict[str, Any], *columns: str) -> str:
    column, value = first_of(raw, *columns)
    return spoken(column, value)


def spoken(column: str, value: Any) -> str:
    """A string, or the text of a chat message list (TRL): images are left out, they have a column of their own."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        parts = []
        for message in value:
            content = message.get("content") if isinstance(message, dict) else None
            if isinstance(content, str):
                parts.append(content)
            elif isinstance(content, list):
                parts += [
                    p.get("text") or "" for p in content if isinstance(p, dict) and p.get("type") == "text"
                ]
            else:
                raise RowProblem(f"column {column}: a list that is not a chat of messages with content")
        return "\n".join(p for p in parts if p)
    raise RowProblem(f"column {column}: {type(value).__name__} where text was expected")


def texts(raw: dict[str, Any], *columns: str) -> list[str]:
    column, value = first_of(raw, *columns)
    if isinstance(value, str):  # CSV holds lists as JSON
        value = parsed(column, value)
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise RowProblem(f"column {column}: {type(value).__name__} where a list of responses was expected")
    return [spoken(column, v) for v in value]


def ranking(raw: dict[str, Any], column: str, responses: int) -> int:
    """Index of the best response from ranks (0 is best), as VL-RewardBench's `human_ranking`."""
    _, value = first_of(raw, column)
    if isinstance(value, str):
        value = parsed(column, value)
    ranks = list(value) if isinstance(value, Sequence) else []
    if sorted(ranks) != list(range(responses)) or any(isinstance(r, bool) for r in ranks):
        raise RowProblem(
            f"column {column}: {_shown(value)} where the ranks 0 to {responses - 1} of {responses} responses were expected"
        )
    return ranks.index(0)


def choice(column: str, value: Any, labels: Sequence[str]) -> int:
    if value not in labels:
        raise RowProblem(f"column {column}: {_shown(value)} where {' or '.join(labels)} was expected")
    return labels.index(value)


def parsed(column: str, value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError as error:
        raise RowProblem(f"column {column}: {_shown(value)} is not a JSON list") from error


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:77] + "..."


def count_problem(responses: Sequence[str]) -> None:
    if len(responses) < 2:
        raise RowProblem(f"column responses: {len(responses)} response where at least two were expected")
