"""A person at the page: opens it, judges, edits, explains, follows the link."""

import pytest
from PIL import Image
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser, server):
    page = browser.new_page(viewport={"width": 1440, "height": 1000})
    page.goto(server)
    expect(page.locator(".verdict").first).to_contain_text("The model prefers", timeout=60_000)
    yield page
    page.close()


def box(page, name):
    return page.locator(f"#{name} textarea, #{name} input").first


def test_the_first_example_is_judged_when_the_page_opens(page):
    page.locator("#gates .chart").first.wait_for(state="attached")
    assert page.locator("#heat .word").count() > 0
    assert page.locator("#heat img").count() == 2
    assert all(page.locator("#heat img").nth(i).get_attribute("alt") for i in (0, 1))


def test_a_gallery_example_opens_while_the_model_is_busy(page, browser, server):
    """Landing and gallery come from stored results: they do not wait for anybody."""
    expect(page.locator(".rewards")).to_contain_text("cached")
    expect(page.locator("#cost")).to_contain_text("evaluations")
    busy = browser.new_page()
    busy.goto(server)
    expect(busy.locator(".verdict").first).to_contain_text("The model prefers", timeout=60_000)
    busy.locator("#method input").click()
    busy.get_by_role("option", name="Shapley sampling").click()
    busy.locator("#exact").click()
    before = page.locator(".verdict").first.inner_text()
    page.locator("#examples button").nth(3).click()
    expect(page.locator(".verdict").first).not_to_have_text(before, timeout=5_000)
    expect(page.locator(".rewards")).to_contain_text("cached")
    assert "Shapley" not in busy.locator("#heat .small").inner_text()
    busy.locator("#cancel").click()
    busy.close()


def test_editing_a_response_turns_the_verdict(page):
    before = page.locator(".verdict").first.inner_text()
    a, b = (box(page, f"response-{x}").input_value() for x in "ab")
    box(page, "response-a").fill(b)
    box(page, "response-b").fill(a)
    page.locator("#judge").click()
    expect(page.locator(".verdict").first).not_to_have_text(before, timeout=20_000)
    winner = "The model prefers "
    names = {t.removeprefix(winner)[0] for t in (before, page.locator(".verdict").first.inner_text())}
    assert names == {"A", "B"}


def test_integrated_gradients_replace_the_first_look(page):
    expect(page.locator("#heat .small")).to_contain_text("Ablation")
    assert page.locator("#method input").input_value() == "Ablation"  # the menu names the map's method
    page.locator("#method input").click()
    page.get_by_role("option", name="Integrated gradients", exact=True).click()
    expect(page.locator("#cost")).to_contain_text("32 evaluations")
    page.locator("#exact").click()
    expect(page.locator("#heat .small")).to_contain_text("Integrated gradients, 32 steps", timeout=30_000)
    expect(page.locator("#heat .small")).to_contain_text("convergence delta")


def test_beside_each_map_stands_what_removing_the_marks_did(page):
    expect(page.locator(".trust li")).to_have_count(2)
    expect(page.locator(".trust")).to_contain_text("on average")
    expect(page.locator("#verdict .badge")).to_contain_text("image")


def test_switching_a_dimension_off_moves_the_margin_at_once(page):
    page.get_by_role("button", name="Change the weights").click()
    expect(page.locator("#what-if-outcome")).to_contain_text("turns")
    top = page.locator("#what-if-outcome tbody tr td").first.inner_text()
    page.locator("#mute input").click()
    page.get_by_role("option", name=top, exact=True).click()
    page.keyboard.press("Escape")
    expect(page.locator("#what-if-outcome tbody")).not_to_contain_text(top)
    rows = page.locator("#what-if-outcome tbody tr td:first-child")
    expect(rows).to_have_count(3)
    assert top not in rows.all_inner_texts()
    page.get_by_role("button", name="Back to the model").click()
    expect(page.locator("#what-if-outcome tbody tr td").first).to_have_text(top)


def test_a_drag_of_a_slider_is_one_event_and_the_keys_move_it_too(page):
    page.get_by_role("button", name="Change the weights").click()
    expect(page.locator("#what-if-outcome")).to_contain_text("turns")
    bar = page.locator("#k input[type=range]")
    bar.scroll_into_view_if_needed()
    box = bar.bounding_box()
    asked = []
    page.on("request", lambda r: asked.append(r.url) if r.method == "POST" else None)
    y = box["y"] + box["height"] / 2
    before = page.locator("#what-if-outcome").inner_text()
    page.mouse.move(box["x"] + box["width"] * 0.3, y)
    page.mouse.down()
    for share in range(30, 95, 5):
        page.mouse.move(box["x"] + box["width"] * share / 100, y)
    page.mouse.up()
    expect(page.locator("#what-if-outcome")).not_to_have_text(before)
    page.wait_for_timeout(500)
    assert len(asked) == 1, asked
    moved = bar.input_value()
    bar.focus()
    page.keyboard.press("ArrowLeft")
    page.wait_for_timeout(1000)
    assert bar.input_value() == str(int(moved) - 1) and len(asked) == 2


