"""The masked forward of a judge that writes: the log-odds of its verdict as a function of what is present.

Both responses, the question and the picture stand in one conversation, in two orders; a point z blanks the same words and
regions in both. What the judge has written before its verdict (nothing but the lead, or a critique) is held fixed: the
value says how the verdict hangs on the inputs given that text, and not how the text itself came about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from core.judges.conditions import blank_image
from core.judges.features import Features, Outputs, Pass, TargetFunction
from core.judges.inputs import BASELINE
from core.judges.pieces import SCOPES, Piece, pieces
from core.judges.prompts import PLACES, Prompt
from core.judges.verdicts import RULES
from core.model.reader import Reader
from core.records import Comparison, RecordError, Vote


@dataclass(frozen=True)
class Side:
    """One order. given, base: (1, P, H) embeddings up to where the verdict is read. features: (P,) the feature of each
    position, -1 where nothing is ever replaced. tokens: of the verdict for the first and for the second response. sign: 1
    where response a is shown first, else -1."""

    given: Tensor
    base: Tensor
    mask: Tensor
    positions: Tensor
    at_image: Tensor
    features: Tensor
    tokens: tuple[int, int]
    sign: int


class VerdictForward:
    """B presences z (B, U) -> target (B,). Outputs.rewards are half the margin and minus that, as in the judgement."""

    baseline = BASELINE

    def __init__(
        self, reader: Reader, lm_head: Any, sides: Sequence[Side], features: Features, target: TargetFunction, scope: str
    ) -> None:  # fmt: skip
        if scope not in SCOPES:
            raise RecordError(f"There is no scope '{scope}': use one of {', '.join(SCOPES)}.")
        self.model: Any = reader
        self.lm_head, self.sides, self.features, self.target, self.scope = (
            lm_head,
            sides,
            features,
            target,
            scope,
        )

    @property
    def positions(self) -> int:
        return sum(s.given.shape[1] for s in self.sides)

    @property
    def computed(self) -> int:
        return self.positions

    @property
    def passes(self) -> Sequence[Pass]:
        """One an order. Nothing can be read once for all points: the responses stand before the verdict."""
        return [Pass(s.given.shape[1]) for s in self.sides]

    def ones(self) -> Tensor:
        return torch.ones(1, self.features.count, device=self.model.device)

    def __call__(self, z: Tensor) -> Tensor:
        return self.target(self.outputs(z))

    def outputs(self, z: Tensor) -> Outputs:
        if self.scope == "responses":  # question and picture stay as they are
            words = torch.cat(
                [z[:, : self.features.prompt], torch.ones_like(z[:, self.features.prompt :])], dim=1
            )
            z = words
        odds = [side.sign * self._log_odds(side, z) for side in self.sides]
        margin = torch.stack(odds).mean(0)
        return Outputs(torch.stack([margin / 2, -margin / 2], dim=1))

    def _log_odds(self, side: Side, z: Tensor) -> Tensor:
        n = len(z)
        whole = torch.cat([z, z.new_ones(n, 1)], dim=1).to(side.given.dtype)[:, side.features]
        embeds = side.base + (side.given - side.base) * whole.unsqueeze(-1)
        positions = side.positions.expand(*side.positions.shape[:-2], n, -1)
        read = self.model.read_embeds(embeds, side.mask.expand(n, -1), positions, side.at_image.expand(n, -1))
        first, second = self.lm_head.weight[list(side.tokens)].unbind(0)
        odds: Tensor = (read.states[:, -1].float() * (first - second).float()).sum(-1)
        return odds


def build_sides(
    judge: Any, comparison: Comparison, votes: Sequence[Vote], a: int, b: int, level: str, most_regions: int
) -> tuple[list[Side], Features]:
    """judge: a GenerativeJudge with a `reader`. votes: of the judgement; the first of each order that was read at a verdict
    is held fixed. Call under the judge's lock."""
    image, texts = comparison.load_image(), (comparison.responses[a], comparison.responses[b])
    split = (tuple(pieces(texts[0], level)), tuple(pieces(texts[1], level)))
    blank = blank_image(image)
    sides, features = [], None
    for sign, order in ((1, (a, b)), (-1, (b, a))):
        asked, places = filled(judge.prompt, comparison.prompt, *(comparison.responses[k] for k in order))
        written, verdicts = written_before(judge, votes, order)
        side, features = _side(
            judge, image, blank, asked, places, written, verdicts, split, sign, most_regions
        )
        sides.append(side)
    assert features
    return sides, features


