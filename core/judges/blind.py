"""VL-MDR with its eyes shut: the same weights, every picture replaced by a white one of the same size.

Where it is right, the text alone was enough: a seeing judge that is right there may be right for the wrong reason.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from PIL import Image

from core.judges.padded import Prepared
from core.judges.vlmdr import VLMDRJudge
from core.records import Comparison, Judgement


class BlindJudge:
    def __init__(self, judge: VLMDRJudge) -> None:
        self.seeing = judge
        self.name = f"{judge.name}, blind"
        self.about: dict[str, Any] = {**judge.about, "name": self.name, "reads_image": False}

    def judge(self, comparison: Comparison) -> Judgement:
        return self._named(self.seeing.judge(blank(comparison)))

    def judge_batch(self, comparisons: list[Comparison]) -> list[Judgement]:
        return self.judge_prepared(self.prepare(comparisons))

    def prepare(self, comparisons: list[Comparison]) -> Prepared:
        return self.seeing.prepare([blank(c) for c in comparisons])

    def judge_prepared(self, prepared: Prepared) -> list[Judgement]:
        return [self._named(j) for j in self.seeing.judge_prepared(prepared)]

    def _named(self, judgement: Judgement) -> Judgement:
        return replace(judgement, judge=self.name)


def blank(comparison: Comparison) -> Comparison:
    """The record with a white picture of the same size, so that the model reads as many visual tokens."""
    return replace(comparison, image=Image.new("RGB", comparison.load_image().size, "white"))
