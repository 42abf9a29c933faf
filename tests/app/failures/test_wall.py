"""The wall of pictures in a browser: marking, filters by pressing, judges side by side, there and back, hostile texts."""

import base64
import io
import json
import random
import re
from collections import Counter

import httpx
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from playwright.sync_api import expect

from core.benchmarks import BENCHMARKS
from core.images import to_png_bytes
from core.records import JudgeCard, Judgement, Vote
from core.runs.library import BUNDLED
from core.runs.runner import Job, run
from core.runs.said import SAID_CHOICES
from core.taxonomy import DIMENSIONS, NUM_DIMENSIONS
from tests.app.conftest import started

pytestmark = pytest.mark.browser
EVIL = "<img src=x onerror=\"document.title='pwned'\"><script>document.title='pwned'</script>${alert(1)}{{7*7}}\" onclick=\"x"
ROWS = 60
CURRENT = "#wall a[aria-current=true]"


@pytest.fixture
def page(browser):
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    yield page
    page.close()


@pytest.fixture
def phone(browser):
    page = browser.new_page(viewport={"width": 390, "height": 844})
    yield page
    page.close()


def stored(name):
    return pd.read_parquet(BUNDLED / "scene" / name / "judgements.parquet")


def worst(table):
    """Row numbers of mistakes, the most confident first."""
    wrong = table[~table["outcome"].isin(["right", "missing", "unlabelled"])]
    return wrong.sort_values(["margin", "row"])["row"].tolist()


def rows_on(page):
    return [int(a.get_attribute("data-row")) for a in page.locator("#wall a[data-row]").all()]


def inside(page, what, box):
    """Whether an element lies within another one and within the window, so that it can be seen."""
    return page.evaluate(
        """([what, box]) => {
            const a = document.querySelector(what).getBoundingClientRect(), b = document.querySelector(box).getBoundingClientRect();
            return a.top >= Math.max(b.top, 0) - 4 && a.bottom <= Math.min(b.bottom, innerHeight) + 4;
        }""",
        [what, box],
    )


# -- the bundled runs ----------------------------------------------------------------------------------------


def test_three_clicks_from_the_front_page_to_a_failure_explained(page, server):
    page.goto(server)
    expect(page.locator(".verdict").first).to_be_visible(timeout=60_000)
    page.get_by_role("link", name="Failures", exact=True).click()  # 1
    row = worst(stored("vl-mdr"))[2]
    page.locator(f"#wall a[data-row='{row}']").click(timeout=60_000)  # 2
    expect(page.locator("#item .item-head")).to_contain_text(f"row {row} ")
    expect(page.locator("#item .said")).to_contain_text("the model is wrong here")
    expect(page.locator("#item .side .badge.label")).to_have_count(1)
    expect(page.locator("#item .image-ablation-bars .chart li")).to_have_count(3)
    page.locator(".inspect-link").click()  # 3
    expect(page.locator(".verdict")).to_contain_text("The label prefers", timeout=60_000)


def test_a_picture_has_a_name_a_size_and_comes_when_it_is_seen(page, server):
    page.goto(server + "failures")
    first = page.locator("#wall a[data-row]").first
    expect(first).to_be_visible(timeout=60_000)
    row = worst(stored("vl-mdr"))[0]
    expect(first).to_have_accessible_name(re.compile(rf"Row {row} .*label [AB].*judge [AB].*-\d"))
    for name, value in {"loading": "lazy", "width": "120", "height": "120", "alt": f"Row {row}"}.items():
        expect(first.locator("img")).to_have_attribute(name, value)
    page.wait_for_function("document.querySelector('#wall img').naturalWidth > 0")
    address = server + first.locator("img").get_attribute("src")
    answer = httpx.get(address)
    assert answer.headers["content-type"] == "image/webp" and len(answer.content) < 12_000
    assert max(Image.open(io.BytesIO(answer.content)).size) == 240