def written_before(judge: Any, votes: Sequence[Vote], order: tuple[int, int]) -> tuple[str, tuple[str, str]]:
    """What stands before the verdict in this order, and the two forms that the verdict may have."""
    for vote in votes:
        if vote.order == order and vote.text and vote.log_odds is not None:
            found = RULES[judge.prompt.parsing](vote.text)
            if found.at is not None:
                return vote.text[: found.at], judge.forms(vote.text, found.at, found.choice)
    return judge.lead, judge.prompt.verdicts


def filled(prompt: Prompt, question: str, first: str, second: str) -> tuple[str, list[tuple[str, int, int]]]:
    """`Prompt.fill`, and where each place's text begins and ends."""
    given = {"prompt": question, "first": first, "second": second}
    out, places, end = "", [], 0
    for match in PLACES.finditer(prompt.text):
        out += prompt.text[end : match.start()]
        places.append((match[1], len(out), len(out) + len(given[match[1]])))
        out += given[match[1]]
        end = match.end()
    return out + prompt.text[end:], places


def _side(
    judge: Any, image: Image.Image, blank: Image.Image, asked: str, places: list[tuple[str, int, int]], written: str,
    verdicts: tuple[str, str], split: tuple[tuple[Piece, ...], tuple[Piece, ...]], sign: int, most_regions: int,
) -> tuple[Side, Features]:  # fmt: skip
    inputs, tokens = judge.before_verdict(image, asked, written, verdicts)
    plain, _ = judge.before_verdict(blank, asked, written, verdicts)
    reader, ids = judge.reader, inputs["input_ids"]
    vision = {"image_grid_thw": inputs["image_grid_thw"]}
    with torch.no_grad():
        given = reader.embed(ids, judge.pictures.of(image, lambda: inputs))
        base = reader.embed(ids, judge.pictures.of(blank, lambda: plain))
        at_image = reader.at_image(ids)[0]
        merge = judge.processor.image_processor.merge_size
        rows, columns = (int(v) // merge for v in inputs["image_grid_thw"][0][1:])
        block = max(1, -(-max(rows, columns) // most_regions))
        grid = (-(-rows // block), -(-columns // block))
        offsets, start = judge.offsets(image, asked, written, verdicts)
        feature = _words(offsets[: ids.shape[1]], start, places, split, sign)
        mean = reader.backbone.get_input_embeddings().weight.mean(0)
        base[0, feature.to(base.device) >= 0, : len(mean)] = mean
        y, x = torch.meshgrid(torch.arange(rows) // block, torch.arange(columns) // block, indexing="ij")
        texts = len(split[0]) + len(split[1]) + 1
        feature[at_image.cpu()] = (texts + y * grid[1] + x).flatten()
        positions = reader.positions(ids, inputs["attention_mask"], **vision)
    device = given.device
    side = Side(
        given, base, inputs["attention_mask"], positions, at_image[None], feature.to(device), tokens, sign
    )
    return side, Features(split, grid, feature.to(device), torch.full((2, 0), -1))


def _words(
    offsets: Sequence[tuple[int, int]], start: int, places: list[tuple[str, int, int]],
    split: tuple[tuple[Piece, ...], tuple[Piece, ...]], sign: int,
) -> Tensor:  # fmt: skip
    """(P,) the feature of each token: response a's pieces, b's, then the question as one. start: where what is asked begins."""
    of = {"first": 0 if sign > 0 else 1, "second": 1 if sign > 0 else 0}
    out = torch.full((len(offsets),), -1, dtype=torch.long)
    for name, begin, end in places:
        begin, end = begin + start, end + start
        for i, (s, e) in enumerate(offsets):
            if not (s < end and e > begin and e > s):
                continue
            if name == "prompt":
                out[i] = len(split[0]) + len(split[1])
                continue
            n = of[name]
            if split[n]:
                at = max(s, begin) - begin
                out[i] = n * len(split[0]) + next(
                    (u for u, (_, _, stop) in enumerate(split[n]) if at < stop), len(split[n]) - 1
                )
    return out
