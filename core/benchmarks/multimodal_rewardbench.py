"""Multimodal RewardBench (arXiv 2502.14191, Meta). Categories as in the official `2_get_accuracy.py`.

The released data lacks Hateful Memes (safety/toxicity): 4,711 rows, not comparable with the README's table of 5,211.
"""

from __future__ import annotations

from typing import Any

from core.benchmarks import fields
from core.benchmarks.rows import Benchmark, Fields, Grouping

_SEVEN = {
    "correctness": "correctness", "preference": "preference", "knowledge": "knowledge", "math": "math",
    "coding": "coding", "safety/bias": "safety", "safety/toxicity": "safety", "vqa": "vqa",
}  # fmt: skip
OFFICIAL = Grouping("official", {**_SEVEN, "math": "reasoning", "coding": "reasoning"})
SEVEN_COLUMNS = Grouping("seven columns (R1-Reward's table)", _SEVEN)


def subgroup_of(category: str, id_: str) -> str:
    """Safety splits into bias (ids that start with pairs) and toxicity, reasoning into math and coding."""
    name = category.split("/")[-1].removesuffix("_task")
    if category == "safety":
        return "safety/bias" if id_.lower().startswith("pairs") else "safety/toxicity"
    if category == "reasoning":
        return "math" if id_.lower().startswith("math") else "coding"
    if name not in _SEVEN:
        raise fields.RowProblem(f"{category!r} is not a category of this benchmark", "Category")
    return name


def parse(raw: dict[str, Any]) -> Fields:
    id_ = fields.text(raw, "ID")
    outputs = [fields.text(raw, "Output1"), fields.text(raw, "Output2")]
    better = fields.choice("Better", raw.get("Better"), ("Output1", "Output2"))
    subgroup = subgroup_of(fields.text(raw, "Category"), id_)
    return Fields(id_, fields.text(raw, "Text"), outputs, better, raw.get("Image"), subgroup)


MULTIMODAL_REWARDBENCH = Benchmark(
    "multimodal-rewardbench",
    "Multimodal RewardBench",
    "Correctness, preference, knowledge, reasoning, safety and VQA; the released 4,711 rows lack toxicity.",
    parse,
    (OFFICIAL, SEVEN_COLUMNS),
    hub="syhuggingface/multimodal_rewardbench",
    needs=(("ID",), ("Text",), ("Output1",), ("Output2",), ("Better",), ("Category",)),
)
