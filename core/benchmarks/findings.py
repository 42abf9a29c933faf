"""What is odd about a data set: ids that repeat, rows that repeat, equal responses, labels that contradict each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from core.benchmarks.rows import Row


@dataclass(frozen=True)
class Finding:
    """kind in words, the rows' indices, and what to make of it."""

    kind: str
    rows: tuple[int, ...]
    detail: str


def findings(rows: Iterable[Row], clustered: bool = False) -> list[Finding]:
    """clustered: rows of one id are pairs of one ranking, so ids repeat and a text may win here and lose there."""
    by_id: dict[str, list[Row]] = defaultdict(list)
    by_key: dict[str, list[Row]] = defaultdict(list)
    by_question: dict[tuple[str, str], list[Row]] = defaultdict(list)
    out = []
    for row in rows:
        if row.comparison is None:
            out.append(Finding("unreadable row", (row.index,), row.problem))
            continue
        if len(set(row.comparison.responses)) < len(row.comparison.responses):
            out.append(Finding("responses are the same text", (row.index,), row.comparison.responses[0][:80]))
        by_id[row.id].append(row)
        by_key[row.key].append(row)
        by_question[(row.id, row.comparison.prompt)].append(row)
    for id_, same in by_id.items():
        if len(same) > 1 and not clustered:
            out.append(Finding("id occurs more than once", _indices(same), id_))
    for same in by_key.values():
        if len(same) > 1:
            preferred = {r.comparison.preferred for r in same if r.comparison} - {
                None
            }  # no label is none to contradict
            kind = "same row, contradictory labels" if len(preferred) > 1 else "same row more than once"
            out.append(Finding(kind, _indices(same), same[0].id))
    for (id_, _), same in by_question.items() if not clustered else ():
        for text, won, lost in _both_ways(same):
            out.append(
                Finding(
                    "same text preferred in one row and rejected in another",
                    (won, lost),
                    f"{id_}: {text[:80]}",
                )
            )
    return out


def _indices(rows: list[Row]) -> tuple[int, ...]:
    return tuple(r.index for r in rows)


def _both_ways(rows: list[Row]) -> list[tuple[str, int, int]]:
    won: dict[str, int] = {}
    lost: dict[str, int] = {}
    for row in rows:
        assert row.comparison
        if len(set(row.comparison.responses)) < len(row.comparison.responses):
            continue  # it says so of itself
        for i, text in enumerate(row.comparison.responses):
            if row.comparison.preferred is not None:
                (won if i == row.comparison.preferred else lost).setdefault(text, row.index)
    return [(text, won[text], lost[text]) for text in won if text in lost]
