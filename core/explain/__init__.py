"""Why this reward: attributions of a target to the words of the responses and the regions of the picture.

targets.py         what is explained: the margin, a reward, one dimension's score, one gate logit, or anyone's function
methods.py         how: a registry, mostly of Captum's methods
capabilities.py    which of both a judge can do
request.py         what is asked for, and what it costs
explanation.py     runs a method on a target and says what fell where
faithfulness.py    what removing the marked words and regions really does
measures.py        infidelity, sensitivity and baselines that need no model, for the explanation benchmark
counterfactual.py  edits of the input, judged again
memory.py          how many points fit into a batch
"""

from typing import TYPE_CHECKING, Any

from core.explain.capabilities import (
    can_explain,
    has_dimensions,
    has_gate,
    has_gradients,
    is_costly,
    methods_for,
    targets_for,
)
from core.explain.methods import METHODS
from core.explain.request import Cancelled, Plan, Request, default_method
from core.judges.pieces import LEVELS, SCOPES

if TYPE_CHECKING:
    from core.explain.explanation import explain, plan

__all__ = [
    "LEVELS",
    "METHODS",
    "SCOPES",
    "Cancelled",
    "Plan",
    "Request",
    "can_explain",
    "default_method",
    "explain",
    "has_dimensions",
    "has_gate",
    "has_gradients",
    "is_costly",
    "methods_for",
    "plan",
    "targets_for",
]


def __getattr__(name: str) -> Any:
    """`explain` and `plan`, once somebody asks for them: what can be explained, and how, is said without torch."""
    if name not in ("explain", "plan"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from core.explain import explanation

    return getattr(explanation, name)
