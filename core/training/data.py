"""Lessons of the scene world as tensors. Everything is a pure function of (seed, index): nothing is stored."""

from __future__ import annotations

import random
from typing import Any

import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torch.utils.data import Dataset

from core.model.processor import Response, RewardProcessor, _prefix, encode_response, pad_responses
from core.taxonomy import INDEX, NUM_DIMENSIONS
from core.world.draw import draw
from core.world.items import Answer, Item
from core.world.pictures import CONCEPTS, Box, Picture, Scene
from core.world.splits import OPENING_WEIGHTS, lesson

CONCEPT_INDEX = {c: i for i, c in enumerate(CONCEPTS)}
FINE = 0  # class of a token that is not at fault; class d + 1 is a fault on dimension d
IGNORE = -100
GREY = (128, 128, 128)  # what an erased region looks like, here and in explanations
ERASED_REGIONS, HIDDEN_WORDS, HIDDEN_FACTS = 0.2, 0.15, 0.15  # shares, in the stages that erase


class LessonDataset(Dataset):
    """`length` lessons from `start` on, each with `questions` items of `answers` responses (0: pictures only)."""

    def __init__(
        self,
        processor: RewardProcessor,
        seed: int,
        start: int,
        length: int,
        questions: int,
        answers: int,
        opening: dict[str, float] = OPENING_WEIGHTS,
        erase: bool = False,
    ):
        self.processor, self.seed, self.start, self.length = processor, seed, start, length
        self.questions, self.answers, self.opening, self.erase = questions, answers, opening, erase

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, Any]:
        made = lesson(self.seed, self.start + index, max(self.questions, 1), self.opening)
        # The processor's own bicubic step, done here on 8-bit pixels: the same values, less copying.
        small = draw(made.picture).resize(made.picture.size, Image.Resampling.BICUBIC)
        processor = self.processor.image_processor
        erased = (
            erase(random.Random(f"erase-{index}"), small, made.picture, made.items, processor)
            if self.erase
            else []
        )
        image = self.processor.image_processor(images=[small], return_tensors="pt")
        grid = image["image_grid_thw"][0]
        items = [self._item(item, index) for item in made.items] if self.answers else []
        merge = self.processor.image_processor.merge_size
        concepts = grounding_targets(made.picture, grid, merge)
        for item, source in zip(items, made.items, strict=False):
            item["evidence"] = evidence_tokens(made.picture, source.evidence, grid, merge)
        return {
            "pixel_values": image["pixel_values"],
            "grid": grid,
            "concepts": concepts.index_fill(0, torch.tensor(erased, dtype=torch.long), 0),
            "items": items,
        }

    def _item(self, item: Item, index: int) -> dict[str, Any]:
        # Right answer, visual mistake, then the faults of manner in turn.
        rest = item.answers[2:]
        order = [item.answers[0], item.answers[1], *(rest[(index + i) % len(rest)] for i in range(len(rest)))]
        answers = order[: self.answers]
        responses = [encode_response(self.processor, a.text) for a in answers]
        relevant = torch.zeros(NUM_DIMENSIONS, dtype=torch.bool)
        relevant[[INDEX[d] for d in item.relevant]] = True
        found = [marks(r, a) for r, a in zip(responses, answers, strict=True)]
        spoils = [INDEX[a.spoils] + 1 if a.spoils else FINE for a in answers]
        hidden = [[False] * len(m) for m in found]
        if self.erase:
            rng = random.Random(f"hide-{index}-{item.prompt}")
            hidden = [hide(rng, r, m) for r, m in zip(responses, found, strict=True)]
            if any(found[0]) and any(found[1]) and rng.random() < HIDDEN_FACTS:
                # With the telling words hidden, nothing tells the right answer from the visual mistake.
                hidden[:2] = found[:2]
                spoils[1] = FINE
        return {
            "hidden": hidden,
            "prompt": _prefix(self.processor, item.prompt),
            "relevant": relevant,
            "responses": responses,
            "spoils": spoils,
            "marks": found,
        }


def grounding_targets(picture: Picture, grid: Tensor, merge: int) -> Tensor:
    """(visual tokens, concepts) 0/1: which concepts hold at the token that contains a part's anchor."""
    rows, columns = int(grid[1]) // merge, int(grid[2]) // merge
    target = torch.zeros(rows * columns, len(CONCEPTS))
    for part in picture.parts():
        token = _token_at(part.anchor, picture.size, rows, columns)
        target[token, [CONCEPT_INDEX[c] for c in part.concepts]] = 1
    return target


def _token_at(point: tuple[float, float], size: tuple[int, int], rows: int, columns: int) -> int:
    (x, y), (w, h) = point, size
    return min(int(y / h * rows), rows - 1) * columns + min(int(x / w * columns), columns - 1)


