"""All rules that say whether an answer is true, asked in their order."""

from __future__ import annotations

from core.judges.verifiers import answers, facts, symbols
from core.judges.verifiers.check import LONGEST, Check, Rule, Task


def checks(task: Task, response: str) -> list[Check]:
    """What each rule says of whether the answer is true, the surest first; empty where nothing can be checked."""
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
