"""Agreement against published worked examples, closed forms and the libraries taken one table at a time."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from itertools import combinations

import krippendorff
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from statsmodels.stats.inter_rater import cohens_kappa, fleiss_kappa

from core.label_analysis.agreement import (
    CATEGORIES,
    against_judges,
    between,
    changes,
    dimensions,
    error_rate,
    summary,
)
from core.label_analysis.coefficients import (
    NOTHING,
    ONE_CATEGORY,
    alpha,
    alpha_of_resamples,
    cohen,
    cohen_of_resamples,
    fleiss,
    fleiss_of_resamples,
    share,
)
from core.labels.consensus import Consensus, consensus, most_disputed
from core.labels.records import Item, Label
from core.taxonomy import INDEX, KEYS


def label(position, annotator, final, first=None, blind=True, dimensions=()):
    return Label(
        "q", position, annotator, first or final, final, blind, dimensions, "", 1.0, "2026-01-01", dimensions
    )


def item(position, preferred=0, judged=(), responses=("a", "b")):
    return Item("q", position, position, f"k{position}", "", "", "", "p", responses, preferred, "",
                {"wrong": None, "reasons": []}, judged)  # fmt: skip


def judged(*rewards, judge="j", selected=()):
    return {"judge": judge, "revision": "w", "rewards": list(rewards), "selected": list(selected)}


# -- published examples ------------------------------------------------------------------------------------

# Krippendorff (2011), section C: four observers, twelve units, "." where there is no value.
OBSERVERS = ["123321412...", "1233224125.3", ".3332342251.", "12332441251."]
# Fleiss' kappa on Wikipedia: ten subjects, five categories, fourteen raters.
FOURTEEN = [[0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1], [7, 7, 0, 0, 0],
            [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7]]  # fmt: skip


def test_krippendorffs_example():
    labels = [
        label(unit, f"observer {o}", CATEGORIES[int(value) - 1])
        for o, values in enumerate(OBSERVERS)
        for unit, value in enumerate(values)
        if value != "."
    ]
    found = between(labels).alpha
    assert found.value == pytest.approx(0.743, abs=5e-4)
    assert (found.items, found.raters) == (11, 4)  # the twelfth unit has one value only
    assert found.low < found.value < found.high <= 1


def test_unsure_is_a_missing_value():
    labels = [
        label(unit, f"observer {o}", "unsure" if value == "." else CATEGORIES[int(value) - 1])
        for o, values in enumerate(OBSERVERS)
        for unit, value in enumerate(values)
    ]
    assert between(labels).alpha.value == pytest.approx(0.743, abs=5e-4)


def test_fleiss_example():
    labels = []
    for subject, row in enumerate(FOURTEEN):
        said = [c for c, n in enumerate(row) for _ in range(n)]
        labels += [label(subject, f"rater {r}", CATEGORIES[c]) for r, c in enumerate(said)]
    odd_one = [label(99, "rater 0", "0"), label(99, "rater 1", "1")]  # another number of raters: not counted
    found = between(labels + odd_one).fleiss
    assert found.value == pytest.approx(0.210, abs=5e-4)
    assert (found.items, found.raters) == (10, 14)


def test_cohens_example():
    said = [("0", "0")] * 20 + [("0", "1")] * 5 + [("1", "0")] * 10 + [("1", "1")] * 15
    labels = [label(i, name, v) for i, pair in enumerate(said) for name, v in zip("ab", pair, strict=True)]
    found = between(labels).pairs
    assert list(found) == [("a", "b")]
    assert found["a", "b"].value == pytest.approx(0.40)
    assert (found["a", "b"].items, found["a", "b"].raters) == (50, 2)


def test_bootstrap_interval_is_as_wide_as_the_asymptotic_one():
    """Fleiss, Cohen and Everitt's (1969) standard error, by statsmodels, on a table of 1,000 items."""
    table = np.array([[400, 100, 20], [60, 250, 30], [10, 50, 80]])
    cells = np.zeros((table.sum(), 3, 3), dtype=int)
    places = [(a, b) for a in range(3) for b in range(3) for _ in range(table[a, b])]
    for i, place in enumerate(places):
        cells[i][place] = 1
    exact, found = cohens_kappa(table), cohen(cells)
    assert found.value == pytest.approx(exact.kappa)
    assert found.low == pytest.approx(exact.kappa_low, abs=0.006)
    assert found.high == pytest.approx(exact.kappa_upp, abs=0.006)
    assert cohen(cells[::-1]) == found  # seeded, and the order of items does not matter


