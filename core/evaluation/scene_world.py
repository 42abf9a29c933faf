"""Measures a judge on held-out records of the scene world, with blind controls.

`python -m core evaluate --records 2000 --output held_out.json`
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from core.judges.conditions import blanked, shuffled
from core.judges.vlmdr import VLMDRJudge
from core.records import Comparison, Judgement
from core.runs.metrics import rate
from core.world.questions import VISUAL_FAMILIES
from core.world.splits import held_out

BATCH = 48


def judge_all(judge: VLMDRJudge, records: list[Comparison]) -> list[Judgement]:
    """In batches of similar prompt length; results in the order of the records."""
    order = sorted(range(len(records)), key=lambda i: len(records[i].prompt))
    out: list[Judgement | None] = [None] * len(records)
    for start in range(0, len(order), BATCH):
        chunk = order[start : start + BATCH]
        for i, judgement in zip(chunk, judge.judge_batch([records[i] for i in chunk]), strict=True):
            out[i] = judgement
    return [j for j in out if j is not None]


def is_right(record: Comparison, judgement: Judgement) -> bool:
    """Strictly: a tie is wrong."""
    assert record.preferred is not None
    return judgement.margin(record.preferred, 1 - record.preferred) > 0


def share(flags: Iterable[bool]) -> dict[str, float]:
    """accuracy (the share of true ones), its 95 % Wilson interval (low, high) and n."""
    found = rate(pd.Series(np.where(list(flags), "right", "wrong"), dtype=object))
    return {"accuracy": found.value, "low": found.low, "high": found.high, "n": found.n}


def accuracy(records: Iterable[Comparison], judgements: Iterable[Judgement]) -> dict[str, float]:
    return share(is_right(r, j) for r, j in zip(records, judgements, strict=True))


def by(records: list[Comparison], judgements: list[Judgement], key: Any) -> dict[str, dict[str, float]]:
    groups: dict[str, list[int]] = defaultdict(list)
    for i, record in enumerate(records):
        groups[key(record)].append(i)
    return {
        name: accuracy([records[i] for i in members], [judgements[i] for i in members])
        for name, members in sorted(groups.items())
    }


def with_other_images(records: list[Comparison]) -> list[Comparison]:
    """Each record with the image of another one of its family, never its own nor its minimal pair's."""
    # Of every couple both halves are there, side by side.
    others = shuffled([r.category for r in records], [f"couple {i // 2}" for i in range(len(records))])
    return [replace(r, image=records[o].image) for r, o in zip(records, others, strict=True) if o is not None]


def gate_measures(records: list[Comparison], judgements: list[Judgement]) -> dict[str, dict[str, float]]:
    """Is the decisive dimension among the selected, and does its contribution speak for the right side?"""
    selected, signs, exact = [], [], []
    for record, judgement in zip(records, judgements, strict=True):
        assert record.truth and record.truth.decisive and record.preferred is not None
        keys = [d.key for d in judgement.dimensions]
        d = keys.index(record.truth.decisive)
        exact.append({keys[i] for i in judgement.selected} == set(record.truth.relevant))
        selected.append(d in judgement.selected)
        parts = judgement.contributions(record.preferred, 1 - record.preferred)
        signs.append(selected[-1] and parts[d] > 0)
    return {
        "decisive_selected": share(selected),
        "decisive_sign_right": share(signs),
        "all_three_selected": share(exact),
    }


def evaluate(judge: VLMDRJudge, n: int, seed: int) -> dict[str, Any]:
    records = list(held_out(n, seed))
    judgements = judge_all(judge, records)
    visual = [r for r in records if r.category in VISUAL_FAMILIES]
    other, blank = with_other_images(visual), [blanked(r) for r in visual]
    return {
        "command": f"python -m core evaluate --records {n} --seed {seed}",
        "judge": judge.name,
        "records": len(records),
        "seed": seed,
        "accuracy": accuracy(records, judgements),
        "visual_accuracy": accuracy(
            visual, [j for r, j in zip(records, judgements, strict=True) if r.category in VISUAL_FAMILIES]
        ),
        "visual_accuracy_shuffled_image": accuracy(other, judge_all(judge, other)),
        "visual_accuracy_blank_image": accuracy(blank, judge_all(judge, blank)),
        **gate_measures(records, judgements),
        "by_family": by(records, judgements, lambda r: r.category),
        "by_decisive_dimension": by(records, judgements, lambda r: r.truth.decisive),
    }
