"""What a rule is asked, and what it says of one response."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from core.records import Known

SURE = 0.9  # a rule's word counts from this confidence on
LONGEST = 20_000  # characters of a response that are read; rules say nothing of a longer one


@dataclass(frozen=True)
class Check:
    """rule: its name. right: of the response. confidence: from 0 to 1, that this word is right; each rule states by what it
    gives it. why: what was compared, such as "4 ≠ 5"."""

    rule: str
    right: bool
    confidence: float
    why: str

    @property
    def sure(self) -> bool:
        return self.confidence >= SURE


@dataclass(frozen=True)
class Task:
    """What was asked, and what the data says is true."""

    prompt: str
    known: Known = Known()


Rule = Callable[[Task, str], Check | None]


def shown(text: str, most: int = 40) -> str:
    """On one line, short."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"
