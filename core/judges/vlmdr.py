"""VL-MDR as a judge: comparisons in, judgements with gates, weights and 21 scores out."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from transformers import BatchFeature

from core.images import image_hash
from core.model import VLMDR
from core.model.head import aggregate
from core.model.loading import load_checkpoint
from core.model.modeling import Reading
from core.model.processor import Response, RewardProcessor, encode_prefix, encode_response, pad_responses
from core.ood import Familiarity, FamiliarityModel
from core.records import Comparison, Judgement, RecordError

READINGS = 8  # prompts whose reading is kept, so that editing a response re-runs only the response


@dataclass(frozen=True)
class Prepared:
    """A padded batch: inputs as `VLMDR.read` takes them, ids and mask (B, N, R), responses per comparison."""

    comparisons: list[Comparison]
    inputs: BatchFeature
    ids: Tensor
    mask: Tensor
    counts: list[int]


class VLMDRJudge:
    """One loaded model. Calls are serialised: two people at once wait for each other, nothing is shared."""

    def __init__(
        self, model: VLMDR, processor: RewardProcessor, name: str, familiarity: FamiliarityModel | None
    ) -> None:
        self.model, self.processor, self.name = model, processor, name
        self.familiarity = familiarity
        self.k = model.config.top_k
        self.lock = Lock()
        self._readings: OrderedDict[tuple[str, str], Reading] = OrderedDict()
        parameters = sum(p.numel() for p in model.parameters())
        self.about: dict[str, Any] = {
            "name": name,
            "parameters": parameters,
            "backbone": model.config.vlm_config.model_type,  # type: ignore[union-attr]
            "device": str(model.device),
            "dtype": str(model.dtype).removeprefix("torch."),
            "embedded": familiarity is not None,
            **(model.config.about or {}),
        }

    @classmethod
    def load(
        cls,
        source: str | Path | None = None,
        device: str | None = None,
        dtype: str | None = None,
        revision: str | None = None,
    ) -> VLMDRJudge:
        """The embedded model, or any VL-MDR checkpoint. Raises core.model.loading.CheckpointError."""
        model, processor = load_checkpoint(source, device, dtype, revision)
        familiarity = FamiliarityModel.load_for(source)
        name = (model.config.about or {}).get("name") or str(source)
        return cls(model, processor, name, familiarity)

    # -- judging ---------------------------------------------------------------------------------------------

    def judge(self, comparison: Comparison) -> Judgement:
        """Raises ImageError or RecordError with a readable sentence."""
        started = time.perf_counter()
        image = comparison.load_image()
        responses = self.encode(comparison)
        with self.lock, torch.inference_mode():
            reading = self._read(image, comparison.prompt)
            ids, mask = pad_responses(self.processor, [responses])
            device = self.model.device
            scores = self.model.score(reading, ids.to(device), mask.to(device))
            judgement = _judgements(self.name, [comparison], reading, scores, [len(responses)])[0]
        return _timed(judgement, time.perf_counter() - started)

    def judge_batch(self, comparisons: list[Comparison]) -> list[Judgement]:
        """Comparisons with different images, prompts and numbers of responses in one padded batch."""
        return self.judge_prepared(self.prepare(comparisons))

    def prepare(self, comparisons: list[Comparison]) -> Prepared:
        """Decodes and encodes a batch without touching the model: another thread may do it ahead of time."""
        images = [c.load_image() for c in comparisons]
        responses = [self.encode(c) for c in comparisons]
        most = max(map(len, responses))
        inputs = encode_prefix(self.processor, images, [c.prompt for c in comparisons])
        # Absent responses repeat the first one and are dropped again.
        ids, mask = pad_responses(self.processor, [r + r[:1] * (most - len(r)) for r in responses])
        return Prepared(comparisons, inputs, ids, mask, [len(r) for r in responses])

    def judge_prepared(self, prepared: Prepared) -> list[Judgement]:
        started = time.perf_counter()
        device = self.model.device
        with self.lock, torch.inference_mode():
            reading = self.model.read(**prepared.inputs.to(device))
            scores = self.model.score(reading, prepared.ids.to(device), prepared.mask.to(device))
            judgements = _judgements(self.name, prepared.comparisons, reading, scores, prepared.counts)
        seconds = (time.perf_counter() - started) / len(judgements)
        return [_timed(j, seconds) for j in judgements]

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

    def _read(self, image: Image.Image, prompt: str) -> Reading:
        key = (image_hash(image), prompt)
        if key in self._readings:
            self._readings.move_to_end(key)
            return self._readings[key]
        inputs = encode_prefix(self.processor, [image], [prompt]).to(self.model.device)
        reading = self._readings[key] = self.model.read(**inputs)
        if len(self._readings) > READINGS:
            self._readings.popitem(last=False)
        return reading

    # -- what it knows ---------------------------------------------------------------------------------------

    def unfamiliarity(self, image: Image.Image) -> Familiarity | None:
        """How far an image lies from what the embedded model was trained on; None for other checkpoints."""
        if self.familiarity is None:
            return None
        with self.lock, torch.inference_mode():
            return self.familiarity.of(image, self.visual_tokens(image))

    def visual_tokens(self, image: Image.Image) -> Tensor:
        """(tokens, H): what the decoder gets to see of the image. Call under the lock."""
        inputs = self.processor.image_processor(images=[image], return_tensors="pt").to(self.model.device)
        return self.model.image_features(inputs.pop("pixel_values"), **inputs)[0].float()


def _judgements(
    name: str, comparisons: list[Comparison], reading: Reading, scores: Tensor, counts: list[int]
) -> list[Judgement]:
    """float32 from here on: what is stored and shown decomposes to rounding error."""
    logits = reading.relevance_logits.float().cpu()
    weights = reading.weights.float().cpu()
    table = scores.float().cpu()
    rewards = aggregate(weights.double(), table.double())
    out = []
    for i, comparison in enumerate(comparisons):
        n = counts[i]
        active = [d for d in logits[i].argsort(descending=True).tolist() if reading.active[i, d]]
        out.append(
            Judgement(
                comparison_id=comparison.id,
                judge=name,
                rewards=tuple(rewards[i, :n].tolist()),
                gate_logits=tuple(logits[i].tolist()),
                relevance=tuple(logits[i].sigmoid().tolist()),
                selected=tuple(active),
                weights=tuple(weights[i].tolist()),
                scores=tuple(tuple(row) for row in table[i, :n].tolist()),
            )
        )
    return out


def _timed(judgement: Judgement, seconds: float) -> Judgement:
    return Judgement(**{**judgement.__dict__, "seconds": seconds})
