"""A person at the desk, with the keyboard alone; and at the Queues page."""

import io
import json
import zipfile

import datasets
import pytest
from PIL import Image
from playwright.sync_api import expect

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
