"""Every term against a closed form in plain Python."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.model.losses import (
    LossWeights,
    bradley_terry,
    dimension_loss,
    fine_loss,
    hierarchical_loss,
    overall_loss,
)

MARGIN = st.floats(-20, 20)


@given(MARGIN, st.sampled_from([-1, 0, 1]))
def test_bradley_terry_is_minus_log_probability(m, preference):
    p = (1 + preference) / 2
    win = 1 / (1 + math.exp(-m))
    expected = -(p * math.log(win) + (1 - p) * math.log(max(1 - win, 1e-300)))
    found = float(bradley_terry(torch.tensor(m, dtype=torch.float64), torch.tensor(preference)))
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-8)


def test_a_tie_is_least_at_equal_scores():
    m = torch.linspace(-3, 3, 61, dtype=torch.float64)
    loss = bradley_terry(m, torch.zeros(61))
    assert int(loss.argmin()) == 30
    assert float(loss[30]) == pytest.approx(math.log(2))


def test_dimension_loss_by_hand():
    logits = torch.tensor([[0.0, 2.0, -1.0]])
    relevant = torch.tensor([[True, True, False]])
    expected = (math.log(2) + math.log(1 + math.exp(-2)) + math.log(1 + math.exp(-1))) / 3
    assert float(dimension_loss(logits, relevant)) == pytest.approx(expected, rel=1e-6)


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


def test_nothing_annotated_costs_nothing():
    z = torch.zeros(2, 3)
    none = torch.zeros(2, 3, dtype=torch.bool)
    assert float(fine_loss(z, z, z, none)) == 0
    assert float(overall_loss(z[:, 0], z[:, 0], z[:, 0], none[:, 0])) == 0


def test_the_sum_is_weighted():
    args = (
        torch.randn(2, 3), torch.rand(2, 3) > 0.5, torch.randn(4, 3), torch.randn(4, 3), torch.randint(-1, 2, (4, 3)),
        torch.rand(4, 3) > 0.3, torch.randn(4), torch.randn(4), torch.ones(4),
    )  # fmt: skip
    terms = hierarchical_loss(*args, weights=LossWeights(0.5, 2.0, 3.0))
    expected = 0.5 * terms["dimension"] + 2 * terms["fine"] + 3 * terms["overall"]
    assert float(terms["loss"]) == pytest.approx(float(expected), rel=1e-6)


def test_gradients_agree_with_finite_differences():
    torch.manual_seed(1)
    preference, annotated = torch.randint(-1, 2, (4, 3)), torch.rand(4, 3) > 0.3

    def loss(a, b):
        return fine_loss(a, b, preference, annotated) + overall_loss(
            a.sum(-1), b.sum(-1), preference[:, 0], annotated[:, 0]
        )

    a, b = (torch.randn(4, 3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(loss, (a, b))