def evidence_tokens(picture: Picture, evidence: tuple[Box, ...], grid: Tensor, merge: int) -> Tensor:
    """(visual tokens,) which tokens hold the parts that prove the answer."""
    rows, columns = int(grid[1]) // merge, int(grid[2]) // merge
    found = torch.zeros(rows * columns, dtype=torch.bool)
    for part in picture.parts():
        x0, y0, x1, y1 = part.box
        for a, b, c, d in evidence:
            if a <= (x0 + x1) / 2 <= c and y0 < d and b < y1:
                found[_token_at(part.anchor, picture.size, rows, columns)] = True
    return found


def marks(response: Response, answer: Answer) -> list[bool]:
    """Per token, whether it overlaps the words that carry the fact or the fault."""
    return [any(a < end and b > start for start, end in answer.spans) and b > a for a, b in response.spans]


def hide(rng: random.Random, response: Response, marked: list[bool]) -> list[bool]:
    """Per token, whether it is hidden behind the mean word: some of the words that carry no fact and no fault."""
    if rng.random() < 0.5:
        return [False] * len(marked)
    return [
        b > a and not m and rng.random() < HIDDEN_WORDS
        for (a, b), m in zip(response.spans, marked, strict=True)
    ]


def erase(
    rng: random.Random, image: Image.Image, picture: Picture, items: tuple[Item, ...], image_processor: Any
) -> list[int]:
    """Paints grey over some regions of a scene that prove nothing: the answers stay what they were. Gives the
    visual tokens it hid."""
    erased: list[int] = []
    if not isinstance(picture, Scene) or any(i.family == "caption" for i in items) or rng.random() < 0.4:
        return erased
    side = image_processor.patch_size * image_processor.merge_size
    pen = ImageDraw.Draw(image)
    for y in range(0, image.height, side):
        for x in range(0, image.width, side):
            proves = any(
                a < x + side and x < c and b < y + side and y < d for i in items for a, b, c, d in i.evidence
            )
            if not proves and rng.random() < ERASED_REGIONS:
                pen.rectangle((x, y, x + side - 1, y + side - 1), fill=GREY)
                erased.append(y // side * (image.width // side) + x // side)
    return erased


class Collator:
    """Joins lessons. Items of one lesson share its image: `image_of` names each item's lesson."""

    def __init__(self, processor: RewardProcessor) -> None:
        self.processor = processor

    def __call__(self, lessons: list[dict[str, Any]]) -> dict[str, Tensor]:
        batch = {
            "pixel_values": torch.cat([x["pixel_values"] for x in lessons]),
            "image_grid_thw": torch.stack([x["grid"] for x in lessons]),
            "concepts": torch.cat([x["concepts"] for x in lessons]),
        }
        items = [(i, item) for i, x in enumerate(lessons) for item in x["items"]]
        return {**batch, **self._texts(lessons, items)} if items else batch

    def _texts(
        self, lessons: list[dict[str, Any]], items: list[tuple[int, dict[str, Any]]]
    ) -> dict[str, Tensor]:
        merge = self.processor.image_processor.merge_size**2
        token = self.processor.image_token
        texts = [
            item["prompt"].replace(token, token * int(lessons[i]["grid"].prod() // merge), 1)
            for i, item in items
        ]
        prefix = self.processor.tokenizer(
            texts, padding=True, padding_side="left", return_tensors="pt", add_special_tokens=False
        )
        ids, mask = pad_responses(self.processor, [item["responses"] for _, item in items])
        marked, hidden = (torch.zeros_like(mask, dtype=torch.bool) for _ in range(2))
        for b, (_, item) in enumerate(items):
            for n, row in enumerate(item["marks"]):
                marked[b, n, : len(row)] = torch.tensor(row)
            for n, row in enumerate(item["hidden"]):
                hidden[b, n, : len(row)] = torch.tensor(row)
        most = max(len(item["evidence"]) for _, item in items)
        evidence = torch.zeros(len(items), most, dtype=torch.bool)
        for b, (_, item) in enumerate(items):
            evidence[b, : len(item["evidence"])] = item["evidence"]
        return {
            "evidence": evidence,
            "image_of": torch.tensor([i for i, _ in items]),
            "input_ids": prefix["input_ids"],
            "attention_mask": prefix["attention_mask"],
            "response_ids": ids,
            "response_mask": mask,
            "marked": marked,
            "hidden": hidden,
            "relevant": torch.stack([item["relevant"] for _, item in items]),
            "spoils": torch.tensor([item["spoils"] for _, item in items]),
        }
