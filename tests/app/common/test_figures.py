"""Every number in a figure is a number of the record; no text becomes markup."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from app.common import charts, figures, heat, words
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
    *parts, total = figures.waterfall(j, 0, 1).rows
    assert sum(r.end - r.start for r in parts) == pytest.approx(total.end) == pytest.approx(j.margin(0, 1))
    assert [r.start for r in parts[1:]] == [r.end for r in parts[:-1]] and total.start == 0


def test_the_gates_show_all_21_and_mark_the_selected():
    j = judgement()
    rows = figures.gates(j).rows
    assert {r.name.removeprefix("● "): r.end for r in rows if r.end is not None} == dict(
        zip(NAMES, j.relevance, strict=True)
    )
    assert {r.name for r in rows if r.name.startswith("●")} == {"● Counting", "● Colour", "● Format"}


def test_the_scores_are_those_of_every_response():
    j = judgement()
    shown = [r.end for r in figures.scores(j).rows if r.end is not None]
    assert shown == [j.scores[n][d] for d in j.selected for n in (0, 1)]


def test_a_bar_lies_where_its_number_is():
    rows = charts.Rows(
        (charts.Row("a", 5.0, 0.0, "five"), charts.Row("b", -5.0, 0.0, "less")), span=(-5.0, 5.0)
    )
    drawn = rows.html()
    places = re.findall(r'class="bar" style="left: ([\d.]+)%; right: calc\(100% - ([\d.]+)%\)', drawn)
    assert [tuple(map(float, p)) for p in places] == [(50.0, 100.0), (0.0, 50.0)]
    assert drawn.count('class="zero" style="left: 50.00%"') == 2


def test_numbers_that_are_none_and_texts_that_are_markup_are_drawn_harmlessly():
    evil = '<script>alert(1)</script>" onmouseover=x'
    rows = charts.Rows(
        (charts.Row(evil, float("nan"), title=evil), charts.Row(evil, 1.0, text=evil)),
        evil,
        legend=((evil, "#000"),),
    )
    cells = charts.Cells(((0.0, -1.0), (1.0, 0.2)), 1.0, (evil, "b"), (evil, "d"), evil)
    points = charts.Points(((0.5, 0.5, evil, "#000"),), (0, 1), (0, 1), (evil, evil))
    for drawn in (
        rows.html(),
        cells.html(),
        points.html(),
        charts.Rows(()).html(),
        charts.Points((), (0, 1), (0, 1), ("x", "y")).html(),
    ):
        assert "<script" not in drawn and '" onmouseover' not in drawn and "nan" not in drawn


@pytest.mark.parametrize(
    ("span", "ticks"),
    [((0, 1), (0, 0.2, 0.4, 0.6, 0.8, 1)), ((-6, 6), (-5, 0, 5)), ((0, 870), (0, 200, 400, 600, 800))],
)
def test_ticks_are_round(span, ticks):
    assert charts.round_ticks(*span) == pytest.approx(ticks)


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


@given(st.floats(-1, 1))
def test_numbers_in_a_map_can_be_read_on_their_colour(value):
    """WCAG 2.2 AA: a contrast of 4.5, by its formula for relative luminance."""
    style = re.search(r"background: (#\w{6}); color: (#\w{3})", charts.Cells(((value,),), 1.0).html())

    def luminance(colour):
        colour = colour if len(colour) == 7 else "#" + "".join(2 * c for c in colour[1:])
        parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ [
            0.2126,
            0.7152,
            0.0722,
        ]

    light, dark = sorted((luminance(style[1]), luminance(style[2])), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5
