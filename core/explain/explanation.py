"""Runs one method on one target and says what fell on which word and which region."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypedDict, Unpack

import torch
from torch import Tensor

from core.explain import memory
from core.explain.capabilities import checked, explainable, has_gradients
from core.explain.faithfulness import checks_of, faithfulness
from core.explain.methods import ALIASES, Method
from core.explain.refine import OutOfTime
from core.explain.targets import CUSTOM, Target
from core.judges.features import TargetFunction
from core.judges.protocols import AsksAgain, Explainable, MaskedForward
from core.records import Comparison, Explanation, Judgement, RecordError

FINEST = 64  # regions along the longer side for methods of one backward pass a step
COARSE = 16  # for methods that evaluate every region by itself
CHECKED = 1500  # decoder positions of a point up to which faithfulness is checked unasked
MANY_WORDS = 300  # from here on, methods that evaluate every word by itself go by sentences
FEW_WORDS = 40  # the same for a judge that is asked again for each of them
SMALL = 100_000_000  # parameters up to which evaluating every region is a matter of a moment


class Cancelled(Exception):
    """The person who asked for the explanation no longer wants it."""


@dataclass(frozen=True)
class Request:
    """What is to be explained, and how.

    pair: responses a and b by index; positive values speak for a. target: its key (core.explain.targets), or a function of
    a judge's Outputs that gives one number a point. method: a key of METHODS. steps: None for the method's own.
    level: "word", "sentence", or "auto". scope: "joint", or "responses" (image and prompt stay as they are; only words are
    attributed, much faster). seconds: that a method which can stop at any time may take, checks not counted (None: as long as
    its steps last). check: also remove what is marked and say what that did (None: unless the input is long).
    """

    pair: tuple[int, int] = (0, 1)
    target: str | TargetFunction = "margin"
    method: str = "gradient"
    steps: int | None = None
    level: str = "auto"
    scope: str = "joint"
    check: bool | None = None
    seconds: float | None = None

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
    seconds: float | None


@dataclass(frozen=True)
class Plan:
    """What a run will cost, said before it starts. points: model evaluations. bytes: estimated, for one batch. asked: of a
    judge that is asked again, what it will be asked for at most, as a sentence; "" for others."""

    points: int
    batch: int
    bytes: int
    asked: str = ""


@dataclass(frozen=True)
class Prepared:
    """Everything that is settled before the method runs. steps: 0 where the method takes none. level: never "auto"."""

    forward: MaskedForward
    method: Method
    target: Target
    steps: int
    level: str
    plan: Plan


def default_method(judge: Explainable, comparison: Comparison) -> str:
    """Ablation, which is causally best by the benchmark (core.evaluation.explanations), where it answers within about a
    second or is the nearest that there is; else the gradient."""
    if not has_gradients(judge):
        return "ablation"
    short = sum(len(r.split()) for r in comparison.responses) <= MANY_WORDS
    return "ablation" if short and (judge.card.parameters or 0) < SMALL else "gradient"


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
    batch, per_point = memory.batch_of(forward, points, how.gradient and not how.timed)
    size = per_point * batch
    if how.timed:  # one backward pass, and then none
        size = max(size, memory.batch_of(forward, 1, backward=True)[1])
    asked = ""
    if isinstance(forward, AsksAgain):  # the input as given was asked already, the baseline not yet
        more = checks_of(forward.features) if request.check else 0
        asked = forward.estimate(points + more).sentence()
    return Prepared(forward, how, target, steps, level, Plan(points, batch, size, asked))


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
        small = forward.positions <= CHECKED and not isinstance(forward, AsksAgain)
        check = small if request.check is None else request.check
        held = faithfulness(forward, found, value) if check else None
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

    return memory.with_halving(run, ready.plan.batch)
