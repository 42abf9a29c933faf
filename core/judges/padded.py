"""What all judges with a backbone share: padded batches, prepared without touching the model."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from transformers import BatchFeature

from core.judges.features import Features
from core.judges.inputs import Inputs, build_inputs
from core.judges.masked import make_features
from core.judges.pictures import Pictures, look
from core.model.files import fingerprint
from core.model.processor import Response, RewardProcessor, encode_prefix, encode_response, pad_responses
from core.model.reader import Reader
from core.model.threads import parameters
from core.records import Comparison, JudgeCard, Judgement, RecordError


@dataclass(frozen=True)
class Prepared:
    """A padded batch: inputs as `VLMDR.read` takes them, ids and mask (B, N, R), responses per comparison."""

    comparisons: list[Comparison]
    images: list[Image.Image]
    inputs: BatchFeature
    ids: Tensor
    mask: Tensor
    counts: list[int]


class PaddedJudge(ABC):
    """One loaded model. Calls are serialised: two people at once wait for each other, nothing is shared."""

    def __init__(self, model: Reader, processor: RewardProcessor, card: JudgeCard) -> None:
        self.model: Any = model
        self.processor, self.card = processor, card
        self.lock = Lock()
        self.pictures = Pictures(model)

    def judge(self, comparison: Comparison) -> Judgement:
        """Raises ImageError or RecordError with a readable sentence."""
        return self.judge_batch([comparison])[0]

    def judge_batch(self, comparisons: list[Comparison]) -> list[Judgement]:
        """Comparisons with different images, prompts and numbers of responses in one padded batch."""
        return self.judge_prepared(self.prepare(comparisons))

    def prepare(self, comparisons: list[Comparison]) -> Prepared:
        """Decodes and encodes a batch without touching the model: another thread may do it ahead of time."""
        return self._prepare(comparisons, [c.load_image() for c in comparisons])

    def _prepare(self, comparisons: list[Comparison], images: list[Image.Image]) -> Prepared:
        responses = [self.encode(c) for c in comparisons]
        most = max(map(len, responses))
        inputs = encode_prefix(self.processor, images, [c.prompt for c in comparisons])
        # Absent responses repeat the first one and are dropped again.
        ids, mask = pad_responses(self.processor, [r + r[:1] * (most - len(r)) for r in responses])
        return Prepared(comparisons, images, inputs, ids, mask, [len(r) for r in responses])

    def features_of(self, images: list[Image.Image], inputs: BatchFeature) -> list[Tensor]:
        """What the decoder gets to see of each picture: one pass over all of a batch; of a single one they are kept."""
        if len(images) == 1:
            return self.pictures.of(images[0], lambda: inputs)
        return look(self.model, inputs)

    def judge_prepared(self, prepared: Prepared) -> list[Judgement]:
        started = time.perf_counter()
        with self.lock, torch.inference_mode():
            judgements = self._judge(prepared)
        seconds = (time.perf_counter() - started) / len(judgements)
        return [replace(j, seconds=seconds) for j in judgements]

    @property
    def name(self) -> str:
        """What it is called on pages."""
        return self.card.name

    @abstractmethod
    def _judge(self, prepared: Prepared) -> list[Judgement]:
        """The forward pass, under the lock."""

    def encode(self, comparison: Comparison) -> list[Response]:
        """Tokenised responses. Raises RecordError where the text is longer than the model's context."""
        limit = self.model.config.get_text_config().max_position_embeddings
        used = len(self.processor.tokenizer(comparison.prompt, add_special_tokens=False)["input_ids"])
        responses = [encode_response(self.processor, r) for r in comparison.responses]
        longest = max(len(r.ids) for r in responses)
        if used + longest > limit:
            raise RecordError(
                f"Prompt and longest response are {used + longest:,} tokens long; this model reads at most {limit:,}. "
                "Shorten the text."
            )
        return responses

    def masked_inputs(
        self, comparison: Comparison, a: int, b: int, level: str, most_regions: int
    ) -> tuple[Inputs, Features]:
        """What a masked forward of responses a and b varies. Call under the lock."""
        texts = (comparison.responses[a], comparison.responses[b])
        inputs = build_inputs(
            self.model, self.processor, comparison.load_image(), comparison.prompt, texts, self.pictures
        )
        return inputs, make_features(inputs, texts, level, most_regions)


def card_of(
    model: Reader, source: str | Path | None, kind: str, embedded: Path, revision: str | None, **known: Any
) -> JudgeCard:
    """source: folder or hub id, None for the weights that came with Rewardscope in `embedded`. known: other fields."""
    config: Any = model.config
    said = config.about or {}
    named = Path(source).name if source and Path(source).is_dir() else str(source)
    return JudgeCard(
        id={"gated": "vl-mdr"}.get(kind, kind) if source is None else named,
        name=str(said.get("name") or named),
        kind=kind,
        revision=revision or "",
        fingerprint=fingerprint(source or embedded),
        backbone=config.vlm_config.model_type,
        parameters=parameters(model),
        dtype=str(model.dtype).removeprefix("torch."),
        device=str(model.device),
        licence=str(said.get("licence", "")),
        trained_on=str(said.get("trained_on", "")),
        embedded=source is None,
        **known,
    )
