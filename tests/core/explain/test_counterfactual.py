"""Edits do what they say, and every number shown is a fresh judgement's."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from core.explain import counterfactual, explain
from core.explain.counterfactual import (
    Outcome,
    change_region,
    delete_span,
    effects,
    no_image,
    region_by_dimension,
    reliance,
    standard_edits,
    suggest,
    swap,
    with_text,
)
from core.explain.explanation import Request, prepare
from core.records import Reliance
from core.world.splits import couple


@pytest.fixture(scope="module")
def record():
    return couple("count", "counterfactual")[0]


@pytest.fixture(scope="module")
def judged(embedded_judge, record):
    return embedded_judge.judge(record)


@pytest.fixture(scope="module")
def explained(embedded_judge, record, judged):
    return explain(embedded_judge, record, judged, method="account")


def test_every_effect_is_a_fresh_judgement(embedded_judge, record, judged, explained):
    other = couple("colour", "another")[0].load_image()
    edits = standard_edits(record, judged, 0, 1, explained, other)
    assert len({e.label for e in edits}) == len(edits) >= 7
    for edit, effect in zip(edits, effects(embedded_judge, judged, 0, 1, edits), strict=True):
        fresh = embedded_judge.judge(edit.comparison)
        pair = (1, 0) if edit.swapped else (0, 1)
        assert effect.after == pytest.approx(fresh.margin(*pair), abs=1e-3)
        assert effect.before == pytest.approx(judged.margin(0, 1), abs=1e-6)


def test_swapping_the_responses_changes_nothing(embedded_judge, record, judged):
    found = effects(embedded_judge, judged, 0, 1, [swap(record, 0, 1)])[0]
    assert found.change == pytest.approx(0, abs=1e-3)


def test_a_region_is_erased_where_it_says_and_nowhere_else(record):
    before = np.asarray(record.load_image())
    for how in ("erase", "blur"):
        after = np.asarray(change_region(record, (0.5, 0.25, 0.75, 0.5), how, "x").comparison.load_image())
        changed = (before != after).any(-1)
        inside = np.zeros_like(changed)
        h, w = inside.shape
        inside[h // 4 : h // 2, w // 2 : 3 * w // 4] = True
        assert not changed[~inside].any()
    assert (np.asarray(no_image(record).comparison.load_image()) == 128).all()


def test_a_deleted_word_leaves_one_space(record):
    text = with_text(record, 0, "The star is blue today.")
    assert delete_span(text, 0, 12, 16).comparison.responses[0] == "The star is today."
    assert delete_span(with_text(record, 0, "blue"), 0, 0, 4) is None


@pytest.fixture(scope="module")
def suggested(embedded_judge):
    """Six counted scenes that the model judges right: record, judgement, suggestions and what they cost."""
    out = []
    for i in range(6):
        record = couple("count", f"suggest-{i}")[0]
        judged = embedded_judge.judge(record)
        if judged.rewards[record.preferred] > judged.rewards[1 - record.preferred]:
            e = explain(embedded_judge, record, judged, method="account")
            model, looks, whole = embedded_judge.model, [], embedded_judge.model.image_features
            model.image_features = lambda *a, looks=looks, whole=whole, **k: looks.append(1) or whole(*a, **k)
            try:
                found = suggest(embedded_judge, record, judged, 0, 1, e)
            finally:
                del model.image_features
            out.append((record, judged, found, len(looks)))
    assert len(out) >= 5
    return out


def test_every_suggestion_is_what_judging_the_edited_response_alone_gives(embedded_judge, suggested):
    for record, judged, found, _ in suggested:
        loser = 1 - record.preferred
        assert found
        for s in found:
            fresh = embedded_judge.judge(with_text(record, loser, s.text))
            assert s.margin == pytest.approx(fresh.margin(0, 1), abs=1e-4)
            expected = {-1: Outcome.FLIPS, 0: Outcome.TIES, 1: Outcome.STAYS}
            turned = np.sign(judged.margin(0, 1) * s.margin)
            assert s.outcome is expected[int(turned)]
            assert s.same_text == (s.text == record.responses[record.preferred])


def test_suggestions_bring_the_losing_response_nearer_best_first(suggested):
    for record, judged, found, _ in suggested:
        gains = [(1 if record.preferred else -1) * (s.margin - judged.margin(0, 1)) for s in found]
        assert gains == sorted(gains, reverse=True) and gains[-1] > 0


def test_the_right_number_is_suggested_and_where_the_texts_are_then_equal_that_is_a_tie(suggested):
    """The losing response named a wrong number: the right one is among the words that would not have lost."""
    named = 0
    for record, _, found, _ in suggested:
        right = {w.strip(".,").lower() for w in record.responses[record.preferred].split()}
        best = [s for s in found if s.new.lower() in right and s.outcome is not Outcome.STAYS]
        named += bool(best)
        assert all(s.outcome is Outcome.TIES and s.margin == 0 for s in found if s.same_text)
    assert named >= len(suggested) - 1


def test_the_picture_is_encoded_once_for_all_suggestions_of_a_click(suggested):
    assert all(looks == 2 for *_, looks in suggested)  # the picture and the grey baseline


def test_the_first_words_tried_are_those_the_gradient_prefers(embedded_judge, record, judged, explained):
    """HotFlip's direction: with the slope turned round the words tried are others, and worse."""
    from core.explain.targets import Target

    side = 0 if judged.loser(0, 1) == 0 else 1
    forward = embedded_judge.masked(record, judged, 0, 1, Target("margin"), "word", "responses", 1)
    slope = forward.response_slope()
    embeds = forward.inputs.response
    # The slope is the gradient: a small step along it moves the target by its squared length.
    step = 1e-3 / float(slope.norm())
    with torch.no_grad():
        reading = forward._read_once()
        moved, given = (
            float(forward.target(forward.score(reading, embeds + d * slope, forward.inputs.response_mask)))
            for d in (step, 0)
        )
    assert (moved - given) / step == pytest.approx(float(slope.pow(2).sum()), rel=0.05)
    assert len(forward.word_tokens()[0]) > counterfactual.PER_WORD
    speaks = 1 if side == 0 else -1
    tried = counterfactual._candidates(forward, record.responses[judged.loser(0, 1)], side, explained)
    forward.response_slope = lambda: -slope
    against = counterfactual._candidates(forward, record.responses[judged.loser(0, 1)], side, explained)

    def mean_gain(edits):
        words = [
            (old, new, t) for old, new, t in edits if not old.isdigit()
        ]  # of digits there are fewer than are tried
        rewards = forward.rewards_of([t for _, _, t in words])
        return float(rewards.mean())

    assert speaks in (1, -1) and mean_gain(tried) > mean_gain(against)


