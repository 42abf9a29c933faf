"""What is taken away: a page that fetches and runs nothing, and figures whose numbers are the record's."""

import io
import re
import warnings
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from app.common import export
from app.common.export import Exported
from app.common.html import signed
from core.records import Comparison, JudgeCard, Judgement
from core.taxonomy import DIMENSIONS
from tests.app.common.test_figures import judgement
from tests.app.common.test_heat import explanation

CARD = JudgeCard("vl-mdr", "Scene model", "gated", dimensions=DIMENSIONS)
EVIL = """<script>alert(1)</script><img src=x onerror=alert(1)>"'></style></title> ${7*7} {{7*7}} $\\frac{1}{0}$ javascript:alert(1)"""


class Tags(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, k, v) for k, v in attrs]


def shown(texts=("red star", "blue star"), e=None, **more):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype="uint8"))
    j = judgement()
    c = Comparison("abc123", picture, more.pop("prompt", "Which star?"), texts)
    return Exported(c, j, e or explanation(), (0, 1), more.pop("card", CARD), **more)


def test_a_page_runs_nothing_and_fetches_nothing():
    page = export.page(shown())
    found = Tags(page)
    assert not {"script", "iframe", "object", "embed", "link", "base", "form"} & set(found.tags)
    for tag, key, value in found.attributes:
        assert not key.startswith("on")
        if key in ("src", "href", "srcset", "action"):
            assert tag == "img" and key == "src" and value.startswith("data:image/webp;base64,")
    policy = next(v for t, k, v in found.attributes if k == "content" and "default-src" in (v or ""))
    assert policy.startswith("default-src 'none'; img-src data:") and "script-src" not in policy
    assert "url(" not in page and "@import" not in page and "http" not in re.sub(r'http-equiv="', "", page)


def test_hostile_texts_stay_texts_everywhere():
    dims = tuple(replace(d, name=EVIL) for d in DIMENSIONS)
    s = shown((EVIL, EVIL), prompt=EVIL, card=replace(CARD, name=EVIL, backbone=EVIL))
    s = replace(s, judgement=replace(s.judgement, dimensions=dims, critique=EVIL))
    page = export.page(s)
    found = Tags(page)
    assert not {"script", "iframe"} & set(found.tags) and not [
        k for _, k, _ in found.attributes if k.startswith("on")
    ]
    assert found.tags.count("style") == found.tags.count("title") == 1 and "&lt;script&gt;" in page
    assert "{{7*7}}" in page.replace("&#123;", "{") and " 49" not in page
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        root = ET.fromstring(export.figure(s, "svg"))
    tags = {el.tag.rpartition("}")[2] for el in root.iter()}
    assert not {"script", "foreignObject", "a"} & tags
    for el in root.iter():
        for key, value in el.attrib.items():
            name = key.rpartition("}")[2]
            assert not name.startswith("on")
            assert name != "href" or value.startswith(("#", "data:image/png;base64,"))
    assert any("<script>" in (el.text or "") for el in root.iter())  # as text


def test_a_figures_texts_are_texts_and_its_numbers_the_records():
    s = shown()
    svg = export.figure(s, "svg")
    said = [
        " ".join("".join(el.itertext()).split())
        for el in ET.fromstring(svg).iter()
        if el.tag.endswith("}text")
    ]
    parts = s.judgement.contributions(0, 1)
    for d, value in parts.items():
        assert s.judgement.dimensions[d].name in said and signed(value) in said
    assert signed(s.judgement.margin(0, 1)) in said and "margin A − B" in said and "+0.50" in said
    assert any("2 × 2 values" in t for t in said) and "Date" not in svg.decode() and len(svg) < 300_000
    assert svg == export.figure(s, "svg")  # the same figure is the same file


def test_a_png_is_large_enough_to_print():
    png = Image.open(io.BytesIO(export.figure(shown(), "png")))
    assert (
        png.size[0] == 2100 and round(png.info["dpi"][0]) == 300 and len(set(png.convert("L").tobytes())) > 50
    )


def test_matplotlibs_settings_are_left_as_they_were_and_pyplot_is_not_used():
    import sys

    import matplotlib

    before = dict(matplotlib.rcParams)
    export.figure(shown(), "svg")
    assert dict(matplotlib.rcParams) == before
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()


def test_a_tie_and_a_judge_without_dimensions_are_drawn_too():
    tie = replace(shown(), explanation=explanation(target_value=0.001))
    assert b"speaks for" not in export.figure(tie, "svg") and "This is a tie" in export.page(tie)
    s = shown()
    bare = replace(s, judgement=Judgement("c", "j", (1.0, -1.0)))
    assert b"what each dimension adds" not in export.figure(
        bare, "svg"
    ) and "What each dimension adds" not in export.page(bare)
    with pytest.raises(ValueError, match="press Explain"):
        export.figure(replace(bare, explanation=None), "png")


def test_without_a_map_the_page_shows_the_picture():
    page = export.page(replace(shown(), explanation=None))
    assert "No map was made." in page and page.count("<img") == 1
    s = shown()
    undecided = replace(s, explanation=None, judgement=Judgement("c", "j", (float("nan"),) * 2))
    page = export.page(undecided)
    assert "The model gave no verdict" in page and "reward nan" not in page and "preferred" not in page


def test_names_tell_what_is_inside_and_sizes_are_bounded():
    assert export.name(shown(), "svg") == "rewardscope-A-B-margin-ablation-abc123.svg"
    assert export.name(shown(e=explanation(target_key="gate:../../x")), "html").count("/") == 0
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 255, (3000, 4000, 3), dtype="uint8"))
    s = shown(("x " * 6000, "y " * 6000))
    s = replace(s, comparison=replace(s.comparison, image=noise), explanation=None)
    assert len(export.page(s)) < 800_000
