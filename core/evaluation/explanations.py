"""The explanation benchmark: methods x measures against the scene world's answer keys.

`python -m core explain-benchmark --records 1000 --seed 0 --output assets/explanations.json`

Explains the margin of the right response over the wrong one on held-out comparisons that the model judges right
(a wrong verdict has no true explanation in the key). Everything is a plain function of (records, seed). Beside the methods
stand baselines that need no model: what they reach, no method can claim for the model.
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

from core.explain import Request, methods_for
from core.explain.explanation import Prepared, attribute, prepare
from core.explain.faithfulness import area, curve, deletion_check, regions, without, words
from core.explain.measures import (
    BASELINES,
    changes,
    correlation,
    random_sets,
    sensitivity_max,
    unexplained,
)
from core.explain.methods import seeded
from core.judges.features import Features
from core.judges.protocols import Differentiable, MaskedForward
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
    ("exact head decomposition", "decomposition", "joint"),
    ("Shapley sampling", "shapley", "joint"),
)
SLOW = {"shapley"}
SETS, DRAWS = 32, 3  # random sets of features; draws of the sensitivity, each a whole explanation
MEASURES = {
    "word": "top-1 hit rate: the strongest word of the losing response is an erroneous one",
    "precision": "precision on erroneous tokens: share of its marked words that are erroneous",
    "recall": "recall on erroneous tokens: share of its erroneous words that are marked",
    "region": "pointing game accuracy: the strongest region lies on the ground-truth evidence (Zhang et al. 2018)",
    "mass": "relevance mass accuracy: share of the map that lies on the evidence (Arras et al. 2022)",
    "top10": "comprehensiveness at 10 % over random: move of the margin without the top 10 % of words and regions, over that of a random 10 % (ERASER)",
    "top10_random": "move of the margin without a random 10 %, over the margin itself",
    "deletion": "area under the deletion curve, strongest first (less is better)",
    "deletion_random": "the same in random order",
    "insertion": "area under the insertion curve (more is better)",
    "insertion_random": "the same in random order",
    "completeness": "convergence delta, absolute, as a share of the difference between input and baseline",
    "stability": "rank correlation of word values after a harmless rewording of the prompt",
    "infidelity": "infidelity at the best scale: share of the change by random sets that stays unexplained (less is better)",
    "correlation": "correlation of predicted and true change over random sets of words and regions",
    "sensitivity": "largest relative change of the attributions when presences move by 2 % (less is better)",
    "random_head": "parameter randomization test, head: rank correlation with the map of a model with a random head (should be low; Adebayo et al. 2018)",
    "random_backbone": "parameter randomization test, backbone: the same with a random backbone (should be low)",
    "random_head_hit": "top-1 hit rate with a random head: what is left of it says nothing about the trained head",
    "random_backbone_hit": "top-1 hit rate with a random backbone",
}


def judged_right(judge: Differentiable, n: int, seed: int) -> Iterator[tuple[Comparison, Judgement]]:
    """Held-out comparisons that the judge gets right, in a fixed random order, at most n."""
    records = list(held_out(n, seed))
    random.Random(seed).shuffle(records)
    for c in records:
        judgement = judge.judge(c)
        right = c.preferred or 0
        if judgement.rewards[right] > judgement.rewards[1 - right]:
            yield c, judgement


def explained(
    judge: Differentiable, c: Comparison, judgement: Judgement, method: str, scope: str
) -> tuple[Prepared, Tensor]:
    """What explains right against wrong, and one value per feature."""
    right = c.preferred or 0
    request = Request((right, 1 - right), "margin", method, level="word", scope=scope)
    with judge.lock:
        ready = prepare(judge, c, judgement, request)
        return ready, attribute(ready).double().cpu()


# -- measures ------------------------------------------------------------------------------------------------


def word_measures(features: Features, values: Tensor, truth: Truth, wrong: int) -> dict[str, float]:
    """Against the key's wrong spans. Empty where the fault is an omission, which no word carries, or where the
    response is a single word. What speaks for the right response is positive."""
    spans, pieces = truth.wrong_spans[wrong], features.texts[1]
    guilty = [any(s < end and start < e for s, e in spans) for _, start, end in pieces]
    if not any(guilty) or len(pieces) < 2:
        return {}
    own = values[features.of_text(1)]
    marked = [float(v) > 0 and float(v) >= MARKED * float(own.max()) for v in own]
    both = sum(m and g for m, g in zip(marked, guilty, strict=True))
    return {
        "word": float(guilty[int(own.argmax())]),
        "precision": both / sum(marked) if any(marked) else 0.0,
        "recall": both / sum(guilty),
    }


def region_measures(features: Features, values: Tensor, truth: Truth) -> dict[str, float]:
    """Against the key's boxes. Empty where nothing in the picture proves the fault (manner)."""
    if not truth.evidence:
        return {}
    rows, columns = features.grid
    grid = values[features.regions].abs().view(rows, columns)
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


def top_share(forward: MaskedForward, values: Tensor, seed: int) -> tuple[float, float, float]:
    """|move| of the margin without the top 10 % of words and regions, its mean without random ones, |margin|."""
    among = words(forward.features) + regions(forward.features)
    found = deletion_check(forward, values, among, without(forward, [[]])[0], seed)
    assert found is not None
    return abs(found.after - found.before), found.random, abs(found.before)


