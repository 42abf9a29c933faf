"""The hierarchical loss of VL-MDR (arXiv 2604.05445, section 3; the term weights are Rewardscope's own).

    L = a * L_dim + b * L_fine + c * L_overall

Every term is in nats and is a mean over what is annotated; a term with nothing annotated is zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid


@dataclass(frozen=True)
class LossWeights:
    dimension: float = 1.0
    fine: float = 1.0
    overall: float = 1.0


def dimension_loss(relevance_logits: Tensor, relevant: Tensor) -> Tensor:
    """L_dim: binary cross-entropy of the D sigmoids against the relevant dimensions. Both (B, D)."""
    return binary_cross_entropy_with_logits(relevance_logits, relevant.to(relevance_logits.dtype))


def bradley_terry(margin: Tensor, preference: Tensor) -> Tensor:
    """Elementwise -log P(preference) of Bradley and Terry (1952), ties as half a win to each side.

    margin: s_A - s_B. preference: 1 A is better, -1 B is better, 0 a known tie.
    -[p log sigmoid(m) + (1 - p) log sigmoid(-m)] with p = (1 + preference) / 2; a tie is least at m = 0.
    """
    p = (1 + preference.to(margin.dtype)) / 2
    return -(p * logsigmoid(margin) + (1 - p) * logsigmoid(-margin))


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    mask = mask.to(values.dtype)
    return (values * mask).sum() / mask.sum().clamp_min(1)


def fine_loss(scores_a: Tensor, scores_b: Tensor, preference: Tensor, annotated: Tensor) -> Tensor:
    """L_fine: Bradley-Terry on each annotated dimension. All (..., D); `annotated` is boolean.

    A pair decided on one dimension brings ties on the others, so the two kinds are averaged apart: the
    decisions would drown otherwise.
    """
    loss = bradley_terry(scores_a - scores_b, preference)
    decided = annotated & (preference != 0)
    tied = annotated & (preference == 0)
    return masked_mean(loss, decided) + masked_mean(loss, tied)


def overall_loss(rewards_a: Tensor, rewards_b: Tensor, preference: Tensor, annotated: Tensor) -> Tensor:
    """L_overall: Bradley-Terry on the aggregated reward. All (...)."""
    return masked_mean(bradley_terry(rewards_a - rewards_b, preference), annotated)


def hierarchical_loss(
    relevance_logits: Tensor,
    relevant: Tensor,
    scores_a: Tensor,
    scores_b: Tensor,
    preference: Tensor,
    annotated: Tensor,
    rewards_a: Tensor,
    rewards_b: Tensor,
    overall: Tensor,
    weights: LossWeights = LossWeights(),  # noqa: B008 (frozen)
) -> dict[str, Tensor]:
    """All three terms and their weighted sum under "loss". P pairs: `overall` (P,), scores (P, D)."""
    terms = {
        "dimension": dimension_loss(relevance_logits, relevant),
        "fine": fine_loss(scores_a, scores_b, preference, annotated),
        "overall": overall_loss(rewards_a, rewards_b, overall, torch.ones_like(overall, dtype=torch.bool)),
    }
    total = sum(getattr(weights, name) * term for name, term in terms.items())
    return {**terms, "loss": total}  # type: ignore[dict-item]
