"""The one lane: everything that touches the model shares one queue of one, and one GPU boundary."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PIL import Image

from core.explain import default_method, explain
from core.explain.counterfactual import reliance
from core.judges.vlmdr import VLMDRJudge
from core.ood import Familiarity
from core.records import Comparison, Explanation, Judgement, Reliance

LANE: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1}

try:  # on a ZeroGPU Space the model runs in a short-lived GPU process; elsewhere this is a plain call
    from spaces import GPU as on_gpu
except ImportError:

    def on_gpu(function: Callable) -> Callable:
        return function


@on_gpu
def run_on_model(work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return work(*args, **kwargs)


def judge_and_explain(
    judge: VLMDRJudge, comparison: Comparison, other: Image.Image
) -> tuple[Judgement, Explanation, Familiarity | None, Reliance]:
    """Judgement, the first explanation of its best pair, how familiar the picture is, and how far the margin rests on
    it (`other`: some other record's picture): one GPU call."""

    def work() -> tuple[Judgement, Explanation, Familiarity | None, Reliance]:
        judgement = judge.judge(comparison)
        a, b = default_pair(judgement)
        familiarity = judge.unfamiliarity(comparison.load_image())
        explained = explain(judge, comparison, judgement, a, b, method=default_method(judge, comparison))
        return judgement, explained, familiarity, reliance(judge, comparison, judgement, a, b, other)

    return run_on_model(work)


def default_pair(judgement: Judgement) -> tuple[int, int]:
    """Winner against runner-up, in alphabetical order."""
    first, second = sorted(judgement.ranking[:2])
    return first, second
