"""What may be there or not when a judge is explained, and what its masked forward gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from core.judges.pieces import Piece


@dataclass(frozen=True)
class Outputs:
    """What a judge makes of B points. rewards: (B, 2), of responses a and b.

    Judges with D dimensions also give scores (B, 2, D), weights (B, D) over the frozen active set, and relevance_logits
    (B, D) before any selection; None for other judges.
    """

    rewards: Tensor
    scores: Tensor | None = None
    weights: Tensor | None = None
    relevance_logits: Tensor | None = None


TargetFunction = Callable[[Outputs], Tensor]  # -> (B,)


@dataclass(frozen=True)
class Features:
    """T text features (response a's pieces, b's pieces, the prompt as one, sentences of a critique), then rows x columns
    regions: U together.

    prefix, response: the feature mask, (P,) and (2, R): the feature of each position, or -1 where nothing is ever replaced.
    critique: of a judge that writes, the sentences before its verdict; empty for all others.
    """

    texts: tuple[tuple[Piece, ...], tuple[Piece, ...]]
    grid: tuple[int, int]
    prefix: Tensor
    response: Tensor
    critique: tuple[Piece, ...] = ()

    @property
    def text_count(self) -> int:
        return self.prompt + 1 + len(self.critique)

    @property
    def count(self) -> int:
        return self.text_count + self.grid[0] * self.grid[1]

    def of_text(self, n: int) -> slice:
        """Where response n's pieces lie in z."""
        first = len(self.texts[0])
        return slice(0, first) if n == 0 else slice(first, first + len(self.texts[1]))

    @property
    def prompt(self) -> int:
        return len(self.texts[0]) + len(self.texts[1])

    @property
    def sentences(self) -> slice:
        """Where the critique's sentences lie in z."""
        return slice(self.prompt + 1, self.text_count)

    @property
    def regions(self) -> slice:
        return slice(self.text_count, self.count)
