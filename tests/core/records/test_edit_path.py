"""A path of edits is plain data: it comes back as it was, leads to the same input, and nothing else passes for one."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from core.explain.edits import applied
from core.records import Comparison, RecordError
from core.records.edit_path import (
    DIGITS,
    MASK,
    MOST_STEPS,
    EditPath,
    Step,
    cells,
    mask_image,
    mask_of,
    mask_of_box,
    step_between,
)  # fmt: skip

MASKS = st.integers(0, 2**1024 - 1).map(lambda n: f"{n:0{DIGITS}x}")
STEPS = st.builds(
    lambda prompt, texts, mask, how, found, margin: Step(prompt, tuple(sorted(texts.items())), mask, how if mask else "", found, margin),
    st.none() | st.text(max_size=30), st.dictionaries(st.integers(0, 3), st.text(max_size=30), max_size=3),
    st.just("") | MASKS, st.sampled_from(["erase", "blur"]), st.booleans(),
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
)  # fmt: skip


@given(st.lists(STEPS, max_size=5))
def test_a_path_comes_back_from_json_as_it_was(steps):
    path = EditPath((0, 2), -1.25, tuple(steps))
    assert EditPath.from_dict(json.loads(json.dumps(path.to_dict()))) == path


@given(MASKS)
def test_a_mask_is_its_cells(mask):
    assert mask_of(cells(mask)) == mask
    bits = "".join(f"{int(d, 16):04b}" for d in mask)
    assert cells(mask).reshape(-1).tolist() == [b == "1" for b in bits]


def test_a_box_covers_its_part_of_the_picture_and_at_least_a_cell():
    got = np.asarray(mask_image(mask_of_box((0.25, 0.5, 0.5, 0.75)), (64, 32))) > 0
    wanted = np.zeros((32, 64), dtype=bool)
    wanted[16:24, 16:32] = True
    assert (got == wanted).all()
    assert cells(mask_of_box((0.5, 0.5, 0.5, 0.5))).sum() == 1


def comparison(*responses, prompt="Q?", image=None):
    return Comparison("c", image or Image.new("RGB", (64, 64), (250, 0, 0)), prompt, responses, preferred=0)


@given(st.lists(st.text(min_size=1).filter(str.strip), min_size=2, max_size=4), st.data())
def test_the_step_between_two_comparisons_leads_from_one_to_the_other(texts, data):
    image = Image.new("RGB", (8, 8))
    before = comparison(*texts, image=image)
    changed = [data.draw(st.just(t) | st.just(t + "!")) for t in texts]
    after = comparison(*changed, prompt=data.draw(st.sampled_from(["Q?", "Why?"])), image=image)
    step = step_between(before, after)
    if step is None:
        assert (before.prompt, before.responses) == (after.prompt, after.responses)
    else:
        made = applied(before, step)
        assert (made.prompt, made.responses) == (after.prompt, after.responses) and made.preferred is None


def test_another_picture_or_another_number_of_responses_is_no_step():
    one = comparison("a", "b")
    assert step_between(one, comparison("a", "b", "c", image=one.image)) is None
    assert step_between(one, comparison("a", "x", image=Image.new("RGB", (9, 9)))) is None


@pytest.mark.parametrize("how", ["erase", "blur"])
def test_a_masked_step_changes_the_picture_there_and_nowhere_else(how):
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 255, (64, 96, 3), dtype=np.uint8))
    mask = mask_of_box((0.5, 0.0, 1.0, 0.5))
    step = Step(mask=mask, how=how)
    made = [applied(comparison("a", "b", image=image), step) for _ in range(2)]
    assert made[0].image == made[1].image  # to the byte: replayed it is the same input
    before, after = np.asarray(image), np.asarray(made[0].load_image())
    changed = (before != after).any(-1)
    inside = np.asarray(mask_image(mask, image.size)) > 0
    assert not changed[~inside].any() and changed[inside].mean() > 0.9
    if how == "erase":
        assert (after[inside] == 128).all()


GOOD = EditPath((0, 1), 1.0, (Step(responses=((1, "x"),)),)).to_dict()


@pytest.mark.parametrize(
    "row",
    [
        None, [], "x", {}, {**GOOD, "margin": "much"}, {**GOOD, "margin": float("nan")}, {**GOOD, "pair": ["A"]},
        {**GOOD, "pair": ["A", "A"]}, {**GOOD, "pair": [0, 1]}, {**GOOD, "steps": [None]}, {**GOOD, "steps": [{}] * (MOST_STEPS + 1)},
        {**GOOD, "steps": [{"responses": {"../A": "x"}}]}, {**GOOD, "steps": [{"responses": {"A": 5}}]},
        {**GOOD, "steps": [{"responses": ["A"]}]}, {**GOOD, "steps": [{"prompt": ["x"]}]}, {**GOOD, "steps": [{"prompt": "x" * 12_001}]},
        {**GOOD, "steps": [{"mask": "zz" * (DIGITS // 2), "how": "erase"}]}, {**GOOD, "steps": [{"mask": "ff", "how": "erase"}]},
        {**GOOD, "steps": [{"mask": "f" * DIGITS, "how": "<script>"}]}, {**GOOD, "steps": [{"mask": "f" * DIGITS}]},
        {**GOOD, "steps": [{"mask": ["f"] * DIGITS, "how": "erase"}]}, {**GOOD, "steps": [{"how": "erase"}]},
        {**GOOD, "steps": [{"margin": "1"}]}, {**GOOD, "steps": [{"margin": float("inf")}]},
    ],
)  # fmt: skip
def test_what_is_not_a_path_is_a_sentence(row):
    with pytest.raises(RecordError):
        EditPath.from_dict(row)


def test_a_step_for_a_response_that_is_not_there_is_a_sentence():
    with pytest.raises(RecordError, match="does not exist"):
        applied(comparison("a", "b"), Step(responses=((3, "x"),)))


def test_masks_are_no_coarser_than_the_finest_regions_of_a_page():
    assert MASK >= 16 and DIGITS * 4 == MASK**2
