"""Judges that look at nothing that matters. Any judge worth its name must beat them; on a fair benchmark they stand at chance."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from core.records import Comparison, JudgeCard, Judgement


class RuleJudge:
    """A reward per response from the texts alone."""

    def __init__(self, card: JudgeCard, rewards: Callable[[Sequence[str]], list[float]]) -> None:
        self.card, self.rewards = card, rewards

    def judge(self, comparison: Comparison) -> Judgement:
        return Judgement(comparison.id, self.card.id, tuple(self.rewards(comparison.responses)))

    def judge_batch(self, comparisons: list[Comparison]) -> list[Judgement]:
        return [self.judge(c) for c in comparisons]


def _rule(id_: str, name: str, about: str, kind: str = "rule") -> JudgeCard:
    return JudgeCard(id_, name, kind, about=about, reads_images=False)


def always_first() -> RuleJudge:
    card = _rule("always-first", "always first", "prefers the response shown first")
    return RuleJudge(card, lambda r: [-float(i) for i in range(len(r))])


def longer() -> RuleJudge:
    card = _rule("longer", "longer wins", "prefers the response with more characters")
    return RuleJudge(card, lambda r: [float(len(t)) for t in r])


def shorter() -> RuleJudge:
    card = _rule("shorter", "shorter wins", "prefers the response with fewer characters")
    return RuleJudge(card, lambda r: [-float(len(t)) for t in r])


def no_judge() -> RuleJudge:
    """A run of the rows alone, for labelling a file that was never judged."""
    return RuleJudge(_rule("none", "no judge", "gives no rewards", kind="none"), lambda r: [])
