"""What a judge is, and what some judges can also do: asked with isinstance, never by name.

A new kind of judge is one class with a `card`, `judge` and `judge_batch`; whatever else it can do, it says by having the
methods of a protocol below. The runner, explanations and pages ask for exactly these.
"""

from __future__ import annotations

from threading import Lock
from typing import Any, Protocol, runtime_checkable

import torch
from PIL import Image
from torch import Tensor

from core.records import Comparison, JudgeCard, Judgement, OODScore


@runtime_checkable
class Judge(Protocol):
    """card: who it is. Both methods raise ImageError or RecordError with a sentence for what they refuse."""

    card: JudgeCard

    def judge(self, comparison: Comparison) -> Judgement: ...

    def judge_batch(self, comparisons: list[Comparison]) -> list[Judgement]: ...


@runtime_checkable
class Prepares(Protocol):
    """Splits `judge_batch` in two, so that the runner decodes and encodes the next batch in another thread."""

    def prepare(self, comparisons: list[Comparison]) -> Any:
        """Everything that needs no model. Raises ImageError or RecordError."""
        ...

    def judge_prepared(self, prepared: Any) -> list[Judgement]: ...


@runtime_checkable
class KnowsItsWorld(Protocol):
    """Can say how far a picture lies from what it was trained on."""

    def out_of_distribution(self, image: Image.Image) -> OODScore | None:
        """None where this checkpoint brings no measure of it."""
        ...


@runtime_checkable
class Writes(Protocol):
    """Writes a critique before it decides: its judgements carry votes."""

    def critique(self, comparison: Comparison, votes: int = 1) -> Judgement:
        """votes: answers to draw. Judgement.votes holds each of them, Judgement.critique the one that is shown."""
        ...


@runtime_checkable
class MaskedForward(Protocol):
    """A target as a function of how much of each feature is there: presences z (B, U) -> (B,), differentiable in z.

    U features: words (or sentences) of response a and b, the prompt, regions of the picture (a feature mask, in Captum's
    words); 1 as given, 0 the baseline in its place.
    """

    def __call__(self, z: Tensor) -> Tensor: ...


@runtime_checkable
class Differentiable(Protocol):
    """Can be explained: gives its target as a function of presences (core/explain)."""

    lock: Lock
    model: torch.nn.Module

    def masked(
        self,
        comparison: Comparison,
        judgement: Judgement,
        a: int,
        b: int,
        target: Any,
        level: str,
        scope: str,
    ) -> MaskedForward: ...
