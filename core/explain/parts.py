"""What each word and each region adds to each dimension of a gated judge, by ablation."""

from __future__ import annotations

import torch
from torch import Tensor

from core.explain import memory
from core.explain.capabilities import has_gate
from core.explain.explanation import prepare
from core.explain.request import Request
from core.judges.protocols import Explainable
from core.records import Comparison, Explanation, Judgement, RecordError
from core.records.parts import Parts


def parts(judge: Explainable, comparison: Comparison, judgement: Judgement, explanation: Explanation) -> Parts:  # fmt: skip
    """Of the words and regions that `explanation` has, for its pair. With ablation of the margin they add up, over the
    dimensions, to its values. Raises RecordError for a judge without a gate."""
    if not has_gate(judge):
        raise RecordError(f"The judge '{judge.card.name}' has no gate whose dimensions could be told apart.")
    asked = Request(explanation.pair, "margin", "ablation", level=explanation.level, scope="joint", check=False)  # fmt: skip
    with judge.lock:
        forward = prepare(judge, comparison, judgement, asked).forward
        features = forward.features
        n = features.count
        z = forward.ones().repeat(n + 1, 1)
        z[torch.arange(1, n + 1), torch.arange(n)] = 0

        def contributions(z: Tensor) -> Tensor:
            """(B, D) weight * (score a - score b)"""
            found = forward.outputs(z)
            assert found.weights is not None and found.scores is not None
            return found.weights * (found.scores[:, 0] - found.scores[:, 1])

        values = memory.evaluate(contributions, z, memory.most_at_once(forward, len(z))).cpu()
    chosen = list(judgement.selected)
    rows = [tuple(row) for row in (values[:1] - values[1:])[:, chosen].tolist()]
    a, b, regions = (
        tuple(rows[where]) for where in (features.of_text(0), features.of_text(1), features.regions)
    )
    return Parts(tuple(chosen), (a, b), regions)
