"""Every term against a closed form in plain Python or numpy, and gradients against finite differences."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.model.losses import (
    LossWeights,
    bradley_terry,
    dimension_loss,
    fine_loss,
    hierarchical_loss,
    masked_mean,
    overall_loss,
)

MARGIN = st.floats(-20, 20)


# -- the formulas, written down again without torch ------------------------------------------------------------------


def plain_bradley_terry(margin, preference):
    """-log of the probability of what happened; of a tie, the mean of both outcomes' costs."""
    win, lose = np.log1p(np.exp(-margin)), np.log1p(np.exp(margin))
    return np.where(preference > 0, win, np.where(preference < 0, lose, (win + lose) / 2))


def plain_mean(values, mask):
    kept = [v for v, m in zip(np.ravel(values), np.ravel(mask), strict=True) if m]
    return sum(kept) / len(kept) if kept else 0.0


def plain_terms(t):
    """t: numpy arrays by the names of hierarchical_loss."""
    p = 1 / (1 + np.exp(-t["relevance_logits"]))
    dimension = -np.mean(np.where(t["relevant"], np.log(p), np.log(1 - p)))
    fine = plain_bradley_terry(t["scores_a"] - t["scores_b"], t["preference"])
    decided, tied = t["annotated"] & (t["preference"] != 0), t["annotated"] & (t["preference"] == 0)
    overall = plain_bradley_terry(t["rewards_a"] - t["rewards_b"], t["overall"])
    return {
        "dimension": dimension,
        "fine": plain_mean(fine, decided) + plain_mean(fine, tied),
        "overall": float(np.mean(overall)),
    }


@st.composite
def batches(draw):
    """Two inputs, three pairs, four dimensions: any numbers, any annotation."""

    def of(elements, *shape, dtype=float):
        return draw(arrays(dtype, shape, elements=elements))

    return {
        "relevance_logits": of(MARGIN, 2, 4),
        "relevant": of(st.booleans(), 2, 4, dtype=bool),
        "scores_a": of(MARGIN, 3, 4),
        "scores_b": of(MARGIN, 3, 4),
        "preference": of(st.integers(-1, 1), 3, 4, dtype=int),
        "annotated": of(st.booleans(), 3, 4, dtype=bool),
        "rewards_a": of(MARGIN, 3),
        "rewards_b": of(MARGIN, 3),
        "overall": of(st.integers(-1, 1), 3, dtype=int),
    }


@settings(deadline=None)
@given(batches(), st.tuples(*[st.floats(0, 5)] * 3))
def test_the_whole_loss_equals_its_formula(batch, weights):
    found = hierarchical_loss(*map(torch.from_numpy, batch.values()), weights=LossWeights(*weights))
    expected = plain_terms(batch)
    for name, value in expected.items():
        assert float(found[name]) == pytest.approx(value, rel=1e-9, abs=1e-7), name
    total = sum(w * v for w, v in zip(weights, expected.values(), strict=True))
    assert float(found["loss"]) == pytest.approx(total, rel=1e-9, abs=1e-6)


# -- term by term ----------------------------------------------------------------------------------------------------


@given(MARGIN, st.sampled_from([-1, 0, 1]))
def test_bradley_terry_is_minus_log_probability(m, preference):
    p = (1 + preference) / 2
    win, lose = 1 / (1 + math.exp(-m)), 1 / (1 + math.exp(m))
    expected = -(p * math.log(win) + (1 - p) * math.log(lose))
    found = float(bradley_terry(torch.tensor(m, dtype=torch.float64), torch.tensor(preference)))
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(MARGIN)
def test_a_loss_is_a_win_seen_from_the_other_side(m):
    there, back = torch.tensor([m, -m], dtype=torch.float64)
    assert float(bradley_terry(there, torch.tensor(-1))) == float(bradley_terry(back, torch.tensor(1)))


def test_a_tie_is_least_at_equal_scores_and_costs_log_2_there():
    m = torch.linspace(-3, 3, 61, dtype=torch.float64)
    loss = bradley_terry(m, torch.zeros(61))
    assert int(loss.argmin()) == 30
    assert float(loss[30]) == pytest.approx(math.log(2), abs=1e-12)
    assert torch.allclose(loss, loss.flip(0))


