"""What a rule says of one response, and all rules asked in their order."""

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


def checks(task: Task, response: str) -> list[Check]:
    """What each rule says of whether the answer is true, the surest first; empty where nothing can be checked."""
    from core.judges.verifiers import answers, facts, symbols

    if len(response) > LONGEST or len(task.prompt) > LONGEST:
        return []
    rules: tuple[Rule, ...] = (
        answers.exact, answers.choice, answers.yes_no, answers.number, answers.listed, symbols.symbolic, symbols.asked,
        symbols.written, facts.objects, facts.texts,
    )  # fmt: skip
    found = [said for rule in rules if (said := rule(task, response))]
    return sorted(found, key=lambda c: -c.confidence)


def check(task: Task, response: str) -> Check | None:
    """The surest word on whether the answer is true; None where no rule applies."""
    return next(iter(checks(task, response)), None)


def shown(text: str, most: int = 40) -> str:
    """On one line, short."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"
