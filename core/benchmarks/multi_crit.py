"""Multi-Crit (arXiv 2511.21662, CVPR 2026): pairs judged by one criterion a row, five criteria in each of two splits.

A row names its criterion, and that is asked of the judge, in words of this project: the official wording is a prompt of its
own (see `--prompt` for how to pass it). The rows of a `prompt_id` are one item; how criteria of an item pull apart is
measured in core/runs/criteria.py.
"""

from __future__ import annotations

from typing import Any

from core.benchmarks import fields
from core.benchmarks.rows import Benchmark, Fields, Grouping

CRITERIA = {
    "open-ended": {
        "completeness": "Completeness and coverage", "visual-grounding": "Visual grounding and details",
        "hallucination": "Factuality, no hallucination", "expressiveness": "Expressiveness and expertise",
        "clarity": "Clarity and coherence",
    },
    "reasoning": {
        "grounding": "Visual grounding", "logic": "Logical coherence and consistency", "hallucination": "Factual correctness, no hallucination",
        "exploration": "Reflection and exploration", "efficiency": "Conciseness and efficiency",
    },
}  # fmt: skip
SPLITS = {"open-ended": "open-ended", "openended": "open-ended", "reasoning": "reasoning"}


def parse(raw: dict[str, Any]) -> Fields:
    split = SPLITS.get(fields.text(raw, "split").strip().lower().replace("_", "-"))
    if split is None:
        raise fields.RowProblem(
            f"{fields.shown(raw['split'])} where {' or '.join(CRITERIA)} was expected", "split"
        )
    criterion = fields.text(raw, "criterion").strip().lower()
    if criterion not in CRITERIA[split]:
        known = ", ".join(CRITERIA[split])
        raise fields.RowProblem(
            f"{fields.shown(raw['criterion'])} where one of {known} was expected", "criterion"
        )
    pair = [fields.text(raw, "pred_a"), fields.text(raw, "pred_b")]
    preferred = fields.choice(
        "preference", fields.text(raw, "preference").strip().lower(), ("model_a", "model_b")
    )
    _, item = fields.first_of(raw, "prompt_id")
    _, id_ = fields.first_of(raw, "question_id")
    asked = f"{fields.text(raw, 'question')}\n\nCompare the responses by one criterion only: {CRITERIA[split][criterion]}."
    return Fields(
        str(id_), asked, pair, preferred, raw.get("image"), f"{split}--{criterion}", f"{split} {item}"
    )


MULTI_CRIT = Benchmark(
    "multi-crit",
    "Multi-Crit",
    "Human preferences by one criterion a row; how often a judge is right on all criteria of an item, and where they conflict.",
    parse,
    (
        Grouping("criteria", {f"{s}--{c}": f"{s}: {c}" for s, names in CRITERIA.items() for c in names}),
        Grouping("splits", {f"{s}--{c}": s for s, names in CRITERIA.items() for c in names}),
    ),
    hub="txiong23/Multi-Crit",
    split="open_ended+reasoning",
    needs=(("prompt_id",), ("question_id",), ("question",), ("pred_a",), ("pred_b",), ("preference",), ("criterion",), ("split",)),
    criteria=True,
)  # fmt: skip