def test_huge_margins_cost_what_they_should_and_stay_finite():
    m = torch.tensor([1e4, -1e4])
    assert bradley_terry(m, torch.tensor([1, 1])).tolist() == [0, 1e4]
    assert bradley_terry(m, torch.tensor([0, 0])).tolist() == [5e3, 5e3]


def test_dimension_loss_by_hand():
    logits = torch.tensor([[0.0, 2.0, -1.0]])
    relevant = torch.tensor([[True, True, False]])
    expected = (math.log(2) + math.log(1 + math.exp(-2)) + math.log(1 + math.exp(-1))) / 3
    assert float(dimension_loss(logits, relevant)) == pytest.approx(expected, rel=1e-6)


@given(arrays(float, 6, elements=MARGIN), arrays(bool, 6, elements=st.booleans()))
def test_masked_mean_by_hand(values, mask):
    found = float(masked_mean(torch.from_numpy(values), torch.from_numpy(mask)))
    assert found == pytest.approx(plain_mean(values, mask), abs=1e-12)


def test_fine_loss_averages_decisions_and_ties_apart_and_skips_what_is_not_annotated():
    a = torch.tensor([[1.0, 0.5, 9.0], [0.0, 0.0, 9.0]])
    b = torch.tensor([[0.0, 0.0, -9.0], [0.0, 2.0, -9.0]])
    preference = torch.tensor([[1, 0, -1], [0, -1, -1]])
    annotated = torch.tensor([[True, True, False], [True, True, False]])
    decided = (math.log(1 + math.exp(-1)) + math.log(1 + math.exp(-2))) / 2

    def tie(m):
        return 0.5 * math.log(1 + math.exp(-m)) + 0.5 * math.log(1 + math.exp(m))

    tied = (tie(0.5) + tie(0)) / 2
    assert float(fine_loss(a, b, preference, annotated)) == pytest.approx(decided + tied, rel=1e-6)


def test_nothing_annotated_costs_nothing_and_moves_nothing():
    a = torch.randn(2, 3, requires_grad=True)
    none = torch.zeros(2, 3, dtype=torch.bool)
    fine = fine_loss(a, torch.zeros(2, 3), torch.ones(2, 3), none)
    overall = overall_loss(a[:, 0], torch.zeros(2), torch.ones(2), none[:, 0])
    assert float(fine.detach()) == float(overall.detach()) == 0
    (fine + overall).backward()
    assert torch.equal(a.grad, torch.zeros(2, 3))


def test_only_annotated_pairs_count_overall():
    a, b = torch.tensor([1.0, 50.0, -2.0]), torch.zeros(3)
    found = overall_loss(a, b, torch.tensor([1, -1, 0]), torch.tensor([True, False, True]))
    tie = 0.5 * math.log(1 + math.exp(-2)) + 0.5 * math.log(1 + math.exp(2))
    assert float(found) == pytest.approx((math.log(1 + math.exp(-1)) + tie) / 2, rel=1e-6)


# -- gradients -------------------------------------------------------------------------------------------------------


def test_gradients_agree_with_finite_differences():
    """Every input that carries a gradient, through the weighted sum, in float64."""
    rng = torch.Generator().manual_seed(1)
    preference = torch.randint(-1, 2, (4, 3), generator=rng)
    annotated = torch.rand(4, 3, generator=rng) > 0.3
    relevant = torch.rand(2, 3, generator=rng) > 0.5
    overall = torch.tensor([1, -1, 0, 1])
    weights = LossWeights(0.5, 2.0, 3.0)

    def loss(logits, a, b, rewards_a, rewards_b):
        return hierarchical_loss(
            logits, relevant, a, b, preference, annotated, rewards_a, rewards_b, overall, weights
        )["loss"]

    shapes = ((2, 3), (4, 3), (4, 3), (4,), (4,))
    inputs = tuple(torch.randn(s, dtype=torch.float64, generator=rng).requires_grad_() for s in shapes)
    assert torch.autograd.gradcheck(loss, inputs)


def test_the_slope_of_a_win_is_the_probability_of_a_loss():
    m = torch.linspace(-5, 5, 11, dtype=torch.float64, requires_grad=True)
    bradley_terry(m, torch.ones(11)).sum().backward()
    assert torch.allclose(m.grad, -1 / (1 + m.detach().exp()))
