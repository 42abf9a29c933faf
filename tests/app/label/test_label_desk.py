"""A person at the desk, with the keyboard alone; and at the Queues page."""

import io
import json
import re
import sys
import time
import zipfile
from pathlib import Path

import datasets
import pytest
from PIL import Image
from playwright.sync_api import expect

sys.path.insert(0, str(Path(__file__).parents[2]))
from desk_client import Page, Refused

from core.benchmarks import BENCHMARKS
from core.judges.rules import no_judge
from core.labels import queues
from core.labels.store import LabelStore
from core.runs.library import BUNDLED
from core.runs.run import open_run
from core.runs.runner import Job, run
from tests.app.conftest import started

pytestmark = pytest.mark.browser
HOSTILE = "<script>window.pwned = 1</script><img src=x onerror='window.pwned = 1'> $\\frac{1}{2}$ {{7*7}} ${7*7} \\n"


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """An app without a model (labels need none), its store, and a queue of 40 suspicious scenes."""
    folder = tmp_path_factory.mktemp("desk")
    store = LabelStore(f"sqlite:///{folder / 'labels.sqlite'}")
    runs = {f"scene/{n}": open_run(BUNDLED / "scene" / n) for n in ("vl-mdr", "scalar")}
    queue = queues.from_runs(store, runs, name="Scenes", by="test", most=40)
    with started(folder, "--replay", str(folder)) as (url, _):
        yield url, store, queue


@pytest.fixture
def page(browser):
    page = browser.new_page(viewport={"width": 1440, "height": 1000})
    yield page
    page.close()


def come_in(page, url, name, queue=None):
    page.goto(f"{url}label" + (f"?queue={queue.id}" if queue else ""))
    page.locator("#name input, #name textarea").first.wait_for(timeout=60_000)
    page.keyboard.press("Tab")  # the whole visit goes by keyboard
    for _ in range(30):
        if page.evaluate("document.activeElement.closest('#name') !== null"):
            break
        page.keyboard.press("Tab")
    page.keyboard.type(name)
    page.keyboard.press("Enter")
    expect(page.locator(".desk-item")).to_be_visible(timeout=20_000)


def of(store, queue, name):
    return {v.position: v for v in store.labels(queue.id) if v.annotator == name}


def test_a_whole_visit_by_keyboard_alone(page, desk):
    url, store, queue = desk
    come_in(page, url, "Key Board", queue)
    expect(page.locator("#reveal .reveal")).to_have_count(0)
    first = page.locator("#item .prompt").inner_text()
    page.keyboard.press("2")
    expect(page.locator(".reveal")).to_contain_text("You said Right")
    expect(page.locator(".reveal")).to_contain_text("The label says")
    expect(page.locator(".reveal .contributions tbody tr")).to_have_count(3)
    page.keyboard.press("t")
    expect(page.locator(".reveal")).to_contain_text("You said Right, then a tie")
    (label,) = of(store, queue, "Key Board").values()
    assert label.final == "tie" and label.first in "01" and label.blind and label.seconds > 0
    page.keyboard.press("Enter")
    expect(page.locator("#reveal .reveal")).to_have_count(0)
    second = page.locator("#item .side").all_inner_texts()
    page.keyboard.press("s")
    expect(page.locator("#item .side")).not_to_have_text(second, use_inner_text=True)
    page.keyboard.press("b")
    expect(page.locator(".reveal")).to_contain_text("both bad")
    page.keyboard.press("k")
    expect(page.locator(".reveal")).to_contain_text("You said Right, then a tie")
    expect(page.locator("#item .prompt")).to_have_text(first)
    page.keyboard.press("Enter")
    expect(page.locator(".reveal")).to_contain_text("both bad")
    page.keyboard.press("u")
    expect(page.locator("#reveal")).to_contain_text("not counted as blind")
    page.keyboard.press("c")
    expect(page.locator(".reveal")).to_contain_text("cannot tell")
    blind = {v.final: v.blind for v in of(store, queue, "Key Board").values()}
    assert blind == {"tie": True, "unsure": False}
    page.keyboard.press("s")  # what cannot be done is said, also by handlers that do not wait in the queue
    expect(page.locator("#message")).to_contain_text("has your verdict already")
    page.keyboard.press("z")
    expect(page.locator("#zoom")).to_have_attribute("aria-expanded", "true")


