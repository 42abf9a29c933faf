"""Probabilities of wrong labels against closed forms and a grid."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.label_errors import probability as label_odds
from core.label_errors.probability import blame, doubt, fit


@given(st.floats(0.001, 0.999), st.floats(0.001, 0.999))
def test_blame_is_bayes_rule_for_exactly_one_wrong_label(a, b) -> None:
    assert blame(a, b, False) == pytest.approx(a * (1 - b) / (a * (1 - b) + b * (1 - a)))
    assert blame(a, b, False) + blame(b, a, False) == pytest.approx(1)
    assert blame(a, 1 - a, True) == pytest.approx(a)  # one testimony, heard twice, is still one
    assert blame(float("nan"), float("nan"), False) == blame(float("nan"), float("nan"), True) == 0.5


def test_few_rows_are_judged_with_equal_weights() -> None:
    margins = np.array([[2.0, -1.0], [4.0, np.nan], [-6.0, 3.0], [np.nan, np.nan]])
    wrong, _ = doubt(margins, np.arange(4))
    support = [np.arcsinh(2 / 4) + np.arcsinh(-1 / 2), np.arcsinh(1), np.arcsinh(-1.5) + np.arcsinh(1.5)]
    np.testing.assert_allclose(wrong[:3], 1 / (1 + np.exp(support)))
    assert np.isnan(wrong[3])


@pytest.mark.parametrize("seed", range(6))
def test_no_other_weights_on_a_grid_fit_better(seed) -> None:
    rng = np.random.default_rng(seed)
    z = rng.normal([0.8, -0.2], 1, (60, 2))
    if seed % 2:
        z[:, 1] = -z[:, 0]  # the opposite judge: the valley in which a solver may stop too early
    w = fit(z)
    grid = np.stack(np.meshgrid(*[np.arange(0, 4, 0.02)] * 2), -1).reshape(-1, 2)
    losses = np.log1p(np.exp(-(z @ grid.T))).sum(0) + label_odds.RIDGE / 2 * (grid**2).sum(1)
    assert np.log1p(np.exp(-z @ w)).sum() + label_odds.RIDGE / 2 * w @ w <= losses.min() + 1e-9
    assert (w >= 0).all()


def test_a_label_never_votes_for_itself_nor_for_its_twin() -> None:
    rng = np.random.default_rng(0)
    margins, clusters = rng.normal(1, 1, (200, 2)), np.arange(200) // 2
    before, _ = doubt(margins, clusters)
    turned = margins.copy()
    turned[10:12] *= -1  # both labels of one cluster turned round: |margin|, and so the scale, stays
    after, _ = doubt(turned, clusters)
    np.testing.assert_allclose(after[10:12], 1 - before[10:12], atol=1e-9)
    assert abs(after[12:] - before[12:]).max() > 1e-4
