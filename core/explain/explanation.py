"""Runs one method on one target and says what fell on which word and which region."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Unpack

import torch
from torch import Tensor

from core.explain import memory
from core.explain.capabilities import checked, explainable
from core.explain.faithfulness import SETS, faithfulness
from core.explain.methods import Method
from core.explain.request import MANY_WORDS, Asked, Cancelled, Plan, Request
from core.explain.targets import CUSTOM, Target
from core.judges.protocols import Differentiable, MaskedForward
from core.records import Comparison, Explanation, Judgement, RecordError

FINEST = 64  # regions along the longer side for methods of one backward pass a step
COARSE = 16  # for methods that evaluate every region by itself
CHECKED = 1500  # decoder positions of a point up to which faithfulness is checked unasked


@dataclass(frozen=True)
class Prepared:
    """Everything that is settled before the method runs. steps: 0 where the method takes none. level: never "auto". check:
    whether the deletion check follows."""

    forward: MaskedForward
    method: Method
    target: Target
    steps: int
    level: str
    plan: Plan
    check: bool = False


def prepare(
    judge: Differentiable, comparison: Comparison, judgement: Judgement, request: Request
) -> Prepared:
    """Call under the judge's lock. Raises RecordError for what this judge cannot do, and ImageError."""
    how, target = checked(judge, judgement, request.target, request.method, request.scope)
    a, b = request.pair
    if a == b:
        raise RecordError("A response cannot be explained against itself.")
    one_by_one = not how.gradient
    level = request.level
    if level == "auto":
        many = sum(len(comparison.responses[n].split()) for n in (a, b)) > MANY_WORDS
        level = "sentence" if many and one_by_one and not how.head else "word"
    regions = COARSE if one_by_one else FINEST
    forward = judge.masked(comparison, judgement, a, b, target, level, request.scope, regions)
    steps = (request.steps or how.steps) if how.steps else 0
    points = how.points(forward.features, steps)
    batch, per_point = memory.batch_of(forward, points, how.gradient)
    check = forward.positions <= CHECKED if request.check is None else request.check
    most = max(per_point * batch, memory.bytes_at_once(forward, SETS) if check else 0)
    return Prepared(forward, how, target, steps, level, Plan(points, batch, most), check)


def plan(
    judge: Differentiable, comparison: Comparison, judgement: Judgement, request: Request | None = None,
    **asked: Unpack[Asked],
) -> Plan:  # fmt: skip
    """What `explain` with the same arguments would cost."""
    with explainable(judge).lock:
        return prepare(judge, comparison, judgement, request or Request(**asked)).plan


def explain(
    judge: Differentiable,
    comparison: Comparison,
    judgement: Judgement,
    request: Request | None = None,
    *,
    on_step: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    **asked: Unpack[Asked],
) -> Explanation:
    """Attributes the contrast of two responses. Positive values speak for the first of the pair, negative for the second.

    request: or its fields one by one, `explain(judge, comparison, judgement, method="ablation")`. on_step(done, total) is
    told about progress; cancelled() is asked before every batch, and a yes raises Cancelled. When memory runs out the
    batch is halved; RecordError if one point does not fit, and for what this judge cannot do.
    """
    started = time.perf_counter()
    request = request or Request(**asked)
    with explainable(judge).lock, memory.Peak(judge.model.device) as peak:
        ready = prepare(judge, comparison, judgement, request)
        forward = ready.forward
        one = forward.ones()
        value, base = (float(memory.evaluate(forward, z, 1)) for z in (one, torch.zeros_like(one)))
        found = _run(ready, on_step, cancelled).double().cpu()
        if ready.check:
            memory.give_back()  # what the method took is free again, and the check takes its own
        held = faithfulness(forward, found, value) if ready.check else None
    features, how = forward.features, ready.method
    total = float(found.sum())
    return Explanation(
        comparison_id=comparison.id,
        target=ready.target.label(*request.pair),
        method=how.name,
        baseline=forward.baseline,
        steps=ready.steps,
        tokens=features.texts,
        token_values=tuple(tuple(found[features.of_text(n)].tolist()) for n in (0, 1)),
        patch_values=tuple(tuple(row) for row in found[features.regions].view(features.grid).tolist()),
        prompt_value=float(found[features.prompt]),
        other_value=(value - base) - total if how.head else 0.0,
        target_value=value,
        baseline_value=base,
        convergence_delta=total - (value - base) if how.complete else None,
        seconds=time.perf_counter() - started,
        dtype=str(judge.model.dtype).removeprefix("torch."),
        level=ready.level,
        scope=request.scope,
        peak_memory=peak.bytes,
        points=ready.plan.points,
        faithfulness=held,
        pair=request.pair,
        target_key=request.target if isinstance(request.target, str) else CUSTOM,
        method_key=request.method,
    )


def attribute(ready: Prepared) -> Tensor:
    """(U,) what the method gives each feature, and nothing else. Call under the judge's lock."""
    return _run(ready, None, None)


def _run(
    ready: Prepared, on_step: Callable[[int, int], None] | None, cancelled: Callable[[], bool] | None
) -> Tensor:
    points = ready.plan.points

    def run(batch: int) -> Tensor:
        done = 0

        def forward(z: Tensor) -> Tensor:
            nonlocal done
            if cancelled and cancelled():
                raise Cancelled
            value = ready.forward(z)
            done = min(done + len(z), points)
            if on_step:
                on_step(done, points)
            return value

        return ready.method.run(forward, ready.forward, ready.steps, batch)

    return memory.with_halving(run, ready.plan.batch)
