"""A person before the answer: points, edits where things stand, flips the verdict, takes it back, forgets a field."""

import re

import pytest
from playwright.sync_api import expect

from app.common.html import signed
from app.inspect import views
from app.inspect.gallery import gallery
from core.explain import explain
from core.records.edit_path import MASK

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser, server):
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(server)
    expect(page.locator(".verdict").first).to_contain_text("The model prefers", timeout=60_000)
    page.locator("#contributions .strip-row").first.wait_for()
    yield page
    page.close()


@pytest.fixture(scope="module")
def first(embedded_judge):
    """The example that the page opens with, and what the library says of it."""
    c = gallery()[0].comparison
    judgement = embedded_judge.judge(c)
    return c, judgement, explain(embedded_judge, c, judgement, method="ablation", level="word", check=False)


def area(page, name):
    return page.locator(f"#{name} textarea")


def edit(page, name, text):
    page.locator(f"#said-{name} [data-edit]").click()
    area(page, name).fill(text)


def margin(page):
    return float(page.locator(".needle").get_attribute("data-margin"))


def settled(page):
    """Verdict, map and check are there."""
    expect(page.locator("#status")).not_to_contain_text("of 3", timeout=60_000)


# -- one answer on the first screen --------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "height", "screens"), [(1440, 900, 1), (390, 844, 2)])
def test_verdict_both_responses_and_contributions_stand_on_the_first_screen(
    browser, server, width, height, screens
):
    page = browser.new_page(viewport={"width": width, "height": height})
    page.goto(server)
    expect(page.locator(".verdict").first).to_contain_text("The model prefers", timeout=60_000)
    page.locator("#contributions .strip-row").first.wait_for()
    wanted = [
        ".verdict",
        ".needle",
        "#said-prompt",
        "#said-response-a",
        "#said-response-b",
        "#heat .stage-frame",
        "#contributions",
    ]
    if screens == 1:
        wanted += ["#judge", "#flip"]
    for what in wanted:
        box = page.locator(what).first.bounding_box()
        assert box["y"] + box["height"] <= height * screens, (what, box)
    assert (
        page.locator("#said-response-a .badge.won").count() == 1 and page.locator(".badge.won").count() == 1
    )
    if width == 390:  # verdict and responses before the picture
        tops = [
            page.locator(w).first.bounding_box()["y"]
            for w in (".verdict", "#card-a", "#card-b", "#card-picture")
        ]
        assert tops == sorted(tops)
    page.close()


def test_what_is_shown_of_the_contributions_adds_up(page):
    for example in range(4):
        page.locator("#example-buttons button").nth(example).click()
        page.wait_for_timeout(900)
        shown = [t for t in page.locator("#contributions .strip-row b").all_inner_texts()]
        assert "-0.00" not in shown and "+0.00" not in shown
        *parts, total = (round(100 * float(t)) for t in shown)
        assert sum(parts) == total == round(100 * margin(page))


# -- linked --------------------------------------------------------------------------------------------------------


def test_pointing_at_a_word_tells_the_librarys_own_number_and_marks_its_partners(page, first):
    _, _, e = first
    n, i = 1, max(range(len(e.tokens[1])), key=lambda i: e.token_values[1][i])
    word = page.locator(f'#said-response-b [data-unit="w{n}-{i}"]')
    expect(word).to_have_text(e.tokens[n][i][0])
    word.hover()
    without = e.target_value - e.token_values[n][i]
    expect(page.locator("#hint")).to_contain_text(f"{signed(e.target_value)} → {signed(without)}")
    assert float(word.get_attribute("data-margin")) == pytest.approx(without, abs=2e-3)
    partners = page.locator("#answer .partner")
    assert partners.count() >= 2 and page.locator(".strip-row.partner").inner_text().startswith("Counting")
    assert page.locator(".region.partner").count() >= 1
    expect(page.locator(".needle-ghost")).to_be_visible()
    page.locator(".verdict").hover()
    expect(page.locator("#hint")).to_contain_text("Point at a word")
    assert partners.count() == 0 and not page.locator(".needle-ghost").is_visible()


def test_every_region_and_word_carries_its_ablation(page, first):
    _, _, e = first
    flat = [v for row in e.patch_values for v in row]
    shown = page.locator("#heat .region").evaluate_all("all => all.map(r => Number(r.dataset.margin))")
    assert shown == pytest.approx([e.target_value - v for v in flat], abs=2e-3)
    for n, side in enumerate("ab"):
        words = page.locator(f"#said-response-{side} .word").evaluate_all(
            "all => all.map(r => Number(r.dataset.margin))"
        )
        assert words == pytest.approx([e.target_value - v for v in e.token_values[n]], abs=2e-3)


