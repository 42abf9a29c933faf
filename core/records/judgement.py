"""What a judge answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from math import isnan
from typing import Any

from core.records.text import frozen
from core.taxonomy import KEYS, Dimension, dimensions_from


class Condition(StrEnum):
    """What the judge was shown for a picture (core.judges.conditions)."""

    AS_GIVEN = "as given"
    BLANK = "blank image"
    SHUFFLED = "shuffled image"


@dataclass(frozen=True)
class Vote:
    """One answer of a judge that writes.

    order: the responses as they were shown, by index. text: what it wrote, whole. choice: the response that the text
    decides for, by index, or None where no answer could be read out of it. log_odds: of that verdict for the first
    response shown against the second, None where the judge gives none. problem: why there is no choice ("cut off", "refused",
    "no verdict", or what a server said), "" where there is one.
    """

    order: tuple[int, ...]
    text: str
    choice: int | None = None
    log_odds: float | None = None
    problem: str = ""


@dataclass(frozen=True)
class OODScore:
    """How far a picture lies from what a model was trained on, in the model's own features.

    score: distance to the third nearest training picture, in standard deviations. outside: score > threshold.
    """

    score: float
    threshold: float
    outside: bool
    about: str = ""


@dataclass(frozen=True)
class Judgement:
    """One judge's answer to one Comparison. N responses, D dimensions.

    judge: the id on its card. rewards: (N,). gate_logits, relevance: (D,) before and after the sigmoid. selected: the
    active dimensions by falling relevance. weights: (D,), zero outside `selected`, summing to 1. scores: (N, D).
    weight_logits: (D,), before the softmax over `selected`. dimensions: (D,), what the columns stand for. A judge that has
    no dimensions leaves all of these but rewards empty. seconds: what judging took.
    condition: what stood in the picture's place. critique: what a judge that writes said of the comparison, and votes: each of
    its answers. choice: the response it decided for in the end. ood: None where it was not measured.
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
    weight_logits: tuple[float, ...] = ()
    dimensions: tuple[Dimension, ...] = ()
    condition: Condition = Condition.AS_GIVEN
    critique: str = ""
    choice: int | None = None
    votes: tuple[Vote, ...] = ()
    ood: OODScore | None = None

    def __post_init__(self) -> None:
        d = len(self.weights)
        if self.scores and (
            len(self.scores) != len(self.rewards) or any(len(row) != d for row in self.scores)
        ):
            raise ValueError(
                f"scores must be {len(self.rewards)} x {d}: a row a response, a column a dimension"
            )
        if len(self.dimensions) != d:
            raise ValueError(f"{len(self.dimensions)} dimensions are named, {d} are weighted")
        if any(not 0 <= i < d for i in self.selected):
            raise ValueError("a selected dimension is not among those weighted")

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

    @property
    def why_undecided(self) -> str:
        """Of a judge that writes: why its answers did not decide, each reason once; "" where they did."""
        if self.rewards and not any(map(isnan, self.rewards)):
            return ""
        return "; ".join(dict.fromkeys(v.problem for v in self.votes if v.problem)) or "it gave no reward"

    def contributions(self, a: int, b: int) -> dict[int, float]:
        """Per selected dimension, weight * (score_a - score_b). Their sum is the margin (VL-MDR, section 3)."""
        return {d: self.weights[d] * (self.scores[a][d] - self.scores[b][d]) for d in self.selected}

    def to_row(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Judgement:
        """What `to_row` gave, of this release or an earlier one. Raises ValueError, TypeError or KeyError."""
        names = {f.name for f in fields(cls)} - {"dimensions", "condition", "votes", "ood"}
        plain = {k: frozen(v) for k, v in row.items() if k in names}
        return cls(
            **plain,
            dimensions=dimensions_from(row.get("dimensions") or _default(len(plain.get("weights", ())))),
            condition=Condition(row.get("condition", Condition.AS_GIVEN)),
            votes=tuple(Vote(**{k: frozen(v) for k, v in vote.items()}) for vote in row.get("votes", ())),
            ood=OODScore(**row["ood"]) if row.get("ood") else None,
        )


def _default(count: int) -> tuple[str, ...]:
    """Release 0.1 knew only one list of dimensions and did not write it down."""
    return KEYS if count == len(KEYS) else ()
