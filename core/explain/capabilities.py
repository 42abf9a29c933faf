"""Can this judge do this? Asked here by pages, the API, the command line and `explain` itself, and nowhere else."""

from __future__ import annotations

from typing import TypeGuard

from core.explain.methods import METHODS, Method
from core.explain.targets import CUSTOM, Target
from core.judges.features import TargetFunction
from core.judges.protocols import Differentiable, Judge
from core.records import Judgement, RecordError


def can_explain(judge: Judge) -> TypeGuard[Differentiable]:
    """Whether words and regions can be attributed to at all."""
    return isinstance(judge, Differentiable)


def explainable(judge: Judge) -> Differentiable:
    """The judge as one that can be explained. Raises RecordError where it cannot."""
    if can_explain(judge):
        return judge
    raise RecordError(
        f"The judge '{judge.card.name}' gives no gradients and no masked forward, so it cannot be explained."
    )


def has_dimensions(judge: Judge) -> bool:
    """Whether there are gates, scores and contributions to show, change or explain."""
    return bool(judge.card.dimensions)


def has_gate(judge: Judge) -> bool:
    """Whether its dimensions are weighed by a gate that can be changed and explained; a hybrid judge's are a plain sum."""
    return has_dimensions(judge) and judge.card.kind != "hybrid"


def methods_for(judge: Judge) -> dict[str, Method]:
    """Those of METHODS that this judge can do; empty where it cannot be explained."""
    if not can_explain(judge):
        return {}
    return {k: m for k, m in METHODS.items() if judge.decomposes_head or not m.head}


def targets_for(judge: Judge, judgement: Judgement) -> list[tuple[str, str]]:
    """(key, label): the margin, each selected dimension's score, each of their gates, the first response's reward."""
    if not can_explain(judge):
        return []
    chosen = (
        [judgement.dimensions[d] for d in judgement.selected]
        if has_gate(judge) and judgement.dimensions
        else []
    )
    return [
        ("margin", "Margin"),
        *((f"score:{d.key}", f"{d.name} score") for d in chosen),
        *((f"gate:{d.key}", f"{d.name} gate") for d in chosen),
        ("reward", "Reward"),
    ]


def checked(
    judge: Judge, judgement: Judgement, target: str | TargetFunction, method: str, scope: str
) -> tuple[Method, Target]:
    """The method and the target that a request names. Raises RecordError where this judge cannot do them together."""
    possible = methods_for(judge)
    if method not in METHODS:
        raise RecordError(f"There is no method '{method}': use one of {', '.join(possible)}.")
    if method not in possible:
        raise RecordError(
            f"The method '{method}' reads the head's token surprisal, which the judge '{judge.card.name}' does not have: "
            f"use one of {', '.join(possible)}."
        )
    how, what = METHODS[method], Target.parse(target, judgement.dimensions)
    if how.head and what.kind == "gate":
        raise RecordError(
            "The exact head decomposition has nothing to say of a gate: no response has a part in it."
        )
    if how.head and what.kind == CUSTOM:
        raise RecordError(
            "The exact head decomposition knows the named targets only: use 'margin', 'reward' or a score, or another method."
        )
    if what.kind == "gate" and how.gradient and scope == "responses":
        raise RecordError(
            "A gate reads image and prompt only, so nothing of it lies in the responses: use the scope 'joint'."
        )
    return how, what
