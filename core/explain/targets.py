"""Targets: what is explained. All are contrasts of response a against response b, and all keep the active set
frozen: top-k is piecewise constant, so no attribution method can explain the choice itself."""

from __future__ import annotations

from torch import Tensor

from core.model.head import aggregate, weights_over
from core.records import Judgement
from core.taxonomy import DIMENSIONS, INDEX


def TARGETS(judgement: Judgement) -> list[tuple[str, str]]:  # noqa: N802 (a vocabulary, like METHODS)
    """(key, label) of every target of a judgement: the margin, then each selected dimension."""
    return [("margin", "Margin")] + [
        (f"score:{DIMENSIONS[d].key}", f"{DIMENSIONS[d].name} score") for d in judgement.selected
    ]


def evaluate(target: str, weight_logits: Tensor, active: Tensor, scores: Tensor) -> Tensor:
    """The target's value (B,). weight_logits, active: (B, D). scores: (B, 2, D) of responses a and b."""
    if target == "margin":
        rewards = aggregate(weights_over(weight_logits, active), scores)
        return rewards[:, 0] - rewards[:, 1]
    kind, _, key = target.partition(":")
    if kind != "score" or key not in INDEX:
        raise ValueError(
            f"There is no target '{target}': use 'margin' or 'score:' and the key of a dimension."
        )
    return scores[:, 0, INDEX[key]] - scores[:, 1, INDEX[key]]


def label(target: str, a: int, b: int) -> str:
    pair = f"{'ABCD'[a]} − {'ABCD'[b]}"
    return (
        f"margin {pair}"
        if target == "margin"
        else f"{DIMENSIONS[INDEX[target.partition(':')[2]]].name} score {pair}"
    )