@pytest.mark.parametrize(
    "query", ["", "run=scene/vl-mdr", "run=../../etc&row=1", "run=scene/vl-mdr&row=-1", "run=scene/vl-mdr&row=99999999", "run=scene/vl-mdr&row=1e9",
              "run=scene/vl-mdr&row=%D9%A1" + "0" * 30, "run=%00&row=0", "run=scene/vl-mdr-blind&row=3"],
)  # fmt: skip
def test_what_there_is_no_picture_of_is_drawn_as_such(server, query):
    answer = httpx.get(f"{server}thumbnail?{query}")
    assert answer.status_code == 200 and "no picture" in answer.text
    assert (
        answer.headers["content-type"].startswith("image/svg")
        and answer.headers["cache-control"] == "no-store"
    )


def test_j_and_k_mark_the_current_one_and_scroll_it_into_view(page, server):
    page.goto(server + "failures")
    expected = worst(stored("vl-mdr"))
    expect(page.locator("#item .item-head")).to_contain_text(f"row {expected[0]} ", timeout=60_000)
    assert rows_on(page) == expected[:25]
    for row in expected[1:13]:
        page.keyboard.press("j")
        expect(page.locator(CURRENT)).to_have_attribute("data-row", str(row))
        assert page.locator(CURRENT).count() == 1
    assert inside(page, CURRENT, "#wall")
    expect(page.locator("#item .item-head")).to_contain_text(f"row {expected[12]} ")
    for row in expected[11:7:-1]:
        page.keyboard.press("k")
        expect(page.locator(CURRENT)).to_have_attribute("data-row", str(row))
    assert inside(page, CURRENT, "#wall") and f"row={expected[8]}" in page.url


def test_j_goes_on_over_the_edge_of_a_page_and_k_comes_back(page, server):
    expected = worst(stored("vl-mdr"))
    page.goto(f"{server}failures?run=scene/vl-mdr&page=0&row={expected[24]}")
    expect(page.locator(CURRENT)).to_have_attribute("data-row", str(expected[24]), timeout=60_000)
    page.keyboard.press("j")
    expect(page.locator(CURRENT)).to_have_attribute("data-row", str(expected[25]))
    assert rows_on(page) == expected[25:]
    page.keyboard.press("k")
    expect(page.locator(CURRENT)).to_have_attribute("data-row", str(expected[24]))


def test_a_link_to_a_record_opens_the_page_on_which_it_stands(page, server):
    expected = worst(stored("vl-mdr"))
    page.goto(f"{server}failures?run=scene/vl-mdr&row={expected[26]}")
    expect(page.locator(CURRENT)).to_have_attribute("data-row", str(expected[26]), timeout=60_000)
    assert rows_on(page) == expected[25:]
    right = int(stored("vl-mdr").query("outcome == 'right'")["row"].iloc[0])  # not among the mistakes
    page.goto(f"{server}failures?run=scene/vl-mdr&row={right}")
    expect(page.locator("#item .item-head")).to_contain_text(f"row {right} ", timeout=60_000)
    expect(page.locator("#wall")).to_contain_text(f"Row {right}, shown beside, is not among these.")


def test_the_cells_of_two_judges_are_counted_right_and_show_their_records(page, server):
    a, b = stored("vl-mdr"), stored("scalar")
    both = a.merge(b, on=["row", "key"], suffixes=("", "_b"))
    both = both[
        both["outcome"].isin(["right", "wrong", "tie"]) & both["outcome_b"].isin(["right", "wrong", "tie"])
    ]
    mine, theirs = both["outcome"] == "right", both["outcome_b"] == "right"
    cells = [both[mine & theirs], both[mine & ~theirs], both[~mine & theirs], both[~mine & ~theirs]]
    page.goto(server + "failures?run=scene/vl-mdr&other=scene/scalar")
    buttons = page.locator("#crosstab button")
    expect(buttons).to_have_count(4, timeout=60_000)
    assert [int(t.replace(",", "")) for t in buttons.all_inner_texts()] == [len(c) for c in cells]
    for i, cell in enumerate(cells):
        buttons.nth(i).click()
        expect(buttons.nth(i)).to_have_attribute("aria-pressed", "true")
        expect(page.locator("#summary")).to_contain_text(f"of {len(cell):,} records")
        expected = cell.sort_values(["margin", "row"])["row"].tolist()
        assert rows_on(page) == expected[:25]
        expect(page.locator("#item .said")).to_have_count(2)
    buttons.nth(3).click()  # again: all of them
    expect(buttons.nth(3)).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#summary")).to_contain_text(f"of {len(worst(a)):,} records")


