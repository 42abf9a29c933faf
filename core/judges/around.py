"""A forward around another: the same points at the same cost, and a target of what they give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from torch import Tensor

from core.judges.features import Outputs, TargetFunction
from core.judges.protocols import MaskedForward
from core.model.need import Pass

Inner = TypeVar("Inner", bound=MaskedForward)


class Around(Generic[Inner]):
    """B presences z (B, U) -> (B,). Whoever inherits it sets both fields, and says by `outputs` what it changes about `inner`'s."""

    inner: Inner
    target: TargetFunction

    @property
    def positions(self) -> int:
        return self.inner.positions

    @property
    def computed(self) -> int:
        return self.inner.computed

    @property
    def passes(self) -> Sequence[Pass]:
        return self.inner.passes

    def __call__(self, z: Tensor) -> Tensor:
        return self.target(self.outputs(z))

    def outputs(self, z: Tensor) -> Outputs:
        raise NotImplementedError
