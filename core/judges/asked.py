"""The masked forward of a judge that can only be asked again: words cut out of the texts, regions of the picture made grey.

Nothing is known of the model behind it but its answers, so there are no gradients and nothing between present and absent.
Every point costs an answer in each order (and for each vote), and is asked for once however often it is needed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from PIL import Image
from torch import Tensor

from core.judges.conditions import GREY
from core.judges.features import Features, Outputs, TargetFunction
from core.judges.masked import SCOPES
from core.judges.pairs import pair_margin
from core.judges.pieces import Piece, pieces
from core.judges.protocols import Cost
from core.records import Comparison, Judgement, RecordError, Vote

MOST_REGIONS = 4  # of the longer side: each of them is a question to the server
Question = tuple[Sequence[Image.Image], str, tuple[str, ...]]  # pictures, prompt, responses


class Asks(Protocol):
    """What this needs of a judge. workers: questions under way at once."""

    workers: int

    def ask(self, questions: list[Question], votes: int | None = None) -> list[list[Vote]]: ...

    def estimate_of(self, questions: list[Question]) -> Cost: ...


class AskedForward:
    """B presences z (B, U), each 0 or 1 -> (B,). Outputs.rewards are half the pair's margin and minus that.

    unanswered: points on which no answer decided. They count as unmoved, so that one lost answer does not lose the others.
    """

    baseline = "words cut out, regions made grey"
    model: Any = None  # what is asked is elsewhere
    positions = computed = cached = 0

    def __init__(
        self, judge: Asks, comparison: Comparison, judgement: Judgement, a: int, b: int, target: TargetFunction, level: str,
        scope: str, most_regions: int,
    ) -> None:  # fmt: skip
        if scope not in SCOPES:
            raise RecordError(f"There is no scope '{scope}': use one of {', '.join(SCOPES)}.")
        self.judge, self.target, self.scope = judge, target, scope
        self.image, self.prompt = comparison.load_image(), comparison.whole_prompt
        self.texts = (comparison.responses[a], comparison.responses[b])
        split = (tuple(pieces(self.texts[0], level)), tuple(pieces(self.texts[1], level)))
        self.features = Features(
            split, grid_of(self.image, min(most_regions, MOST_REGIONS)), torch.empty(0), torch.empty(2, 0)
        )
        self.given = pair_margin(judgement.votes, a, b)
        if math.isnan(self.given):
            raise RecordError(
                f"The judge gave no verdict on these two responses ({judgement.why_undecided}), so there is nothing to explain."
            )
        self.known: dict[tuple[bool, ...], float] = {(True,) * self.features.count: self.given}
        self.at_once, self.unanswered = judge.workers, 0

    def ones(self) -> Tensor:
        return torch.ones(1, self.features.count)

    def __call__(self, z: Tensor) -> Tensor:
        return self.target(self.outputs(z))

    def outputs(self, z: Tensor) -> Outputs:
        if self.scope == "responses":  # question and picture stay as they are
            z = torch.cat(
                [z[:, : self.features.prompt], torch.ones_like(z[:, self.features.prompt :])], dim=1
            )
        points = [tuple(row) for row in (z > 0.5).tolist()]
        new = list(dict.fromkeys(p for p in points if p not in self.known))
        for point, votes in zip(new, self.judge.ask([self.question(p) for p in new]), strict=True):
            margin = pair_margin(votes, 0, 1)
            self.unanswered += math.isnan(margin)
            self.known[point] = self.given if math.isnan(margin) else margin
        margins = z.new_tensor([self.known[p] for p in points])
        return Outputs(torch.stack([margins / 2, -margins / 2], dim=1))

    def question(self, present: tuple[bool, ...]) -> Question:
        f = self.features
        texts = tuple(
            without(text, [p for p, here in zip(f.texts[n], present[f.of_text(n)], strict=True) if not here])
            for n, text in enumerate(self.texts)
        )
        picture = greyed(self.image, f.grid, [i for i, here in enumerate(present[f.regions]) if not here])
        return [picture], self.prompt if present[f.prompt] else "", texts

    def estimate(self, points: int) -> Cost:
        """Of so many points like the one as given."""
        return self.judge.estimate_of([([self.image], self.prompt, self.texts)] * points)


def grid_of(image: Image.Image, most: int) -> tuple[int, int]:
    """Rows and columns of regions that are about square, `most` along the longer side."""
    long = max(image.size)
    rows, columns = (max(1, round(most * side / long)) for side in (image.height, image.width))
    return rows, columns


def without(text: str, gone: list[Piece]) -> str:
    """The text with these pieces cut out, and what is left drawn together."""
    if not gone:
        return text
    kept, end = "", 0
    for _, start, stop in sorted(gone, key=lambda piece: piece[1]):
        kept, end = kept + text[end:start], stop
    return re.sub(r"[ \t]+", " ", kept + text[end:]).strip()


def greyed(image: Image.Image, grid: tuple[int, int], gone: list[int]) -> Image.Image:
    """The picture with these regions (by index, row by row) grey."""
    if not gone:
        return image
    out, (rows, columns) = image.copy(), grid
    for i in gone:
        y, x = divmod(i, columns)
        out.paste(GREY, (
            round(x * out.width / columns), round(y * out.height / rows),
            round((x + 1) * out.width / columns), round((y + 1) * out.height / rows),
        ))  # fmt: skip
    return out
