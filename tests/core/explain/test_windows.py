"""Pixel windows against judging every repainted picture again, and what the cells are."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from core.explain import Request, explain, methods_for, plan
from core.explain.explanation import prepare
from core.judges.conditions import FINER
from core.judges.repainted import FINEST, cells, repainted
from core.judges.scalar import ScalarJudge
from core.records import Comparison, RecordError
from tests.plain import noise

RESPONSES = ("There are 3 stars.", "I count 2 stars, you fool.")
GREY = (128, 128, 128)


@pytest.fixture(scope="module")
def comparison():
    return Comparison("c", noise(1), "How many stars are there?", RESPONSES)


def margin(judged, selected):
    """Of a over b on these dimensions, from the judgement's own numbers."""
    logits = np.array([judged.weight_logits[d] for d in selected])
    weights = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    return sum(
        w * (judged.scores[0][d] - judged.scores[1][d]) for w, d in zip(weights, selected, strict=True)
    )


def test_each_window_is_the_whole_model_judging_the_painted_picture(random_judge, comparison, judgement):
    e = explain(random_judge, comparison, judgement, method="windows", level="word")
    rows, columns = np.shape(e.patch_values)
    assert (rows, columns) == (6, 8)  # of 3 x 4 visual tokens
    image = comparison.load_image()
    w, h = image.size
    whole = margin(judgement, judgement.selected)
    total, times = np.zeros((rows, columns)), np.zeros((rows, columns))
    for r in range(rows - FINER + 1):
        for c in range(columns - FINER + 1):
            painted = image.copy()
            painted.paste(GREY, (round(c * w / columns), round(r * h / rows),
                                 round((c + FINER) * w / columns), round((r + FINER) * h / rows)))  # fmt: skip
            again = random_judge.judge(replace(comparison, id=f"{r} {c}", image=painted))
            total[r : r + FINER, c : c + FINER] += whole - margin(again, judgement.selected)
            times[r : r + FINER, c : c + FINER] += 1
    assert times.min() == 1 and times.max() == FINER**2
    assert np.allclose(e.patch_values, total / times, atol=1e-5)
    assert np.abs(total).max() > 1e-4
    of_words = explain(random_judge, comparison, judgement, method="ablation", level="word")
    assert np.allclose(np.concatenate(e.token_values), np.concatenate(of_words.token_values), atol=1e-5)
    assert e.prompt_value == pytest.approx(of_words.prompt_value, abs=1e-5)
    assert e.baseline_value == pytest.approx(
        of_words.baseline_value, abs=1e-5
    )  # all cells grey: the blank picture


def test_it_costs_what_it_says_and_checks_cells(random_judge, comparison, judgement):
    seen = []
    asked = Request(method="windows", level="word", check=True)
    e = explain(random_judge, comparison, judgement, asked, on_step=lambda *s: seen.append(s))
    assert (
        seen[-1] == (e.points, e.points)
        and e.points == plan(random_judge, comparison, judgement, asked).points
    )
    assert e.faithfulness.regions and len(e.faithfulness.regions.names) == 5  # a tenth of 6 x 8, rounded up


def test_a_picture_is_read_beside_words_and_prompt(random_judge, comparison, judgement):
    """A point in which words, prompt and cells are gone at once: the same as the token forward of the painted picture."""
    with random_judge.lock, torch.no_grad():
        forward = prepare(
            random_judge, comparison, judgement, Request(method="windows", level="word")
        ).forward
        f = forward.features
        z = forward.ones().repeat(3, 1)
        z[0, f.prompt] = z[0, 0] = z[1, 2] = 0
        z[0, f.text_count : f.text_count + 20] = 0
        found = forward(z)
        painted = repainted(comparison.load_image(), f.grid, z[0, f.regions].tolist())
        other = replace(comparison, image=painted)
        plain = prepare(random_judge, other, judgement, Request(method="ablation", level="word")).forward
        one = plain.ones()
        one[0, f.prompt] = one[0, 0] = 0
        assert float(found[0]) == pytest.approx(float(plain(one)), abs=1e-5)
        with pytest.raises(RecordError, match="no gradients"):
            forward(z.requires_grad_())


def test_the_picture_stays_as_it_is_where_only_responses_vary(random_judge, comparison, judgement):
    e = explain(random_judge, comparison, judgement, method="windows", scope="responses", check=False)
    assert not np.any(e.patch_values) and np.any(e.token_values[0])


def test_a_gate_can_be_explained_by_windows(random_judge, comparison, judgement):
    e = explain(random_judge, comparison, judgement, target="gate:colour", method="windows", check=False)
    assert np.any(e.patch_values) and not np.any(e.token_values[0])


def test_only_judges_that_can_be_shown_other_pictures_offer_it(random_judge):
    assert "windows" in methods_for(random_judge) and ScalarJudge.rewords


def test_cells_are_finer_than_tokens_and_never_too_many():
    assert cells(4, 4, (112, 112)) == (8, 8)
    for rows, columns in ((1, 1), (1, 30), (3, 4), (16, 16), (40, 64)):
        found = cells(rows, columns, (2000, 2000))
        assert min(found) >= 1 and max(found) <= FINEST
    assert cells(4, 4, (8, 5)) == (5, 8)  # never finer than pixels


def test_presences_between_mix_with_grey():
    image = Image.new("RGB", (10, 7), (228, 28, 128))
    half = np.asarray(repainted(image, (2, 3), [1, 0.5, 0, 1, 1, 1]))
    assert half[0, 0].tolist() == [228, 28, 128] and half[0, 5].tolist() == [178, 78, 128]
    assert half[0, 9].tolist() == list(GREY) and half[6, 9].tolist() == [228, 28, 128]
