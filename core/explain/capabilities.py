"""Can this judge do this? Asked here by pages, the API, the command line and `explain` itself, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

from core.explain.methods import METHODS, Method
from core.explain.targets import CUSTOM, Target
from core.judges.protocols import Differentiable, Estimates, Explainable, Judge, Writes
from core.records import Judgement, RecordError, letter

if TYPE_CHECKING:
    from core.judges.features import TargetFunction


def can_explain(judge: Judge) -> TypeGuard[Explainable]:
    """Whether words and regions can be attributed to at all."""
    return isinstance(judge, Explainable)


def has_gradients(judge: Judge) -> TypeGuard[Differentiable]:
    """Whether its masked forwards have gradients; without them it can only be asked again."""
    return isinstance(judge, Differentiable)


def explainable(judge: Judge) -> Explainable:
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


def is_costly(judge: Judge) -> bool:
    """Whether a judgement is an answer of somebody else's server, or a text that must be written first: nothing that a page does
    before it is asked to."""
    return isinstance(judge, Estimates) or (isinstance(judge, Writes) and judge.votes > 0)


def methods_for(judge: Judge) -> dict[str, Method]:
    """Those of METHODS that this judge can do; empty where it cannot be explained."""
    if not can_explain(judge):
        return {}
    able = has_gradients(judge)
    return {
        k: m
        for k, m in METHODS.items()
        if (judge.decomposes_head or not m.head)
        and (able or not m.gradient)
        and (judge.rewords or not m.pixels)
    }


def targets_for(judge: Judge, judgement: Judgement) -> list[tuple[str, str]]:
    """(key, label): the margin, each selected dimension's score, each of their gates, the first response's reward. Of a judge
    that writes and has gradients: its verdict at once, and given each critique that was read at its verdict."""
    if not can_explain(judge):
        return []
    if isinstance(judge, Writes) and has_gradients(judge):
        return [
            ("verdict", "First impression: the verdict at once"),
            *(
                (f"critique:{k}", f"Verdict given critique {k + 1} ({letter(v.order[0])} first)")
                for k, v in enumerate(judgement.votes)
                if v.text and v.log_odds is not None
            ),
            ("margin", "Margin"),
            ("reward", "Reward"),
        ]
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
    judge: Judge, judgement: Judgement, target: str | TargetFunction, method: str, scope: str, pair: tuple[int, int]
) -> tuple[Method, Target]:  # fmt: skip
    """The method and the target that a request names. Raises RecordError where this judge cannot do them together."""
    possible = methods_for(judge)
    if method not in METHODS:
        raise RecordError(f"There is no method '{method}': use one of {', '.join(possible)}.")
    if method not in possible and METHODS[method].gradient:
        raise RecordError(
            f"The method '{method}' needs gradients, and the judge '{judge.card.name}' can only be asked again: use one of "
            f"{', '.join(possible)}."
        )
    if method not in possible and METHODS[method].pixels:
        raise RecordError(
            f"The method '{method}' paints over the picture itself, which the judge '{judge.card.name}' cannot be shown point "
            f"by point: use one of {', '.join(possible)}."
        )
    if method not in possible:
        raise RecordError(
            f"The method '{method}' reads the head's token surprisal, which the judge '{judge.card.name}' does not have: "
            f"use one of {', '.join(possible)}."
        )
    how, what = METHODS[method], Target.parse(target, judgement.dimensions)
    if what.kind in ("verdict", "critique"):
        _check_written(judge, judgement, what, pair)
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


def _check_written(judge: Judge, judgement: Judgement, what: Target, pair: tuple[int, int]) -> None:
    """Raises RecordError where the judge does not write, or there is no such critique of the pair."""
    if not (isinstance(judge, Writes) and has_gradients(judge)):
        raise RecordError(
            f"The judge '{judge.card.name}' writes nothing here that could be held fixed: use one of "
            f"{', '.join(key for key, _ in targets_for(judge, judgement))}."
        )
    if what.vote is None:
        return
    known = [
        k
        for k, v in enumerate(judgement.votes)
        if set(v.order) == set(pair) and v.text and v.log_odds is not None
    ]
    if what.vote not in known:
        raise RecordError(
            f"Answer {what.vote} of this judge is not a critique of these two responses that was read at its verdict: "
            + (f"use one of {', '.join(f'critique:{k}' for k in known)}." if known else "use 'verdict'.")
        )
