"""A person at the Audit page."""

import csv
import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from core.benchmarks.audit import audit
from core.benchmarks.published import published

pytestmark = pytest.mark.browser
ROW = next(r for r in published() if r.name == "R1-Reward" and r.benchmark == "vl-rewardbench")


@pytest.fixture
def page(browser):
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    yield page
    page.close()


def opened(page, url):
    page.goto(url)
    page.locator(".audit-row").first.wait_for(timeout=60_000)


def choose(page, name, option):
    page.locator(f"#{name} input").first.click()
    page.get_by_role("option", name=option, exact=True).first.click()


def names(page):
    return page.locator("#audit-rows .model").all_inner_texts()


def test_every_published_row_is_there_and_carries_its_verdict(page, server):
    opened(page, server + "audit")
    assert names(page) == [r.name for r in published()]
    expect(page.locator("#tally")).to_contain_text(f"{len(published())} published rows:")
    row = page.locator(f"#row-{ROW.key.replace('.', chr(92) + '.')}")
    expect(row).to_contain_text("Fits 484/448/318 only (309/484, 384/448, 206/318): not comparable.")
    expect(row.locator(".arithmetic")).to_be_hidden()
    row.locator("summary").focus()
    page.keyboard.press("Enter")  # by keyboard alone
    expect(row.locator(".arithmetic")).to_be_visible()
    expect(row.locator(".arithmetic")).to_contain_text("309/484")
    expect(page).to_have_url(re.compile(f"row={re.escape(ROW.key)}"))
    page.keyboard.press("Enter")
    expect(page).not_to_have_url(re.compile("row="))


def test_sorting_and_filters_change_the_rows_and_the_address(page, browser, server):
    opened(page, server + "audit")
    choose(page, "audit-sort", "by model")
    expect(page.locator("#audit-rows .model").first).to_have_text("Aria")
    assert names(page) == sorted((r.name for r in published()), key=str.casefold)
    page.get_by_label(re.compile("does not add up")).check()
    choose(page, "audit-benchmark", "MM-RLHF-RewardBench")
    expect(page.locator(".audit-row")).to_have_count(2)
    assert names(page) == ["SliME", "VITA-1.5"]
    expect(page).to_have_url(re.compile("mark=does.not.add.up.*benchmark=mm-rlhf-rewardbench.*sort=name"))
    again = browser.new_page()
    opened(again, page.url)
    expect(again.locator(".audit-row")).to_have_count(2)
    again.close()


def test_a_permalink_goes_to_its_row_and_unfolds_it(page, server):
    opened(page, server + f"audit?row={ROW.key}&mark=adds+up")  # a filter that hides the row gives way
    row = page.locator(".audit-row[open]")
    expect(row).to_have_count(1)
    expect(row.locator(".model")).to_have_text("R1-Reward")
    expect(row).to_be_in_viewport()
    expect(row.locator("summary")).to_be_focused()
    expect(row.locator(".permalink")).to_have_attribute("href", f"audit?row={ROW.key}")
    opened(page, server + "audit?row=%3Cscript%3E")
    expect(page.locator("#audit-rows")).to_contain_text("not among the published rows")


def test_a_row_of_ones_own_is_checked_by_the_same_library(page, browser, server):
    opened(page, server + "audit")
    page.get_by_role("button", name="Check a row of your own").click()
    page.locator("#paste textarea").fill(
        r"<img src=x onerror=window.pwned=1> & 63.84 & 85.71 & \textbf{64.78} & 71.92 & 71.44 \\"
    )
    page.locator("#check-row").click()
    own = page.locator("#own-rows .audit-row")
    expect(own).to_have_count(1)
    for sentence in audit(ROW).sentences:
        expect(own).to_contain_text(sentence)
    expect(own.locator(".model")).to_have_text("<img src=x onerror=window.pwned=1>")
    expect(page.locator("#own-rows")).to_contain_text(
        "read in the order general, hallucination, reasoning, overall, macro"
    )
    assert page.evaluate("window.pwned") is None
    expect(page).to_have_url(re.compile("paste="))
    again = browser.new_page()
    opened(again, page.url)
    expect(again.locator("#own-rows .audit-row")).to_have_count(1)
    assert again.evaluate("window.pwned") is None
    again.close()


def test_bad_input_is_one_sentence_at_the_field_and_nothing_is_lost(page, server):
    opened(page, server + "audit?paste=Mine,63.84,85.71,64.78,71.92,71.44")
    expect(page.locator("#own-rows .model")).to_have_text("Mine")
    page.locator("#paste textarea").fill("general,overall\n1,2")
    page.locator("#check-row").click()
    expect(page.locator("#paste-problem [role=alert]")).to_have_text(
        "A check needs general, hallucination, reasoning; missing: hallucination, reasoning."
    )
    assert page.locator("#paste textarea").input_value() == "general,overall\n1,2"
    expect(page.locator("#own-rows .model")).to_have_text("Mine")
    assert page.locator(".toast-body, .error").count() == 0
    field = page.locator("#paste textarea").bounding_box()
    said = page.locator("#paste-problem").bounding_box()
    assert 0 <= said["y"] - (field["y"] + field["height"]) < 60


def test_downloads_at_the_first_click_are_what_is_shown(page, server):
    opened(page, server + "audit?mark=does+not+add+up")
    with page.expect_download() as download:
        page.locator("#audit-json").click()
    rows = json.loads(Path(download.value.path()).read_text())
    assert [r["name"] for r in rows] == names(page)
    with page.expect_download() as download:
        page.locator("#audit-csv").click()
    with Path(download.value.path()).open(newline="") as file:
        lines = list(csv.DictReader(file))
    shown = {(r.name, r.benchmark): audit(r).verdict for r in published()}
    assert all(line["verdict"] == shown[line["name"], line["benchmark"]] for line in lines) and lines


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_fingers_reach_everything_on_a_phone(browser, server, scheme):
    page = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme=scheme)
    opened(page, server + f"audit?row={ROW.key}&paste=Mine,63.84,85.71,64.78,71.92,71.44")
    page.locator("#own-rows").wait_for()
    small = page.evaluate(
        """() => [...document.querySelectorAll(`summary, #check-row, #audit-csv, #audit-json, #audit-mark label, #paste-unit label, .folded .label-wrap,
        #paste textarea, #paste-columns input, .audit-row[open] .arithmetic a`)]
        .filter(e => e.checkVisibility() && e.getBoundingClientRect().height < 44).map(e => e.outerHTML.slice(0, 90))"""
    )
    assert small == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.close()
