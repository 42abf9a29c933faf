"""A person at the Leaderboard and Failures pages."""

import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from playwright.sync_api import expect

from core.runs.library import BUNDLED, Library
from core.runs.shared import judges_among

pytestmark = pytest.mark.browser
SCENE = BUNDLED / "scene" / "vl-mdr"


@pytest.fixture
def page(browser):
    page = browser.new_page(viewport={"width": 1440, "height": 1000})
    yield page
    page.close()


def choose(page, name, option):
    page.locator(f"#{name} input").first.click()
    page.get_by_role("option", name=option, exact=True).first.click()


def unfold(page, title):
    page.get_by_role("button", name=title).click()


def mistakes():
    rows = pq.read_table(SCENE / "judgements.parquet", columns=["row", "outcome", "margin"]).to_pylist()
    wrong = [r for r in rows if r["outcome"] not in ("right", "missing", "unlabelled")]
    return sorted(wrong, key=lambda r: (r["margin"], r["row"]))


def test_failures_open_at_the_most_confident_mistake(page, server):
    page.goto(server + "failures")
    worst = mistakes()
    expect(page.locator("#summary")).to_contain_text(f"of {len(worst):,} records", timeout=60_000)
    expect(page.locator("#item")).to_contain_text(f"row {worst[0]['row']} ")
    expect(page.locator("#item .side")).to_have_count(2)
    expect(page.locator("#item .side .badge.label")).to_have_count(1)
    expect(page.locator("#item .side .badge.differs")).to_have_text("judge's choice")
    expect(page.locator("#item .contributions tbody tr")).to_have_count(3)
    expect(page.locator("#item img")).to_have_count(1)
    assert "failures?" in page.url and f"row={worst[0]['row']}" in page.url


def test_keys_and_buttons_walk_through_the_list(page, server):
    page.goto(server + "failures")
    worst = mistakes()
    expect(page.locator("#item")).to_contain_text(f"row {worst[0]['row']} ", timeout=60_000)
    page.keyboard.press("j")
    expect(page.locator("#item")).to_contain_text(f"row {worst[1]['row']} ")
    page.locator("#next").click()
    expect(page.locator("#item")).to_contain_text(f"row {worst[2]['row']} ")
    page.keyboard.press("k")
    expect(page.locator("#item")).to_contain_text(f"row {worst[1]['row']} ")


def test_a_link_reopens_the_same_view(page, browser, server):
    page.goto(server + "failures")
    expect(page.locator("#summary")).to_contain_text("records", timeout=60_000)
    choose(page, "outcome", "everything")
    expect(page).to_have_url(re.compile("outcome=everything"))
    choose(page, "subgroup", "count")
    expect(page).to_have_url(re.compile("subgroup=count"))
    summary, url = page.locator("#summary p").inner_text(), page.url
    again = browser.new_page()
    again.goto(url)
    expect(again.locator("#summary p")).to_have_text(summary, timeout=60_000)
    assert again.locator("#subgroup input").input_value() == "count"
    again.close()


def test_two_runs_against_each_other(page, server):
    page.goto(server + "failures?run=scene/vl-mdr&other=scene/vl-mdr-blind&versus=only+the+other+is+wrong")
    expect(page.locator("#item .said")).to_have_count(2, timeout=60_000)
    first, second = (page.locator("#item .said").nth(i).inner_text() for i in (0, 1))
    badges = [page.locator("#item .said").nth(i).locator(".badge").first.inner_text() for i in (0, 1)]
    assert badges == ["right", "wrong"] and "blank image" in second and "blank image" not in first


def test_one_click_to_inspect_with_everything_filled_in(page, server):
    page.goto(server + "failures")
    expect(page.locator(".inspect-link")).to_be_visible(timeout=60_000)
    prompt = page.locator("#item .prompt").inner_text()
    page.locator(".inspect-link").click()
    expect(page.locator(".verdict")).to_contain_text("The model prefers", timeout=60_000)
    assert page.locator("#prompt textarea").input_value() == prompt
    expect(page.locator("#heat img")).to_have_count(2, timeout=30_000)


