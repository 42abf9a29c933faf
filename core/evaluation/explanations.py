"""The explanation benchmark: methods x measures against the scene world's answer keys.

`python -m core explain-benchmark --records 1000 --output assets/explanations.json`

Explains the margin of the right response over the wrong one on held-out comparisons that the model judges right
(a wrong verdict has no true explanation in the key). Everything is a plain function of (records, seed).
"""

from __future__ import annotations

import math
import random
import time
from collections import defaultdict
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from core.explain.explanation import set_up
from core.explain.faithfulness import area, curve, regions, removal, without, words
from core.explain.methods import METHODS
from core.explain.problem import Problem, Units
from core.judges.vlmdr import VLMDRJudge
from core.model import VLMDR
from core.records import Comparison, Judgement, Truth
from core.world.manner import INSTRUCTIONS
from core.world.splits import held_out

RESAMPLES = 1000
MARKED = 0.5  # a word is marked from this share of the strongest word's value on
# (name, method, scope) of the rows; those that cost much run on a part of the records.
ROWS: tuple[tuple[str, str, str], ...] = (
    ("gradient × input", "gradient", "joint"),
    ("integrated gradients", "integrated_gradients", "joint"),
    ("integrated gradients, responses only", "integrated_gradients", "responses"),
    ("ablation", "ablation", "joint"),
    ("occlusion", "occlusion", "joint"),
    ("account of doubt", "account", "joint"),
    ("Shapley sampling", "shapley", "joint"),
)
SLOW = {"shapley"}
MEASURES = {
    "word": "the strongest word of the losing response is a wrong one",
    "precision": "share of its marked words that are wrong ones",
    "recall": "share of its wrong words that are marked",
    "region": "the strongest region lies on the object that proves it",
    "mass": "share of the map that lies on it",
    "top10": "move of the margin without the top 10 % of words and regions, over that of a random 10 %",
    "top10_random": "move of the margin without a random 10 %, over the margin itself",
    "deletion": "area under the deletion curve, strongest first (less is better)",
    "deletion_random": "the same in random order",
    "insertion": "area under the insertion curve (more is better)",
    "insertion_random": "the same in random order",
    "completeness": "completeness error over the difference explained, absolute",
    "stability": "rank correlation of word values after a harmless rewording of the prompt",
    "random_head": "rank correlation with the map of a model with a random head (should be low)",
    "random_backbone": "rank correlation with the map of a model with a random backbone (should be low)",
}


def judged_right(judge: VLMDRJudge, n: int, seed: int) -> Iterator[tuple[Comparison, Judgement]]:
    """Held-out comparisons that the judge gets right, in a fixed random order, at most n."""
    records = list(held_out(n, seed))
    random.Random(seed).shuffle(records)
    for c in records:
        judgement = judge.judge(c)
        right = c.preferred or 0
        if judgement.rewards[right] > judgement.rewards[1 - right]:
            yield c, judgement


def attribute(
    judge: VLMDRJudge, c: Comparison, judgement: Judgement, method: str, scope: str
) -> tuple[Problem, Tensor]:  # fmt: skip
    """The problem of right against wrong, and one value per unit."""
    right = c.preferred or 0
    with judge.lock:
        problem, how, steps, _, cost = set_up(
            judge, c, judgement, right, 1 - right, "margin", method, None, "word", scope
        )
        return problem, how.run(problem, problem, steps, cost.batch).double().cpu()


# -- measures ------------------------------------------------------------------------------------------------


def word_measures(units: Units, values: Tensor, truth: Truth, wrong: int) -> dict[str, float]:
    """Against the key's wrong spans. Empty where the fault is an omission, which no word carries, or where the
    response is a single word. What speaks for the right response is positive."""
    spans, pieces = truth.wrong_spans[wrong], units.texts[1]
    guilty = [any(s < end and start < e for s, e in spans) for _, start, end in pieces]
    if not any(guilty) or len(pieces) < 2:
        return {}
    own = values[units.of_text(1)]
    marked = [float(v) > 0 and float(v) >= MARKED * float(own.max()) for v in own]
    both = sum(m and g for m, g in zip(marked, guilty, strict=True))
    return {
        "word": float(guilty[int(own.argmax())]),
        "precision": both / sum(marked) if any(marked) else 0.0,
        "recall": both / sum(guilty),
    }


def region_measures(units: Units, values: Tensor, truth: Truth) -> dict[str, float]:
    """Against the key's boxes. Empty where nothing in the picture proves the fault (manner)."""
    if not truth.evidence:
        return {}
    rows, columns = units.grid
    grid = values[units.regions].abs().view(rows, columns)
    inside = torch.zeros(rows, columns, dtype=torch.bool)
    for a, b, c, d in truth.evidence:
        for r in range(rows):
            for k in range(columns):
                if a < (k + 1) / columns and k / columns < c and b < (r + 1) / rows and r / rows < d:
                    inside[r, k] = True
    total = float(grid.sum())
    return {
        "region": float(inside.flatten()[int(grid.argmax())]),
        "mass": float(grid[inside].sum()) / total if total else 0.0,
        "area": float(inside.float().mean()),
    }


def top_share(problem: Problem, values: Tensor, seed: int) -> tuple[float, float, float]:
    """|move| of the margin without the top 10 % of words and regions, its mean without random ones, |margin|."""
    among = words(problem.units) + regions(problem.units)
    found = removal(problem, values, among, without(problem, [[]])[0], seed)
    assert found is not None
    return abs(found.after - found.before), found.random, abs(found.before)


