"""Runs one method on one target and says what fell on which word and which region."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Unpack

import torch
from torch import Tensor

from core.explain import memory
from core.explain.capabilities import checked, explainable, has_gradients
from core.explain.faithfulness import SETS, checks_of, faithfulness
from core.explain.methods import Method
from core.explain.refine import OutOfTime
from core.explain.request import FEW_WORDS, MANY_WORDS, Asked, Cancelled, Plan, Request
from core.explain.targets import CUSTOM, Target
from core.judges.protocols import AsksAgain, Explainable, MaskedForward
from core.model.sparing import checkpointed
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


def prepare(judge: Explainable, comparison: Comparison, judgement: Judgement, request: Request) -> Prepared:
    """Call under the judge's lock. Raises RecordError for what this judge cannot do, and ImageError."""
    a, b = request.pair
    if a == b:
        raise RecordError("A response cannot be explained against itself.")
    how, target = checked(judge, judgement, request.target, request.method, request.scope, (a, b))
    one_by_one = not how.gradient
    level = request.level
    if level == "auto":
        most = MANY_WORDS if has_gradients(judge) else FEW_WORDS
        many = sum(len(comparison.responses[n].split()) for n in (a, b)) > most
        level = "sentence" if many and one_by_one and not how.head else "word"
    regions = COARSE if one_by_one else FINEST
    held = target.held(judgement)
    forward = judge.masked(comparison, held, a, b, target, level, request.scope, regions)
    steps = (request.steps or how.steps) if how.steps else 0
    points = how.points(forward.features, steps)
    together = min(points, how.wave(forward.features)) if how.wave else points
    batch, per_point = memory.batch_of(forward, together, how.gradient and not how.timed)
    size = per_point * batch
    if how.timed:  # one backward pass, and then none
        size = max(size, memory.batch_of(forward, 1, backward=True)[1])
    asked = ""
    if isinstance(forward, AsksAgain):  # the input as given was asked already, the baseline not yet
        more = checks_of(forward.features) if request.check else 0
        asked = forward.estimate(points + more).sentence()
    small = forward.positions <= CHECKED and not isinstance(forward, AsksAgain)
    check = small if request.check is None else request.check
    size = max(size, memory.bytes_at_once(forward, SETS) if check else 0)
    return Prepared(forward, how, target, steps, level, Plan(points, batch, size, asked), check)


def plan(
    judge: Explainable, comparison: Comparison, judgement: Judgement, request: Request | None = None,
    **asked: Unpack[Asked],
) -> Plan:  # fmt: skip
    """What `explain` with the same arguments would cost."""
    with explainable(judge).lock:
        return prepare(judge, comparison, judgement, request or Request(**asked)).plan


def explain(
    judge: Explainable,
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
    device = judge.model.device if has_gradients(judge) else torch.device("cpu")
    with explainable(judge).lock, memory.Peak(device) as peak:
        ready = prepare(judge, comparison, judgement, request)
        forward = ready.forward
        one = forward.ones()
        value, base = (float(memory.evaluate(forward, z, 1)) for z in (one, torch.zeros_like(one)))
        progress = Progress(
            ready.plan.points, on_step, cancelled, request.seconds if ready.method.timed else None
        )
        found = _run(ready, progress).double().cpu()
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
        steps=progress.done if how.timed else ready.steps,
        tokens=features.texts,
        token_values=tuple(tuple(found[features.of_text(n)].tolist()) for n in (0, 1)),
        patch_values=tuple(tuple(row) for row in found[features.regions].view(features.grid).tolist()),
        prompt_value=float(found[features.prompt]),
        other_value=(value - base) - total if how.head else 0.0,
        target_value=value,
        baseline_value=base,
        convergence_delta=total - (value - base) if how.complete else None,
        seconds=time.perf_counter() - started,
        dtype=str(judge.model.dtype).removeprefix("torch.") if has_gradients(judge) else "",
        level=ready.level,
        scope=request.scope,
        peak_memory=peak.bytes if has_gradients(judge) else None,
        points=progress.done if how.timed else ready.plan.points,
        faithfulness=held,
        pair=request.pair,
        target_key=request.target if isinstance(request.target, str) else CUSTOM,
        method_key=request.method,
        critique_tokens=features.critique,
        critique_values=tuple(found[features.sentences].tolist()),
        unanswered=forward.unanswered if isinstance(forward, AsksAgain) else 0,
    )


def attribute(ready: Prepared) -> Tensor:
    """(U,) what the method gives each feature, and nothing else. Call under the judge's lock."""
    return _run(ready, Progress(ready.plan.points))


class Progress:
    """How far a method has come: told on, asked whether to go on, and stopped when its time is up.

    seconds: from the first evaluation, which is always made. What would not end in time is not begun.
    """

    def __init__(
        self,
        points: int,
        on_step: Callable[[int, int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
        seconds: float | None = None,
    ) -> None:
        self.points, self.on_step, self.cancelled, self.seconds = points, on_step, cancelled, seconds
        self.restart()

    def restart(self) -> None:
        """From the first evaluation on, with what is left of the time."""
        self.done = 0
        self.began = getattr(self, "began", time.perf_counter())
        self.last: tuple[float, int] | None = (
            None  # when the last evaluation began, and of how many points it was
        )

    def before(self, points: int) -> None:
        """Raises Cancelled or OutOfTime."""
        if self.cancelled and self.cancelled():
            raise Cancelled
        now = time.perf_counter()
        if self.seconds is not None and self.last:
            each = (now - self.last[0]) / self.last[1]
            if now - self.began + each * points > self.seconds:
                raise OutOfTime
        self.last = now, points

    def after(self, points: int) -> None:
        self.done = min(self.done + points, self.points)
        if self.on_step:
            self.on_step(self.done, self.points)


def _run(ready: Prepared, progress: Progress) -> Tensor:
    def run(batch: int) -> Tensor:
        progress.restart()

        def forward(z: Tensor) -> Tensor:
            progress.before(len(z))
            value = ready.forward(z)
            progress.after(len(z))
            return value

        return ready.method.run(forward, ready.forward, ready.steps, batch)

    backward = ready.method.gradient and not isinstance(ready.forward, AsksAgain)
    sparing = partial(checkpointed, ready.forward.model) if backward else None
    return memory.with_halving(run, ready.plan.batch, sparing)
