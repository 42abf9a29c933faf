"""Every number in a figure is a number of the record; no text becomes markup."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from app.common import figures, heat, words
from core.model.ood import OODScore
from core.records import Comparison, Explanation, Judgement
from core.taxonomy import DIMENSIONS, INDEX, NAMES


def judgement(
    scores=((2.0, 1.0, 0.5), (0.0, 1.5, 0.5)), weights=(0.6, 0.3, 0.1), keys=("counting", "colour", "format")
):
    selected = tuple(INDEX[k] for k in keys)
    table = [[0.0] * 21 for _ in scores]
    weight = [0.0] * 21
    for n, row in enumerate(scores):
        for d, s, w in zip(selected, row, weights, strict=True):
            table[n][d], weight[d] = s, w
    rewards = tuple(sum(a * b for a, b in zip(weight, row, strict=True)) for row in table)
    relevance = tuple(0.9 if d in selected else 0.1 for d in range(21))
    return Judgement(
        "c", "j", rewards, (0.0,) * 21, relevance, selected, tuple(weight), tuple(map(tuple, table)),
        dimensions=DIMENSIONS,
    )  # fmt: skip


def explanation(
    texts=("two stars", "five"), values=((0.5, -0.25), (1.0,)), patches=((0.1, -0.2), (0.0, 0.8))
):
    tokens = tuple(tuple((m.group(), m.start(), m.end()) for m in re.finditer(r"\S+", t)) for t in texts)
    return Explanation("c", "margin A − B", "Integrated gradients", "grey", 32, tokens, values, patches, 0.1, 0.0, 2.0,
                       0.5, 0.01, 0.3, "float32")  # fmt: skip


def comparison(*responses):
    return Comparison("c", Image.new("RGB", (40, 40)), "How many?", responses)


def test_the_waterfall_adds_up_to_the_margin():
    j = judgement()
    bars = figures.waterfall(j, 0, 1).data[0]
    assert sum(bars.x[:-1]) == pytest.approx(bars.x[-1]) == pytest.approx(j.margin(0, 1))
    assert list(bars.measure) == ["relative"] * 3 + ["total"]


def test_the_gates_show_all_21_and_mark_the_selected():
    j = judgement()
    bars = figures.gates(j).data[0]
    shown = {n.removeprefix("● "): x for n, x in zip(bars.y, bars.x, strict=True) if x is not None}
    assert shown == dict(zip(NAMES, j.relevance, strict=True))
    assert {n for n in bars.y if n.startswith("●")} == {"● Counting", "● Colour", "● Format"}


def test_the_scores_are_those_of_every_response():
    j = judgement()
    bars = figures.scores(j).data
    assert [list(b.y) for b in bars] == [[j.scores[n][d] for d in j.selected] for n in (0, 1)]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        (
            ((2, 1, 0.5), (0, 1, 0.5)),
            "The model prefers A (77%). Nearly all of the gap is Counting: it rates B's number as wrong.",
        ),
        (
            ((0, 1, 0.5), (2, 1, 0.5)),
            "The model prefers B (77%). Nearly all of the gap is Counting: it rates A's number as wrong.",
        ),
        (
            ((2, 3, 0.5), (0, 0, 0.5)),
            "The model prefers A (89%). Most of the gap is Counting: it rates B's number as wrong.",
        ),
        (((1, 1, 1), (1, 1, 1)), "A tie: the model rates A and B alike."),
    ],
)
def test_the_verdict_in_words(scores, expected):
    assert words.verdict(comparison("x", "y"), judgement(scores), 0, 1) == expected


def test_identical_responses_tie():
    assert "same text" in words.verdict(comparison("x", "x "), judgement(), 0, 1)


def test_a_warning_only_where_it_is_due():
    assert words.warning(None) is None
    assert words.warning(OODScore(1.0, 2.0, False, "m")) is None
    assert "Out-of-distribution image" in words.warning(OODScore(3.0, 2.0, True, "m"))


@given(st.text(max_size=80), st.randoms())
def test_words_keep_the_text_and_the_sum(text, rng):
    tokens = tuple((m.group(), m.start(), m.end()) for m in re.finditer(r"\s*\S{1,3}", text))
    values = tuple(rng.uniform(-1, 1) for _ in tokens)
    found = heat.words_of(tokens, values, text)
    assert "".join(w for w, _ in found) == text
    assert sum(v for _, v in found) == pytest.approx(sum(values))


def test_markup_in_a_response_stays_text():
    evil = "<script>alert(1)</script><img/src=x> ${6*7} {{x}}"
    tokens = tuple((m.group(), m.start(), m.end()) for m in re.finditer(r"\S+", evil))
    e = explanation((evil, "b"), ((1.0, -1.0, 0.5)[: len(tokens)], (0.1,)))
    page = heat.explanation_html(Image.new("RGB", (40, 40)), e, (evil, "b"), (0, 1))
    assert "<script" not in page and "<img/src" not in page and "&lt;script&gt;" in page


def test_the_overlay_tints_the_right_region():
    white = Image.new("RGB", (40, 40), "white")
    found = np.asarray(heat.overlay(white, explanation(), 0.8)).astype(int)
    change = np.abs(found - 255).sum(-1)
    assert change[30, 30] > change[5, 30] > change[5, 5] >= change[30, 5] == 0
    red, _, blue = found[5, 30]
    assert red > blue  # negative: orange
    red, _, blue = found[30, 30]
    assert blue > red  # positive: blue