def curves(problem: Problem, values: Tensor, seed: int) -> dict[str, float]:
    among = words(problem.units) + regions(problem.units)
    order = sorted(among, key=lambda u: -float(values[u]))
    anyhow = random.Random(seed).sample(among, len(among))
    gone, gone_anyhow = curve(problem, order), curve(problem, anyhow)
    put, put_anyhow = curve(problem, order, insert=True), curve(problem, anyhow, insert=True)
    whole = gone[0]
    return {
        "deletion": area(gone, whole), "deletion_random": area(gone_anyhow, whole),
        "insertion": area(put, whole), "insertion_random": area(put_anyhow, whole),
    }  # fmt: skip


def rank_correlation(a: Tensor, b: Tensor) -> float:
    found = float(spearmanr(a.numpy(), b.numpy()).statistic)
    return 0.0 if math.isnan(found) else found


def reworded(c: Comparison) -> Comparison | None:
    """The same with one instruction said in its other words; None where there is none."""
    for ways in INSTRUCTIONS.values():
        for i, said in enumerate(ways):
            if said in c.prompt:
                return replace(c, prompt=c.prompt.replace(said, ways[1 - i]))
    return None


def randomised(judge: VLMDRJudge, part: str) -> VLMDRJudge:
    """The judge with its head, or its backbone, drawn anew (Adebayo et al. 2018)."""
    torch.manual_seed(0)
    model = deepcopy(judge.model)
    fresh: Any = VLMDR(model.config).to(model.device, model.dtype)
    getattr(model, part).load_state_dict(getattr(fresh, part).state_dict())
    card = replace(judge.card, id=f"random-{part}", name=f"random {part}", fingerprint="")
    return VLMDRJudge(model.eval(), judge.processor, card)


# -- the whole -----------------------------------------------------------------------------------------------


def run(judge: VLMDRJudge, records: int, part: int, seed: int = 0) -> dict[str, Any]:
    """part: how many of the records get the costly measures (curves, sanity, stability, agreement, slow methods)."""
    found: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name, _, _ in ROWS}
    agreement: dict[tuple[str, str], list[float]] = defaultdict(list)
    random_judges = {f"random_{p}": randomised(judge, p) for p in ("head", "backbone")}
    areas: list[float] = []
    started, n = time.perf_counter(), 0
    for n, (c, judgement) in enumerate(judged_right(judge, records, seed), start=1):
        assert c.truth is not None
        maps: dict[str, Tensor] = {}
        costly = n <= part
        again = reworded(c) if costly else None
        for name, method, scope in ROWS:
            if method in SLOW and not costly:
                continue
            problem, values = attribute(judge, c, judgement, method, scope)
            row, units = found[name], problem.units
            for key, value in word_measures(units, values, c.truth, 1 - (c.preferred or 0)).items():
                row[key].append(value)
            if scope == "joint":
                for key, value in region_measures(units, values, c.truth).items():
                    (areas if key == "area" else row[key]).append(value)
                move, by_chance, margin = top_share(problem, values, n)
                row["top10"].append(move)
                row["top10_chance"].append(by_chance)
                row["top10_random"].append(by_chance / margin)
            if METHODS[method].complete:
                with torch.no_grad():
                    whole = float(problem(problem.ones())) - float(problem(torch.zeros_like(problem.ones())))
                row["completeness"].append(abs(float(values.sum()) - whole) / max(abs(whole), 1e-6))
            if not costly:
                continue
            maps[name] = values
            if scope == "joint":
                for key, value in curves(problem, values, n).items():
                    row[key].append(value)
            if method in SLOW:
                continue
            if again is not None:
                _, other = attribute(judge, again, judge.judge(again), method, scope)
                both = slice(0, units.prompt)
                row["stability"].append(rank_correlation(values[both], other[both]))
            for key, stranger in random_judges.items():
                _, other = attribute(stranger, c, judgement, method, scope)
                row[key].append(rank_correlation(values.abs(), other.abs()))
        for a, first in maps.items():
            for b, second in maps.items():
                agreement[a, b].append(rank_correlation(first, second))
        if n % 50 == 0:
            print(f"{n} records, {time.perf_counter() - started:.0f} s", flush=True)
    table = [
        {"method": name, "measure": key, **_interval(row, key, seed)}
        for name, row in found.items()
        for key in MEASURES
        if row[key]
    ]
    return {
        "judge": judge.name, "weights": judge.card.fingerprint, "records": records, "judged_right": n,
        "part": part, "seed": seed, "seconds": round(time.perf_counter() - started),
        "evidence_area": float(np.mean(areas)), "measures": MEASURES, "table": table,
        "agreement": [{"a": a, "b": b, "value": float(np.mean(v))} for (a, b), v in agreement.items()],
    }  # fmt: skip


def _interval(row: dict[str, list[float]], key: str, seed: int) -> dict[str, float]:
    """Mean (for top10 the ratio of means) with a 95 % bootstrap interval over records."""
    values = np.array(row[key])
    below = np.array(row["top10_chance"]) if key == "top10" else np.ones_like(values)
    picks = np.random.default_rng(seed).integers(0, len(values), (RESAMPLES, len(values)))
    drawn = values[picks].mean(1) / below[picks].mean(1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    value = values.mean() / below.mean()
    return {"value": float(value), "low": float(low), "high": float(high), "n": len(values)}