def test_edits_are_judged_and_shown(page):
    page.get_by_role("button", name="Counterfactual edits").click()
    page.locator("#try-edits").click()
    expect(page.locator("#suggestions")).to_contain_text("Would", timeout=30_000)
    page.locator("#strip .chart").first.wait_for(state="attached")
    expect(page.locator("#strip")).to_contain_text("picture removed")
    page.locator("#region-dimension .cells").first.wait_for(state="attached")


def test_painting_over_the_picture_is_judged(page):
    page.get_by_role("button", name="Counterfactual edits").click()
    page.locator("#judge-drawn").click()
    expect(page.get_by_text("Nothing is painted").first).to_be_visible(timeout=20_000)
    page.locator("#fetch").click()
    canvas = page.locator("#canvas canvas").first
    canvas.wait_for(state="visible", timeout=20_000)
    page.wait_for_timeout(1500)
    canvas.scroll_into_view_if_needed()
    box_ = canvas.bounding_box()
    x, y = box_["x"] + box_["width"] / 2, box_["y"] + box_["height"] / 2
    page.mouse.move(x - 60, y)
    page.mouse.down()
    for step in range(12):
        page.mouse.move(x - 60 + 10 * step, y + (step % 3) * 8)
    page.mouse.up()
    page.wait_for_timeout(800)
    page.locator("#judge-drawn").click()
    expect(page.locator("#drawn-outcome")).to_contain_text("the margin A − B goes from", timeout=20_000)


def test_a_bundle_comes_back_verified(page, browser, server, tmp_path):
    with page.expect_download(timeout=20_000) as download:
        page.locator("#bundle").click()
    path = tmp_path / "b.zip"
    download.value.save_as(path)
    verdict = page.locator(".verdict").first.inner_text()
    again = browser.new_page()
    again.goto(server)
    expect(again.locator(".verdict").first).to_contain_text("The model prefers", timeout=60_000)
    with again.expect_file_chooser() as chooser:
        again.locator("#open-bundle").click()
    chooser.value.set_files(str(path))
    expect(again.locator("#status")).to_contain_text("Verified", timeout=30_000)
    expect(again.locator(".verdict").first).to_have_text(verdict)
    again.close()


def test_the_explanations_page_shows_the_benchmark(browser, server):
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(server + "explanations")
    expect(page.locator("#explanation-table")).to_contain_text("exact head decomposition", timeout=60_000)
    page.locator("#measure-plot .chart").first.wait_for(state="attached")
    expect(page.locator("#misleads")).to_contain_text("still mislead")
    page.close()


def test_the_link_reopens_the_view(page, browser):
    box(page, "response-b").fill("The number of purple shapes is <b>9</b>.")
    page.locator("#judge").click()
    expect(page.locator("#heat")).to_contain_text("<b>9</b>")
    page.locator("#make-link").click()
    expect(page.locator("#link")).to_be_visible()
    expect(box(page, "link")).to_have_value(lambda_pattern())
    verdict, link = page.locator(".verdict").first.inner_text(), box(page, "link").input_value()
    again = browser.new_page()
    again.goto(link)
    expect(again.locator(".verdict").first).to_have_text(verdict, timeout=60_000)
    assert "<b>9</b>" in box(again, "response-b").input_value()
    again.close()


def lambda_pattern():
    import re

    return re.compile(r"^http://.*\?(example|view)=")


def test_an_uploaded_picture_is_judged_and_its_link_kept(page, browser, tmp_path):
    path = tmp_path / "noise.png"
    Image.effect_noise((400, 300), 90).convert("RGB").save(path)
    page.locator(
        "#picture button[aria-label='Clear'], #picture button[aria-label='Remove Image']"
    ).first.click()
    page.locator("#picture input[type=file]").first.set_input_files(str(path))
    page.wait_for_timeout(1500)
    page.evaluate("document.querySelector('.rewards').dataset.old = '1'")
    page.locator("#judge").click()
    page.wait_for_selector(".rewards:not([data-old])")
    expect(page.locator(".warning")).to_contain_text("Out-of-distribution")
    rewards = page.locator(".rewards").inner_text().split("judged")[0]
    page.locator("#make-link").click()
    expect(box(page, "link")).to_have_value(lambda_pattern())
    again = browser.new_page()
    again.goto(box(page, "link").input_value())
    expect(again.locator(".rewards")).to_contain_text(rewards.split("\n")[0], timeout=60_000)
    again.close()


def test_bad_input_is_told_in_words(page, tmp_path):
    box(page, "prompt").fill("  ")
    page.locator("#judge").click()
    expect(page.get_by_text("The prompt is empty").first).to_be_visible()


@pytest.mark.parametrize("width", [1440, 390])
def test_nothing_hangs_over_the_edge(browser, server, width):
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto(server)
    expect(page.locator(".verdict").first).to_contain_text("The model prefers", timeout=60_000)
    page.locator("#gates .chart").first.wait_for()
    page.wait_for_timeout(800)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()
