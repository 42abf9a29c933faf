"""The look of all pages in a browser: the theme switch, the tour, one font, and values that nothing covers or cuts."""

import re

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser
SWITCH, TOUR = "[data-theme-switch]", "[data-tour]"


def opened(context, url, path=""):
    page = context.new_page()
    page.goto(url + path)
    page.locator(SWITCH).wait_for(timeout=60_000)
    return page


def is_dark(page):
    return page.evaluate("document.body.classList.contains('dark')")


# -- light and dark ------------------------------------------------------------------------------------------


def test_the_theme_follows_the_system_until_it_is_switched_and_is_remembered(browser, server):
    context = browser.new_context(color_scheme="dark")
    page = opened(context, server, "explanations")
    assert is_dark(page)
    expect(page.locator(SWITCH)).to_have_attribute("aria-pressed", "true")
    page.emulate_media(color_scheme="light")  # the system's choice changes
    page.wait_for_function("!document.body.classList.contains('dark')")
    page.locator(SWITCH).focus()
    page.keyboard.press("Enter")
    assert is_dark(page)
    page.emulate_media(color_scheme="dark")
    page.emulate_media(color_scheme="light")
    assert is_dark(page)  # what a person chose stands
    other = opened(context, server, "queues")
    other.emulate_media(color_scheme="light")
    assert is_dark(other)
    other.locator(SWITCH).click()  # what the system has: it is followed again, by the other tab too
    assert not is_dark(other) and other.evaluate("localStorage.getItem('rewardscope-theme')") is None
    page.wait_for_function("!document.body.classList.contains('dark')")
    context.close()


def test_no_other_colour_is_ever_painted(browser, server):
    context = browser.new_context(color_scheme="light")
    page = opened(context, server, "explanations")
    page.locator(SWITCH).click()
    # Kept from the first moment of the next page: the ground of every frame.
    page.add_init_script("""
        window.grounds = [];
        const look = () => { if (document.body) window.grounds.push(getComputedStyle(document.body).backgroundColor); requestAnimationFrame(look); };
        requestAnimationFrame(look);
    """)
    page.reload()
    page.locator("#agreement .cells").wait_for(timeout=60_000)
    grounds = page.evaluate("window.grounds")
    light = [g for g in grounds if min(map(int, re.findall(r"\d+", g)[:3])) > 128]
    assert len(grounds) > 3 and not light, set(grounds)
    context.close()


def test_an_address_with_a_theme_comes_first(browser, server):
    context = browser.new_context(color_scheme="light")
    page = opened(context, server, "explanations?__theme=dark")
    assert is_dark(page)
    context.close()


# -- the tour ------------------------------------------------------------------------------------------------


def test_the_tour_is_offered_once_and_goes_by_keyboard(browser, server):
    context = browser.new_context(reduced_motion="reduce", viewport={"width": 1440, "height": 900})
    page = opened(context, server)
    strip = page.locator(TOUR)
    expect(strip).to_be_visible()
    expect(page.locator(".verdict").first).to_be_visible(timeout=60_000)
    page.locator("[data-tour-next]").focus()
    said = []
    for _ in range(4):
        page.keyboard.press("Enter")
        said.append(page.locator("[data-tour-text]").inner_text())
        place = page.locator(".tour-place")
        expect(place).to_have_count(1)
        expect(place).to_be_in_viewport()
        expect(page.locator("[data-tour-next]")).to_be_focused()
    assert [re.match(r"(\d) of 4 · ([^.]+)\.", s).groups() for s in said] == [
        ("1", "What was asked"), ("2", "Who won"), ("3", "Why"), ("4", "Change it"),
    ]  # fmt: skip
    page.keyboard.press("Enter")
    expect(strip).to_be_hidden()
    expect(page.locator(".tour-place")).to_have_count(0)
    page.reload()  # never shown twice
    expect(page.locator(".verdict").first).to_be_visible(timeout=60_000)
    expect(strip).to_be_hidden()
    page.locator("[data-tour-start]").click()  # but as often as somebody asks
    expect(page.locator("[data-tour-text]")).to_contain_text("1 of 4")
    page.keyboard.press("Escape")
    expect(strip).to_be_hidden()
    expect(page.locator("[data-tour-start]")).to_be_focused()
    context.close()


