"""Addresses in a browser: what is on show stands in the address, Back and reload bring it back, and what is taken away is whole."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from PIL import Image
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def opened(browser, url, **how):
    page = browser.new_page(viewport={"width": 1440, "height": 900}, **how)
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.goto(url)
    shown(page)
    return page


def shown(page):
    expect(page.locator(".verdict").first).to_contain_text("The model prefers", timeout=60_000)
    page.locator("#heat .mapped").wait_for(timeout=60_000)


def query(page):
    return {k: v[0] for k, v in parse_qs(urlsplit(page.url).query).items()}


def wait_for(page, **wanted):
    page.wait_for_function(
        "wanted => Object.entries(wanted).every(([k, v]) => new URLSearchParams(location.search).get(k) === v)", arg=wanted, timeout=30_000,
    )  # fmt: skip


def test_back_and_reload_bring_back_example_map_and_edits(browser, server):
    page = opened(browser, server)
    wait_for(page, example="count", judge="vl-mdr")
    first = page.locator(".verdict").first.inner_text()
    page.locator("#examples button").nth(3).click()
    wait_for(page, example="relation")
    second = page.locator(".verdict").first.inner_text()
    assert second != first
    page.locator("#flip").click()
    expect(page.locator("#path li")).to_have_count(2, timeout=60_000)
    page.wait_for_function("new URLSearchParams(location.search).has('edits')", timeout=30_000)
    path, edited = page.locator("#path b").all_inner_texts(), page.url
    page.reload()
    shown(page)
    expect(page.locator("#path li")).to_have_count(2, timeout=60_000)
    assert page.locator("#path b").all_inner_texts() == path  # judged again, with the same outcome
    assert page.url == edited
    page.go_back()
    shown(page)
    expect(page.locator(".verdict").first).to_have_text(second, timeout=30_000)
    assert query(page)["example"] == "relation" and "edits" not in query(page)
    page.go_back()
    shown(page)
    expect(page.locator(".verdict").first).to_have_text(first, timeout=30_000)
    assert not page.errors
    page.close()


def test_another_target_stands_in_the_address_and_comes_back(browser, server):
    page = opened(browser, server + "?example=count&target=gate:counting&method=gradient&__theme=dark")
    expect(page.locator("#heat")).to_contain_text("raises the Counting gate", timeout=60_000)
    expect(page.locator("#heat")).to_contain_text("Prompt, as one")
    wait_for(page, target="gate:counting", method="gradient", __theme="dark")
    page.reload()
    expect(page.locator("#heat")).to_contain_text("raises the Counting gate", timeout=60_000)
    page.close()


def test_a_record_of_a_run_keeps_its_address(browser, server):
    page = opened(browser, server + "?run=scene/vl-mdr&row=127")
    wait_for(page, run="scene/vl-mdr", row="127")
    expect(page.locator(".verdict").first).to_contain_text("the model is wrong here")
    page.close()


def test_hostile_addresses_are_said_in_a_sentence_and_do_nothing(browser, server):
    page = browser.new_page()
    dialogs = []
    page.on("dialog", lambda d: (dialogs.append(d.message), d.dismiss()))
    evil = "%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E"
    page.goto(server + f"?example=count&target={evil}&pair=AA&edits=%20&a={evil}&judge={evil}")
    expect(page.locator("#said-response-a")).to_contain_text("<img src=x onerror=alert(1)>", timeout=60_000)
    expect(page.get_by_text("The target of this address cannot be read and is left out.")).to_be_visible(
        timeout=20_000
    )
    expect(page.get_by_text("made with the judge <img src=x onerror=alert(1)>")).to_be_visible()
    page.wait_for_timeout(500)
    assert not dialogs and page.locator("img[src=x]").count() == 0
    page.close()


def test_the_original_is_one_key_away(browser, server):
    page = opened(browser, server)
    button = page.locator("#heat [data-original]")
    button.focus()
    page.keyboard.press("Space")
    expect(button).to_have_attribute("aria-pressed", "true")
    assert page.locator("#heat .mapped").evaluate("e => getComputedStyle(e).visibility") == "hidden"
    page.keyboard.press("Space")
    assert page.locator("#heat .mapped").evaluate("e => getComputedStyle(e).visibility") == "visible"
    page.close()


def test_a_link_is_copied_and_opens_the_same(browser, server):
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(server + "?example=caption")
    shown(page)
    page.locator("#make-link").click()
    box = page.locator("#link textarea, #link input").first
    expect(box).to_have_value(re.compile("example=caption"), timeout=20_000)
    assert page.evaluate("navigator.clipboard.readText()") == box.input_value()
    context.close()


@pytest.mark.parametrize(
    ("kind", "start"), [("html", b"<!DOCTYPE html>"), ("png", b"\x89PNG"), ("svg", b"<?xml")]
)
def test_a_comparison_is_taken_away(browser, server, tmp_path, kind, start):
    page = opened(browser, server)
    page.locator("#sharing").scroll_into_view_if_needed()
    with page.expect_download(timeout=90_000) as waiting:
        page.locator(f"#export-{kind}").click()
    file = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(file)
    assert re.fullmatch(rf"rewardscope-A-B-margin-ablation-[0-9a-f]{{16}}\.{kind}", file.name)
    assert file.read_bytes().startswith(start)
    if kind == "png":
        assert Image.open(file).size[0] > 1500
    if kind == "html":
        asked = []
        page.on("request", lambda r: asked.append(r.url))
        page.goto(file.as_uri())
        expect(page.locator("h1")).to_contain_text("The model prefers")
        page.locator(".peek input").check()
        assert page.locator(".given").evaluate("e => getComputedStyle(e).opacity") == "1"
        assert all(u.startswith(("file:", "data:")) for u in asked)
    page.close()


def test_a_link_shows_its_verdict_in_a_chat(browser, server):
    page = browser.new_page()
    page.goto(server + "?example=count")
    tag = 'meta[property="og:%s"]'
    assert page.locator(tag % "title").get_attribute("content").startswith("The model prefers")
    answer = page.request.get(page.locator(tag % "image").get_attribute("content"))
    assert answer.status == 200 and answer.headers["content-type"] == "image/jpeg"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    page.close()