def test_regions_words_and_dimensions_are_told_by_keyboard_too(page):
    page.locator("#heat .region").first.focus()
    expect(page.locator("#hint")).to_contain_text("Row 1, column 1 greyed")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#hint")).to_contain_text("Row 2, column 2 greyed")
    page.locator("#said-response-b .card-text").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#hint")).to_contain_text("“The” removed")
    page.locator(".strip-row").first.focus()
    expect(page.locator("#hint")).to_contain_text("switched off")


# -- editing in place ----------------------------------------------------------------------------------------------


def test_a_word_is_struck_by_keyboard_and_taken_back(page, embedded_judge, first):
    c, *_ = first
    text, before = page.locator("#said-response-b .card-text").inner_text(), margin(page)
    page.locator("#said-response-b .card-text").focus()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    expect(page.locator(".word-menu input")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")  # Strike
    expect(page.locator("#path")).to_contain_text("“idiot.” struck", timeout=30_000)
    struck = text.removesuffix(" idiot.")
    expect(page.locator("#said-response-b .card-text")).to_have_text(struck)
    fresh = embedded_judge.judge(views.comparison_of(c.image, c.prompt, [c.responses[0], struck]))
    assert margin(page) == pytest.approx(fresh.margin(0, 1), abs=2e-3)
    settled(page)
    page.locator("#undo").click()
    expect(page.locator("#said-response-b .card-text")).to_have_text(text)
    expect(area(page, "response-b")).to_have_value(text)
    assert margin(page) == pytest.approx(before, abs=1e-4)
    expect(page.locator("#path li")).to_have_count(0)
    expect(page.locator("#undo")).to_be_disabled()


def test_what_was_typed_and_not_judged_dims_the_old_result(page):
    verdict = page.locator(".verdict").first.inner_text()
    edit(page, "response-a", "Something else.")
    expect(page.locator("#stale-note")).to_be_visible()
    assert page.locator("#answer").get_attribute("data-stale") is not None
    page.locator("#flip").click()  # would start from the judged text, and throw this one away
    expect(page.locator("#stale-note")).to_contain_text("Press Judge first")
    expect(area(page, "response-a")).to_have_value("Something else.")
    area(page, "response-a").focus()
    page.keyboard.press("Escape")
    expect(page.locator("#stale-note")).to_be_hidden()
    expect(page.locator("#said-response-a .card-text")).to_be_visible()
    edit(page, "response-a", "Something else.")
    page.locator("#judge").click()
    expect(page.locator(".verdict").first).not_to_have_text(verdict, timeout=30_000)
    expect(page.locator("#said-response-a .card-text")).to_have_text("Something else.")
    expect(page.locator("#stale-note")).to_be_hidden()
    expect(area(page, "response-a")).to_be_hidden()


@pytest.mark.parametrize(
    ("field", "said"), [("response-a", "Response A is empty"), ("prompt", "The prompt is empty")]
)
def test_a_forgotten_field_is_told_once_at_the_field_and_the_old_verdict_stays(page, field, said):
    verdict, rewards = page.locator(".verdict").first.inner_text(), page.locator(".rewards").inner_text()
    edit(page, field, "  ")
    page.locator("#judge").click()
    problem = page.locator(f"#problem-{field} .problem")
    expect(problem).to_contain_text(said, timeout=20_000)
    assert page.locator(".problem").count() == 1
    assert page.get_by_text("Error", exact=True).count() == 0
    assert page.locator(".verdict").first.inner_text() == verdict
    assert page.locator(".rewards").inner_text() == rewards
    assert page.locator("#contributions .strip-row").count() == 4 and page.locator("#heat img").count() == 2
    expect(page.locator("#stale-note")).to_be_visible()
    expect(area(page, field)).to_have_attribute("aria-invalid", "true")
    assert area(page, field).get_attribute("aria-describedby") == problem.get_attribute("id")
    area(page, field).fill("How many purple shapes are there?")
    expect(problem).to_be_hidden()
    page.locator("#judge").click()
    expect(page.locator(".rewards")).not_to_have_text(rewards, timeout=30_000)
    expect(page.locator(".problem")).to_have_count(0)


def test_a_forgotten_picture_is_told_at_the_picture(page):
    verdict = page.locator(".verdict").first.inner_text()
    page.locator("#change-picture").click()
    page.locator(
        "#picture button[aria-label='Clear'], #picture button[aria-label='Remove Image']"
    ).first.click()
    expect(page.locator("#stale-note")).to_be_visible()
    page.locator("#judge").click()
    expect(page.locator("#problem-picture .problem")).to_contain_text("There is no picture", timeout=20_000)
    assert page.locator(".problem").count() == 1 and page.locator(".verdict").first.inner_text() == verdict


# -- flip it -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("example", [0, 4, 7])
def test_the_flip_buttons_edit_turns_the_verdict_when_it_is_judged_afresh(page, embedded_judge, example):
    page.locator("#example-buttons button").nth(example).click()
    prompt = gallery()[example].comparison.prompt
    expect(page.locator("#said-prompt")).to_contain_text(prompt[:20])
    before = margin(page)
    page.locator("#flip").click()
    expect(page.locator("#path .badge")).to_have_text("the verdict turned", timeout=60_000)
    settled(page)
    after = margin(page)
    assert before * after < 0
    texts = [area(page, f"response-{x}").input_value() for x in "ab"]
    page.locator("#change-picture").click()
    source = page.locator("#picture img").first.get_attribute("src")
    picture = page.request.get(source).body()
    fresh = embedded_judge.judge(views.comparison_of(picture, area(page, "prompt").input_value(), texts))
    assert fresh.margin(0, 1) == pytest.approx(after, abs=5e-3) and fresh.margin(0, 1) * before < 0
    page.locator("#undo").click()
    expect(page.locator("#path li")).to_have_count(0, timeout=20_000)
    assert margin(page) == pytest.approx(before, abs=1e-3)


def test_painting_on_the_picture_is_judged_and_undone(page):
    before = margin(page)
    assert page.locator("canvas").count() == 0  # nothing of the brush is there until it is wanted
    page.locator("[data-brush]").click()
    page.get_by_role("button", name="Erase and judge").click()
    expect(page.locator(".brush-status")).to_contain_text("Nothing is painted")
    box = page.locator(".brush-canvas").bounding_box()
    x, y, side = box["x"], box["y"], box["width"]
    page.mouse.move(x + side * 0.72, y + side * 0.08)
    page.mouse.down()
    page.mouse.move(x + side * 0.95, y + side * 0.2, steps=8)
    page.mouse.up()
    expect(page.locator(".brush-status")).to_contain_text("% painted")
    page.get_by_role("button", name="Erase and judge").click()
    expect(page.locator("#path")).to_contain_text("of the picture erased", timeout=30_000)
    assert margin(page) != pytest.approx(before, abs=0.05)
    settled(page)
    page.locator("#undo").click()
    expect(page.locator("#path li")).to_have_count(0, timeout=20_000)
    assert margin(page) == pytest.approx(before, abs=1e-3)


def test_painting_works_by_keyboard(page):
    page.locator("[data-brush]").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".brush-canvas")).to_be_focused()
    for key in ("ArrowRight", "ArrowRight", "ArrowUp", "Space"):
        page.keyboard.press(key)
    share = re.search(r"(\d+) % painted", page.locator(".brush-status").inner_text())
    assert int(share[1]) == round(100 * 16 / MASK**2)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")  # Blur and judge
    page.keyboard.press("Enter")
    expect(page.locator("#path")).to_contain_text("of the picture blurred", timeout=30_000)


def test_verdict_map_and_check_come_one_after_another_with_one_line_of_progress(page):
    edit(page, "response-b", "The number of purple shapes is 7, I believe.")
    page.evaluate("""() => { window.seen = []; new MutationObserver(() => {
        const line = document.querySelector('#status .working');
        const now = line ? line.textContent : '';
        if (now && window.seen.at(-1) !== now) window.seen.push(now);
    }).observe(document.getElementById('status'), {childList: true, subtree: true}); }""")
    page.locator("#judge").click()
    expect(page.locator("#path")).to_contain_text("7", timeout=30_000)
    settled(page)
    page.wait_for_timeout(500)
    seen = page.evaluate("window.seen")
    assert [s[:6] for s in seen] == ["2 of 3", "3 of 3"], seen
    assert page.locator("#heat .region").count() > 0
    expect(page.locator("#cancel")).to_be_hidden()
