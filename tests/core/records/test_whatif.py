"""Gate changes against a plain computation over the judgement's numbers."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.records import Judgement, RecordError
from core.records.what_if import Gate, apply, gate_of, smallest_flip
from core.taxonomy import DIMENSIONS, NUM_DIMENSIONS

numbers = st.floats(-6, 6)
vectors = st.lists(numbers, min_size=NUM_DIMENSIONS, max_size=NUM_DIMENSIONS)


@st.composite
def judgements(draw):
    gates, logits, a, b = (draw(vectors) for _ in range(4))
    order = sorted(range(NUM_DIMENSIONS), key=lambda d: -gates[d])[:3]
    shares = [math.exp(logits[d]) for d in order]
    weights = [0.0] * NUM_DIMENSIONS
    for d, s in zip(order, shares, strict=True):
        weights[d] = s / sum(shares)
    rewards = tuple(sum(w * s for w, s in zip(weights, row, strict=True)) for row in (a, b))
    relevance = tuple(1 / (1 + math.exp(-g)) for g in gates)
    return Judgement("c", "j", rewards, tuple(gates), relevance, tuple(order), tuple(weights), (tuple(a), tuple(b)),
                     weight_logits=tuple(logits), dimensions=DIMENSIONS)  # fmt: skip


@given(judgements())
def test_the_models_own_gate_gives_the_models_rewards(j):
    assert apply(j, gate_of(j)).rewards == pytest.approx(j.rewards, abs=1e-9)


@given(
    judgements(),
    st.integers(1, NUM_DIMENSIONS),
    st.sets(st.integers(0, 20), max_size=5),
    st.sets(st.integers(0, 20), max_size=3),
)
def test_any_gate_is_a_softmax_over_its_active_set(j, k, muted, forced):
    gate = Gate(k, frozenset(muted), frozenset(forced))
    found = apply(j, gate)
    free = [d for d in sorted(range(NUM_DIMENSIONS), key=lambda d: -j.gate_logits[d]) if d not in muted]
    assert set(found.selected) == {*free[:k], *(forced - muted)}
    total = sum(math.exp(j.weight_logits[d]) for d in found.selected)
    for d in range(NUM_DIMENSIONS):
        expected = math.exp(j.weight_logits[d]) / total if d in found.selected else 0
        assert found.weights[d] == pytest.approx(expected, abs=1e-9)
    margin = sum(found.weights[d] * (j.scores[0][d] - j.scores[1][d]) for d in range(NUM_DIMENSIONS))
    assert found.margin(0, 1) == pytest.approx(margin, abs=1e-9)


@given(judgements())
def test_a_named_flip_flips_and_a_little_less_does_not(j):
    flip = smallest_flip(j, 0, 1)
    if flip is None:
        return
    assert apply(j, flip.gate).margin(0, 1) * j.margin(0, 1) < 0
    for d, factor in flip.gate.factor.items():
        nearer = (
            factor / 1.0025 if factor > 1 else factor * 1.0025
        )  # the flip lies 0.1 % past the turning point
        assert apply(j, Gate(flip.gate.k, factor={d: nearer})).margin(0, 1) * j.margin(0, 1) >= -1e-9


def test_nothing_left_and_nothing_there_are_told():
    j = Judgement("c", "rule", (1.0, 0.0))
    with pytest.raises(RecordError, match="no gate"):
        apply(j, gate_of(j))
