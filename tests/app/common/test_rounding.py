"""Rounded parts add up to the rounded sum, and no part moves further than to its neighbour."""

import math

from hypothesis import given
from hypothesis import strategies as st

from app.common.html import signed
from app.common.rounding import summing


@given(st.lists(st.floats(-1000, 1000), min_size=1, max_size=21), st.integers(0, 3))
def test_they_add_up(parts, digits):
    rounded, total = summing(parts, digits)
    unit = 10**digits
    assert sum(round(p * unit) for p in rounded) == round(total * unit) == round(math.fsum(parts) * unit)
    assert all(abs(r - p) < 1 / unit + 1e-9 for r, p in zip(rounded, parts, strict=True))
    assert "-0.00" not in [signed(r) for r in rounded]


def test_three_that_round_away_still_add_up():
    assert summing([0.004, 0.004, 0.004]) == ([0.01, 0.0, 0.0], 0.01)
    assert summing([2.0737, -0.0029, 0.0]) == ([2.07, 0.0, 0.0], 2.07)


def test_what_is_not_a_number_is_left_alone():
    parts, total = summing([math.inf, 1.0])
    assert parts == [math.inf, 1.0] and total == math.inf
