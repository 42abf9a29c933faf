"""The masked forward of a judge that writes: the log-odds of its verdict as a function of what is present.

Both responses, the question and the picture stand in one conversation, in one or both orders; a point z blanks the same
words and regions in each. What the judge has written before its verdict (nothing but the lead, or a critique) is held
fixed: the value says how the verdict hangs on the inputs given that text, and not how the text itself came about. Where
one critique alone is held fixed its sentences can be blanked too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import regex
import torch
from PIL import Image
from torch import Tensor

from core.judges.conditions import blank_image
from core.judges.features import Features, Outputs, TargetFunction
from core.judges.inputs import BASELINE
from core.judges.masked import regions_of
from core.judges.pieces import SCOPES, Piece, pieces
from core.judges.prompts import PLACES, Prompt
from core.judges.verdicts import read
from core.model.need import Pass
from core.model.reader import Reader
from core.records import Comparison, RecordError, Vote

TAG = regex.compile(r"</?\w+>")


@dataclass(frozen=True)
class Side:
    """One order. given, base: (1, P, H) embeddings up to where the verdict is read. features: (P,) the feature of each
    position, -1 where nothing is ever replaced. tokens: of the verdict for the first and for the second response. weight: in the
    mean over all answers, each order weighing the same; negative where response b is shown first."""

    given: Tensor
    base: Tensor
    mask: Tensor
    positions: Tensor
    at_image: Tensor
    features: Tensor
    tokens: tuple[int, int]
    weight: float


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
        margin = torch.stack([side.weight * self._log_odds(side, z) for side in self.sides]).sum(0)
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


@dataclass(frozen=True)
class Held:
    """What stands before the verdict in one order. written: up to the verdict. verdicts: the two forms that it may have.
    text: the whole answer, "" where only the lead is forced."""

    order: tuple[int, ...]
    written: str
    verdicts: tuple[str, str]
    text: str = ""


def build_sides(
    judge: Any, comparison: Comparison, votes: Sequence[Vote], a: int, b: int, level: str, most_regions: int
) -> tuple[list[Side], Features]:
    """judge: a GenerativeJudge with a `reader`. votes: the answers that are held fixed, as they were read; without any the lead
    is forced in both orders. Call under the judge's lock. Raises RecordError where no answer was read at its verdict."""
    image, texts = comparison.load_image(), (comparison.responses[a], comparison.responses[b])
    split = (tuple(pieces(texts[0], level)), tuple(pieces(texts[1], level)))
    blank = blank_image(image)
    held = held_fixed(judge, votes, a, b, comparison.responses)
    orders = [h.order for h in held]
    sides, features = [], None
    for h in held:
        sign = 1 if h.order == (a, b) else -1
        sentences = tuple(sentences_before(h.text, len(h.written))) if len(held) == 1 else ()
        weight = sign / orders.count(h.order) / len(set(orders))
        asked, places = filled(
            judge.prompt, comparison.whole_prompt, *(comparison.responses[k] for k in h.order)
        )
        side, features = _side(
            judge, image, blank, asked, places, h, split, sentences, weight, most_regions
        )  # fmt: skip
        sides.append(side)
    assert features
    return sides, features


def held_fixed(judge: Any, votes: Sequence[Vote], a: int, b: int, responses: Sequence[str]) -> list[Held]:
    """Of each answer about these two that was read at its verdict. Raises RecordError where there is none among votes."""
    if not votes:
        return [
            Held(order, judge.lead, judge.verdicts(_shown(order, responses))) for order in ((a, b), (b, a))
        ]
    out = []
    for vote in votes:
        if vote.order not in ((a, b), (b, a)) or vote.log_odds is None:
            continue
        if not vote.text:
            out.append(Held(vote.order, judge.lead, judge.verdicts(_shown(vote.order, responses))))
            continue
        shown = _shown(vote.order, responses)
        found = read(judge.prompt.parsing, vote.text, shown)
        if found.at is not None:
            forms = judge.forms(vote.text, found.at, found.choice, shown)
            out.append(Held(vote.order, vote.text[: found.at], forms, vote.text))
    if not out or len(votes) > 1 and len({h.order for h in out}) < 2:
        raise RecordError(
            "In one of the two orders no answer was read at its verdict, so the margin rests on counted votes and has no words or "
            "regions to fall on: explain the verdict at once ('verdict') or one critique ('critique:0')."
        )
    return out


def _shown(order: Sequence[int], responses: Sequence[str]) -> tuple[str, str]:
    return responses[order[0]], responses[order[1]]


def sentences_before(text: str, at: int) -> list[Piece]:
    """The sentences of a critique that end before the verdict at character `at`. Tags such as <think> are not among them,
    nor is the sentence in which the verdict itself stands: without it there would be no place for a verdict."""
    out: list[Piece] = []
    start = 0
    for tag in (*TAG.finditer(text), None):
        end = tag.start() if tag else len(text)
        out += [
            (said, s + start, e + start)
            for said, s, e in pieces(text[start:end], "sentence")
            if e + start <= at
        ]
        start = tag.end() if tag else end
    return out


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
    judge: Any, image: Image.Image, blank: Image.Image, asked: str, places: list[tuple[str, int, int]], held: Held,
    split: tuple[tuple[Piece, ...], tuple[Piece, ...]], sentences: tuple[Piece, ...], weight: float, most_regions: int,
) -> tuple[Side, Features]:  # fmt: skip
    inputs, tokens = judge.before_verdict([image], asked, held.written, held.verdicts)
    plain, _ = judge.before_verdict([blank], asked, held.written, held.verdicts)
    reader, ids = judge.reader, inputs["input_ids"]
    vision = {
        k: v
        for k, v in inputs.items()
        if k not in ("input_ids", "attention_mask", "mm_token_type_ids", "pixel_values")
    }
    with torch.no_grad():
        given = reader.embed(ids, judge.pictures.of(image, lambda: inputs))
        base = reader.embed(ids, judge.pictures.of(blank, lambda: plain))
        at_image = reader.at_image(ids)[0]
        grid, region = regions_of(judge.processor.layout(inputs, 0, int(at_image.sum())), most_regions)
        offsets, asked_at, written_at = judge.offsets([image], asked, held.written, held.verdicts)
        feature = _words(offsets[: ids.shape[1]], asked_at, places, split, weight > 0)
        prompt = len(split[0]) + len(split[1])
        for i, (start, end) in enumerate(offsets[: ids.shape[1]]):
            for n, (_, s, e) in enumerate(sentences):
                if start < written_at + e and end > written_at + s and end > start:
                    feature[i] = prompt + 1 + n
        mean = reader.backbone.get_input_embeddings().weight.mean(0)
        base[0, feature.to(base.device) >= 0, : len(mean)] = mean
        texts = prompt + 1 + len(sentences)
        feature[at_image.cpu()] = torch.where(region < 0, -1, texts + region)
        positions = reader.positions(ids, inputs["attention_mask"], **vision)
    feature = feature.to(given.device)
    side = Side(given, base, inputs["attention_mask"], positions, at_image[None], feature, tokens, weight)
    return side, Features(split, grid, feature, torch.full((2, 0), -1), sentences)


def _words(
    offsets: Sequence[tuple[int, int]], start: int, places: list[tuple[str, int, int]],
    split: tuple[tuple[Piece, ...], tuple[Piece, ...]], a_first: bool,
) -> Tensor:  # fmt: skip
    """(P,) the feature of each token: response a's pieces, b's, then the question as one. start: where what is asked begins."""
    of = {"first": 0 if a_first else 1, "second": 1 if a_first else 0}
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
