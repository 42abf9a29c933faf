"""What if the gate had chosen otherwise? Recomputes rewards from a judgement's own numbers; no model is run.

The scores and logits are the model's; only the gate is changed: a dimension muted, switched on, or reweighed, or
another k. Everything is as in `core.model.head`: weights are a softmax over the active dimensions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from core.records import Judgement, RecordError

LARGEST_FACTOR = 100.0  # a weight is multiplied by at most this in the search for a flip


@dataclass(frozen=True)
class Gate:
    """A changed gate. muted: never active. forced: always active, beside the k most relevant. factor: what the
    softmax weight of a dimension is multiplied by before the weights are made to sum to 1 again."""

    k: int
    muted: frozenset[int] = frozenset()
    forced: frozenset[int] = frozenset()
    factor: dict[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """selected: active dimensions, most relevant first. weights: (D,). rewards: (N,)."""

    selected: tuple[int, ...]
    weights: tuple[float, ...]
    rewards: tuple[float, ...]

    def margin(self, a: int, b: int) -> float:
        return self.rewards[a] - self.rewards[b]


def gate_of(judgement: Judgement) -> Gate:
    """The gate as the model set it."""
    return Gate(k=len(judgement.selected))


def apply(judgement: Judgement, gate: Gate) -> Outcome:
    """Raises RecordError where the judgement does not carry what is needed, or nothing stays active."""
    if not judgement.weight_logits or not judgement.scores:
        raise RecordError("This judgement carries no gate to change.")
    relevance = np.asarray(judgement.gate_logits)
    if not 1 <= gate.k <= len(relevance):
        raise RecordError(f"k is {gate.k}: it must lie between 1 and {len(relevance)}.")
    order = [d for d in np.argsort(-relevance, kind="stable").tolist() if d not in gate.muted]
    active = list(dict.fromkeys(order[: gate.k] + [d for d in order if d in gate.forced]))
    if not active:
        raise RecordError("Every dimension is switched off: leave at least one.")
    raw = np.asarray(judgement.weight_logits, dtype=float)[active]
    raw = raw + np.log([max(gate.factor.get(d, 1.0), 1e-12) for d in active])
    share = np.exp(raw - raw.max())
    weights = np.zeros(len(relevance))
    weights[active] = share / share.sum()
    rewards = np.asarray(judgement.scores, dtype=float) @ weights
    return Outcome(tuple(active), tuple(weights.tolist()), tuple(rewards.tolist()))


@dataclass(frozen=True)
class Flip:
    """The gate change that turns the verdict of a pair. kind: "weight" (of `dimension`, times `factor`), "off", "on" (the
    dimension), or "k"."""

    kind: str
    gate: Gate
    dimension: int | None = None
    factor: float = 1.0


def smallest_flip(judgement: Judgement, a: int, b: int) -> Flip | None:
    """The smallest single change that turns the verdict on a and b, or None.

    Tried in this order: reweighing one selected dimension (the factor nearest to 1 on a log scale, up to 100), then
    muting one, forcing one in, another k. Each is verified by `apply`.
    """
    before = apply(judgement, gate_of(judgement)).margin(a, b)
    if before == 0:
        return None

    def flips(gate: Gate) -> bool:
        try:
            return apply(judgement, gate).margin(a, b) * before < 0
        except RecordError:
            return False

    k = len(judgement.selected)
    factors = [(f, d) for d in judgement.selected if (f := _factor(judgement, d, a, b)) is not None]
    for factor, d in sorted(factors, key=lambda fd: abs(math.log(fd[0]))):
        gate = Gate(k, factor={d: factor})
        if flips(gate):
            return Flip("weight", gate, d, factor)
    for d in judgement.selected:
        if flips(gate := Gate(k, muted=frozenset({d}))):
            return Flip("off", gate, d)
    others = [
        d for d in np.argsort(-np.asarray(judgement.gate_logits)).tolist() if d not in judgement.selected
    ]
    for d in others:
        if flips(gate := Gate(k, forced=frozenset({d}))):
            return Flip("on", gate, d)
    for other in sorted(
        (n for n in range(1, len(judgement.gate_logits) + 1) if n != k), key=lambda n: abs(n - k)
    ):
        if flips(gate := Gate(other)):
            return Flip("k", gate)
    return None


def _factor(judgement: Judgement, d: int, a: int, b: int) -> float | None:
    """The factor on dimension d's weight just past which the margin changes its sign.

    With softmax weights w and differences g: margin(f) is (sum of the others' w g + f w_d g_d) over a positive
    sum, so it is zero at f = -(others) / (w_d g_d); there is one where the two parts speak against each other.
    """
    parts = judgement.contributions(a, b)
    own = parts[d]
    rest = sum(parts.values()) - own
    if own == 0 or rest == 0 or own * rest > 0:
        return None
    factor = -rest / own
    past = factor * (1.001 if abs(own) < abs(rest) else 0.999)
    return past if 1 / LARGEST_FACTOR <= past <= LARGEST_FACTOR else None