def test_letters_in_a_note_are_no_verdicts(page, desk):
    url, store, queue = desk
    come_in(page, url, "Note Taker", queue)
    page.get_by_role("button", name="What decided it").click()
    page.locator("#note textarea").click()
    page.keyboard.type("both 1 2 t b c s u")
    page.get_by_label("Counting").check()
    assert of(store, queue, "Note Taker") == {}
    page.locator("#verdict-0").click()
    expect(page.locator(".reveal")).to_be_visible()
    (label,) = of(store, queue, "Note Taker").values()
    assert label.note == "both 1 2 t b c s u" and label.dimensions == ("counting",)


def test_n_takes_the_typing_at_once(page, desk):
    """What was measured: the letters of "hard to see" cast a tie while the note was closed."""
    url, store, queue = desk
    come_in(page, url, "Note Key", queue)
    page.keyboard.type("nhard to see")
    expect(page.locator("#note textarea")).to_be_focused()
    assert (
        page.locator("#note textarea").input_value() == "hard to see" and of(store, queue, "Note Key") == {}
    )
    page.keyboard.press("Escape")
    page.keyboard.press("t")
    expect(page.locator(".reveal")).to_contain_text("You said a tie")
    (label,) = of(store, queue, "Note Key").values()
    assert (label.final, label.note) == ("tie", "hard to see")


def test_what_is_typed_while_a_verdict_is_on_its_way_stays(page, desk):
    url, store, queue = desk
    come_in(page, url, "Fast Typist", queue)
    page.route("**/gradio_api/**", lambda route: (time.sleep(0.3), route.continue_()))
    page.keyboard.press("2")
    page.keyboard.type("nstill thinking")
    expect(page.locator(".reveal")).to_contain_text("You said Right")
    page.wait_for_timeout(300)
    assert page.locator("#note textarea").input_value() == "still thinking"
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    expect(page.locator("#reveal .reveal")).to_have_count(0)
    assert page.locator("#note textarea").input_value() == ""
    (label,) = of(store, queue, "Fast Typist").values()
    assert (label.note, label.final == label.first) == ("still thinking", True)


def test_the_reveal_stands_beside_the_responses_above_the_fold(page, desk):
    url, _, queue = desk
    page.set_viewport_size({"width": 1440, "height": 900})
    come_in(page, url, "Folder", queue)
    page.locator("#phrase-kept").click()
    for _ in range(4):
        page.keyboard.press("1")
        expect(page.locator(".reveal")).to_be_visible()
        picture, reveal = (page.locator(s).bounding_box() for s in ("#zoom img", ".reveal"))
        assert page.evaluate("scrollY") == 0
        assert (
            reveal["x"] >= picture["x"] + picture["width"] and reveal["y"] < picture["y"] + picture["height"]
        )
        assert reveal["y"] + reveal["height"] <= 900
        page.keyboard.press("Enter")
        expect(page.locator("#reveal .reveal")).to_have_count(0)


def test_the_menu_does_not_say_what_is_expected_of_labels(page, desk):
    url, store, queue = desk
    run_ = {"scene/vl-mdr": open_run(BUNDLED / "scene" / "vl-mdr")}
    wrong = queues.from_runs(store, run_, name="Surely wrong labels", by="test", most=3)
    come_in(page, url, "Unbiased", wrong)
    number = len(store.queues())
    menu = page.locator("#queue input")
    expect(menu).to_have_value(f"Queue {number}: Scene world, held out (3)")
    menu.click()
    titles = page.get_by_role("option").all_inner_texts()
    assert len(titles) == number and all(re.search(r"Queue \d+: ", t) for t in titles)
    assert not re.search(
        "wrong|error|Scenes|doubt", page.locator("body").inner_text().replace("What is wrong", "")
    )


def test_a_name_is_taken_up_again_in_another_browser(browser, desk):
    url, store, queue = desk
    first, second = (browser.new_context().new_page() for _ in range(2))
    come_in(first, url, "Wanderer", queue)
    phrase = first.locator(".phrase code").inner_text()
    assert len(phrase.split()) == 6
    first.keyboard.press("1")
    expect(first.locator(".reveal")).to_be_visible()
    first.locator("#phrase-kept").click()
    expect(first.locator(".phrase")).to_have_count(0)
    first.reload()  # shown once
    expect(first.locator(".desk-item")).to_be_visible(timeout=20_000)
    assert phrase not in first.content()
    second.goto(f"{url}label?queue={queue.id}")
    second.locator("#name input, #name textarea").first.fill("wanderer")
    second.locator("#enter").click()
    expect(second.locator("#door-message")).to_contain_text("recovery phrase")
    box = second.locator("#phrase input, #phrase textarea").first
    box.fill("abandon " * 6)
    second.locator("#recover").click()
    expect(second.locator("#door-message")).to_contain_text("not the recovery phrase")
    box.fill(phrase.title())
    box.press("Enter")
    expect(second.locator(".desk-item")).to_be_visible(timeout=20_000)
    expect(second.locator("#tally")).to_contain_text("1 by you, Wanderer")
    second.locator("#renew-phrase").click()  # a new one, from either browser
    expect(second.locator(".phrase")).to_contain_text("Wanderer")
    assert second.locator(".phrase code").inner_text() != phrase
    expect(first.locator(".desk-item")).to_be_visible()
    first.keyboard.press("1")
    expect(first.locator(".reveal")).to_be_visible()
    for each in (first, second):
        each.context.close()


