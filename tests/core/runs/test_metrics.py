"""Metrics against counts done by hand and against closed forms."""

from __future__ import annotations

import math
import random
from math import comb

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.benchmarks.rows import Grouping
from core.benchmarks.vl_rewardbench import OFFICIAL
from core.runs.metrics import (
    OUTCOMES,
    POLICIES,
    accuracy_plus,
    calibration,
    compare,
    outcome,
    points_of,
    rate,
    rate_of_counts,
    report,
)


def frame(rows: list[tuple[str, str, str]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["subgroup", "cluster", "outcome"])


def test_outcome_is_strict() -> None:
    assert outcome((1.0, 0.5), 0) == "right"
    assert outcome((1.0, 0.5), 1) == "wrong"
    assert outcome((1.0, 1.0), 0) == "tie"
    assert outcome((1.0, 2.0, 2.0), 1) == "tie"
    assert outcome((1.0, 2.0, 2.0), 0) == "wrong"
    assert outcome((), 0) == "missing" and outcome((1.0, 2.0), None) == "unlabelled"
    assert outcome((float("nan"), 2.0), 0) == "unparsed"


def test_policies_and_denominators_by_hand() -> None:
    o = pd.Series(["right"] * 6 + ["wrong"] * 2 + ["tie"] + ["unparsed"] + ["missing"] * 5 + ["unlabelled"])
    assert (rate(o).value, rate(o).n) == (6 / 10, 10)
    assert (rate(o, "half").value, rate(o, "half").n) == (7 / 10, 10)
    assert (rate(o, "dropped").value, rate(o, "dropped").n) == (6 / 8, 8)
    coin = random.Random(123)
    heads = sum(coin.random() < 0.5 for _ in range(2))
    assert rate(o, "coin").value == (6 + heads) / 10
    assert rate(o).counts == {"right": 6, "wrong": 2, "tie": 1, "unparsed": 1, "missing": 5, "unlabelled": 1}
    with pytest.raises(ValueError, match="no such tie policy"):
        rate(o, "right")


@given(st.lists(st.sampled_from(OUTCOMES), max_size=60))
def test_policies_agree_where_nothing_is_tied(outcomes: list[str]) -> None:
    series = pd.Series(outcomes, dtype=object)
    strict, half, dropped = (rate(series, p) for p in ("wrong", "half", "dropped"))
    assert strict.points <= half.points
    assert dropped.n == strict.n - strict.counts["tie"] - strict.counts["unparsed"]
    if dropped.n == strict.n and strict.n:
        assert strict.value == half.value == dropped.value
    assert strict.n + strict.counts["missing"] + strict.counts["unlabelled"] == len(outcomes)


def test_wilson_closed_form() -> None:
    z, k, n = 1.959963984540054, 30, 46
    p = k / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    found = rate(pd.Series(["right"] * k + ["wrong"] * (n - k)))
    assert (found.low, found.high) == (pytest.approx(centre - half), pytest.approx(centre + half))


def vl_rows(
    general: tuple[int, int], hallucination: tuple[int, int], reasoning: tuple[int, int]
) -> pd.DataFrame:
    rows = []
    for subgroup, (k, n) in (("wildvision", general), ("povid", hallucination), ("mathverse", reasoning)):
        rows += [(subgroup, f"{subgroup}{i}", "right" if i < k else "wrong") for i in range(n)]
    return frame(rows)


def test_official_averages_by_hand() -> None:
    found = report(vl_rows((90, 183), (400, 749), (200, 318)), OFFICIAL)
    assert found.overall.value == (90 + 400 + 200) / 1250
    assert found.macro == pytest.approx((90 / 183 + 400 / 749 + 200 / 318) / 3)


def test_macro_is_refused_where_counts_do_not_fit() -> None:
    found = report(vl_rows((90, 182), (400, 749), (200, 318)), OFFICIAL)
    assert found.macro is None and "general has 182 rows, not 183" in found.refused
    found = report(frame([("somewhere", "1", "right")]), OFFICIAL)
    assert found.macro is None and "'somewhere'" in found.refused


def test_macro_is_refused_where_a_group_was_never_judged() -> None:
    f = vl_rows((90, 183), (400, 749), (200, 318))
    f.loc[f["subgroup"] == "mathverse", "outcome"] = "missing"
    found = report(f, OFFICIAL)
    assert found.macro is None and "no row was scored in reasoning" in found.refused
    assert found.overall.n == 932


def test_silent_half_scores_100_under_dropped_and_not_under_strict() -> None:
    f = vl_rows((183, 183), (749, 749), (318, 318))
    f.loc[::2, "outcome"] = "unparsed"
    assert report(f, OFFICIAL, "dropped").overall.value == 1.0
    assert report(f, OFFICIAL, "wrong").overall.value == 0.5


def test_accuracy_plus_asks_for_all_of_a_cluster() -> None:
    f = frame([("a", "1", "right"), ("a", "1", "right"), ("a", "2", "right"), ("a", "2", "tie"), ("a", "3", "wrong"),
               ("a", "4", "right"), ("a", "4", "missing")])  # fmt: skip
    found = accuracy_plus(f)
    assert (found.points, found.n, found.counts["missing"]) == (1, 3, 1)
    assert accuracy_plus(f, "dropped").points == 2
    assert accuracy_plus(f, "half").points == 1
    assert found.low <= found.value <= found.high


def test_paired_comparison_closed_forms() -> None:
    a = pd.Series(["right"] * 40 + ["right"] * 15 + ["wrong"] * 5 + ["wrong"] * 40)
    b = pd.Series(["right"] * 40 + ["wrong"] * 15 + ["right"] * 5 + ["wrong"] * 40)
    found = compare(a, b)
    assert (found.both_right, found.only_a, found.only_b, found.both_wrong) == (40, 15, 5, 40)
    assert found.difference == pytest.approx(0.10)
    exact = 2 * sum(comb(20, i) for i in range(6)) / 2**20  # binomial test of 5 of 20
    assert found.p_value == pytest.approx(exact)
    x, y = 15.5 / 102, 5.5 / 102
    half = 1.959963984540054 * math.sqrt((x + y - (x - y) ** 2) / 102)
    assert (found.low, found.high) == (pytest.approx(x - y - half), pytest.approx(x - y + half))
    assert compare(a, a).p_value == 1.0


def test_paired_comparison_uses_common_rows_only() -> None:
    a, b = pd.Series(["right", "missing", "wrong"]), pd.Series(["right", "right", "right"])
    assert compare(a, b).n == 2


def test_calibration_by_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    margins, right = rng.normal(0, 3, 500), rng.random(500) < 0.7
    bins, error = calibration(margins, right)
    total = 0.0
    for b in bins:
        inside = [i for i in range(500)
                  if b.low <= 1 / (1 + math.exp(-abs(margins[i]))) < b.high or (b.high == 1.0 and 1 / (1 + math.exp(-abs(margins[i]))) == 1.0)]  # fmt: skip
        assert b.n == len(inside)
        if inside:
            said = sum(1 / (1 + math.exp(-abs(margins[i]))) for i in inside) / len(inside)
            was = sum(bool(right[i]) for i in inside) / len(inside)
            assert (b.said, b.was) == (pytest.approx(said), pytest.approx(was))
            total += len(inside) / 500 * abs(said - was)
    assert error == pytest.approx(total)


def test_a_calibrated_judge_has_no_error() -> None:
    rng = np.random.default_rng(1)
    margins = rng.normal(0, 2, 200_000)
    right = rng.random(200_000) < 1 / (1 + np.exp(-np.abs(margins)))
    assert calibration(margins, right)[1] < 0.01


def test_points_keep_the_order_of_rows() -> None:
    assert points_of(pd.Series(["right", "tie", "wrong"]), "half").tolist() == [1.0, 0.5, 0.0]


def test_alternative_groupings_share_the_overall() -> None:
    f = vl_rows((90, 183), (400, 749), (200, 318))
    other = Grouping("other", {"wildvision": "x", "povid": "x", "mathverse": "y"})
    assert report(f, other).overall == report(f, OFFICIAL).overall
    assert report(f, other).groups["x"].value == 490 / 932


@pytest.mark.parametrize("ties", POLICIES)
def test_a_rate_of_counts_is_that_of_the_rows(ties):
    counts = [
        ("right", 70),
        ("wrong", 21),
        ("tie", 6),
        ("unparsed", 3),
        ("missing", 5),
        ("unlabelled", 2),
        ("right", 4),
    ]
    rows = pd.Series([o for o, n in counts for _ in range(n)], dtype=object)
    assert rate_of_counts(counts, ties) == rate(rows, ties)
    assert rate_of_counts([], ties).n == 0 and rate_of_counts([("missing", 4)], ties).counts["missing"] == 4