def test_strange_links_get_a_sentence_and_nothing_breaks(page, server):
    for query in (
        "run=../../etc&row=1",
        "sort=%3Cscript%3E",
        "row=-1",
        "page=99999999",
        "versus=only+this+judge+is+wrong",
        "low=abc",
    ):
        page.goto(server + "failures?" + query)
        expect(page.locator("#summary")).to_contain_text("records", timeout=60_000)


def test_the_leaderboard_is_full_on_first_start(page, server):
    page.goto(server + "leaderboard")
    expect(page.locator("#answer")).to_contain_text(
        re.compile("Best overall: .*Rewardscope scene model"), timeout=60_000
    )
    expect(page.locator("#answer")).to_contain_text("more than chance, p < 0.001")
    page.locator("#intervals .chart").first.wait_for(state="attached")
    expect(page.locator("#best-table tbody tr")).to_have_count(23)
    unfold(page, "All numbers")
    expect(page.locator("#board")).to_contain_text("Rewardscope scene model")
    expect(page.locator("#board")).to_contain_text("blank image")
    unfold(page, "The kinds of judges")
    judges = judges_among(Library([]).of_benchmark("scene"))
    expect(page.locator("#kinds-table tbody tr")).to_have_count(len(judges))
    unfold(page, "One run in detail")
    expect(page.locator("#detail")).to_contain_text("Text-only baselines")
    page.locator("#dimensions .chart").first.wait_for(state="attached")


def test_tables_download_at_the_first_click(page, server):
    page.goto(server + "leaderboard")
    expect(page.locator("#answer")).to_contain_text("Rewardscope", timeout=60_000)
    unfold(page, "All numbers")
    with page.expect_download() as download:
        page.locator("#table-csv").click()
    assert "Rewardscope scene model" in Path(download.value.path()).read_text()
    page.goto(server + "failures")
    expect(page.locator("#summary")).to_contain_text("records", timeout=60_000)
    page.get_by_text("Download", exact=True).click()
    with page.expect_download() as download:
        page.locator("#download-jsonl").click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert [json.loads(x)["row"] for x in lines] == [r["row"] for r in mistakes()]


def test_a_run_of_ones_own_file_appears(page, server, tmp_path):
    rows = [
        {"prompt": f"<b>Q{i}</b>", "responses": ["short", "much longer"], "preferred": "AB"[i % 2]}
        for i in range(9)
    ]
    rows.append({"prompt": "bad", "responses": ["a", "b"], "preferred": "Q"})
    file = tmp_path / "mine.jsonl"
    file.write_text("".join(json.dumps(r) + "\n" for r in rows))
    page.goto(server + "leaderboard")
    expect(page.locator("#answer")).to_contain_text("Rewardscope", timeout=60_000)
    page.get_by_text("Make a run").first.click()
    choose(page, "new-judge", "longer")
    choose(page, "new-benchmark", "Your own file")
    page.locator("#upload input[type=file]").set_input_files(str(file))
    expect(page.locator("#upload")).to_contain_text(
        re.compile(r"mine\s*\.jsonl")
    )  # Gradio parts a name before its ending
    page.locator("#make-run").click()
    expect(page.locator("#made")).to_contain_text("10 rows judged", timeout=60_000)
    unfold(page, "One run in detail")
    expect(page.locator("#detail")).to_contain_text("longer wins (first 200)")
    page.get_by_role("link", name="Look at its failures").click()
    expect(page.locator("#item .prompt")).to_contain_text("<b>Q", timeout=60_000)


@pytest.mark.parametrize("name", ["failures", "leaderboard", "audit"])
def test_nothing_hangs_over_the_edge(browser, server, name):
    page = browser.new_page(viewport={"width": 390, "height": 900})
    page.goto(server + name)
    expect(page.locator("#summary, #answer, #audit-rows").first).to_contain_text(
        re.compile("records|overall"), timeout=60_000
    )
    page.wait_for_timeout(800)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.close()
