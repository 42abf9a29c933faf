"""What a judge answers."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from core.records.text import frozen


@dataclass(frozen=True)
class Judgement:
    """One judge's answer to one Comparison. N responses, 21 dimensions.

    rewards: (N,). gate_logits, relevance: (21,) before and after the sigmoid. selected: the k active
    dimensions by falling relevance. weights: (21,), zero outside `selected`, summing to 1.
    scores: (N, 21). weight_logits: (21,), before the softmax over `selected`. A judge that has no dimensions leaves
    all but rewards empty.
    """

    comparison_id: str
    judge: str
    rewards: tuple[float, ...]
    gate_logits: tuple[float, ...] = ()
    relevance: tuple[float, ...] = ()
    selected: tuple[int, ...] = ()
    weights: tuple[float, ...] = ()
    scores: tuple[tuple[float, ...], ...] = ()
    seconds: float = 0.0
    notes: dict[str, Any] = field(default_factory=dict)
    weight_logits: tuple[float, ...] = ()

    @property
    def ranking(self) -> tuple[int, ...]:
        """Response indices from best to worst; equal rewards keep their order."""
        return tuple(sorted(range(len(self.rewards)), key=lambda i: -self.rewards[i]))

    def margin(self, a: int, b: int) -> float:
        """reward_a - reward_b."""
        return self.rewards[a] - self.rewards[b]

    def loser(self, a: int, b: int) -> int:
        """Which of the two lost; b where they tie."""
        return b if self.margin(a, b) >= 0 else a

    def contributions(self, a: int, b: int) -> dict[int, float]:
        """Per selected dimension, weight * (score_a - score_b). Their sum is the margin (VL-MDR, section 3)."""
        return {d: self.weights[d] * (self.scores[a][d] - self.scores[b][d]) for d in self.selected}

    def to_row(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Judgement:
        return cls(**{k: frozen(v) for k, v in row.items()})
