"""What stands under and beside a map: one scale with a floor, legends of the target, checks in standard terms."""

import re

import pytest
from PIL import Image

from app.common import heat
from core.records import DeletionCheck, Explanation, Faithfulness, Passed

TEXTS = ("red star", "blue star")
WHITE = Image.new("RGB", (40, 40), "white")


def explanation(words=((1.0, 0.0), (-2.0, 0.0)), regions=((0.5, 0.0), (0.0, -0.5)), **more):
    tokens = tuple(tuple((m.group(), m.start(), m.end()) for m in re.finditer(r"\S+", t)) for t in TEXTS)
    common = {
        "comparison_id": "c", "target": "margin A − B", "method": "Ablation", "baseline": "grey picture, mean word", "steps": 0,
        "prompt_value": 0.0, "other_value": 0.0, "target_value": 4.0, "baseline_value": 0.5, "convergence_delta": None,
        "seconds": 0.1, "dtype": "float32", "method_key": "ablation",
    }  # fmt: skip
    return Explanation(tokens=tokens, token_values=words, patch_values=regions, **(common | more))


def shown(e):
    return str(heat.explanation_html(WHITE, e, TEXTS, (0, 1)))


def coloured(page):
    return re.findall(r'<span class="word" style="background:([^"]+)"', page)


def test_full_colour_is_the_largest_value_but_never_next_to_nothing():
    assert heat.scale_of(explanation(), TEXTS) == 2.0
    small = explanation(((0.08, 0.0), (-0.02, 0.0)), ((0.01, 0.0), (0.0, 0.0)))
    assert heat.scale_of(small, TEXTS) == heat.PALEST
    alphas = [float(c.rsplit(",", 1)[1].rstrip(")")) for c in coloured(shown(small))]
    assert alphas and max(alphas) < 0.3


def test_a_tie_and_zero_effects_draw_nothing():
    nothing = explanation(((0.0, -0.0), (0.0, 0.0)), ((0.0, 0.0), (-0.0, 0.0)))
    tie = explanation(target_value=0.001)
    for e in (nothing, tie):
        page = shown(e)
        assert not coloured(page) and "inf" not in page.split('class="legend"')[1]
    assert "This is a tie" in shown(tie) and "speaks for" not in shown(tie)


@pytest.mark.parametrize(
    ("key", "target", "said", "not_said"),
    [
        ("margin", "margin A − B", ["speaks for A", "speaks for B"], ["raises", "no part"]),
        ("score:counting", "Counting score A − B", ["speaks for A", "speaks for B"], ["raises"]),
        (
            "gate:counting",
            "Counting gate logit",
            [
                "raises the Counting gate",
                "lowers the Counting gate",
                "No response has a part in a gate",
            ],
            ["speaks for"],
        ),
        ("reward", "reward of A", ["raises the reward of A", "lowers the reward of A"], ["speaks for"]),
    ],
)
def test_each_target_has_its_own_legend(key, target, said, not_said):
    page = shown(explanation(target_key=key, target=target))
    assert all(s in page for s in said) and not any(s in page for s in not_said)


@pytest.mark.parametrize(
    ("check", "passed", "says"),
    [
        (DeletionCheck(("x",), 2.0, -1.0, 0.5), Passed.PASSES, "Passes the deletion check (6.0 times random)."),
        (DeletionCheck(("x",), -2.0, -1.0, 0.5), Passed.WEAKLY, "Weakly passes the deletion check (2.0 times random)."),
        (DeletionCheck(("x",), 2.0, 1.6, 0.5), Passed.FAILS, "Fails the deletion check (0.8 times random)"),
        (DeletionCheck(("x",), 2.0, 5.0, 0.5), Passed.FAILS, "Fails the deletion check: without them it moves the other way."),
        (DeletionCheck(("x",), 2.0, 1.98, 0.01), Passed.NO_INFLUENCE, "No influence on the verdict."),
        (DeletionCheck(("x",), 0.02, -0.02, 0.01), Passed.PASSES, "Passes the deletion check (4.0 times random)."),
        (DeletionCheck(("x",), 2.0, 0.0, 0.0), Passed.PASSES, "over 100 times random"),
    ],
)  # fmt: skip
def test_a_deletion_check_says_how_it_ended(check, passed, says):
    page = shown(explanation(faithfulness=Faithfulness(check, None)))
    assert check.passed is passed and says in page


def test_a_convergence_delta_is_what_is_unexplained():
    page = shown(explanation(convergence_delta=-0.0000001))
    assert "convergence delta 0.0000 (0.0% of the difference is unexplained)" in page
    assert "not complete" in shown(explanation()) and "convergence" not in shown(explanation())
    assert "unattributed remainder -5.35" in shown(explanation(other_value=-5.35))


def test_nothing_is_ever_minus_nought():
    words = explanation(
        ((-0.0001, 0.3), (0.2, 0.0)), prompt_value=-0.0004, target_value=3.0, baseline_value=-0.0001
    )
    assert not re.search(r"[-+]0\.0+(?!\d)", shown(words))


def test_a_gate_shows_the_prompt_and_no_response():
    gate = explanation(
        ((0.0, 0.0), (0.0, 0.0)), target_key="gate:counting", target="Counting gate logit", prompt_value=4.73
    )
    page = str(heat.explanation_html(WHITE, gate, TEXTS, (0, 1), prompt="How many <b>stars</b>?"))
    assert "How many &lt;b&gt;stars&lt;/b&gt;?" in page and 'title="+4.730"' in page
    assert "Prompt, as one +4.73" in page and "red star" not in page
    assert len(coloured(page)) == 1
