"""A person at Inspect with a judge behind a server, and at a recorded gallery: `python app.py` as its user starts it."""

import os

import pytest
from playwright.sync_api import expect
from server import serving, text_of, token

from core.records.gallery import Entry, write
from tests.app.conftest import started
from tests.core.records.test_gallery import bundle

pytestmark = pytest.mark.browser
SECRET = "sk-very-secret-0123456789"


def longer(handler, body, number):
    """Prefers what is longer, and sends the key back."""
    first, second = (text_of(body).split(f"Response {n}:\n")[1].split("\n\n")[0] for n in (1, 2))
    odds = (len(first) - len(second)) / 10
    mine, other = ("1", "2") if odds >= 0 else ("2", "1")
    said = f"You sent {handler.headers['Authorization']}. <answer>"
    handler.say(f"{said}{mine}</answer>", tokens=[
        token(said, -0.1), token(mine, -0.1, **{other: -0.1 - abs(odds)}), token("</answer>", -0.1),
    ])  # fmt: skip


def test_a_served_judge_is_asked_explained_and_tried_with_edits(tmp_path, browser):
    with serving(longer, key=SECRET) as server:
        env = {**os.environ, "OPENAI_API_KEY": SECRET}
        with started(tmp_path, "--model", server.address, "--runs", str(tmp_path / "runs"), env=env) as (
            url,
            _,
        ):
            page = browser.new_page(viewport={"width": 1440, "height": 1000})
            page.goto(url)
            expect(page.locator("#verdict")).to_contain_text(
                "Press Judge to ask judge-7b: 2 requests", timeout=60_000
            )
            assert not server.asked
            page.locator("#judge").click()
            expect(page.locator("#verdict")).to_contain_text("The model prefers B", timeout=60_000)
            expect(page.locator("#both-orders .badge")).to_have_text("B wins in both orders")
            expect(page.locator("#both-orders")).to_contain_text("You sent Bearer [key].")
            page.get_by_role("button", name="Another map").click()
            expect(page.locator("#cost")).to_contain_text("requests, about", timeout=60_000)
            assert server.asked == 2
            page.locator("#exact").click()
            expect(page.locator("#heat .legend")).to_contain_text("speaks for A", timeout=60_000)
            expect(page.locator("#map-details")).to_contain_text("words cut out, regions made grey")
            page.locator("#said-response-a .word").first.hover()  # what was asked for is what is told
            expect(page.locator("#hint")).to_contain_text("removed: margin A − B")
            page.locator("#edits button").first.click()
            page.locator("#try-edits").click()
            page.locator("#strip .chart").first.wait_for(timeout=60_000)
            assert SECRET not in page.content()
            page.close()
    assert SECRET not in (tmp_path / "log").read_text()
    assert not any(SECRET.encode() in p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())


def test_a_recorded_gallery_is_shown_without_a_model(tmp_path, browser):
    file = tmp_path / "recorded.zip"
    write(file, "Far away", [Entry("first", bundle(0)), Entry("second", bundle(9))])
    with started(tmp_path, "--replay", str(tmp_path), "--recorded", str(file)) as (url, _):
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        page.goto(url)
        page.get_by_role("link", name="Recorded").first.click()
        expect(page.locator("#badge")).to_contain_text("recorded", timeout=60_000)
        expect(page.locator("#badge")).to_contain_text("first")
        page.locator("#recorded .grid-container button").nth(1).click()
        expect(page.locator("#badge")).to_contain_text("second")
        page.locator("#target input").click()
        page.get_by_role("option", name="the verdict at once").click()
        expect(page.locator("#judged .small").last).to_contain_text("the verdict at once")
        page.close()


def test_a_file_that_is_no_gallery_ends_the_start_in_a_sentence(tmp_path):
    import subprocess
    import sys

    from tests.app.conftest import ROOT

    (tmp_path / "no.zip").write_bytes(b"PK")
    command = [sys.executable, "app.py", "--replay", str(tmp_path), "--recorded", str(tmp_path / "no.zip")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (
        done.returncode == 1
        and "Rewardscope cannot start: This file is not a recorded gallery" in done.stderr
    )
