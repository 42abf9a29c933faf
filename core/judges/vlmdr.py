"""VL-MDR as a judge: comparisons in, judgements with gates, weights and a score per dimension out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from transformers import BatchFeature

from core.images import image_hash
from core.judges.features import Outputs, TargetFunction
from core.judges.kept import Kept
from core.judges.masked import PrefixForward
from core.judges.padded import PaddedJudge, Prepared, card_of
from core.model import VLMDR
from core.model.head import aggregate, weights_over
from core.model.loading import EMBEDDED, load_checkpoint
from core.model.modeling import Reading
from core.model.ood import OODModel, pixel_statistics
from core.model.processor import RewardProcessor, encode_prefix, pad_responses
from core.records import Comparison, JudgeCard, Judgement, OODScore
from core.taxonomy import dimensions_from

READINGS = 256 << 20  # bytes of readings that are kept, so that editing a response re-runs only the response


@dataclass(frozen=True)
class Read:
    """Pictures and prompts as the model read them, and how far each picture lies from what it knows. (B,) oods, or none."""

    reading: Reading
    oods: list[OODScore]


@dataclass(frozen=True)
class PreparedWithOOD(Prepared):
    """statistics: per picture, what the out-of-distribution score needs of its pixels; empty where there is none."""

    statistics: list[Tensor]


class GatedForward(PrefixForward):
    """With the active set frozen at the judgement's: which k dimensions are chosen is piecewise constant."""

    def __init__(self, *given: Any, selected: Sequence[int]) -> None:
        super().__init__(*given)
        self.active = torch.zeros(
            1, self.model.config.num_dimensions, dtype=torch.bool, device=self.model.device
        )
        self.active[0, list(selected)] = True

    def score(self, reading: Reading, embeds: Tensor, mask: Tensor) -> Outputs:
        scores = self.model.score_embeds(reading, embeds, mask).float()
        weights = weights_over(reading.weight_logits.float(), self.active.expand(len(scores), -1))
        return Outputs(aggregate(weights, scores), scores, weights, reading.relevance_logits.float())

    @torch.no_grad()
    def token_penalties(self) -> tuple[Tensor, Tensor]:
        """(2, R, D) the head's token-surprisal penalties, and (D,) weights on the active set."""
        i, reading = self.inputs, self._read_once()
        states = self.model.response_states(reading, i.response, i.response_mask)
        penalties = self.model.token_doubts(reading, i.response, states, i.response_mask).float()
        return penalties[0], weights_over(reading.weight_logits.float(), self.active)[0]


class VLMDRJudge(PaddedJudge):
    decomposes_head = rewords = True

    def __init__(
        self, model: VLMDR, processor: RewardProcessor, card: JudgeCard, ood: OODModel | None = None
    ) -> None:
        super().__init__(model, processor, card)
        self.ood = ood
        self._readings: Kept[Read] = Kept(READINGS)

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
        known = {"top_k": model.config.top_k, "dimensions": dimensions_from(model.config.dimensions)}
        card = card_of(model, source, "gated", EMBEDDED, revision, **known)
        return cls(model, processor, card, OODModel.load_for(source))

    # -- judging ---------------------------------------------------------------------------------------------

    def judge(self, comparison: Comparison) -> Judgement:
        """Raises ImageError or RecordError with a readable sentence."""
        started = time.perf_counter()
        image = comparison.load_image()
        responses = self.encode(comparison)
        with self.lock, torch.inference_mode():
            read = self._read(image, comparison.prompt)
            ids, mask = pad_responses(self.processor, [responses])
            device = self.model.device
            scores = self.model.score(read.reading, ids.to(device), mask.to(device))
            judgement = self._judgements([comparison], read, scores, [len(responses)])[0]
        return replace(judgement, seconds=time.perf_counter() - started)

    def _prepare(self, comparisons: list[Comparison], images: list[Image.Image]) -> PreparedWithOOD:
        prepared = super()._prepare(comparisons, images)
        statistics = [pixel_statistics(image) for image in images] if self.ood else []
        return PreparedWithOOD(**vars(prepared), statistics=statistics)

    def _judge(self, prepared: Prepared) -> list[Judgement]:
        assert isinstance(prepared, PreparedWithOOD)
        device = self.model.device
        read = self._read_inputs(prepared.inputs.to(device), prepared.statistics)
        scores = self.model.score(read.reading, prepared.ids.to(device), prepared.mask.to(device))
        return self._judgements(prepared.comparisons, read, scores, prepared.counts)

    def _read(self, image: Image.Image, prompt: str) -> Read:
        key = (image_hash(image), prompt)
        if (kept := self._readings.get(key)) is not None:
            return kept
        inputs = encode_prefix(self.processor, [image], [prompt]).to(self.model.device)
        return self._readings.put(
            key, self._read_inputs(inputs, [pixel_statistics(image)] if self.ood else [])
        )

    def _read_inputs(self, inputs: BatchFeature, statistics: list[Tensor]) -> Read:
        """One vision pass serves the judgement and the out-of-distribution score."""
        inputs = BatchFeature(dict(inputs))
        pixels = inputs.pop("pixel_values")
        grids = {k: v for k, v in inputs.items() if k not in ("input_ids", "attention_mask")}
        features = self.model.image_features(pixels, **grids)
        oods = (
            [self.ood.of(s, f.float()) for s, f in zip(statistics, features, strict=True)] if self.ood else []
        )
        return Read(self.model.read_features(features=features, **inputs), oods)

    # -- what it knows ---------------------------------------------------------------------------------------

    def out_of_distribution(self, image: Image.Image) -> OODScore | None:
        """How far an image lies from what the embedded model was trained on; None for other checkpoints."""
        if self.ood is None:
            return None
        with self.lock, torch.inference_mode():
            return self.ood.of(pixel_statistics(image), self.visual_tokens(image))

    def visual_tokens(self, image: Image.Image) -> Tensor:
        """(tokens, H): what the decoder gets to see of the image. Call under the lock."""
        inputs = self.processor.image_processor(images=[image], return_tensors="pt").to(self.model.device)
        tokens: Tensor = self.model.image_features(inputs.pop("pixel_values"), **inputs)[0].float()
        return tokens

    # -- explaining ------------------------------------------------------------------------------------------

    def masked(
        self, comparison: Comparison, judgement: Judgement, a: int, b: int, target: TargetFunction, level: str,
        scope: str, most_regions: int = 16,
    ) -> GatedForward:  # fmt: skip
        inputs, features = self.masked_inputs(comparison, a, b, level, most_regions)
        return GatedForward(
            self.model, self.processor, inputs, features, target, scope, selected=judgement.selected
        )

    # -- records ---------------------------------------------------------------------------------------------

    def _judgements(
        self, comparisons: list[Comparison], read: Read, scores: Tensor, counts: list[int]
    ) -> list[Judgement]:
        """float32 from here on: what is stored and shown decomposes to rounding error."""
        reading = read.reading
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
                    judge=self.card.id,
                    rewards=tuple(rewards[i, :n].tolist()),
                    gate_logits=tuple(logits[i].tolist()),
                    relevance=tuple(logits[i].sigmoid().tolist()),
                    selected=tuple(active),
                    weights=tuple(weights[i].tolist()),
                    weight_logits=tuple(weight_logits[i].tolist()),
                    scores=tuple(tuple(row) for row in table[i, :n].tolist()),
                    dimensions=self.card.dimensions,
                    ood=read.oods[i] if read.oods else None,
                )
            )
        return out
