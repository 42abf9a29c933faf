"""The picture's map: interpolation against a plain loop, nothing drawn where nothing was measured, and what its bar says."""

import base64
import io
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from app.common import region_map
from app.common.charts import FIRST, SECOND
from tests.app.common.test_heat import explanation

WHITE = Image.new("RGB", (40, 40), "white")
GRIDS = st.integers(1, 5).flatmap(
    lambda n: st.lists(st.lists(st.floats(-9, 9), min_size=n, max_size=n), min_size=1, max_size=5)
)


def rgb(colour):
    return [int(colour[i : i + 2], 16) for i in (1, 3, 5)]


@settings(max_examples=60, deadline=None)
@given(GRIDS, st.sampled_from((1, 3, 7)))
def test_a_cell_centre_has_the_cells_own_value_and_nothing_exceeds_the_measured(values, odd):
    rows, columns = len(values), len(values[0])
    found = region_map.field(values, (columns * odd, rows * odd))
    middles = found[
        odd // 2 :: odd, odd // 2 :: odd
    ]  # of odd cells the middle of a pixel is that of its cell
    assert np.allclose(middles, values, atol=1e-9)
    assert found.min() >= np.min(values) - 1e-9 and found.max() <= np.max(values) + 1e-9


@settings(max_examples=30, deadline=None)
@given(GRIDS, st.integers(5, 17), st.integers(5, 17))
def test_between_centres_is_the_two_way_linear_mean(values, width, height):
    def at(length, parts, pixel):
        x = min(max((pixel + 0.5) * parts / length - 0.5, 0), parts - 1)
        low = min(int(x), parts - 1)
        return low, min(low + 1, parts - 1), x - low

    rows, columns = len(values), len(values[0])
    found = region_map.field(values, (width, height))
    for y in range(height):
        r, below, v = at(height, rows, y)
        for x in range(width):
            c, right, u = at(width, columns, x)
            plain = (1 - v) * ((1 - u) * values[r][c] + u * values[r][right]) + v * (
                (1 - u) * values[below][c] + u * values[below][right]
            )
            assert found[y, x] == pytest.approx(plain, abs=1e-9)


def test_purple_speaks_for_the_first_and_orange_for_the_second_in_the_right_places():
    found = np.asarray(region_map.drawn(WHITE, ((0.0, -0.4), (0.0, 0.8)), 0.8)).astype(int)
    ground = np.asarray(region_map.greyed(WHITE)).astype(int)
    assert (found[5, 5] == ground[5, 5]).all() and (found[35, 5] == ground[35, 5]).all()
    alpha = region_map.STRONGEST
    full = ground[35, 35] + (np.array(rgb(FIRST)) - ground[35, 35]) * alpha
    assert np.abs(found[37, 37] - full).max() <= 1
    half = alpha * (0.5 - region_map.LEAST) / (1 - region_map.LEAST)
    plain = ground[2, 37] + (np.array(rgb(SECOND)) - ground[2, 37]) * half
    assert found[2, 37, 0] > found[2, 37, 2] and np.abs(found[12, 37] - plain).max() < 90  # a contour is near


def test_contours_run_where_the_value_is_a_quarter_half_and_three_quarters_of_full():
    share = np.repeat(np.linspace(-1, 1, 401)[None], 9, axis=0)
    lines = region_map.contours(share)
    at = np.flatnonzero(lines[4] > 0.5)
    levels = np.unique(np.round(share[0, at] * 4) / 4)
    assert levels.tolist() == [-0.75, -0.5, -0.25, 0.25, 0.5, 0.75]
    assert np.abs(share[0, at] - np.round(share[0, at] * 4) / 4).max() < 0.01
    assert not region_map.contours(np.full((9, 9), 0.5)).any()  # a plateau is no line


def test_a_tie_and_zero_effects_leave_the_greyed_picture():
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 30, 3), dtype="uint8"))
    plain = region_map.greyed(picture).tobytes()
    nothing = explanation(regions=((0.0, -0.0), (0.0, 0.0)))
    tie = explanation(target_value=0.001)
    for e in (nothing, tie):
        full = region_map.scale(e)
        assert region_map.drawn(picture, e.patch_values, full).tobytes() == plain
    page = str(region_map.map_html(WHITE, tie, (0, 1)))
    assert "colour-bar" not in page and "inf" not in re.sub(r'src="[^"]*"', "", page)
    assert "no region has a part in it" in region_map.map_html(WHITE, nothing, (0, 1))


def test_full_colour_is_the_largest_region_but_never_next_to_nothing():
    assert region_map.scale(explanation()) == 0.5
    assert region_map.scale(explanation(regions=((0.01, 0.0), (0.0, 0.0)))) == region_map.PALEST
    loud = explanation(((9.0, 0.0), (0.0, 0.0)), ((0.3, 0.0), (0.0, 0.0)))
    assert region_map.scale(loud) == pytest.approx(
        0.9
    )  # regions beside words thirty times as strong stay pale


def test_the_bar_has_numbers_and_the_targets_own_ends():
    page = str(region_map.map_html(WHITE, explanation(), (0, 2)))
    assert re.findall(r"<span>([-+]?[0-9.]+)</span>", page) == ["+0.50", "+0.25", "0.00", "-0.25", "-0.50"]
    assert page.index("speaks for A") < page.index("speaks for C")  # the first response stands on the left
    assert "adds to the margin A − B" in page and "speaks for C" in page
    gate = explanation(target_key="gate:counting", target="Counting gate logit")
    page = str(region_map.map_html(WHITE, gate, (0, 1)))
    assert "raises the Counting gate" in page and "speaks for" not in page
    assert page.index("lowers the Counting gate") < page.index("raises the Counting gate")
    assert re.findall(r"<span>([-+]?[0-9.]+)</span>", page)[0] == "-0.50"
    steps = [rgb(c) for c in region_map.colours()]
    assert steps[5] == [region_map.GREY] * 3 and steps[0][0] > steps[0][2] and steps[-1][2] > steps[-1][0]


def test_the_caption_says_the_grid_and_how_windows_are_spread():
    assert "2 × 2 regions; smooth between" in region_map.grid_words(explanation())
    fine = explanation(regions=tuple((0.1,) * 9 for _ in range(6)), method_key="windows")
    assert "6 × 9 cells, each the mean over the grey windows of 2 × 2 cells" in region_map.grid_words(fine)
    assert "windows of 2 × 2 regions" in region_map.grid_words(explanation(method_key="occlusion"))


def test_the_original_is_on_the_page_exactly():
    picture = Image.fromarray(np.random.default_rng(1).integers(0, 255, (33, 47, 3), dtype="uint8"))
    page = str(region_map.map_html(picture, explanation(), (0, 1)))
    data = re.search(r'class="given" src="data:image/webp;base64,([^"]+)"', page)[1]
    assert Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB").tobytes() == picture.tobytes()
    assert "<script" not in page and "http" not in page
