"""What a method sees: a function of how much of each unit is present.

A unit is a response word (or sentence), a prompt word, or a region of the picture. Its presence z goes from 0 (the
baseline stands in its place) to 1 (as given); embeddings in between are mixed. So every Captum algorithm works on
one small tensor z (1, U), and integrated gradients over z are those over the embeddings on the same straight path,
summed over each unit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch
from torch import Tensor

from core.explain.inputs import Inputs
from core.explain.targets import Target
from core.judges.vlmdr import VLMDRJudge
from core.model.modeling import Reading
from core.records import Judgement, RecordError

Word = tuple[str, int, int]  # text, start and end in its response
LEVELS = ("word", "sentence")
SCOPES = ("joint", "responses")
PIECES = {"word": r"\S+", "sentence": r"\S[^.!?\n]*(?:[.!?]+|$|\n)"}


def pieces(text: str, level: str) -> list[Word]:
    """Words, or sentences, of a text with their character spans."""
    if level not in PIECES:
        raise RecordError(f"There is no level '{level}': use one of {', '.join(LEVELS)}.")
    found = [
        (m.group().rstrip(), m.start(), m.start() + len(m.group().rstrip()))
        for m in re.finditer(PIECES[level], text)
    ]
    return [p for p in found if p[0]]


@dataclass(frozen=True)
class Units:
    """T text units (response a's pieces, b's pieces, then the prompt as one), then rows x columns regions.

    prefix, response: (P,) and (2, R), the unit of each position, or -1 where nothing is ever replaced.
    """

    texts: tuple[tuple[Word, ...], tuple[Word, ...]]
    grid: tuple[int, int]
    prefix: Tensor
    response: Tensor

    @property
    def text_count(self) -> int:
        return len(self.texts[0]) + len(self.texts[1]) + 1

    @property
    def count(self) -> int:
        return self.text_count + self.grid[0] * self.grid[1]

    def of_text(self, n: int) -> slice:
        """Where response n's pieces lie in z."""
        first = len(self.texts[0])
        return slice(0, first) if n == 0 else slice(first, first + len(self.texts[1]))

    @property
    def prompt(self) -> int:
        return self.text_count - 1

    @property
    def regions(self) -> slice:
        return slice(self.text_count, self.count)


def make_units(inputs: Inputs, texts: tuple[str, str], level: str, most_regions: int) -> Units:
    """most_regions: the longest side of the region grid; finer visual grids are joined to blocks."""
    split = (tuple(pieces(texts[0], level)), tuple(pieces(texts[1], level)))
    response = torch.full(inputs.response_mask.shape[1:], -1, dtype=torch.long)
    for n, r in enumerate(inputs.responses):
        offset = n * len(split[0])
        for i, (start, end) in enumerate(r.spans):
            if end > start and split[n]:
                # The first piece that does not end before the token: a space counts with the word it leads to.
                at = next((u for u, (_, _, e) in enumerate(split[n]) if start < e), len(split[n]) - 1)
                response[n, i] = offset + at
    rows, columns = inputs.grid
    block = max(1, -(-max(rows, columns) // most_regions))
    grid = (-(-rows // block), -(-columns // block))
    text_count = len(split[0]) + len(split[1]) + 1
    y, x = torch.meshgrid(torch.arange(rows) // block, torch.arange(columns) // block, indexing="ij")
    prefix = torch.full(inputs.at_image.shape, -1, dtype=torch.long)
    prefix[inputs.at_prompt.cpu()] = text_count - 1
    prefix[inputs.at_image.cpu()] = (text_count + y * grid[1] + x).flatten()
    device = inputs.prefix.device
    return Units(split, grid, prefix.to(device), response.to(device))


class Problem:
    """Target of B presences z (B, U) -> (B,), with the active set frozen. Differentiable in z.

    scope "joint": words, prompt and picture vary. "responses": only the words do; image and prompt are read once
    and their keys and values reused, which gives the same numbers for a fraction of the work.
    """

    def __init__(
        self,
        judge: VLMDRJudge,
        inputs: Inputs,
        units: Units,
        judgement: Judgement,
        target: Target,
        scope: str,
    ) -> None:
        if scope not in SCOPES:
            raise RecordError(f"There is no scope '{scope}': use one of {', '.join(SCOPES)}.")
        self.model, self.inputs, self.units = judge.model, inputs, units
        self.target, self.scope = target, scope
        active = torch.zeros(1, self.model.config.num_dimensions, dtype=torch.bool, device=self.model.device)
        active[0, list(judgement.selected)] = True
        self.active = active
        self.reading: Reading | None = None

    @property
    def positions(self) -> int:
        """Decoder positions that one point needs."""
        return self.inputs.prefix.shape[1] + 2 * self.inputs.response.shape[2]

    def ones(self) -> Tensor:
        return torch.ones(1, self.units.count, device=self.model.device)

    def __call__(self, z: Tensor) -> Tensor:
        reading, scores = self.run(z)
        return self.target(reading, self.active.expand(len(z), -1), scores)

    def run(self, z: Tensor) -> tuple[Reading, Tensor]:
        """The reading and the scores (B, 2, D) at presences z."""
        i, n = self.inputs, len(z)
        z = z.to(i.prefix.dtype)
        response = _mix(i.response, i.response_base, _presence(z, self.units.response))
        if self.scope == "responses":
            reading = _repeat(self._read_once(), n)
        else:
            reading = self._read(_mix(i.prefix, i.prefix_base, _presence(z, self.units.prefix)))
        scores = self.model.score_embeds(reading, response, i.response_mask.expand(n, -1, -1))
        return reading, scores.float()

    def _read(self, prefix: Tensor) -> Reading:
        i, n = self.inputs, len(prefix)
        positions = i.positions.expand(*i.positions.shape[:-2], n, -1)
        return self.model.read_embeds(prefix, i.mask.expand(n, -1), positions, i.at_image.expand(n, -1))

    def _read_once(self) -> Reading:
        if self.reading is None:
            with torch.no_grad():
                self.reading = self._read(self.inputs.prefix)
        return self.reading

    @torch.no_grad()
    def doubts(self) -> Tensor:
        """(2, R) what each response token takes from its reward: weights times doubts, on the active set."""
        i = self.inputs
        reading = self._read_once()
        states = self.model.response_states(reading, i.response, i.response_mask)
        doubts = self.model.token_doubts(reading, i.response, states, i.response_mask).float()
        weights = self.target.weights(reading, self.active)
        return (doubts[0] * weights).sum(-1)


def _presence(z: Tensor, unit: Tensor) -> Tensor:
    """z (B, U) at the positions of `unit` (...): (B, ...), 1 where a position belongs to no unit."""
    whole = torch.cat([z, z.new_ones(len(z), 1)], dim=1)  # index -1: the last column
    return whole[:, unit]


def _mix(given: Tensor, base: Tensor, presence: Tensor) -> Tensor:
    return base + (given - base) * presence.unsqueeze(-1)


def _repeat(reading: Reading, n: int) -> Reading:
    def wide(t: Tensor) -> Tensor:
        return t.expand(n, *t.shape[1:])

    return Reading(
        [(wide(k), wide(v)) for k, v in reading.cache], wide(reading.mask), wide(reading.next_position),
        wide(reading.states), wide(reading.relevance_logits), wide(reading.weight_logits), wide(reading.active),
        wide(reading.weights),
    )  # fmt: skip