def top_measures(forward: MaskedForward, values: Tensor, seed: int) -> dict[str, float]:
    move, by_chance, margin = top_share(forward, values, seed)
    return {"top10": move, "top10_chance": by_chance, "top10_random": by_chance / margin}


def set_measures(forward: MaskedForward, values: Tensor, seed: int) -> dict[str, float]:
    """How well the values predict what removing random sets of words and regions does."""
    sets = random_sets(forward.features, SETS, seed)
    fell = changes(forward, sets)
    return {
        "infidelity": unexplained(forward, values, sets, fell), "correlation": correlation(values, sets, fell),
    }  # fmt: skip


def without_a_model(
    judge: Differentiable, c: Comparison, judgement: Judgement, costly: bool, seed: int
) -> dict[str, dict[str, float]]:
    """The same measures for BASELINES, by their names."""
    assert c.truth is not None
    right, image = c.preferred or 0, c.load_image()
    with judge.lock:
        forward = prepare(
            judge, c, judgement, Request((right, 1 - right), method="ablation", level="word")
        ).forward
    out = {}
    for baseline in BASELINES:
        values = baseline.run(
            forward.features, image, 1, seed
        ).double()  # the wrong response is the second of the pair
        row = top_measures(forward, values, seed)
        if baseline.words:
            row |= word_measures(forward.features, values, c.truth, 1 - right)
        if baseline.regions:
            row |= region_measures(forward.features, values, c.truth)
            row.pop("area", None)
        if costly:
            row |= {**curves(forward, values, seed), **set_measures(forward, values, seed)}
        out[baseline.name] = row
    return out


def _add(row: dict[str, list[float]], measured: dict[str, float]) -> None:
    for key, value in measured.items():
        row[key].append(value)


def curves(forward: MaskedForward, values: Tensor, seed: int) -> dict[str, float]:
    among = words(forward.features) + regions(forward.features)
    order = sorted(among, key=lambda u: -float(values[u]))
    anyhow = random.Random(seed).sample(among, len(among))
    gone, gone_anyhow = curve(forward, order), curve(forward, anyhow)
    put, put_anyhow = curve(forward, order, insert=True), curve(forward, anyhow, insert=True)
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


def randomised(judge: Differentiable, part: str) -> Differentiable:
    """The judge with its head, or its backbone, drawn anew (Adebayo et al. 2018)."""
    model = deepcopy(judge.model)
    with seeded(0, model.device):
        fresh: Any = type(model)(model.config).to(model.device, model.dtype)
    getattr(model, part).load_state_dict(getattr(fresh, part).state_dict())
    card = replace(judge.card, id=f"random-{part}", name=f"random {part}", fingerprint="")
    own: Any = judge  # both kinds with a backbone are made alike
    return type(own)(model.eval(), own.processor, card)


# -- the whole -----------------------------------------------------------------------------------------------


def run(judge: Differentiable, records: int, part: int, seed: int = 0) -> dict[str, Any]:
    """part: how many of the records get the costly measures (curves, sanity, stability, agreement, slow methods)."""
    rows = [row for row in ROWS if row[1] in methods_for(judge)]
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    agreement: dict[tuple[str, str], list[float]] = defaultdict(list)
    random_judges = {f"random_{p}": randomised(judge, p) for p in ("head", "backbone")}
    areas: list[float] = []
    started, n = time.perf_counter(), 0
    for n, (c, judgement) in enumerate(judged_right(judge, records, seed), start=1):
        assert c.truth is not None
        wrong = 1 - (c.preferred or 0)
        maps: dict[str, Tensor] = {}
        costly = n <= part
        again = reworded(c) if costly else None
        for name, method, scope in rows:
            if method in SLOW and not costly:
                continue
            ready, values = explained(judge, c, judgement, method, scope)
            forward, row = ready.forward, found[name]
            _add(row, word_measures(forward.features, values, c.truth, wrong))
            if scope == "joint":
                of_regions = region_measures(forward.features, values, c.truth)
                areas.extend([of_regions.pop("area")] if of_regions else [])
                _add(row, {**of_regions, **top_measures(forward, values, n)})
            if ready.method.complete:
                with torch.no_grad():
                    whole = float(forward(forward.ones())) - float(forward(torch.zeros_like(forward.ones())))
                row["completeness"].append(abs(float(values.sum()) - whole) / max(abs(whole), 1e-6))
            if not costly:
                continue
            maps[name] = values
            if scope == "joint":
                _add(row, {**curves(forward, values, n), **set_measures(forward, values, seed + n)})
            if method in SLOW:
                continue
            if not ready.method.head:
                with judge.lock:
                    row["sensitivity"].append(sensitivity_max(ready, samples=DRAWS, seed=seed + n))
            if again is not None:
                _, other = explained(judge, again, judge.judge(again), method, scope)
                both = slice(0, forward.features.prompt)
                row["stability"].append(rank_correlation(values[both], other[both]))
            for key, stranger in random_judges.items():
                _, other = explained(stranger, c, judgement, method, scope)
                row[key].append(rank_correlation(values.abs(), other.abs()))
                hit = word_measures(forward.features, other, c.truth, wrong)
                row[f"{key}_hit"] += [hit["word"]] if hit else []
        for baseline, measured in without_a_model(judge, c, judgement, costly, seed + n).items():
            _add(found[baseline], measured)
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
        "command": f"python -m core explain-benchmark --records {records} --part {part} --seed {seed}",
        "judge": judge.card.name, "weights": judge.card.fingerprint, "records": records, "judged_right": n,
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
