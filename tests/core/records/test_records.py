"""Properties of the records: what goes in comes out, contributions add up, and refusals say why."""

import json
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from core.images import ImageError, to_png_bytes
from core.records import (
    Comparison,
    Condition,
    Judgement,
    OODScore,
    RecordError,
    Truth,
    Vote,
    content_hash,
    to_json,
)
from core.taxonomy import DIMENSIONS, Dimension

FLOATS = st.floats(-50, 50, allow_nan=False)
# A response or a prompt: any text with something in it.
TEXT = st.text(min_size=1).filter(str.strip)


OOD = st.none() | st.builds(OODScore, FLOATS, FLOATS, st.booleans(), st.text())


@st.composite
def dimensions(draw, count):
    """None, or as many as there are, with keys of their own or of the default taxonomy."""
    if draw(st.booleans()):
        return DIMENSIONS
    keys = draw(st.lists(st.text(min_size=1).filter(str.strip), min_size=count, max_size=count, unique=True))
    return tuple(Dimension(k, draw(st.text()), draw(st.text()), draw(st.text())) for k in keys)


def votes(n):
    order = st.permutations(range(n)).map(tuple)
    return st.builds(Vote, order, st.text(), st.none() | st.integers(0, n - 1), st.none() | FLOATS)


@st.composite
def judgements(draw):
    """Of a judge that keeps VL-MDR's promise: weights sum to 1 over the selected, rewards = weights . scores."""
    n = draw(st.integers(2, 7))
    k = draw(st.integers(1, 21))
    selected = tuple(draw(st.permutations(range(21)))[:k])
    raw = draw(st.lists(st.floats(0.01, 1), min_size=k, max_size=k))
    weights = [0.0] * 21
    for d, w in zip(selected, raw, strict=True):
        weights[d] = w / sum(raw)
    row = st.tuples(*[FLOATS] * 21)
    scores = tuple(draw(row) for _ in range(n))
    rewards = tuple(sum(w * s for w, s in zip(weights, of, strict=True)) for of in scores)
    gate = draw(row)
    return Judgement(
        draw(st.text()), draw(st.text()), rewards, gate, tuple(abs(g) / 50 for g in gate), selected, tuple(weights),
        scores, draw(st.floats(0, 1e4)), dimensions=draw(dimensions(21)), condition=draw(st.sampled_from(Condition)),
        critique=draw(st.text()), choice=draw(st.none() | st.integers(0, n - 1)),
        votes=tuple(draw(st.lists(votes(n), max_size=3))), ood=draw(OOD),
    )  # fmt: skip


@given(judgements(), st.data())
def test_contributions_add_up_to_the_margin(j, data):
    a, b = (data.draw(st.integers(0, len(j.rewards) - 1)) for _ in range(2))
    parts = j.contributions(a, b)
    assert tuple(parts) == j.selected
    assert sum(parts.values()) == pytest.approx(j.margin(a, b), abs=1e-9)
    back = j.contributions(b, a)
    assert all(back[d] == -v for d, v in parts.items()) and j.margin(b, a) == -j.margin(a, b)


@given(judgements())
def test_ranking_is_by_falling_reward(j):
    assert sorted(j.ranking) == list(range(len(j.rewards)))
    assert [j.rewards[i] for i in j.ranking] == sorted(j.rewards, reverse=True)


@given(st.lists(st.sampled_from([0.0, 1.0, 2.0]), min_size=2, max_size=4))
def test_equal_rewards_keep_their_order(rewards):
    ranking = Judgement("c", "j", tuple(rewards)).ranking
    for first, second in zip(ranking, ranking[1:], strict=False):
        assert (-rewards[first], first) < (-rewards[second], second)


@given(judgements())
def test_judgement_survives_a_row_and_json(j):
    assert Judgement.from_row(j.to_row()) == j
    assert Judgement.from_row(json.loads(to_json(j))) == j


def test_a_judge_without_dimensions_has_rewards_alone():
    j = Judgement("c", "scalar", (0.5, 2.0))
    assert j.margin(1, 0) == 1.5 and j.ranking == (1, 0) and j.contributions(0, 1) == {}
    assert Judgement.from_row(j.to_row()) == j


def test_records_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        Judgement("c", "j", (0.0, 1.0)).rewards = (1.0, 0.0)
    with pytest.raises(FrozenInstanceError):
        Comparison("c", b"", "p", ("a", "b")).prompt = "q"


@given(TEXT, st.lists(TEXT, min_size=2, max_size=7), st.data())
def test_any_text_makes_a_comparison_and_is_kept_as_it_is(prompt, responses, data):
    preferred = data.draw(st.one_of(st.none(), st.integers(0, len(responses) - 1)))
    made = Comparison("c", b"", prompt, tuple(responses), preferred)
    assert (made.prompt, list(made.responses), made.preferred) == (prompt, responses, preferred)


@pytest.mark.parametrize(
    ("responses", "prompt", "words"),
    [
        ((), "p", "only one response|at least two"),
        (("one",), "p", "only one response"),
        (("a", "  "), "p", "Response B is empty"),
        (("", "b"), "p", "Response A is empty"),
        (("a", "b", "c", "\u2003\n\t"), "p", "Response D is empty"),
        (("a", "b"), " \n", "prompt is empty"),
        (("a", "b"), "", "prompt is empty"),
    ],
)
def test_a_comparison_that_cannot_be_judged_says_why(responses, prompt, words):
    with pytest.raises(RecordError, match=words):
        Comparison("id", b"", prompt, responses)


@pytest.mark.parametrize("preferred", [2, 7, -1])
def test_the_preferred_response_must_exist(preferred):
    with pytest.raises(RecordError, match="no such response"):
        Comparison("id", b"", "p", ("a", "b"), preferred)


def test_the_image_is_decoded_only_when_it_is_needed():
    made = Comparison("c", b"not a picture", "p", ("a", "b"))  # no error yet
    with pytest.raises(ImageError):
        made.load_image()
    red = Image.new("RGB", (20, 10), (200, 0, 0))
    assert Comparison("c", to_png_bytes(red), "p", ("a", "b")).load_image().tobytes() == red.tobytes()


@given(st.lists(st.one_of(st.none(), st.sampled_from(["counting", "harm"])), min_size=2, max_size=4))
def test_decisive_is_the_first_spoilt_dimension(spoilt):
    truth = Truth(("counting",), tuple(spoilt), ((),) * len(spoilt), ())
    assert truth.decisive == next(iter([d for d in spoilt if d]), None)


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_content_hash_tells_contents_apart(a, b):
    assert (content_hash(*a) == content_hash(*b)) == (a == b)


@pytest.mark.parametrize(("a", "b"), [(("ab", "c"), ("a", "bc")), (("a", ""), ("a",)), (("",), ())])
def test_content_hash_knows_where_one_part_ends(a, b):
    assert content_hash(*a) != content_hash(*b)


def test_content_hash_takes_bytes_and_broken_text():
    assert content_hash("é") == content_hash("é".encode())
    assert len(content_hash("\ud800", b"\xff")) == 16  # half a surrogate pair, as a browser may send it
