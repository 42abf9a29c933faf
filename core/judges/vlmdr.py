"""VL-MDR as a judge: comparisons in, judgements with gates, weights and 21 scores out."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from core.images import image_hash
from core.judges.padded import PaddedJudge, Prepared
from core.model import VLMDR
from core.model.head import aggregate
from core.model.loading import EMBEDDED, fingerprint, load_checkpoint
from core.model.modeling import Reading
from core.model.ood import FamiliarityModel
from core.model.processor import RewardProcessor, encode_prefix, pad_responses
from core.records import Comparison, Familiarity, Judgement

READINGS = 8  # prompts whose reading is kept, so that editing a response re-runs only the response


class VLMDRJudge(PaddedJudge):
    def __init__(
        self, model: VLMDR, processor: RewardProcessor, name: str, familiarity: FamiliarityModel | None
    ) -> None:
        super().__init__(model, processor, name)
        self.familiarity = familiarity
        self.k = model.config.top_k
        self._readings: OrderedDict[tuple[str, str], Reading] = OrderedDict()
        self.about["embedded"] = familiarity is not None

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
        judge = cls(model, processor, name, familiarity)
        judge.about["weights"] = fingerprint(source or EMBEDDED)
        return judge

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
        return replace(judgement, seconds=time.perf_counter() - started)

    def _judge(self, prepared: Prepared) -> list[Judgement]:
        device = self.model.device
        reading = self.model.read(**prepared.inputs.to(device))
        scores = self.model.score(reading, prepared.ids.to(device), prepared.mask.to(device))
        return _judgements(self.name, prepared.comparisons, reading, scores, prepared.counts)

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
    weight_logits = reading.weight_logits.float().cpu()
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
                weight_logits=tuple(weight_logits[i].tolist()),
                scores=tuple(tuple(row) for row in table[i, :n].tolist()),
            )
        )
    return out
