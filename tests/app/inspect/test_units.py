"""What is said of a word, a region and a dimension is arithmetic on the records."""

import pytest

from app.inspect.units import units_of
from core.records import Explanation, Judgement
from core.records.parts import Parts
from core.records.what_if import Gate, apply
from core.taxonomy import DIMENSIONS, INDEX

COUNT, COLOUR, TEXT = (INDEX[k] for k in ("counting", "colour", "text"))


def judgement():
    logits = [0.0] * 21
    scores = [[0.0] * 21 for _ in range(2)]
    for d, logit, a, b in ((COUNT, 3.0, 4.0, 0.0), (COLOUR, 2.0, 0.0, 1.0), (TEXT, 1.0, 0.0, 3.0)):
        logits[d], scores[0][d], scores[1][d] = logit, a, b
    selected = (COUNT, COLOUR)
    blank = Judgement("c", "j", (0.0, 0.0), tuple(logits), tuple(logits), selected, (0.0,) * 21, tuple(map(tuple, scores)),
                      weight_logits=(0.0,) * 21, dimensions=DIMENSIONS)  # fmt: skip
    found = apply(blank, Gate(2))
    return Judgement("c", "j", found.rewards, tuple(logits), tuple(logits), selected, found.weights, tuple(map(tuple, scores)),
                     weight_logits=(0.0,) * 21, dimensions=DIMENSIONS)  # fmt: skip


def ablation(words=((2.0, 0.1), (-0.4,)), regions=((0.5, 0.0), (0.0, -0.2))):
    tokens = ((("two", 0, 3), ("red", 4, 7)), (("one", 0, 3),))
    return Explanation("c", "margin A − B", "Ablation", "grey", 0, tokens, words, regions, 0.0, 0.0, 1.5, 0.0, None, 0.0, "",
                       method_key="ablation")  # fmt: skip


PARTS = Parts(
    (COUNT, COLOUR), (((2.0, 0.0), (0.0, 0.1)), ((-0.4, 0.0),)), ((0.5, 0.0), (0.0, 0.0), (0.01, 0.0), (0.0, -0.2))
)  # fmt: skip


def test_without_a_word_or_a_region_the_margin_is_less_by_its_value():
    found = units_of(judgement(), (0, 1), ablation(), PARTS)
    without = {k: u.without for k, u in found.items()}
    assert without["w0-0"] == pytest.approx(-0.5) and without["w1-0"] == pytest.approx(1.9)
    assert without["r0"] == pytest.approx(1.0) and without["r3"] == pytest.approx(1.7)
    assert "“two” removed: margin A − B +1.50 → -0.50, the verdict turns." in found["w0-0"].said
    assert "Row 2, column 2 greyed: margin A − B +1.50 → +1.70 (+0.20)." in found["r3"].said


def test_partners_move_the_same_dimension():
    found = units_of(judgement(), (0, 1), ablation(), PARTS)
    assert found["w0-0"].partners == (f"d{COUNT}", "r0")  # the other word moves less than a quarter as much
    assert found[f"d{COUNT}"].partners == ("w0-0", "r0")
    assert found["w0-1"].partners == (f"d{COLOUR}", "r3") and found["r1"].partners == ()
    for key, unit in found.items():
        assert key not in unit.partners and set(unit.partners) <= set(found)


def test_a_dimension_is_switched_off_as_the_gate_would_do_it():
    j = judgement()
    found = units_of(j, (0, 1), None, None)
    assert set(found) == {f"d{COUNT}", f"d{COLOUR}"}
    muted = apply(j, Gate(2, muted=frozenset({COUNT}))).margin(0, 1)  # Text, the next most relevant, comes in
    assert found[f"d{COUNT}"].without == pytest.approx(muted) == pytest.approx((0 - 1) / 2 + (0 - 3) / 2)
    assert "the verdict turns" in found[f"d{COUNT}"].said and found[f"d{COUNT}"].partners == ()


def test_without_an_ablation_words_and_regions_say_nothing():
    assert not any(k[0] in "wr" for k in units_of(judgement(), (0, 1), None, PARTS))