def test_into_inspect_and_back_lands_at_the_same_place(page, server):
    page.goto(server + "failures?run=scene/vl-mdr&outcome=everything&subgroup=count&page=1")
    link = page.locator("#wall a[data-row]").nth(20)
    link.click(timeout=60_000)
    row = link.get_attribute("data-row")
    expect(page.locator("#item .item-head")).to_contain_text(f"row {row} ")
    prompt, url = page.locator("#item .prompt").inner_text(), page.url
    before = page.evaluate("[document.querySelector('#wall').scrollTop, scrollY]")
    assert before[0] > 0 and f"row={row}" in url
    page.locator(".inspect-link").click()
    expect(page.locator(".verdict")).to_contain_text("The label prefers", timeout=60_000)
    assert page.locator("#prompt textarea").input_value() == prompt
    page.go_back()
    expect(page.locator(CURRENT)).to_have_attribute("data-row", row, timeout=60_000)
    expect(page.locator("#item .item-head")).to_contain_text(f"row {row} ")
    assert page.url == url and page.locator("#subgroup input").input_value() == "count"
    page.wait_for_function(f"document.querySelector('#wall').scrollTop === {before[0]}")
    assert page.evaluate("scrollY") == before[1]


def test_similar_errors_are_pictures_of_errors(page, server):
    page.goto(server + "failures")
    links = page.locator("#similar a")
    expect(links).to_have_count(14, timeout=60_000)
    expected = worst(stored("vl-mdr"))
    found = [int(re.search(r"row=(\d+)", a.get_attribute("href"))[1]) for a in links.all()]
    assert set(found) <= set(expected) - {expected[0]}
    links.nth(1).click()
    expect(page.locator("#item .item-head")).to_contain_text(f"row {found[1]} ", timeout=60_000)
    expect(page.locator(CURRENT)).to_have_attribute("data-row", str(found[1]))
    page.go_back()
    expect(page.locator("#item .item-head")).to_contain_text(f"row {expected[0]} ", timeout=60_000)


def test_the_keyboard_alone_opens_a_record(page, server):
    page.goto(server + "failures")
    third = page.locator("#wall a[data-row]").nth(2)
    expect(third).to_be_visible(timeout=60_000)
    page.locator("#wall a[data-row]").first.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(third).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#item .item-head")).to_contain_text(f"row {third.get_attribute('data-row')} ")
    expect(third).to_be_focused()  # and the wall stayed as it was
    page.keyboard.press("j")
    expect(page.locator("#wall a[data-row]").nth(3)).to_be_focused()


def test_a_phone_shows_wall_or_record_and_back_leads_to_the_wall(phone, server):
    phone.goto(server + "failures")
    shot = phone.locator("#wall a[data-row]").nth(7)
    expect(shot).to_be_visible(timeout=60_000)
    expect(phone.locator("#filters")).to_be_hidden()
    expect(phone.locator("#detail")).to_be_hidden()
    shot.click()
    expect(phone.locator("#detail")).to_be_visible()
    expect(phone.locator("#item .item-head")).to_contain_text(f"row {shot.get_attribute('data-row')} ")
    expect(phone.locator("#pictures")).to_be_hidden()
    phone.go_back()
    expect(phone.locator("#pictures")).to_be_visible()
    expect(phone.locator(CURRENT)).to_be_in_viewport()
    phone.locator(CURRENT).click()
    expect(phone.locator("#detail")).to_be_visible()
    phone.locator("#to-wall").click()
    expect(phone.locator("#pictures")).to_be_visible()
    phone.locator("#fold").click()
    expect(phone.locator("#filters")).to_be_visible()
    expect(phone.locator("#fold")).to_have_attribute("aria-expanded", "true")


