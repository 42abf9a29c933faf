"""What is asked for when something is to be explained, and what it will cost. No torch: pages say it before a model is there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from core.explain.capabilities import has_gradients
from core.explain.methods import ALIASES
from core.judges.protocols import Explainable
from core.records import Comparison

if TYPE_CHECKING:
    from core.judges.features import TargetFunction

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
    """What a run will cost, said before it starts. points: model evaluations. bytes: estimated, for one batch, or for the
    deletion check where that takes more. asked: of a judge that is asked again, what it will be asked for at most, as a
    sentence; "" for others."""

    points: int
    batch: int
    bytes: int
    asked: str = ""


def default_method(judge: Explainable, comparison: Comparison) -> str:
    """Ablation, which is causally best by the benchmark (core.evaluation.explanations), where it answers within about a
    second or is the nearest that there is; else the gradient."""
    if not has_gradients(judge):
        return "ablation"
    short = sum(len(r.split()) for r in comparison.responses) <= MANY_WORDS
    return "ablation" if short and (judge.card.parameters or 0) < SMALL else "gradient"