def test_regions_by_dimension_are_what_erasing_them_does(embedded_judge, record, judged):
    grid, parts = region_by_dimension(embedded_judge, record, judged, 0, 1)
    request = Request(method="ablation", level="word")
    forward = prepare(embedded_judge, record, judged, request).forward
    assert set(parts) == set(judged.selected) and grid == forward.features.grid
    z = forward.ones()
    z[0, forward.features.text_count + 5] = 0
    with torch.no_grad():
        whole, less = float(forward(forward.ones())), float(forward(z))
    assert sum(values[5] for values in parts.values()) == pytest.approx(whole - less, abs=1e-3)


def test_reliance_and_its_badge(embedded_judge, record, judged):
    found = reliance(embedded_judge, record, judged, 0, 1, couple("colour", "another")[0].load_image())
    assert found.given == pytest.approx(judged.margin(0, 1))
    assert found.without == pytest.approx(
        embedded_judge.judge(no_image(record).comparison).margin(0, 1), abs=1e-3
    )
    assert replace(found, given=2, without=-1).badge == "decided by the picture"
    assert replace(found, given=2, without=0.5).badge == "leans on the picture"
    assert replace(found, given=2, without=1.9).badge == "would say the same without looking"


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("without", "badge"),
    [
        (-0.01, "decided by the picture"),
        (0.0, "decided by the picture"),
        (0.01, "leans on the picture"),
        (0.99, "leans on the picture"),
        (1.0, "leans on the picture"),  # half of the margin is gone
        (1.01, "would say the same without looking"),
        (5.0, "would say the same without looking"),  # the picture spoke against it
    ],
)
def test_the_badge_changes_where_half_of_the_margin_is_gone(sign, without, badge):
    found = Reliance(sign * 2.0, sign * without, None)
    assert found.badge == badge
    assert found.share == pytest.approx(min(1, max(0, 1 - without / 2)))


def test_a_tie_with_the_picture_has_no_share_to_lose():
    assert Reliance(0.0, 1.0, None).share == 0.0
