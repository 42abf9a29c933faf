"""Targets: what is explained. All keep the active set frozen: which k dimensions are chosen is piecewise constant,
so no attribution method can explain the choice itself; explain a gate logit to see what drives it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from core.judges.features import Outputs, TargetFunction
from core.records import Judgement, RecordError, letter
from core.taxonomy import Dimension

CUSTOM = "custom"


@dataclass(frozen=True)
class Target:
    """margin: reward a - reward b. reward: reward a alone. score:KEY: score a - score b on one dimension.
    gate:KEY: the relevance logit of one dimension, before any selection; no response has a part in it. Of a judge that
    writes: verdict, the log-odds of its verdict without a critique, over both orders; critique:K, those of its answer K, whose
    text is held fixed. custom: whatever `function` makes of a judge's outputs."""

    kind: str
    dimension: int | None = None
    vote: int | None = None
    name: str = ""  # of the dimension, or of the function
    function: TargetFunction | None = None

    @classmethod
    def parse(cls, asked: str | TargetFunction, dimensions: Sequence[Dimension]) -> Target:
        """asked: the target's key, or a function of a judge's outputs. dimensions: the judgement's. Raises RecordError."""
        if not isinstance(asked, str):
            return cls(CUSTOM, name=getattr(asked, "__name__", CUSTOM), function=asked)
        kind, _, key = asked.partition(":")
        places = {d.key: i for i, d in enumerate(dimensions)}
        if kind in ("margin", "reward", "verdict") and not key:
            return cls(kind)
        if kind == "critique" and key.isascii() and key.isdecimal() and len(key) < 6:
            return cls(kind, vote=int(key))
        if kind in ("score", "gate") and not dimensions:
            raise RecordError(
                f"This judge has no dimensions, so it has no {kind} to explain: use 'margin' or 'reward'."
            )
        if kind in ("score", "gate") and key in places:
            return cls(kind, places[key], name=dimensions[places[key]].name)
        ways = "'margin', 'reward', or 'score:' or 'gate:' and the key of a dimension"
        raise RecordError(
            f"There is no target '{asked}': use {ways if dimensions else repr('margin') + ' or ' + repr('reward')}."
        )

    def __call__(self, outputs: Outputs) -> Tensor:
        """The target's value (B,). Raises RecordError where a function gives anything else."""
        if self.function is not None:
            found = self.function(outputs)
            if not isinstance(found, Tensor) or found.shape != (len(outputs.rewards),):
                raise RecordError(
                    f"The target '{self.name}' must give one number a point, a tensor of shape ({len(outputs.rewards)},)."
                )
            return found
        if self.kind in ("margin", "reward", "verdict", "critique"):
            rewards = outputs.rewards
            return rewards[:, 0] if self.kind == "reward" else rewards[:, 0] - rewards[:, 1]
        assert outputs.scores is not None and outputs.relevance_logits is not None
        if self.kind == "gate":
            return outputs.relevance_logits[:, self.dimension]
        return outputs.scores[:, 0, self.dimension] - outputs.scores[:, 1, self.dimension]

    def held(self, judgement: Judgement) -> Judgement:
        """The judgement with the answers alone that the target holds fixed."""
        if self.kind == "verdict":
            return replace(judgement, votes=())
        return judgement if self.vote is None else replace(judgement, votes=(judgement.votes[self.vote],))

    def shares(self, weights: Tensor) -> Tensor:
        """(D,) how much each dimension's score counts in the target, where the reward counts them by `weights`."""
        if self.kind in ("margin", "reward"):
            return weights
        out = torch.zeros_like(weights)
        if self.kind == "score":
            out[self.dimension] = 1
        return out

    def label(self, a: int, b: int) -> str:
        pair = f"{letter(a)} − {letter(b)}"
        if self.kind == CUSTOM:
            return f"{self.name} of {letter(a)} and {letter(b)}"
        if self.kind == "margin":
            return f"margin {pair}"
        if self.kind == "reward":
            return f"reward of {letter(a)}"
        if self.kind == "verdict":
            return f"log-odds of the verdict at once, {pair}"
        if self.vote is not None:
            return f"log-odds of the verdict given critique {self.vote + 1}, {pair}"
        return f"{self.name} score {pair}" if self.kind == "score" else f"{self.name} gate logit"