def test_wilson_closed_form():
    z, k, n = 1.959963984540054, 7, 9
    p = k / n
    centre, room = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    found = share(k, n)
    assert (found.value, found.k, found.n) == (k / n, k, n)
    assert found.low == pytest.approx((centre - room) / (1 + z * z / n))
    assert found.high == pytest.approx((centre + room) / (1 + z * z / n))
    assert share(0, 0).value is None and share(0, 0).low is None


# -- resamples against the libraries -----------------------------------------------------------------------


def library_value(function, *arguments, **options):
    """None where the library has no number."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            found = float(function(*arguments, **options))
        except ValueError:
            return None
    return None if math.isnan(found) else found


def same(ours, theirs):
    return theirs is None if math.isnan(ours) else ours == pytest.approx(theirs, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_resamples_equal_the_libraries(data):
    n, k, r = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 4)), data.draw(st.integers(2, 5))
    rng = np.random.default_rng(data.draw(st.integers(0, 9999)))
    chosen = rng.integers(0, n, n)  # one resample, as items and as weights
    weights = np.bincount(chosen, minlength=n)[None].astype(float)
    even = rng.multinomial(r, np.ones(k) / k, n)
    uneven = np.stack([rng.multinomial(rng.integers(2, 6), np.ones(k) / k) for _ in range(n)])
    cells = np.stack([rng.multinomial(rng.integers(1, 3), np.ones(k * k) / (k * k)) for _ in range(n)])
    cells = cells.reshape(n, k, k)
    assert same(fleiss_of_resamples(weights, even)[0], library_value(fleiss_kappa, even[chosen]))
    assert same(
        alpha_of_resamples(weights, uneven)[0],
        library_value(krippendorff.alpha, value_counts=uneven[chosen], level_of_measurement="nominal"),
    )
    theirs = library_value(cohens_kappa, cells[chosen].sum(0), return_results=False)
    assert same(cohen_of_resamples(weights, cells.astype(float))[0], theirs)


VERDICTS = st.sampled_from([*CATEGORIES, "unsure"])


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.tuples(st.integers(0, 5), st.sampled_from("abcd")), st.tuples(VERDICTS, VERDICTS, st.booleans())))  # fmt: skip
def test_nothing_leaks(said):
    """Whatever was said: a number within its interval, or None with a reason; never NaN."""
    labels = [label(p, name, final, first, blind) for (p, name), (first, final, blind) in said.items()]
    items = {p: item(p, p % 2, (judged(0.1 * p, 0.2),), tuple("abcd")) for p in range(6)}
    s = summary(labels, items)
    coefficients = [c for a in (s.first, s.final) for c in (*a.pairs.values(), a.fleiss, a.alpha)]
    coefficients += [d.alpha for d in s.dimensions] + [j.kappa for j in s.judges]
    for c in coefficients:
        if c.value is None:
            assert c.low is None and c.high is None and c.reason in (NOTHING, ONE_CATEGORY)
        elif c.low is None:
            assert c.high is None and c.reason
        else:
            assert -1 <= c.low <= c.high <= 1 and not c.reason
    for j in s.judges:
        assert j.agree.n >= j.kappa.items
    assert (
        s.changes.changed.k
        == s.changes.to_judge + s.changes.to_label + s.changes.to_both + s.changes.to_neither
    )


# -- degenerate ----------------------------------------------------------------------------------------------


def test_one_category_is_undefined_not_perfect():
    labels = [label(i, name, "0") for i in range(5) for name in "abc"]
    found = between(labels)
    for c in (found.alpha, found.fleiss, *found.pairs.values()):
        assert (c.value, c.low, c.high, c.reason) == (None, None, None, ONE_CATEGORY)
        assert c.items == 5


def test_nothing_to_compare():
    found = between([label(0, "a", "0"), label(1, "b", "1"), label(2, "a", "unsure"), label(2, "b", "0")])
    assert found.pairs == {}
    assert (found.alpha.value, found.alpha.reason) == (None, NOTHING)
    assert (found.fleiss.value, found.fleiss.reason, found.fleiss.raters) == (None, NOTHING, 0)
    assert between([]).alpha.reason == NOTHING


def test_degenerate_resamples_are_counted_and_can_forbid_an_interval():
    """One deviating item in n: a resample misses it with probability (1 - 1/n) ** n."""
    for n in (2, 8):
        counts = np.array([[3, 0]] * (n - 1) + [[0, 3]])
        found = fleiss(counts)
        assert found.value == 1.0
        alone = 2 * 0.5**2 if n == 2 else (1 - 1 / n) ** n
        assert found.undefined / 1000 == pytest.approx(alone, abs=0.05)
    rare = fleiss(np.array([[2, 0]] * 31 + [[0, 2]]))
    assert rare.low == 1.0 and rare.undefined > 300
    one = fleiss(np.array([[1, 1]]))
    assert (one.value, one.low, one.items) == (-1.0, None, 1) and one.reason


def test_no_interval_where_most_resamples_are_undefined(monkeypatch):
    monkeypatch.setattr("core.label_analysis.coefficients.RESAMPLES", 20)
    # With two items, half of the resamples draw one of them twice; this seed draws more than half.
    monkeypatch.setattr(
        "core.label_analysis.coefficients.SEED", next(s for s in range(99) if _undefined(s) > 10)
    )
    found = fleiss(np.array([[2, 0], [0, 2]]))
    assert (found.value, found.low, found.high) == (1.0, None, None)
    assert "there is no interval" in found.reason


def _undefined(seed):
    draws = np.random.default_rng(seed).multinomial(2, [0.5, 0.5], 20)
    return int((draws.max(1) == 2).sum())


# -- first and final, dimensions -----------------------------------------------------------------------------


def test_first_verdicts_are_the_blind_ones():
    labels = [label(i, "a", "1", first=str(i % 2)) for i in range(4)]
    labels += [label(i, "b", "1", first=str(i % 2)) for i in range(4)]
    labels += [label(i, "c", "1", first="0", blind=False) for i in range(4)]
    first, final = between(labels, first=True), between(labels)
    assert list(first.pairs) == [("a", "b")] and first.alpha.value == 1.0
    assert len(final.pairs) == 3 and final.alpha.value is None


def test_dimensions_by_hand():
    colour, size = "colour", "size"
    said = [(0, "a", (colour,)), (0, "b", (colour, size)), (1, "a", (size,)), (1, "b", (size,)), (1, "c", ()),
            (2, "a", (colour,))]  # fmt: skip
    found = {d.key: d for d in dimensions([label(p, a, "0", dimensions=d) for p, a, d in said])}
    assert list(found) == list(KEYS)
    # colour: item 0 yes yes, item 1 no no; c ticked nothing, item 2 has one annotator only.
    assert found[colour].alpha.value == 1.0 and (found[colour].alpha.items, found[colour].alpha.raters) == (
        2,
        2,
    )
    assert (found[colour].ticked.k, found[colour].ticked.n) == (3, 5)
    # size: no yes, yes yes. D_o = 2/4, D_e = 2 * 3 * 1 / (4 * 3) = 1/2.
    assert found[size].alpha.value == pytest.approx(0.0)
    assert found["text"].alpha.reason == ONE_CATEGORY and found["text"].ticked.k == 0


# -- changes, judges, old labels -------------------------------------------------------------------------------


def test_whither_minds_changed():
    items = {
        0: item(0, 0, (judged(0.0, 1.0), judged(9.0, 1.0, judge="second"))),  # judge 1, label 0
        1: item(1, 1, (judged(0.0, 1.0),)),  # both 1
        2: item(2, None, (judged(1.0, 1.0),)),  # neither has a view
    }
    labels = [
        label(0, "a", "1", "0"), label(0, "b", "0", "1"), label(0, "c", "tie", "1"), label(0, "d", "0"),
        label(1, "a", "1", "unsure"), label(2, "a", "1", "0"), label(2, "b", "1", "0", blind=False),
    ]  # fmt: skip
    found = changes(labels, items)
    assert (found.changed.k, found.changed.n) == (5, 6)
    assert (found.to_judge, found.to_label, found.to_both, found.to_neither) == (1, 1, 1, 2)


def test_against_judges_by_hand():
    colour = INDEX["colour"]
    items = {
        0: item(0, 0, (judged(1.0, 0.0, selected=(colour,)), judged(0.0, 1.0, judge="other"))),
        1: item(1, 0, (judged(1.0, 0.0, selected=(INDEX["size"],)), judged(0.0, 1.0, judge="other"))),
        2: item(2, 0, (judged(0.5, 0.5), judged(float("nan"), 1.0, judge="other"))),
        3: item(3, 0, (judged(0.0, 1.0, selected=(colour,)),)),
    }
    labels = [
        label(0, "a", "0", dimensions=("colour",)), label(0, "b", "1", "0"), label(0, "c", "1", blind=False),
        label(1, "a", "1", dimensions=("colour",)), label(1, "b", "tie"), label(2, "a", "0"),
        label(3, "a", "1", dimensions=("colour", "size")),
    ]  # fmt: skip
    ours, other = against_judges(labels, items)
    assert (ours.judge, ours.weights, other.judge) == ("j", "w", "other")
    assert (ours.agree.k, ours.agree.n, ours.ties, ours.missing) == (3, 4, 1, 0)
    assert (other.agree.k, other.agree.n, other.ties, other.missing) == (1, 3, 0, 1)
    # humans 0 0 1 1, judge 0 0 0 1: p_o 3/4, p_e (2 * 3 + 2 * 1) / 16 = 1/2
    assert ours.kappa.value == pytest.approx(0.5) and ours.kappa.items == 3
    assert (ours.dimensions["colour"].k, ours.dimensions["colour"].n) == (2, 3)
    assert (ours.dimensions["size"].k, ours.dimensions["size"].n) == (0, 1)
    assert other.dimensions["colour"].n == 0 and other.dimensions["colour"].value is None


def test_error_rate_counts_what_it_leaves_out():
    items = {i: item(i, preferred=None if i == 7 else 0) for i in range(9)}
    finals = {0: "0", 1: "1", 2: "tie", 3: "bad", 4: "unsure", 5: "01", 6: "110", 7: "1", 8: "0"}
    labels = []
    for p, said in finals.items():
        each = list(said) if said.isdecimal() else [said]
        labels += [label(p, f"a{i}", v, first="1" if p == 8 else None) for i, v in enumerate(each)]
    found = error_rate(labels, items)
    assert (found.wrong.k, found.wrong.n) == (2, 4)  # items 1 and 6 of 0, 1, 6, 8
    assert (found.blind.k, found.blind.n) == (3, 4)
    assert (found.tie, found.bad, found.unsure, found.disputed, found.unlabelled) == (1, 1, 1, 1, 1)
    assert found.wrong == share(2, 4)


# -- consensus ---------------------------------------------------------------------------------------------------


def test_consensus():
    said = {0: ["0", "0", "1", "unsure"], 1: ["0", "1"], 2: ["unsure"], 3: ["tie", "tie", "bad"]}
    labels = [label(p, f"a{i}", v) for p, vs in said.items() for i, v in enumerate(vs)]
    assert consensus(labels) == {
        0: Consensus("0", {"0": 2, "1": 1, "unsure": 1}, 4),
        1: Consensus("disputed", {"0": 1, "1": 1}, 2),
        2: Consensus("unsure", {"unsure": 1}, 1),
        3: Consensus("tie", {"bad": 1, "tie": 2}, 3),
    }
    assert consensus([label(0, "a", "1", first="0"), label(1, "a", "1", blind=False)], first=True) == {
        0: Consensus("0", {"0": 1}, 1)
    }


@given(st.dictionaries(st.tuples(st.integers(0, 4), st.integers(0, 5)), VERDICTS))
def test_most_disputed_by_counting_pairs(said):
    labels = [label(p, str(a), v) for (p, a), v in said.items()]
    expected = {}
    for p in {p for p, _ in said}:
        opinions = [v for (q, _), v in said.items() if q == p and v != "unsure"]
        pairs = list(combinations(opinions, 2))
        if pairs and any(a != b for a, b in pairs):
            expected[p] = 1 - sum(a == b for a, b in pairs) / len(pairs)
    found = most_disputed(labels)
    assert dict(found) == pytest.approx(expected)
    assert found == sorted(found, key=lambda f: (-f[1], f[0]))


@given(st.lists(st.tuples(st.integers(0, 4), VERDICTS), min_size=1))
def test_alpha_ignores_items_with_one_opinion(said):
    counts = np.zeros((5, 7), dtype=int)
    for p, v in said:
        counts[p, [*CATEGORIES, "unsure"].index(v)] += 1
    found = alpha(counts, 3)
    assume(found.value is not None)
    assert found.items == int((counts.sum(1) >= 2).sum())
    assert found == alpha(counts[counts.sum(1) >= 2], 3)


def test_more_than_four_responses_agree_like_two():
    """Six responses: the same pattern of verdicts, named otherwise, gives the same coefficients."""
    few = [
        label(i, n, v) for i in range(6) for n, v in (("ann", str(i % 2)), ("bob", str((i + (i == 3)) % 2)))
    ]
    many = [replace(v, first=str(4 + int(v.first)), final=str(4 + int(v.final))) for v in few]
    assert between(many) == between(few)
