"""Several questions to a judge that writes, answered in one batch: what a small model is asked one by one takes many times as long.

An answer depends on its question alone: each question has its own stream of random numbers, and its next word is the one for
which log-probability plus Gumbel noise is largest, which is a draw from the distribution (Gumbel-max). Beside which other
questions it stands changes nothing but the last digits of the arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from transformers import BatchFeature, GenerationConfig, LogitsProcessor, LogitsProcessorList
from transformers.generation.logits_process import TopPLogitsWarper

from core.model.processor import RewardProcessor
from core.records import RecordError

SECONDS = 600.0  # that one answer may take
SMALL = 50_000_000  # parameters of a model that is asked several questions at once
Asked = tuple[
    Sequence[Image.Image], str
]  # pictures, and the conversation as a text with one image token a picture


class Draws(LogitsProcessor):
    """Leaves one word: the draw. seeds: one a question; each has `many` rows side by side."""

    def __init__(
        self, seeds: Sequence[int], many: int, temperature: float, top_p: float, device: Any
    ) -> None:
        self.streams = [torch.Generator(device).manual_seed(seed) for seed in seeds]
        self.many, self.temperature = many, temperature
        self.top_p = TopPLogitsWarper(top_p) if top_p < 1 else None

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        warm = scores.float() / self.temperature
        if self.top_p is not None:
            warm = self.top_p(input_ids, warm)
        size = (self.many, scores.shape[-1])
        noise = torch.cat([torch.rand(size, generator=s, device=scores.device) for s in self.streams])
        chosen = (warm - (-noise.clamp_min(1e-30).log()).log()).argmax(-1, keepdim=True)
        return torch.full_like(warm, float("-inf")).scatter(-1, chosen, 0.0)


def together(judge: Any) -> bool:
    """Whether its questions are asked in batches: small models gain by it; a large one fills its device with one question."""
    return type(judge.processor) is RewardProcessor and judge.card.parameters <= SMALL


def inputs_of(judge: Any, asked: Sequence[Asked]) -> BatchFeature:
    """Conversations as the model takes them, padded on the left; one alone as `GenerativeJudge.inputs` has it. Raises
    RecordError."""
    if len(asked) == 1:
        alone: BatchFeature = judge.inputs(*asked[0])
        return alone
    pixels = judge.processor.pictures([image for images, _ in asked for image in images])
    texts, at = [], 0
    for images, text in asked:
        before, *rest = text.split(judge.processor.image_token, len(images))
        marks = [judge.processor.replace_image_token(pixels, at + i) for i in range(len(images))]
        texts.append(before + "".join(mark + r for mark, r in zip(marks, rest, strict=True)))
        at += len(images)
    found = judge.processor.tokenizer(
        texts, return_tensors="pt", add_special_tokens=False, padding=True, padding_side="left"
    )
    ids = found["input_ids"]
    judge.check_length(ids.shape[1])
    return BatchFeature({
        **pixels, "input_ids": ids, "attention_mask": found["attention_mask"],
        "mm_token_type_ids": (ids == judge.model.config.image_token_id).int(),
    }).to(judge.model.device)  # fmt: skip


def written(
    judge: Any, asked: Sequence[Asked], seeds: Sequence[int], many: int, temperature: float
) -> list[list[tuple[str, bool]]]:
    """[question][answer] -> (text, finished). temperature 0: the greedy answer, as often. Never runs past the prompt's limit,
    the model's context or SECONDS. Raises RecordError."""
    inputs, p, tokenizer = inputs_of(judge, asked), judge.prompt, judge.processor.tokenizer
    start, ends = inputs["input_ids"].shape[1], ends_of(judge)
    room = judge.model.config.get_text_config().max_position_embeddings - start
    drawn = many if temperature else 1
    draws = LogitsProcessorList()
    if temperature:
        draws.append(Draws(seeds, drawn, temperature, p.top_p, judge.model.device))
    how: Any = GenerationConfig(  # type: ignore[no-untyped-call]
        max_new_tokens=min(p.max_new_tokens, room), max_time=SECONDS, do_sample=temperature > 0,
        temperature=1.0 if temperature else None, top_k=0 if temperature else None, num_return_sequences=drawn,
        eos_token_id=ends, pad_token_id=tokenizer.pad_token_id or ends[0], stop_strings=list(p.stop) or None,
    )  # fmt: skip
    devices = [judge.model.device] if judge.model.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):  # generate draws from the one word that is left
        out = judge.model.generate(
            **judge._own(inputs), generation_config=how, logits_processor=draws, tokenizer=tokenizer
        )
    rows = [_read(judge, row, ends) for row in out[:, start:].tolist()]
    return [rows[i * drawn : (i + 1) * drawn] * (many // drawn) for i in range(len(asked))]


def _read(judge: Any, row: list[int], ends: list[int]) -> tuple[str, bool]:
    end = next((i for i, token in enumerate(row) if token in ends), None)
    text = str(judge.processor.tokenizer.decode(row if end is None else row[:end], skip_special_tokens=True))
    # beside longer answers a row goes on after its own end: a stop text is where it ends
    stops = [text.find(s) + len(s) for s in judge.prompt.stop if s in text]
    if stops:
        text = text[: min(stops)]
    return text, end is not None or bool(stops)


def ends_of(judge: Any) -> list[int]:
    """Tokens that end an answer."""
    said = judge.model.generation_config.eos_token_id
    own = judge.processor.tokenizer.eos_token_id
    listed = [said] if isinstance(said, int) else list(said or [])
    return list(dict.fromkeys([*listed, *([own] if own is not None else [])]))


def log_odds_all(judge: Any, asked: Sequence[Asked], verdicts: Sequence[tuple[str, str]]) -> list[float]:
    """Of the first verdict against the second, at the first token in which they differ. asked: the conversation up to where a
    verdict stands. Raises RecordError."""
    tokenizer = judge.processor.tokenizer
    tokens, firsts = [], [forms[0] for forms in verdicts]
    places = []
    for (_, text), forms in zip(asked, verdicts, strict=True):
        one, other = (tokenizer(text + v, add_special_tokens=False)["input_ids"] for v in forms)
        place = parting(one, other)
        tokens.append((one[place], other[place]))
        places.append(len(one) - place)  # counted from the end: picture tokens are put in before
    inputs = inputs_of(judge, [(images, text + f) for (images, text), f in zip(asked, firsts, strict=True)])
    keep = max(places) + 1
    logits = judge.model(**judge._own(inputs), logits_to_keep=keep).logits.double()
    rows = [logits[i, -p - 1] for i, p in enumerate(places)]
    return [float(row[a] - row[b]) for row, (a, b) in zip(rows, tokens, strict=True)]


def parting(a: Sequence[int], b: Sequence[int]) -> int:
    """Where two rows of ids first differ. Raises RecordError where one only continues the other."""
    place = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), None)
    if place is None:
        raise RecordError("The prompt's two verdicts are the same for this model's tokenizer: choose others.")
    return place
