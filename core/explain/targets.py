"""Targets: what is explained. All keep the active set frozen: which k dimensions are chosen is piecewise constant,
so no attribution method can explain the choice itself; explain a gate logit to see what drives it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.model.head import aggregate, weights_over
from core.model.modeling import Reading
from core.records import Judgement, RecordError, letter
from core.taxonomy import Dimension


@dataclass(frozen=True)
class Target:
    """margin: reward a - reward b. reward: reward a alone. score:KEY: score a - score b on one dimension.
    gate:KEY: the relevance logit of one dimension, before any selection; no response has a part in it."""

    kind: str
    dimension: int | None = None
    name: str = ""  # of the dimension

    @classmethod
    def parse(cls, text: str, dimensions: Sequence[Dimension]) -> Target:
        """dimensions: the judgement's. Raises RecordError, naming what is possible."""
        kind, _, key = text.partition(":")
        places = {d.key: i for i, d in enumerate(dimensions)}
        if kind in ("margin", "reward") and not key:
            return cls(kind)
        if kind in ("score", "gate") and key in places:
            return cls(kind, places[key], dimensions[places[key]].name)
        raise RecordError(
            f"There is no target '{text}': use 'margin', 'reward', or 'score:' or 'gate:' and the key of a dimension."
        )

    def __call__(self, reading: Reading, active: Tensor, scores: Tensor) -> Tensor:
        """The target's value (B,). active: (B, D) bool. scores: (B, 2, D) of responses a and b."""
        if self.kind == "gate":
            return reading.relevance_logits[:, self.dimension].float()
        if self.kind == "score":
            return scores[:, 0, self.dimension] - scores[:, 1, self.dimension]
        rewards = aggregate(weights_over(reading.weight_logits.float(), active), scores)
        return rewards[:, 0] - rewards[:, 1] if self.kind == "margin" else rewards[:, 0]

    def weights(self, reading: Reading, active: Tensor) -> Tensor:
        """(D,) how much each dimension's score counts in the target."""
        if self.kind in ("margin", "reward"):
            return weights_over(reading.weight_logits.float(), active)[0]
        out = torch.zeros_like(active[0], dtype=torch.float32)
        if self.kind == "score":
            out[self.dimension] = 1
        return out

    def label(self, a: int, b: int) -> str:
        pair = f"{letter(a)} − {letter(b)}"
        if self.kind == "margin":
            return f"margin {pair}"
        if self.kind == "reward":
            return f"reward of {letter(a)}"
        return f"{self.name} score {pair}" if self.kind == "score" else f"{self.name} gate logit"


def TARGETS(judgement: Judgement) -> list[tuple[str, str]]:  # noqa: N802 (a vocabulary, like METHODS)
    """(key, label) of a judgement's targets: the margin, each selected dimension's score, each of their gates."""
    chosen = [judgement.dimensions[d] for d in judgement.selected]
    return [
        ("margin", "Margin"),
        *((f"score:{d.key}", f"{d.name} score") for d in chosen),
        *((f"gate:{d.key}", f"{d.name} gate") for d in chosen),
    ]
