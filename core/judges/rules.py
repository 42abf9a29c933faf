"""Judges that look at nothing that matters. Any judge worth its name must beat them; on a fair benchmark they stand at chance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from core.records import Comparison, Judgement


class RuleJudge:
    """A reward per response from the texts alone."""

    def __init__(self, name: str, about: str, rewards: Callable[[Sequence[str]], list[float]]) -> None:
        self.name, self.rewards = name, rewards
        self.about: dict[str, Any] = {"name": name, "about": about, "reads_image": False}

    def judge(self, comparison: Comparison) -> Judgement:
        return Judgement(comparison.id, self.name, tuple(self.rewards(comparison.responses)))

    def judge_batch(self, comparisons: list[Comparison]) -> list[Judgement]:
        return [self.judge(c) for c in comparisons]


def always_first() -> RuleJudge:
    return RuleJudge(
        "always first", "prefers the response shown first", lambda r: [-float(i) for i in range(len(r))]
    )


def longer() -> RuleJudge:
    return RuleJudge(
        "longer wins", "prefers the response with more characters", lambda r: [float(len(t)) for t in r]
    )


def shorter() -> RuleJudge:
    return RuleJudge(
        "shorter wins", "prefers the response with fewer characters", lambda r: [-float(len(t)) for t in r]
    )


def nobody() -> RuleJudge:
    """No judge at all: a run of the rows alone, for labelling a file that nobody has judged."""
    judge = RuleJudge("no judge", "says nothing", lambda r: [])
    judge.about["judges"] = False
    return judge
