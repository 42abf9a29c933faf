"""Runs one method on one target and says what fell on which word and which region."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from core.explain import memory
from core.explain.faithfulness import faithfulness
from core.explain.inputs import BASELINE, build_inputs
from core.explain.methods import METHODS, Method
from core.explain.problem import Problem, make_units
from core.explain.targets import Target
from core.judges.vlmdr import VLMDRJudge
from core.records import Comparison, Explanation, Judgement, RecordError

FINEST = 64  # regions along the longer side for methods of one backward pass a step
COARSE = 16  # for methods that evaluate every region by itself
CHECKED = 1500  # decoder positions of a point up to which faithfulness is checked unasked
MANY_WORDS = 300  # from here on, methods that evaluate every word by itself go by sentences


SMALL = 100_000_000  # parameters up to which evaluating every region is a matter of a moment


def default_method(judge: VLMDRJudge, comparison: Comparison) -> str:
    """What explains best by the benchmark (core.evaluation.explanations) among what answers within about a second."""
    short = sum(len(r.split()) for r in comparison.responses) <= MANY_WORDS
    return "account" if (judge.card.parameters or 0) < SMALL and short else "gradient"


class Cancelled(Exception):
    """The person who asked for the explanation no longer wants it."""


@dataclass(frozen=True)
class Plan:
    """What a run will cost, said before it starts. points: model evaluations. bytes: estimated, for one batch."""

    points: int
    batch: int
    bytes: int

    def sentence(self) -> str:
        return f"{self.points:,} evaluations, {self.batch} at a time, about {self.bytes / 2**20:,.0f} MiB"


def set_up(
    judge: VLMDRJudge, comparison: Comparison, judgement: Judgement, a: int, b: int, target: str, method: str,
    steps: int | None, level: str, scope: str,
) -> tuple[Problem, Method, int, str, Plan]:  # fmt: skip
    """The problem, the method, its steps, the level and the plan. Call under the judge's lock. Raises RecordError."""
    if method not in METHODS:
        raise RecordError(f"There is no method '{method}': use one of {', '.join(METHODS)}.")
    if a == b:
        raise RecordError("A response cannot be explained against itself.")
    how, what = METHODS[method], Target.parse(target, judgement.dimensions)
    if method == "account" and what.kind == "gate":
        raise RecordError("The account of doubt has no entry for a gate: no response has a part in it.")
    texts = (comparison.responses[a], comparison.responses[b])
    inputs = build_inputs(judge, comparison.load_image(), comparison.prompt, texts)
    one_by_one = not how.gradient
    if level == "auto":
        many = sum(len(t.split()) for t in texts) > MANY_WORDS
        level = "sentence" if many and one_by_one and method != "account" else "word"
    units = make_units(inputs, texts, level, COARSE if one_by_one else FINEST)
    problem = Problem(judge, inputs, units, judgement, what, scope)
    steps = (steps or how.steps) if how.steps else 0
    points = how.points(units, steps)
    prefix = inputs.prefix.shape[1]
    computed = problem.positions - prefix if scope == "responses" else problem.positions
    per_point = memory.bytes_per_point(judge.model, computed, prefix, how.gradient)
    batch = memory.batch_for(judge.model.device, per_point, computed, points)
    return problem, how, steps, level, Plan(points, batch, per_point * batch)


def plan(
    judge: VLMDRJudge, comparison: Comparison, judgement: Judgement, a: int = 0, b: int = 1, target: str = "margin",
    method: str = "gradient", steps: int | None = None, level: str = "auto", scope: str = "joint",
) -> Plan:  # fmt: skip
    """What `explain` with the same arguments would cost."""
    with judge.lock:
        return set_up(judge, comparison, judgement, a, b, target, method, steps, level, scope)[-1]


def explain(
    judge: VLMDRJudge,
    comparison: Comparison,
    judgement: Judgement,
    a: int = 0,
    b: int = 1,
    target: str = "margin",
    method: str = "gradient",
    steps: int | None = None,
    level: str = "auto",
    scope: str = "joint",
    check: bool | None = None,
    on_step: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Explanation:
    """Attributes the contrast of responses a and b. Positive values speak for a, negative for b.

    level: "word", "sentence", or "auto". scope: "joint", or "responses" (image and prompt stay as they are; only
    words are attributed, much faster). check: also remove what is marked and say what that did (None: unless
    the input is long). on_step(done, total) is told about progress; cancelled() is asked before
    every batch, and a yes raises Cancelled. When memory runs out the batch is halved; RecordError if one point does
    not fit, and for an unknown target, method, level or scope.
    """
    started = time.perf_counter()
    with judge.lock, memory.Peak(judge.model.device) as peak:
        problem, how, steps, level, cost = set_up(
            judge, comparison, judgement, a, b, target, method, steps, level, scope
        )
        with torch.no_grad():
            one = problem.ones()
            value, base = (float(problem(z)) for z in (one, torch.zeros_like(one)))
        found = _run(problem, how, steps, cost, on_step, cancelled).double().cpu()
        if check is None:
            check = problem.positions <= CHECKED
        checked = faithfulness(problem, found, value) if check else None
    units = problem.units
    other = (value - base) - float(found.sum()) if method == "account" else 0.0
    total = float(found.sum())
    return Explanation(
        comparison_id=comparison.id,
        target=problem.target.label(a, b),
        method=how.name,
        baseline=BASELINE,
        steps=steps,
        tokens=units.texts,
        token_values=tuple(tuple(found[units.of_text(n)].tolist()) for n in (0, 1)),
        patch_values=tuple(tuple(row) for row in found[units.regions].view(units.grid).tolist()),
        prompt_value=float(found[units.prompt]),
        other_value=other,
        target_value=value,
        baseline_value=base,
        completeness_error=total - (value - base) if how.complete else None,
        seconds=time.perf_counter() - started,
        dtype=str(judge.model.dtype).removeprefix("torch."),
        level=level,
        scope=scope,
        peak_memory=peak.bytes,
        points=cost.points,
        faithfulness=checked,
        pair=(a, b),
        target_key=target,
        method_key=method,
    )


def _run(
    problem: Problem, how: Method, steps: int, cost: Plan,
    on_step: Callable[[int, int], None] | None, cancelled: Callable[[], bool] | None,
) -> Tensor:  # fmt: skip
    batch = cost.batch
    while True:
        done = 0

        def forward(z: Tensor) -> Tensor:
            nonlocal done
            if cancelled and cancelled():
                raise Cancelled
            value = problem(z)
            done = min(done + len(z), cost.points)
            if on_step:
                on_step(done, cost.points)
            return value

        try:
            return how.run(forward, problem, steps, batch)
        except (RuntimeError, MemoryError) as error:
            if not memory.out_of_memory(error):
                raise
            if batch == 1:
                raise RecordError(
                    "There is not enough memory to explain this, even one step at a time. Use a smaller picture or "
                    "shorter responses, or the method 'ablation', which keeps nothing for a backward pass."
                ) from error
            batch //= 2
