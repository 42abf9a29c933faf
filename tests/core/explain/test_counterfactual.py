"""Edits do what they say, and every number shown is a fresh judgement's."""

import re

import numpy as np
import pytest
import torch

from core.explain import counterfactual, explain
from core.explain.counterfactual import (
    Outcome,
    change_region,
    delete_span,
    effects,
    image_ablation,
    no_image,
    region_by_dimension,
    standard_edits,
    suggest,
    swap,
    with_text,
)
from core.explain.explanation import Request, prepare
from core.explain.targets import Target
from core.records import ImageAblation, ImageUse
from core.world.splits import couple


@pytest.fixture(scope="module")
def record():
    return couple("count", "counterfactual")[0]


@pytest.fixture(scope="module")
def judged(embedded_judge, record):
    return embedded_judge.judge(record)


@pytest.fixture(scope="module")
def explained(embedded_judge, record, judged):
    return explain(embedded_judge, record, judged, method="decomposition")


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
            e = explain(embedded_judge, record, judged, method="decomposition")
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


def test_the_picture_is_not_encoded_again_for_the_suggestions_of_a_click(suggested):
    assert all(looks == 0 for *_, looks in suggested)  # the judgement and the explanation have seen it


@pytest.mark.parametrize("half", [0, 1])
def test_the_words_that_are_tried_are_those_the_gradient_points_to(embedded_judge, half):
    """HotFlip's direction, with the gradient measured by differences: of all words, those are tried toward which
    the losing response gains most. One half of the minimal pair is lost by A, the other by B."""
    record = couple("colour", "hotflip-0")[half]
    judge, model = embedded_judge, embedded_judge.model
    judged = judge.judge(record)
    loser = judged.loser(0, 1)
    assert loser == half
    explained = explain(judge, record, judged, method="decomposition")
    forward = judge.masked(record, judged, 0, 1, Target("margin"), "word", "responses", 1)
    tried = [t for *_, t in counterfactual._candidates(forward, record.responses[loser], loser, explained)]
    text = record.responses[loser]
    start = text.index(" star") + 1
    head, tail = text[:start], text[start + len("star") :]
    words = {t[len(head) : len(t) - len(tail)] for t in tried if t.startswith(head) and t.endswith(tail)}
    words = {w for w in words if w.islower() and len(w) > 1}
    assert len(words) >= 8

    pieces = {
        i: p[1:] for p, i in judge.processor.tokenizer.get_vocab().items() if re.fullmatch("Ġ[a-z]{2,}", p)
    }
    table = model.backbone.get_input_embeddings().weight.detach()
    prepared = judge.prepare([record])
    position = next(i for i, (s, e) in enumerate(judge.encode(record)[loser].spans) if s <= start < e)
    weights = torch.tensor(judged.weights)
    with torch.no_grad():
        reading = model.read(**prepared.inputs)
        embeds = table[prepared.ids]

        def gain(direction) -> float:
            ends = []
            for step in (0.02, -0.02):
                moved = embeds.clone()
                moved[0, loser, position] += step * direction
                rewards = model.score_embeds(reading, moved, prepared.mask).float()[0] @ weights
                ends.append(float(rewards[loser] - rewards[1 - loser]))
            return (ends[0] - ends[1]) / 0.04

        gains = {word: gain(table[i]) for i, word in pieces.items()}
    ordered = [w for w in sorted(gains, key=lambda w: -gains[w]) if w != "star"]
    assert len(ordered) > 100 and len(words & set(ordered[: len(words)])) >= len(words) - 1


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


def test_image_ablation_and_its_badge(embedded_judge, record, judged):
    found = image_ablation(embedded_judge, record, judged, 0, 1, couple("colour", "another")[0].load_image())
    assert found.given == pytest.approx(judged.margin(0, 1))
    assert found.without == pytest.approx(
        embedded_judge.judge(no_image(record).comparison).margin(0, 1), abs=1e-3
    )


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("without", "use"),
    [
        (-0.01, ImageUse.USES),
        (0.0, ImageUse.USES),
        (0.01, ImageUse.PARTLY),
        (1.79, ImageUse.PARTLY),
        (1.81, ImageUse.IGNORES),  # a tenth of the margin
        (2.19, ImageUse.IGNORES),
        (2.21, ImageUse.PARTLY),  # the picture spoke against it
        (5.0, ImageUse.PARTLY),
    ],
)
def test_ignoring_the_image_means_that_less_than_a_tenth_of_the_margin_moves(sign, without, use):
    found = ImageAblation(sign * 2.0, sign * without, None)
    assert found.use is use
    assert found.share == pytest.approx(min(1, max(0, 1 - without / 2)))


def test_a_tie_with_the_picture_has_no_share_to_lose():
    assert ImageAblation(0.0, 1.0, None).share == 0.0
