"""Runs one method on one target and says what fell on which word and which region."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypedDict, Unpack

import torch
from torch import Tensor

from core.explain import memory
from core.explain.capabilities import checked, explainable
from core.explain.faithfulness import SETS, faithfulness
from core.explain.methods import ALIASES, Method
from core.explain.targets import CUSTOM, Target
from core.judges.features import TargetFunction
from core.judges.protocols import Differentiable, MaskedForward
from core.records import Comparison, Explanation, Judgement, RecordError

FINEST = 64  # regions along the longer side for methods of one backward pass a step
COARSE = 16  # for methods that evaluate every region by itself
CHECKED = 1500  # decoder positions of a point up to which faithfulness is checked unasked
MANY_WORDS = 300  # from here on, methods that evaluate every word by itself go by sentences
SMALL = 100_000_000  # parameters up to which evaluating every region is a matter of a moment


class Cancelled(Exception):
    """The person who asked for the explanation no longer wants it."""


@dataclass(frozen=True)
class Request:
    """What is to be explained, and how.

    pair: responses a and b by index; positive values speak for a. target: its key (core.explain.targets), or a function of
    a judge's Outputs that gives one number a point. method: a key of METHODS. steps: None for the method's own.
    level: "word", "sentence", or "auto". scope: "joint", or "responses" (image and prompt stay as they are; only words are
    attributed, much faster). check: also remove what is marked and say what that did (None: unless the input is long).
    """

    pair: tuple[int, int] = (0, 1)
    target: str | TargetFunction = "margin"
    method: str = "gradient"
    steps: int | None = None
    level: str = "auto"
    scope: str = "joint"
    check: bool | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "method", ALIASES.get(self.method, self.method))


class Asked(TypedDict, total=False):
    """The fields of a Request, for calls that name them one by one."""

    pair: tuple[int, int]
    target: str | TargetFunction
    method: str
    steps: int | None
    level: str
    scope: str
    check: bool | None


@dataclass(frozen=True)
class Plan:
    """What a run will cost, said before it starts. points: model evaluations. bytes: estimated, for one batch, or for the
    deletion check where that takes more."""

    points: int
    batch: int
    bytes: int


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


def default_method(judge: Differentiable, comparison: Comparison) -> str:
    """Ablation, which is causally best by the benchmark (core.evaluation.explanations), where it answers within about a
    second; else the gradient."""
    short = sum(len(r.split()) for r in comparison.responses) <= MANY_WORDS
    return "ablation" if short and (judge.card.parameters or 0) < SMALL else "gradient"


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
