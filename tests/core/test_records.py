import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.records import Comparison, Judgement, RecordError, content_hash, to_json
from core.taxonomy import CAPABILITIES, DIMENSIONS, INDEX, KEYS, NAMES

FLOATS = st.floats(-50, 50, allow_nan=False)


@st.composite
def judgements(draw):
    n = draw(st.integers(2, 4))
    k = draw(st.integers(1, 21))
    selected = tuple(draw(st.permutations(range(21)))[:k])
    raw = [draw(st.floats(0.01, 1)) for _ in selected]
    weights = [0.0] * 21
    for d, w in zip(selected, raw, strict=True):
        weights[d] = w / sum(raw)
    scores = tuple(tuple(draw(FLOATS) for _ in range(21)) for _ in range(n))
    rewards = tuple(sum(w * s for w, s in zip(weights, row, strict=True)) for row in scores)
    return Judgement("id", "judge", rewards, (0.0,) * 21, (0.5,) * 21, selected, tuple(weights), scores)


def test_taxonomy_is_seven_by_three():
    assert len(CAPABILITIES) == 7
    assert all(sum(d.capability == c for d in DIMENSIONS) == 3 for c in CAPABILITIES)
    assert len(set(KEYS)) == len(set(NAMES)) == 21
    assert [INDEX[k] for k in KEYS] == list(range(21))


@given(judgements())
def test_contributions_add_up_to_the_margin(j):
    assert sum(j.contributions(0, 1).values()) == pytest.approx(j.margin(0, 1), abs=1e-9)


@given(judgements())
def test_ranking_is_by_falling_reward(j):
    ordered = [j.rewards[i] for i in j.ranking]
    assert ordered == sorted(j.rewards, reverse=True)


@given(judgements())
def test_judgement_survives_a_row_and_json(j):
    assert Judgement.from_row(j.to_row()) == j
    assert Judgement.from_row(json.loads(to_json(j))) == j


@pytest.mark.parametrize(
    ("responses", "prompt", "words"),
    [
        (("one",), "p", "only one response"),
        (("a", "b", "c", "d", "e"), "p", "5 responses"),
        (("a", "  "), "p", "Response B is empty"),
        (("a", "b"), " \n", "prompt is empty"),
    ],
)
def test_a_comparison_that_cannot_be_judged_says_why(responses, prompt, words):
    with pytest.raises(RecordError, match=words):
        Comparison("id", b"", prompt, responses)


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_content_hash_tells_contents_apart(a, b):
    assert (content_hash(*a) == content_hash(*b)) == (a == b)