def test_guesses_at_a_phrase_are_slowed(desk):
    url, store, _ = desk
    store.enter("Guarded")
    phrase = store.new_phrase("Guarded")
    page = Page(url)
    again = page.find("label", "recover", "click")
    with pytest.raises(Refused, match="has 6 words"):  # no guess: not counted
        page.call(again, "Guarded", "what was it")
    said = []
    for _ in range(12):
        with pytest.raises(Refused) as refused:
            page.call(again, "Guarded", "abandon " * 6)
        said.append(str(refused.value))
    assert (
        sum("not the recovery phrase" in s for s in said) <= 10 and "Too many wrong phrases: wait" in said[-1]
    )
    with pytest.raises(Refused, match="Too many"):  # the right one has to wait as well; from any page
        page.call(page.find("queues", "recover", "click"), "Guarded", phrase)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_desk_is_sound_on_a_phone(browser, desk, theme):
    url, store, queue = desk
    page = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme=theme).new_page()
    come_in(page, url, f"Phone {theme}", queue)
    page.locator("#phrase-kept").click()
    buttons = page.locator("#verdicts button:visible, #moves button:visible")
    boxes = [b.bounding_box() for b in buttons.all()]
    assert len(boxes) == 9 and all(
        b["height"] >= 44 and b["x"] >= 0 and b["x"] + b["width"] <= 390 for b in boxes
    )
    rows = {}
    for box in boxes:
        rows.setdefault(round(box["y"]), []).append(box["width"])
    spans = [sum(w) + 8 * (len(w) - 1) for w in rows.values()]
    assert max(spans) - min(spans) <= 2  # no hole at the end of a row
    page.locator("#verdict-1").click()
    expect(page.locator(".reveal")).to_be_visible()
    expect(page.locator(".reveal p").first).to_be_in_viewport()
    page.locator("#next-item").click()
    expect(page.locator("#reveal .reveal")).to_have_count(0)
    expect(page.locator("#item-picture")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.context.close()


def test_every_action_has_a_button_that_names_its_key(page, desk):
    url, _, queue = desk
    come_in(page, url, "Reader", queue)
    keys = {"verdict-0": "1", "verdict-1": "2", "verdict-tie": "T", "verdict-bad": "B", "verdict-unsure": "C", "next-item": "Enter",
            "back": "K", "skip": "S", "undo": "U"}  # fmt: skip
    for name, key in keys.items():
        assert page.locator(f"#{name}").inner_text().endswith(f"({key})")
    assert "(Z)" in page.locator("#zoom").get_attribute("aria-label")


def test_two_people_never_get_the_same_item(browser, desk):
    url, store, queue = desk
    pages = [browser.new_context().new_page() for _ in range(2)]
    for n, each in enumerate(pages):
        come_in(each, url, f"Pair {n}", queue)
    for _ in range(3):
        for each in pages:
            each.locator("#verdict-0").click()
            expect(each.locator(".reveal")).to_be_visible()
            each.locator("#next-item").click()
            expect(each.locator("#reveal .reveal")).to_have_count(0)
    one, two = (set(of(store, queue, f"Pair {n}")) for n in range(2))
    assert len(one) == len(two) == 3 and not one & two
    for each in pages:
        each.context.close()


def test_the_browser_remembers_the_name_and_the_item(page, desk):
    url, _, queue = desk
    come_in(page, url, "Elephant", queue)
    sides = page.locator("#item .side").all_inner_texts()
    page.reload()
    expect(page.locator(".desk-item")).to_be_visible(timeout=20_000)
    expect(page.locator("#door")).not_to_be_visible()
    assert page.locator("#item .side").all_inner_texts() == sides
    page.close()


def test_hostile_texts_are_shown_and_do_nothing(page, desk, tmp_path):
    url, store, _ = desk
    out = io.BytesIO()
    Image.new("RGB", (60, 40), "red").save(out, "PNG")
    (tmp_path / "p.png").write_bytes(out.getvalue())
    row = {
        "prompt": "Prompt " + HOSTILE,
        "chosen": "A " + HOSTILE,
        "rejected": "B " + HOSTILE,
        "image": "p.png",
        "id": HOSTILE,
    }
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n")
    made = run(Job(BENCHMARKS["own"].open(tmp_path / "rows.jsonl"), no_judge(), tmp_path / "run"))
    queue = queues.from_runs(store, {HOSTILE: made}, name=HOSTILE, by=HOSTILE)
    come_in(page, url, "Brave", queue)
    expect(page.locator("#item .prompt")).to_contain_text("<script>window.pwned = 1</script>")
    expect(page.locator("#item .prompt")).to_contain_text("$\\frac{1}{2}$ {{7*7}} ${7*7} \\n")
    page.keyboard.press("1")
    expect(page.locator(".reveal")).to_be_visible()
    page.goto(f"{url}queues?queue={queue.id}")
    expect(page.locator("#queue-head h2")).to_contain_text("<script>")
    assert page.evaluate("window.pwned") is None


def test_what_comes_out_can_be_downloaded(page, desk, tmp_path):
    url, store, queue = desk
    come_in(page, url, "Harvester", queue)
    page.keyboard.press("1")
    expect(page.locator(".reveal")).to_be_visible()
    page.goto(f"{url}queues?queue={queue.id}")
    expect(page.locator("#results")).to_contain_text(
        "The benchmark under the corrected labels", timeout=30_000
    )
    expect(page.locator("#results")).to_contain_text("not a random sample")

    def get(kind):
        with page.expect_download(timeout=60_000) as download:
            page.locator(f"#get-{kind}").click()
        path = tmp_path / kind
        download.value.save_as(path)
        return path

    rows = [json.loads(line) for line in get("jsonl").read_text().splitlines()]
    people = [r for r in rows if r["annotators"]]
    assert len(rows) == 2024 and len(people) == len({v.position for v in store.labels(queue.id)})
    assert "# " in get("report").read_text()[:400]
    assert all(json.loads(line)["queue"] == queue.id for line in get("events").read_text().splitlines())
    with zipfile.ZipFile(get("trl")) as archive:
        archive.extractall(tmp_path / "unpacked")
    (folder,) = (tmp_path / "unpacked").iterdir()
    pairs = datasets.load_from_disk(str(folder))
    assert set(pairs.column_names) == {"images", "prompt", "chosen", "rejected"} and len(pairs) > 1900


def test_a_queue_is_made_on_the_page(page, desk):
    url, store, queue = desk
    come_in(page, url, "Maker", queue)
    page.goto(f"{url}queues")
    page.get_by_role("button", name="Make a queue").first.click()
    page.locator("#make-queue").click()
    expect(page.get_by_text("Choose a run first").first).to_be_visible(timeout=20_000)
    page.locator("#from-runs input").click()
    page.get_by_role("option", name="Scene world, held out: Rewardscope scene model", exact=True).click()
    page.keyboard.press("Escape")
    page.locator("#queue-name input, #queue-name textarea").first.fill("Made here")
    page.locator("#make-queue").click()
    expect(page.locator("#queue-head")).to_contain_text("Made here", timeout=60_000)
    assert store.queues()[0].about["name"] == "Made here" and store.queues()[0].about["by"] == "Maker"


def test_a_file_that_nobody_judged_becomes_a_queue(page, desk, tmp_path):
    url, store, queue = desk
    rows = [
        {"prompt": "Which?", "chosen": a, "rejected": b}
        for a, b in (("red", "blue"), ("blue", "red"), ("one", "two"))
    ]
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    come_in(page, url, "Filer", queue)
    page.goto(f"{url}queues")
    page.get_by_role("button", name="Make a queue").first.click()
    page.get_by_role("button", name="A file instead of runs").click()
    page.locator("#queue-file input[type=file]").set_input_files(str(tmp_path / "mine.jsonl"))
    expect(page.locator("#queue-file")).to_contain_text("mine", timeout=20_000)
    page.locator("#make-queue").click()
    expect(page.locator("#queue-head")).to_contain_text("3 items", timeout=60_000)
    found = store.items(store.queues()[0].id)
    assert {found[0].row, found[1].row} == {0, 1}
    assert (
        found[0].evidence["reasons"][0]["kind"] == "contradicts"
        and found[0].evidence["reasons"][0]["certain"]
    )
    page.get_by_role("link", name="Label it").click()
    expect(page.locator("#item .prompt")).to_have_text("Which?", timeout=60_000)
    expect(page.locator("#item .no-picture")).to_be_visible()
