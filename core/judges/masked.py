"""What a method sees of a judge with a backbone: its target as a function of how much of each feature is present.

A feature is a response word (or sentence), the prompt, or a region of the picture. Its presence z goes from 0 (the
baseline stands in its place) to 1 (as given); embeddings in between are mixed. So every Captum algorithm works on
one small tensor z (1, U), and integrated gradients over z are those over the embeddings on the same straight path,
summed over each feature.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from core.judges.features import Features, Outputs, TargetFunction
from core.judges.inputs import BASELINE, Inputs
from core.judges.pieces import SCOPES, pieces
from core.model.need import Pass
from core.model.processor import Layout, RewardProcessor, encode_response, pad_responses
from core.model.reader import Prefix
from core.records import RecordError


def make_features(inputs: Inputs, texts: tuple[str, str], level: str, most_regions: int) -> Features:
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
    text_count = len(split[0]) + len(split[1]) + 1
    grid, region = regions_of(inputs.layout, most_regions)
    prefix = torch.full(inputs.at_image.shape, -1, dtype=torch.long)
    prefix[inputs.at_prompt.cpu()] = text_count - 1
    prefix[inputs.at_image.cpu()] = torch.where(region < 0, -1, text_count + region)
    device = inputs.mask.device
    return Features(split, grid, prefix.to(device), response.to(device))


def regions_of(layout: Layout, most_regions: int) -> tuple[tuple[int, int], Tensor]:
    """Rows and columns of regions, at most so many along a side, and (tokens,) the region of each visual token or -1."""
    block = max(1, -(-max(layout.rows, layout.columns) // most_regions))
    grid = (-(-layout.rows // block), -(-layout.columns // block))
    y, x = layout.cells // layout.columns // block, layout.cells % layout.columns // block
    return grid, torch.where(layout.cells < 0, -1, y * grid[1] + x)


class PrefixForward(ABC):
    """Target of B presences z (B, U) -> (B,). Differentiable in z. One subclass a kind of head.

    scope "joint": words, prompt and picture vary. "responses": only the words do; image and prompt are read once
    and their keys and values reused, which gives the same numbers for a fraction of the work.
    """

    baseline = BASELINE

    def __init__(
        self,
        model: Any,
        processor: RewardProcessor,
        inputs: Inputs,
        features: Features,
        target: TargetFunction,
        scope: str,
    ) -> None:
        if scope not in SCOPES:
            raise RecordError(f"There is no scope '{scope}': use one of {', '.join(SCOPES)}.")
        self.model, self.processor, self.inputs, self.features = model, processor, inputs, features
        self.target, self.scope = target, scope
        self._read_given: Any = None

    @abstractmethod
    def score(self, reading: Any, embeds: Tensor, mask: Tensor) -> Outputs:
        """N responses given as embeddings (B, N, R, H) on what was read of image and prompt. Float32."""

    @property
    def positions(self) -> int:
        """Decoder positions of one whole point."""
        return self.inputs.mask.shape[1] + 2 * self.inputs.response.shape[2]

    @property
    def computed(self) -> int:
        """Those of them that are run through the decoder for each point."""
        return sum(p.positions for p in self.passes)

    @property
    def passes(self) -> Sequence[Pass]:
        """Image and prompt, then both responses, each of which reads a copy of the keys and values of image and prompt."""
        prefix, responses = self.inputs.mask.shape[1], 2 * self.inputs.response.shape[2]
        if self.scope == "responses":  # the prefix is there once for all points
            return (Pass(responses, reads=2 * prefix),)
        return Pass(prefix), Pass(responses, reads=2 * prefix, kept=prefix)

    def ones(self) -> Tensor:
        return torch.ones(1, self.features.count, device=self.model.device)

    def __call__(self, z: Tensor) -> Tensor:
        return self.target(self.outputs(z))

    def outputs(self, z: Tensor) -> Outputs:
        """Points that leave image and prompt as they are share one reading of them, unless gradients are wanted."""
        z = z.to(self.inputs.response.dtype)
        whole = torch.full((len(z),), self.scope == "responses", device=z.device)
        if self.scope == "joint" and not z.requires_grad:
            whole = (z[:, self.features.prompt :] == 1).all(1)
        if whole.all() or not whole.any():
            return self._outputs(z, bool(whole.all()))
        parts = [self._outputs(z[some], given) for some, given in ((whole, True), (~whole, False))]
        back = torch.cat([whole.nonzero(), (~whole).nonzero()]).flatten().argsort()
        return joined(parts, back)

    def _outputs(self, z: Tensor, as_given: bool) -> Outputs:
        """as_given: whether image and prompt are."""
        i, n = self.inputs, len(z)
        response = _mix(i.response, i.response_base, _presence(z, self.features.response))
        if as_given:
            reading = _repeat(self._read_once(), n)
        else:
            reading = self._read(_mix(i.prefix, i.prefix_base, _presence(z, self.features.prefix)))
        return self.score(reading, response, i.response_mask.expand(n, -1, -1))

    @torch.no_grad()
    def outputs_with(self, pictures: Sequence[Image.Image], z: Tensor) -> Outputs:
        """Point i of z (B, U) with picture i, of the record's own size, in its place: the regions' presences are not read."""
        i, z = self.inputs, z.to(self.inputs.response.dtype)
        whole = torch.cat(
            [z[:, : self.features.text_count], torch.ones_like(z[:, self.features.regions])], dim=1
        )
        response = _mix(i.response, i.response_base, _presence(whole, self.features.response))
        prefix = _mix(i.with_pictures(pictures), i.prefix_base, _presence(whole, self.features.prefix))
        return self.score(self._read(prefix), response, i.response_mask.expand(len(z), -1, -1))

    # -- the input as given ----------------------------------------------------------------------------------

    def response_slope(self) -> Tensor:
        """(2, R, H) gradient of the target with respect to the embeddings of the response tokens."""
        i = self.inputs
        embeds = i.response.detach().clone().requires_grad_()
        reading = self._read_once()
        with torch.enable_grad():
            value = self.target(self.score(reading, embeds, i.response_mask)).sum()
            (slope,) = torch.autograd.grad(value, embeds)
        return slope[0]

    @torch.no_grad()
    def rewards_of(self, texts: Sequence[str]) -> Tensor:
        """(N,) rewards of any other responses to the same image and prompt, which are read once for all."""
        responses = [encode_response(self.processor, text) for text in texts]
        ids, mask = (t.to(self.model.device) for t in pad_responses(self.processor, [responses]))
        embeds = self.model.backbone.get_input_embeddings()(ids)
        return self.score(self._read_once(), embeds, mask).rewards[0]

    def word_tokens(self) -> tuple[list[str], Tensor]:
        """Tokens that are whole words, and their embeddings (V, H): digits, and lower-case words with a leading space."""
        words = {
            i: piece.lstrip("Ġ▁")
            for piece, i in self.processor.tokenizer.get_vocab().items()
            if re.fullmatch(r"[Ġ▁][a-z]{2,}|[Ġ▁]?[A-Z]|[Ġ▁]?[0-9]", piece)
        }
        ids = sorted(words)
        weight = self.model.backbone.get_input_embeddings().weight.detach()
        return [words[i] for i in ids], weight[torch.tensor(ids, device=weight.device)]

    def _read(self, prefix: Tensor) -> Any:
        i, n = self.inputs, len(prefix)
        positions = i.positions.expand(*i.positions.shape[:-2], n, -1)
        return self.model.read_embeds(prefix, i.mask.expand(n, -1), positions, i.at_image.expand(n, -1))

    def _read_once(self) -> Any:
        if self._read_given is None:
            with torch.no_grad():
                self._read_given = self._read(self.inputs.prefix)
        return self._read_given


def _presence(z: Tensor, feature: Tensor) -> Tensor:
    """z (B, U) at the positions of `feature` (...): (B, ...), 1 where a position belongs to no feature."""
    whole = torch.cat([z, z.new_ones(len(z), 1)], dim=1)  # index -1: the last column
    return whole[:, feature]


def _mix(given: Tensor, base: Tensor, presence: Tensor) -> Tensor:
    return base + (given - base) * presence.unsqueeze(-1)


def joined(parts: Sequence[Outputs], order: Tensor) -> Outputs:
    """The points of all parts, in this order."""
    joined: dict[str, Any] = {}
    for name in (f.name for f in fields(Outputs)):
        values = [getattr(p, name) for p in parts]
        joined[name] = None if values[0] is None else torch.cat(values)[order]
    return Outputs(**joined)


def _repeat(reading: Prefix, n: int) -> Prefix:
    """The same prefix, and whatever a head made of it, n times without a copy."""

    def wide(t: Tensor) -> Tensor:
        return t.expand(n, *t.shape[1:])

    own = {
        f.name: wide(getattr(reading, f.name)) for f in fields(reading) if f.name != "cache"
    }  # fmt: skip
    return replace(reading, cache=[(wide(k), wide(v)) for k, v in reading.cache], **own)
