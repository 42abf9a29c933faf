"""WCAG 2.2 AA: axe-core on every page as opened by a person, light and dark, wide and narrow; and what axe cannot see."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from core.records.gallery import Entry, write
from tests.app.conftest import started
from tests.core.records.test_gallery import bundle

pytestmark = pytest.mark.browser

# Page: (the app it belongs to, path, what is there once the page is full). New pages are added here.
PAGES = {
    "inspect": ("server", "", "#contributions .strip-row"),
    "leaderboard": ("server", "leaderboard", "#best-table"),
    "audit": ("server", "audit?paste=Mine,63.84,85.71,64.78,71.92,71.44", "#own-rows .arithmetic"),
    "failures": ("server", "failures", "#item .prompt"),
    "explanations": ("server", "explanations", "#agreement .cells"),
    "door": (
        "server",
        "label",
        "#name input",
    ),  # who has not said who they are; then the same page for who has
    "label": ("server", "label", "#name input, .desk-item"),
    "queues": ("server", "queues", "#results .contributions"),
    "replay": ("replayed", "", "#runs table"),
    "recorded": ("replayed", "recorded", "#judged .legend"),
}
THEMES = ("light", "dark")
WIDTHS = (1440, 390)
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]  # no rule is left out, no element excluded
# Of what passes one element a rule is told: listing all takes most of the time.
AXE = {"runOnly": {"type": "tag", "values": TAGS}, "resultTypes": ["violations"]}


@pytest.fixture(scope="session")
def replayed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("replay")
    write(folder / "recorded.zip", "Recorded", [Entry("first", bundle(0)), Entry("second", bundle(9))])
    with started(folder, "--replay", str(folder), "--recorded", str(folder / "recorded.zip")) as (url, _):
        yield url


@pytest.fixture(scope="module")
def tab(browser):
    page = browser.new_page(viewport={"width": WIDTHS[0], "height": 1000})
    yield page
    page.close()


@pytest.fixture(scope="module", params=[(p, t) for p in PAGES for t in THEMES], ids="-".join)
def opened(request, tab):
    """One page in one theme with everything open that can be opened; both widths look at the same."""
    name, theme = request.param
    app, path, full = PAGES[name]
    tab.set_viewport_size({"width": WIDTHS[0], "height": 1000})
    tab.goto(f"{request.getfixturevalue(app)}{path}{'&' if '?' in path else '?'}__theme={theme}")
    tab.locator(full).first.wait_for(timeout=60_000)
    tab.add_style_tag(content="* { transition: none !important; animation: none !important }")
    # Opened all at once by script: a click each would wait for the page to stand still.
    tab.evaluate("document.querySelectorAll('button.label-wrap:not(.open)').forEach(b => b.click())")
    tab.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    if name == "leaderboard":
        tab.locator("#margins .chart").wait_for(timeout=60_000)
    if name == "label":
        if tab.locator("#enter").is_visible():
            tab.locator("#name input").fill("Axe")
            tab.locator("#enter").click()
        tab.locator(".desk-item").wait_for(timeout=60_000)
        tab.keyboard.press("Escape")
        tab.locator("#verdict-1").click()
        tab.locator(".reveal").wait_for()
    if name == "inspect":
        tab.locator("#make-link").click()
        tab.locator("[data-brush]").click()
        tab.locator("#said-response-b .word").first.click()
        tab.locator("#try-edits").click()
        tab.locator("#region-dimension .cells").first.wait_for(timeout=60_000)
        tab.locator("#link textarea").wait_for()
    return tab


def told(violations):
    """What is wrong, where, and what would mend it."""
    return "\n".join(
        f"{v['id']}: {v['help']}\n  {' '.join(map(str, n['target']))}\n  {n['failureSummary']}"
        for v in violations
        for n in v["nodes"]
    )


@pytest.mark.parametrize("width", WIDTHS)
def test_axe_finds_nothing(opened, width):
    opened.set_viewport_size({"width": width, "height": 1000})
    opened.wait_for_timeout(700)  # charts are drawn anew, assets/accessible.js follows
    found = Axe().run(opened, options=AXE).response
    assert len(found["passes"]) > 10, "axe looked at next to nothing"
    assert not found["violations"], told(found["violations"])


def test_the_theme_follows_the_system(browser, replayed):
    for scheme in THEMES:
        page = browser.new_page(color_scheme=scheme)
        page.goto(replayed)
        page.locator("#runs table").wait_for(timeout=60_000)
        assert ("dark" in (page.locator("body").get_attribute("class") or "")) == (scheme == "dark")
        page.close()


def test_pages_and_charts_have_names_and_accordions_a_state(tab, server):
    tab.set_viewport_size({"width": 1440, "height": 1000})
    tab.goto(server + "leaderboard")
    expect(tab).to_have_title("Leaderboard · Rewardscope", timeout=60_000)
    tab.get_by_role("button", name="One run in detail").click()
    expect(tab.locator("#groups .chart li").first).to_have_text(
        re.compile(r"\w+ \(\d+\)\s*\d"), timeout=60_000
    )
    expect(tab.locator("#calibration svg[role=img]")).to_have_attribute(
        "aria-label", re.compile(r"accuracy by confidence.*: said 0\.\d\d, was")
    )
    accordion = tab.get_by_role("button", name="Make a run")
    expect(accordion).to_have_attribute("aria-expanded", "false")
    accordion.click()
    expect(accordion).to_have_attribute("aria-expanded", "true")


def test_the_keys_can_be_turned_off(tab, server):
    tab.set_viewport_size({"width": WIDTHS[0], "height": 1000})
    tab.goto(server + "failures")
    row = tab.locator("#item .small").first
    expect(row).to_contain_text("row", timeout=60_000)
    switch = tab.get_by_label("Keyboard shortcuts")
    expect(switch).to_be_checked()
    first = row.inner_text()
    tab.keyboard.press("j")
    expect(row).not_to_have_text(first)
    second = row.inner_text()
    switch.click()  # and the focus stays there: no checkbox swallows letters
    tab.keyboard.press("j")
    tab.keyboard.press("k")
    tab.wait_for_timeout(1000)
    assert row.inner_text() == second
    tab.goto(server + "failures")  # remembered
    expect(row).to_contain_text("row", timeout=60_000)
    expect(switch).not_to_be_checked()
    first = row.inner_text()
    tab.keyboard.press("j")
    tab.wait_for_timeout(1000)
    assert row.inner_text() == first
    switch.click()
    tab.keyboard.press("j")
    expect(row).not_to_have_text(first)


FOCUS = """() => {
    const e = document.activeElement, box = e.getBoundingClientRect(), style = getComputedStyle(e);
    return {
        id: e.id || e.closest('[id]:not([id^="html-"])')?.id || '', seen: box.width > 0 && box.height > 0,
        ring: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
    };
}"""


def test_the_keyboard_alone_reaches_judge(tab, server):
    tab.goto(server)
    expect(tab.locator(".verdict").first).to_contain_text("The model prefers", timeout=60_000)
    tab.locator("#contributions .strip-row").first.wait_for()
    stops = []

    def tab_to(wanted):
        while not stops or stops[-1]["id"] != wanted:
            assert len(stops) < 60, [s["id"] for s in stops]
            tab.keyboard.press("Tab")
            stops.append(tab.evaluate(FOCUS))

    tab_to("said-response-b")
    tab.keyboard.press("Enter")  # its Edit button
    expect(tab.locator("#response-b textarea")).to_be_focused()
    tab.keyboard.type(" Really.")  # something that was not judged before
    tab_to("judge")
    assert all(s["ring"] and s["seen"] for s in stops), stops
    order = [s["id"] for s in stops]
    places = [
        order.index(x)
        for x in ("said-prompt", "said-response-a", "heat", "said-response-b", "contributions", "judge")
    ]
    assert places == sorted(places)
    before = tab.locator(".rewards").inner_text()
    tab.keyboard.press("Enter")
    expect(tab.locator(".rewards")).not_to_have_text(before, timeout=30_000)


def test_a_dropdown_left_by_keyboard_closes(tab, server):
    tab.set_viewport_size({"width": WIDTHS[0], "height": 1000})
    tab.goto(server + "failures")
    expect(tab.locator("#item .small").first).to_contain_text("row", timeout=60_000)
    tab.locator("#subgroup input").focus()  # opens it; its list is long enough to scroll
    expect(tab.get_by_role("listbox")).to_have_count(1)
    tab.keyboard.press("Tab")
    expect(tab.locator("#dimension input")).to_be_focused()
    expect(tab.locator("#subgroup input")).to_have_attribute("aria-expanded", "false")
    for _ in range(3):  # two more of them, then a button
        tab.keyboard.press("Tab")
    expect(tab.get_by_role("listbox")).to_have_count(0)
