"""The reward head of VL-MDR (arXiv 2604.05445, section 3): gate on the instruction, scores on the response.

The paper's layer sizes, pooling and relaxation of top-k are not public. Rewardscope's choices:
- the instruction state h_x is the state at the end of the prompt joined with the mean state of the visual
  tokens, so that the gate sees the picture;
- a score reads the state at the end of the response and how far its tokens are from what the backbone expected;
- training uses the hard top-k of the annotated relevance for the weights (see losses.py), inference the
  predicted one; nothing is relaxed.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class RewardHead(nn.Module):
    """D dimensions over states of width H."""

    def __init__(self, hidden: int, dimensions: int, gate_size: int, score_size: int) -> None:
        super().__init__()
        self.gate_norm = nn.LayerNorm(2 * hidden)
        self.relevance = nn.Sequential(
            nn.Linear(2 * hidden, gate_size), nn.SiLU(), nn.Linear(gate_size, dimensions)
        )
        self.weighting = nn.Sequential(
            nn.Linear(2 * hidden, gate_size), nn.SiLU(), nn.Linear(gate_size, dimensions)
        )
        self.scorers = ParallelMLP(hidden, dimensions, score_size)
        self.expect = nn.Parameter(torch.ones(hidden))
        self.threshold = nn.Parameter(torch.full((dimensions,), 4.0))
        self.concern = nn.Linear(hidden, dimensions)

    def gate(self, instruction: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 2H) -> relevance logits (B, D) and weight logits (B, D)."""
        normed = self.gate_norm(instruction)
        return self.relevance(normed), self.weighting(normed)

    def score(self, at_end: Tensor, before: Tensor, embeds: Tensor, states: Tensor, mask: Tensor) -> Tensor:
        """Scores (..., D): 21 small MLPs on the state at the end of the response, less the doubt about its tokens.

        at_end (..., H); before, embeds, states (..., R, H): per response token the state before it, its embedding
        and the state at it; mask (..., R).
        """
        return self.scorers(at_end) - self.doubt(before, embeds, states, mask)

    def doubt(self, before: Tensor, embeds: Tensor, states: Tensor, mask: Tensor) -> Tensor:
        """The sum of `doubts` over the tokens of a response: (..., D)."""
        return self.doubts(before, embeds, states, mask).sum(-2)

    def doubts(self, before: Tensor, embeds: Tensor, states: Tensor, mask: Tensor) -> Tensor:
        """How much each token surprises what the backbone expected to read, per dimension (..., R, D).

        agreement = <expect * state before, embedding> is, with tied embeddings, the language model's logit of the
        token; surprise = softplus(threshold - agreement); each dimension minds the tokens that concern it. The
        backbone learns to answer long before it learns to say "this answer is wrong": this lets the judge use it.
        """
        agreement = (before * self.expect * embeds).sum(-1, keepdim=True)
        surprise = nn.functional.softplus(self.threshold - agreement)
        return self.concern(states).sigmoid() * surprise * mask.unsqueeze(-1).to(surprise.dtype)


class ParallelMLP(nn.Module):
    """D independent two-layer perceptrons H -> M -> 1, computed as two batched products."""

    def __init__(self, hidden: int, dimensions: int, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(hidden)
        self.up = nn.Linear(hidden, dimensions * width)
        self.down = nn.Parameter(torch.empty(dimensions, width))
        self.bias = nn.Parameter(torch.zeros(dimensions))
        nn.init.normal_(self.down, std=width**-0.5)

    def forward(self, states: Tensor) -> Tensor:
        d, m = self.down.shape
        inner = nn.functional.silu(self.up(self.norm(states))).unflatten(-1, (d, m))
        return (inner * self.down).sum(-1) + self.bias


def select(relevance_logits: Tensor, k: int) -> Tensor:
    """The active set S as a boolean mask (B, D): the k most relevant dimensions of each row."""
    chosen = relevance_logits.topk(min(k, relevance_logits.shape[-1]), dim=-1).indices
    return torch.zeros_like(relevance_logits, dtype=torch.bool).scatter(-1, chosen, True)


def weights_over(weight_logits: Tensor, active: Tensor) -> Tensor:
    """Softmax over the active dimensions only; exactly zero elsewhere. (B, D) -> (B, D)."""
    return weight_logits.masked_fill(~active, float("-inf")).softmax(-1)


def aggregate(weights: Tensor, scores: Tensor) -> Tensor:
    """reward = sum over d of w_d * s_d. weights (B, D), scores (B, N, D) -> (B, N)."""
    return (weights.unsqueeze(1) * scores).sum(-1)
