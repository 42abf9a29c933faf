"""Computes a bundle again and says whether it still holds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.explain.capabilities import has_gradients
from core.explain.explanation import Request, explain
from core.explain.targets import CUSTOM
from core.judges.protocols import Explainable
from core.records import RecordError
from core.records.bundle import Bundle

TOLERANCE = 1e-3  # of the largest number compared: another machine's rounding, not another model


@dataclass(frozen=True)
class Verdict:
    """same_model: the weights' fingerprints agree. differences: name -> largest absolute difference. scale: name ->
    largest absolute number among the stored ones."""

    same_model: bool
    differences: dict[str, float]
    scale: dict[str, float]

    @property
    def holds(self) -> bool:
        return self.same_model and all(
            d <= TOLERANCE * max(1.0, self.scale[k]) for k, d in self.differences.items()
        )

    @property
    def worst(self) -> str:
        """The name of the largest difference."""
        return max(self.differences, key=lambda k: self.differences[k])


def verify(bundle: Bundle, judge: Explainable) -> Verdict:
    """Raises what judging and explaining raise."""
    e = bundle.explanation
    if e.target_key == CUSTOM:
        raise RecordError(
            "This bundle explains a target of somebody's own code, which it does not hold: it can be shown, not verified."
        )
    if not has_gradients(judge):
        raise RecordError(
            "This judge can only be asked again, which verifies nothing: a bundle can be shown without a model (--replay)."
        )
    judgement = judge.judge(bundle.comparison)
    request = Request(e.pair, e.target_key, e.method_key, e.steps or None, e.level, e.scope, check=False)
    # A critique is held fixed as it was written.
    held = bundle.judgement if e.target_key.startswith("critique:") else judgement
    again = explain(judge, bundle.comparison, held, request)
    pairs = {
        "rewards": (bundle.judgement.rewards, judgement.rewards),
        "gate logits": (bundle.judgement.gate_logits, judgement.gate_logits),
        "word values": (sum(e.token_values, ()), sum(again.token_values, ())),
        "region values": (sum(e.patch_values, ()), sum(again.patch_values, ())),
        "sentence values": (e.critique_values, again.critique_values),
    }
    differences = {
        k: float(np.abs(np.subtract(a, b)).max())
        if len(a) == len(b) and len(a)
        else float("inf" if len(a) != len(b) else 0)
        for k, (a, b) in pairs.items()
    }
    scale = {k: float(np.abs(a).max()) if len(a) else 0.0 for k, (a, _) in pairs.items()}
    same = bool(judge.card.fingerprint) and bundle.card.fingerprint == judge.card.fingerprint
    return Verdict(same, differences, scale)
