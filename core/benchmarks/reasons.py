"""Why rows are left out, counted: one line a reason instead of one a row."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

PLACE = re.compile(r"^row (\d+)(?:, |: )")
PARTICULAR = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|\b\d[\d,.]*\b")


@dataclass
class Reason:
    """kind: the sentence without what is particular to a row. first: the sentence of the first row that has it."""

    kind: str
    first: str
    row: int
    count: int = 0

    def __str__(self) -> str:
        if self.count == 1:
            return f"1 row: {self.first}"
        return f"{self.count:,} rows: {self.kind} (first: {self.first})"


class Reasons:
    """Counts as rows come by; holds one entry a kind, and no more kinds than MOST."""

    MOST = 200

    def __init__(self, problems: Iterable[str] = ()) -> None:
        self.found: dict[str, Reason] = {}
        for problem in problems:
            self.add(problem)

    def add(self, problem: str) -> None:
        """problem: as Row.problem has it, "row 3, column image: there is no file 'a.png' in the image folder"."""
        if not problem:
            return
        place = PLACE.match(problem)
        words = problem[place.end() :] if place else problem
        kind = PARTICULAR.sub("…", words)
        if kind not in self.found and len(self.found) >= self.MOST:
            kind = "other reasons"
        reason = self.found.setdefault(kind, Reason(kind, problem, int(place[1]) if place else -1))
        reason.count += 1

    def lines(self, most: int = 3) -> list[str]:
        """The most frequent first."""
        found = sorted(self.found.values(), key=lambda r: (-r.count, r.row))
        more = sum(r.count for r in found[most:])
        return [str(r) for r in found[:most]] + (
            [f"{more:,} row{'s' * (more > 1)} for other reasons"] if more else []
        )


__all__ = ["Reason", "Reasons"]
