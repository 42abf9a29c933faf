"""MM-RLHF-RewardBench (arXiv 2502.10391): 170 pairs of 46 questions. Acc and Acc+ as in the official script.

Its 25 video rows are not supported: they are read, counted and never judged.
"""

from __future__ import annotations

from typing import Any

from core.benchmarks import fields
from core.benchmarks.rows import Benchmark, Fields, Grouping

GROUPS = ("mcq", "long", "short", "safety", "video")


def group_of(path: str) -> str:
    """The official rule takes the first group that is a substring of the path, which breaks as soon as a folder
    of one's own is called "short" or "long". The first part of the path is the same on the released data."""
    first = path.replace("\\", "/").split("/")[0]
    if first not in GROUPS:
        raise fields.RowProblem(f"{path[:80]!r} does not start with one of {', '.join(GROUPS)}", "image")
    return first


def parse(raw: dict[str, Any]) -> Fields:
    image = raw.get("image")
    video = raw.get("video")
    column, place = ("video", video) if video else ("image", image)
    path = place.get("path") if isinstance(place, dict) else place
    if not isinstance(path, str) or not path:
        raise fields.RowProblem("missing", column)
    id_ = fields.text(raw, "id")
    pair = [fields.text(raw, "chosen"), fields.text(raw, "rejected")]
    unsupported = "column video: videos are not supported" if video else ""
    return Fields(id_, fields.text(raw, "prompt"), pair, 0, path if video else image, group_of(path), id_,
                  unsupported=unsupported)  # fmt: skip


MM_RLHF = Benchmark(
    "mm-rlhf-rewardbench",
    "MM-RLHF-RewardBench",
    "Human preferences in five groups; several pairs a question, and Acc+ asks for all of them. Video rows are not supported.",
    parse,
    (
        Grouping(
            "official",
            {g: g for g in GROUPS},
            {"mcq": 42, "long": 37, "short": 34, "safety": 32, "video": 25},
        ),
    ),
    hub="yifanzhang114/MM-RLHF-RewardBench",
    split="train",
    needs=(("id",), ("prompt",), ("chosen",), ("rejected",), ("image", "video")),
    clustered=True,
)
