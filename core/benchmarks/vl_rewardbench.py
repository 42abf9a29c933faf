"""VL-RewardBench (arXiv 2411.17451): 1,250 pairs. Group rule of the official `cal.py`.

Three groupings circulate (see core/benchmarks/published.py): the official one and two that come from slips in follow-up scripts.
Reads the hub's rows, UnifiedReward's data.json and R1-Reward's data.jsonl (already resolved to chosen, rejected).
"""

from __future__ import annotations

import re
from typing import Any

from core.benchmarks import fields
from core.benchmarks.rows import Benchmark, Fields, Grouping

DATASET_OF_PREFIX = {
    "RLAIF": "rlaif-v", "RLHF": "rlhf-v", "hallucination": "povid", "mathverse": "mathverse", "mmmu": "mmmu-pro",
    "wildvision": "wildvision",
}  # fmt: skip
_BASE = {"mathverse": "reasoning", "mmmu-pro": "reasoning", "wildvision": "general", "vlfeedback": "general"}
OFFICIAL = Grouping(
    "official",
    {**_BASE, "povid": "hallucination", "rlaif-v": "hallucination", "rlhf-v": "hallucination"},
    {"general": 183, "hallucination": 749, "reasoning": 318},
)
R1_SCRIPT = Grouping(
    "R1-Reward's script",  # tests lower-case "rlhf", "rlaif" on upper-case ids
    {**_BASE, "povid": "hallucination", "rlaif-v": "general", "rlhf-v": "general"},
    {"general": 484, "hallucination": 448, "reasoning": 318},
)
UNIFIED_SCRIPT = Grouping(
    "UnifiedReward's script",  # does not know the prefix "hallucination"
    {**_BASE, "povid": "general", "rlaif-v": "hallucination", "rlhf-v": "hallucination"},
    {"general": 631, "hallucination": 301, "reasoning": 318},
)


def dataset_of(id_: str) -> str:
    """`get_dataset_from_id` of cal.py: the prefix up to the first _ or -, case-sensitive; all else is VLFeedback."""
    return DATASET_OF_PREFIX.get(re.split("[_-]", id_, maxsplit=1)[0], "vlfeedback")


def parse(raw: dict[str, Any]) -> Fields:
    id_ = fields.text(raw, "id")
    if raw.get("human_ranking") is not None:
        responses = fields.texts(raw, "response")
        fields.count_problem(responses)
        preferred = fields.ranking(raw, "human_ranking", len(responses))
    else:
        responses, preferred = [fields.text(raw, "chosen"), fields.text(raw, "rejected")], 0
    prompt = fields.text(raw, "query", "prompt").replace("<image>\n", "")  # as inference_hf.py does
    return Fields(id_, prompt, responses, preferred, raw.get("image"), dataset_of(id_))


VL_REWARDBENCH = Benchmark(
    "vl-rewardbench",
    "VL-RewardBench",
    "General, hallucination and reasoning pairs selected because small models fail on them.",
    parse,
    (OFFICIAL, R1_SCRIPT, UNIFIED_SCRIPT),
    hub="MMInstruction/VL-RewardBench",
    needs=(("id",), ("query", "prompt"), ("response", "chosen"), ("human_ranking", "rejected")),
)
