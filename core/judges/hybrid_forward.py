"""The masked forward of a hybrid judge: its model's, scaled and moved so that its margin is the hybrid's own.

Rules, instructions and length read the texts as they are, whatever is masked, so they stand fixed. What the model adds moves
with its rewards: by 1 where it decides, within a verifier class by what the class was scaled by, and not at all where a
rule has settled it, so that an explanation of such a margin shows no influence of words or regions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from core.judges.around import Around
from core.judges.features import Features, Outputs, TargetFunction
from core.judges.protocols import MaskedForward


class HybridForward(Around[MaskedForward]):
    """inner: the model's. slopes, rewards: of responses a and b, how the hybrid's reward moves with the model's, and what it
    is as given."""

    def __init__(
        self, inner: MaskedForward, target: TargetFunction, slopes: Sequence[float], rewards: Sequence[float]
    ) -> None:
        self.inner, self.target = inner, target
        self.model: Any = inner.model
        self.features: Features = inner.features
        self.baseline = inner.baseline
        with torch.no_grad():
            given = inner.outputs(inner.ones()).rewards[0]
        self.slopes = torch.tensor(slopes, dtype=given.dtype, device=given.device)
        self.fixed = torch.tensor(rewards, dtype=given.dtype, device=given.device) - self.slopes * given

    def outputs(self, z: Tensor) -> Outputs:
        found = self.inner.outputs(z)
        return replace(found, rewards=self.fixed + self.slopes * found.rewards)

    def ones(self) -> Tensor:
        return self.inner.ones()