def test_what_is_pressed_on_a_phone_is_large_enough(phone, server):
    phone.goto(server + "failures?run=scene/vl-mdr&other=scene/scalar")
    expect(phone.locator("#crosstab button")).to_have_count(4, timeout=60_000)
    small = """() => [...document.querySelectorAll('#pictures button, #pictures a, #walk button, #walk a, #item a, #similar a')]
        .filter(e => e.getClientRects().length).map(e => [e.id || e.textContent.trim(), e.getBoundingClientRect()])
        .filter(([, r]) => Math.min(r.width, r.height) < 43.9).map(([name]) => name)"""
    assert phone.evaluate(small) == []
    phone.locator("#wall a[data-row]").first.click()
    expect(phone.locator("#item .inspect-link")).to_be_visible()
    assert phone.evaluate(small) == []
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390


# -- three kinds of judge over hostile data ------------------------------------------------------------------


class Drawn:
    """A judge of some kind whose opinions are drawn from its name and the prompt."""

    def __init__(self, kind):
        dimensions = DIMENSIONS if kind == "gated" else ()
        self.card = JudgeCard(
            kind, f"{kind} {EVIL}", kind, reads_images=False, top_k=3, dimensions=dimensions
        )

    def judge(self, comparison):
        rng = np.random.default_rng([len(self.card.kind), *comparison.prompt.encode()[-8:]])
        if self.card.kind == "gated":
            logits, scores = rng.normal(size=NUM_DIMENSIONS), rng.normal(size=(2, NUM_DIMENSIONS))
            selected = tuple(int(d) for d in np.argsort(-logits)[:3])
            weights = np.zeros(NUM_DIMENSIONS)
            weights[list(selected)] = 1 / 3
            return Judgement(comparison.id, "gated", tuple(scores @ weights), tuple(logits), (), selected, tuple(weights),
                             tuple(map(tuple, scores)), dimensions=DIMENSIONS)  # fmt: skip
        margin, votes, text = float(rng.normal()), (), ""
        if self.card.kind == "generative":
            text = f"I looked at it. {EVIL}"
            votes = tuple(Vote((0, 1), text, int(c), float(rng.normal())) for c in rng.integers(0, 2, 3))
        return Judgement(comparison.id, self.card.kind, (margin / 2, -margin / 2), critique=text, votes=votes)

    def judge_batch(self, comparisons):
        return [self.judge(c) for c in comparisons]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A server without a model over three runs of the same hostile file. Gives its address and the folder of the runs."""
    folder, rng = tmp_path_factory.mktemp("wall"), random.Random(0)
    rows = []
    for i in range(ROWS):
        colour = tuple(rng.randrange(256) for _ in range(3))
        picture = base64.b64encode(to_png_bytes(Image.new("RGB", (64, 40), colour))).decode()
        rows.append({"id": f"{i}{EVIL}", "image": picture, "prompt": f"{EVIL} {i}", "responses": [f"one {EVIL}", f"two {EVIL} {i}"],
                     "preferred": rng.randrange(2), "category": EVIL})  # fmt: skip
    (folder / "d.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    for kind in ("gated", "scalar", "generative"):
        run(Job(BENCHMARKS["own"].open(folder / "d.jsonl"), Drawn(kind), folder / "runs" / kind))
    with started(folder, "--replay", str(folder / "runs")) as (url, _):
        yield url, folder / "runs"


def test_three_judges_stand_side_by_side_each_with_what_it_rests_on(page, made):
    url, runs = made
    page.goto(
        url
        + "failures?run=gated&other=scalar&third=generative&outcome=everything&sort=order+of+the+data&row=4"
    )
    judges = page.locator("#item .judges .said")
    expect(judges).to_have_count(3, timeout=60_000)
    assert len({round(j.bounding_box()["x"]) for j in judges.all()}) >= 2  # beside one another
    expect(judges.nth(0).locator(".chart li")).to_have_count(4)  # three dimensions and the margin
    expect(judges.nth(1).locator(".chart li")).to_have_count(2)  # two rewards
    expect(judges.nth(2).locator(".critique").first).to_contain_text("I looked at it.")
    for i, name in enumerate(("gated", "scalar", "generative")):
        row = pd.read_parquet(runs / name / "judgements.parquet").query("row == 4").iloc[0]
        expect(judges.nth(i).locator(".badge").first).to_have_text(row["outcome"])
        expect(judges.nth(i)).to_contain_text(f"{row['margin']:+.2f}")
    choose(page, "third", "none")
    expect(judges).to_have_count(2)


def choose(page, name, option):
    page.locator(f"#{name} input").first.click()
    page.get_by_role("option", name=option, exact=True).first.click()


def test_the_filter_of_what_it_says_against_what_it_decides(page, made):
    url, runs = made
    expected = {name: [] for name in SAID_CHOICES}
    for r in pd.read_parquet(runs / "generative" / "judgements.parquet").itertuples():
        ranked = Counter(v["choice"] for v in r.votes).most_common()
        says_right, decides_right = (
            ranked[0][0] == r.preferred,
            r.outcome == "right",
        )  # of three votes for two one has more
        if says_right != decides_right:
            expected[SAID_CHOICES[0 if says_right else 1]].append(r.row)
    page.goto(url + "failures?run=generative&outcome=everything&sort=order+of+the+data")
    expect(page.locator("#wall a[data-row]").first).to_be_visible(timeout=60_000)
    for name, rows in expected.items():
        assert rows
        choose(page, "said", name)
        expect(page.locator("#summary")).to_contain_text(f"of {len(rows)} records")
        assert rows_on(page) == rows[:25]
        expect(page.locator("#item .said .badge.differs").last).to_have_text(
            re.compile("says [AB], decides [AB]")
        )
    choose(page, "run", re.compile("^scalar"))
    expect(page.locator("#said")).to_be_hidden()


def test_hostile_texts_on_the_wall_do_nothing(page, made):
    url, _ = made
    wrong = []
    page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("requestfailed", lambda r: wrong.append(r.url) if "/gradio_api/" not in r.url else None)
    page.goto(url + "failures?run=gated&other=scalar&third=generative&outcome=everything")
    expect(page.locator("#item .said")).to_have_count(3, timeout=60_000)
    page.locator("#crosstab button").nth(1).click()
    expect(page.locator("#crosstab button").nth(1)).to_have_attribute("aria-pressed", "true")
    page.locator("#wall a[data-row]").nth(1).click()
    page.keyboard.press("j")
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    page.wait_for_timeout(800)
    assert page.title() == "Failures · Rewardscope" and not wrong
    assert (
        page.locator("#browser script, #browser [onerror], #browser [onclick], #browser img[src=x]").count()
        == 0
    )
    for place in (
        "#wall .asked",
        "#item .prompt",
        "#item .side p",
        "#item .critique",
        "#crosstab th[scope=col]",
        "#item h3",
    ):
        assert "<img src=x" in page.locator(place).first.inner_text(), place
    assert "49" not in page.locator("#item .prompt").inner_text()  # and no template is filled


def test_a_filter_that_cannot_be_says_so_and_what_was_shown_stays(page, made):
    url, _ = made
    page.goto(url + "failures?run=gated&outcome=everything")
    expect(page.locator("#wall a[data-row]").first).to_be_visible(timeout=60_000)
    shown = rows_on(page)
    page.get_by_role("button", name="More filters").click()
    page.locator("#low textarea, #low input").first.fill("much")
    page.keyboard.press("Enter")
    expect(page.locator("#summary [role=alert]")).to_have_text("'much' is not a number.")
    assert rows_on(page) == shown and page.locator("#item .prompt").count() == 1
    page.locator("#low textarea, #low input").first.fill("")
    page.keyboard.press("Enter")
    expect(page.locator("#summary")).to_contain_text(f"of {ROWS} records")
