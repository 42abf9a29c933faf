"""The scalar rival as a judge: rewards only, no dimensions."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from core.judges.features import Outputs, TargetFunction
from core.judges.masked import PrefixForward
from core.judges.padded import PaddedJudge, Prepared, card_of
from core.model import ScalarReward
from core.model.loading import EMBEDDED_SCALAR, load_checkpoint
from core.model.reader import Prefix, at_end
from core.records import Comparison, Judgement


class ScalarForward(PrefixForward):
    def score(self, reading: Prefix, embeds: Tensor, mask: Tensor) -> Outputs:
        states = self.model.response_states(reading, embeds, mask)
        return Outputs(self.model.head(at_end(states, mask)).squeeze(-1).float())


class ScalarJudge(PaddedJudge):
    decomposes_head, rewords = False, True

    @classmethod
    def load(
        cls,
        source: str | Path | None = None,
        device: str | None = None,
        dtype: str | None = None,
        revision: str | None = None,
    ) -> ScalarJudge:
        """The embedded scalar model, or any checkpoint of the kind. Raises core.model.loading.CheckpointError."""
        model, processor = load_checkpoint(source, device, dtype, revision, ScalarReward)
        return cls(model, processor, card_of(model, source, "scalar", EMBEDDED_SCALAR, revision))

    def _judge(self, prepared: Prepared) -> list[Judgement]:
        device = self.model.device
        rewards = self.model(
            **prepared.inputs.to(device),
            response_ids=prepared.ids.to(device),
            response_mask=prepared.mask.to(device),
        )
        table = rewards.float().cpu().tolist()
        return [
            Judgement(comparison.id, self.card.id, tuple(row[:count]))
            for comparison, row, count in zip(prepared.comparisons, table, prepared.counts, strict=True)
        ]

    def masked(
        self, comparison: Comparison, judgement: Judgement, a: int, b: int, target: TargetFunction, level: str,
        scope: str, most_regions: int = 16,
    ) -> ScalarForward:  # fmt: skip
        del judgement  # there is no active set to freeze
        inputs, features = self.masked_inputs(comparison, a, b, level, most_regions)
        return ScalarForward(self.model, self.processor, inputs, features, target, scope)
