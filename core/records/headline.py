"""What a judgement says of a pair in one sentence, as data: pages put it in words (app/common/words.py).

A score is the model's opinion, never a fact about the response. Where a label is known, whether it agrees is part of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from core.records.comparison import Comparison
from core.records.judgement import Judgement

TIE = 5e-3  # rewards nearer than this are called a tie


class Kind(StrEnum):
    SAME_TEXT = "same text"
    TIE = "tie"
    PREFERENCE = "preference"
    UNDECIDED = "undecided"  # the judge gave no verdict


class Share(StrEnum):
    """How much of the gap one dimension makes up."""

    MORE = "more than all"  # others speak for the response that lost
    NEARLY_ALL = "nearly all"
    MOST = "most"
    SPREAD = "spread"  # no single one makes up half


@dataclass(frozen=True)
class Headline:
    """winner, loser: response indices (of a tie: the pair in its order). probability: sigma(margin) of the winner. share: what
    `leading` makes of the gap. leading, second: dimensions with the largest contribution for the winner, by index; None
    where the judge has none. against: the dimension that speaks most for the loser, None where none does. label: the
    response that a known label prefers, where it is one of the pair. agrees: whether the model does; None without a label."""

    kind: Kind
    winner: int
    loser: int
    probability: float
    share: Share | None = None
    leading: int | None = None
    second: int | None = None
    against: int | None = None
    label: int | None = None

    @property
    def agrees(self) -> bool | None:
        if self.label is None:
            return None
        return self.kind is Kind.PREFERENCE and self.label == self.winner


def headline(comparison: Comparison, judgement: Judgement, a: int, b: int) -> Headline:
    label = comparison.preferred if comparison.preferred in (a, b) else None
    margin = judgement.margin(a, b)
    if comparison.responses[a].strip() == comparison.responses[b].strip():
        return Headline(Kind.SAME_TEXT, a, b, 0.5, label=label)
    if math.isnan(margin):
        return Headline(Kind.UNDECIDED, a, b, 0.5, label=label)
    if abs(margin) < TIE:
        return Headline(Kind.TIE, a, b, 0.5, label=label)
    winner, loser = (a, b) if margin > 0 else (b, a)
    probability = 1 / (1 + math.exp(-min(abs(margin), 700)))
    parts = sorted(judgement.contributions(winner, loser).items(), key=lambda item: -item[1])
    if not parts:
        return Headline(Kind.PREFERENCE, winner, loser, probability, label=label)
    (leading, value), against = parts[0], parts[-1]
    return Headline(
        Kind.PREFERENCE, winner, loser, probability, _share(value / abs(margin)), leading, parts[1][0] if len(parts) > 1 else None,
        against[0] if against[1] < 0 else None, label,
    )  # fmt: skip


def _share(part: float) -> Share:
    """part: of the margin."""
    if part > 1.15:
        return Share.MORE
    if part >= 0.8:
        return Share.NEARLY_ALL
    return Share.MOST if part >= 0.5 else Share.SPREAD