def test_the_tour_can_be_declined_and_is_on_one_page_only(browser, server):
    context = browser.new_context()
    page = opened(context, server)
    page.get_by_role("button", name="No, thanks").click()
    expect(page.locator(TOUR)).to_be_hidden()
    page.goto(server + "leaderboard")
    page.locator(SWITCH).wait_for(timeout=60_000)
    expect(page.locator("[data-tour-start], [data-tour]")).to_have_count(0)
    context.close()


# -- bar, font, charts ---------------------------------------------------------------------------------------


def test_the_bar_leads_to_every_page_and_says_where_one_is(browser, server):
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = opened(context, server)
    names = page.get_by_role("navigation", name="Pages").get_by_role("link").all_inner_texts()
    assert names[0] == "Inspect" and {"Leaderboard", "Failures", "Explanations", "Label", "Queues"} <= set(
        names
    )
    assert page.get_by_role("navigation").count() == 1
    for name in ("Label", "Explanations"):
        page.get_by_role("navigation").get_by_role("link", name=name).click()
        expect(page).to_have_title(f"{name} · Rewardscope", timeout=60_000)
        expect(page.locator(".bar a[aria-current=page]")).to_have_text(name)
    small = [
        b for b in page.locator(".bar a, .bar button").evaluate_all("all => all.map(e => [e.innerText, e.getBoundingClientRect().height])") if b[1] < 44
    ]  # fmt: skip
    assert not small
    page.locator(".wordmark").click()
    expect(page).to_have_title("Inspect · Rewardscope", timeout=60_000)
    context.close()


OVERLAPS = """() => {
    const bad = [];
    for (const row of document.querySelectorAll('.chart li')) {
        const boxes = [...row.children].map(e => {
            const range = document.createRange();
            range.selectNodeContents(e);
            return e.classList.contains('track') ? e.getBoundingClientRect() : range.getBoundingClientRect();
        }).filter(b => b.width && b.height);
        boxes.forEach((a, i) => boxes.slice(i + 1).forEach(b => {
            if (a.left < b.right - 0.5 && b.left < a.right - 0.5 && a.top < b.bottom - 2 && b.top < a.bottom - 2) bad.push('overlap: ' + row.innerText);
        }));
        const chart = row.closest('.chart').getBoundingClientRect();
        if (boxes.some(b => b.right > chart.right + 1 || b.left < chart.left - 1)) bad.push('cut: ' + row.innerText);
    }
    return [document.querySelectorAll('.chart li').length, bad];
}"""


@pytest.mark.parametrize("width", [1440, 760, 390])
def test_values_of_charts_are_neither_covered_nor_cut(browser, server, width):
    context = browser.new_context(viewport={"width": width, "height": 900})
    pages = [("leaderboard", "#intervals .chart")]
    if width > 760:  # on a phone the record is behind the wall
        pages.append(("failures", "#item .chart"))
    for path, chart in pages:
        page = opened(context, server, path)
        page.locator(chart).first.wait_for(timeout=60_000)
        # Numbers longer than any of today, and the smallest: none may break the layout.
        page.evaluate(
            "document.querySelectorAll('.chart li > b').forEach((b, i) => { if (b.innerText && i % 3 == 0) b.innerText = '-12,345.67'; })"
        )
        rows, bad = page.evaluate(OVERLAPS)
        assert rows > 3 and not bad, bad[:5]
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


def test_pages_and_charts_have_one_font(browser, server):
    context = browser.new_context()
    page = opened(context, server, "leaderboard")
    page.locator("#intervals .chart").wait_for(timeout=60_000)
    families = page.evaluate(
        "[...new Set([...document.querySelectorAll('h1, p, li, td, th, [role=gridcell], label, input, nav a, .chart, .chart text, main button')]"
        ".filter(e => e.getClientRects().length && e.textContent.trim()).map(e => getComputedStyle(e).fontFamily.split(',')[0]))]"
    )
    assert families == ["system-ui"]
    context.close()
