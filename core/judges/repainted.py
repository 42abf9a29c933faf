"""A masked forward whose regions are cells of the picture itself, finer than its visual tokens and not bound to them.

The cells that are gone are painted grey before the model looks, and the whole model looks again: patches of the vision tower
that a cell covers in part are seen in part. Words and prompt are blanked as in the forward inside. No gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from core.judges.around import Around
from core.judges.conditions import FINER, GREY
from core.judges.features import Features, Outputs
from core.judges.masked import joined
from core.judges.protocols import Rewords
from core.records import RecordError

FINEST = 16  # cells along the picture's longer side


class Repainted(Around[Rewords]):
    """B presences z (B, U) -> (B,). U features: the texts of `inner`, then rows x columns cells of the picture."""

    def __init__(self, inner: Rewords, image: Image.Image) -> None:
        self.inner, self.image = inner, image
        self.model: Any = inner.model
        self.target, self.baseline = inner.target, inner.baseline
        layout = inner.inputs.layout
        of = inner.features
        self.features: Features = replace(of, grid=cells(layout.rows, layout.columns, image.size))

    def ones(self) -> Tensor:
        return torch.ones(1, self.features.count, device=self.model.device)

    def outputs(self, z: Tensor) -> Outputs:
        """Points that leave the picture as it is are the inner forward's own. Raises RecordError where gradients are wanted."""
        if z.requires_grad:
            raise RecordError("Cells of the picture are painted over, so they have no gradients.")
        own, seen = self._of_inner(z), z[:, self.features.regions]
        given = (seen == 1).all(1)
        if self.inner.scope == "responses" or given.all():
            return self.inner.outputs(own)
        painted = [repainted(self.image, self.features.grid, row) for row in seen[~given].tolist()]
        found = self.inner.outputs_with(painted, own[~given])
        if not given.any():
            return found
        back = torch.cat([given.nonzero(), (~given).nonzero()]).flatten().argsort()
        return joined([self.inner.outputs(own[given]), found], back)

    def _of_inner(self, z: Tensor) -> Tensor:
        """(B, inner U): the same texts, on the whole picture."""
        of = self.inner.features
        regions = z.new_ones(len(z), of.count - of.text_count)
        return torch.cat([z[:, : of.text_count], regions], dim=1)


def cells(rows: int, columns: int, size: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of cells over a picture of rows x columns visual tokens and (width, height) pixels."""
    longer = max(rows, columns)
    share = min(FINER * longer, FINEST) / longer
    return (
        max(1, min(round(rows * share), size[1])),
        max(1, min(round(columns * share), size[0])),
    )


def edges(parts: int, length: int) -> list[int]:
    """Where so many parts of a side of so many pixels begin, and where the last one ends."""
    return [round(i * length / parts) for i in range(parts + 1)]


def repainted(image: Image.Image, grid: tuple[int, int], presences: Sequence[float]) -> Image.Image:
    """The picture with each cell (row by row) as present as it says: 1 as given, 0 grey."""
    pixels = np.asarray(image.convert("RGB"), dtype=np.float32)
    height, width = pixels.shape[:2]
    here = np.asarray(presences, dtype=np.float32).reshape(grid)
    for axis, length in ((0, height), (1, width)):
        here = here.repeat(np.diff(edges(grid[axis], length)), axis=axis)
    grey = np.array(GREY, dtype=np.float32)
    return Image.fromarray((grey + (pixels - grey) * here[..., None]).round().astype(np.uint8))
