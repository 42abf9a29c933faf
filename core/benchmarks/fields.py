"""Columns to values, with a message that names the column, what was found and what was expected."""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence
from typing import Any

LONGEST_LITERAL = 1_000_000  # characters of a Python literal that is still parsed


class RowProblem(ValueError):
    """This row cannot be read; the message names the column and what was expected."""

    def __init__(self, words: str, column: str = "") -> None:
        super().__init__(f"column {column}: {words}" if column else words)
        self.words, self.column = words, column


def first_of(raw: dict[str, Any], *columns: str) -> tuple[str, Any]:
    """(column, value) of the first column that the row has with a value."""
    for column in columns:
        if raw.get(column) is not None:
            return column, raw[column]
    raise RowProblem("missing", " or ".join(columns))


def text(raw: dict[str, Any], *columns: str) -> str:
    column, value = first_of(raw, *columns)
    if not isinstance(value, str):
        raise RowProblem(f"{type(value).__name__} where text was expected", column)
    return value


def texts(raw: dict[str, Any], *columns: str) -> list[str]:
    column, value = first_of(raw, *columns)
    if isinstance(value, str):  # CSV holds lists as JSON
        value = parsed(column, value)
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise RowProblem(f"{type(value).__name__} where a list of responses was expected", column)
    if not all(isinstance(v, str) for v in value):
        raise RowProblem("a list of something else than texts", column)
    return list(value)


def ranking(raw: dict[str, Any], column: str, responses: int) -> int:
    """Index of the best response from ranks (0 is best), as VL-RewardBench's `human_ranking`."""
    _, value = first_of(raw, column)
    if isinstance(value, str):
        value = parsed(column, value)
    ranks = list(value) if isinstance(value, Sequence) else []
    if not all(type(r) in (int, float) for r in ranks) or sorted(ranks) != list(range(responses)):
        raise RowProblem(
            f"{shown(value)} where the ranks 0 to {responses - 1} of {responses} responses were expected",
            column,
        )
    return ranks.index(0)


def choice(column: str, value: Any, labels: Sequence[str]) -> int:
    if value not in labels:
        raise RowProblem(f"{shown(value)} where {' or '.join(labels)} was expected", column)
    return labels.index(value)


def parsed(column: str, value: str) -> Any:
    """A list or an object written as text: JSON, or Python's way of writing it, as pandas puts it into a CSV."""
    found = literal(value)
    if found is None:
        raise RowProblem(f"{shown(value)} is not a JSON list", column)
    return found


def literal(value: str) -> Any:
    """The list or object that the text writes, or None."""
    start = value.lstrip()[:1]
    if start not in ("[", "{"):
        return None
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        pass
    if len(value) > LONGEST_LITERAL:
        return None
    try:
        found = ast.literal_eval(value.strip())
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None
    return found if isinstance(found, list | dict) else None


def shown(value: Any) -> str:
    words = repr(value)
    return words if len(words) <= 80 else words[:77] + "..."


def count_problem(responses: Sequence[str]) -> None:
    if len(responses) < 2:
        raise RowProblem(f"{len(responses)} response where at least two were expected", "responses")
