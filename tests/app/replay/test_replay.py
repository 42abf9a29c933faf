"""A run as one folder, opened with no model: taken from one server, shown by another."""

import json
import zipfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image
from playwright.sync_api import expect

from core.benchmarks import BENCHMARKS
from core.judges.rules import longer
from core.runs.runner import Job, run
from core.world.items import png
from tests.app.conftest import started

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    data = tmp_path_factory.mktemp("data")
    (data / "i.png").write_bytes(png(Image.new("RGB", (60, 40), "red")))
    rows = [
        {"prompt": f"Q{i}", "responses": ["short", "much longer"], "preferred": "AB"[i % 2], "image": "i.png"}
        for i in range(9)
    ]
    (data / "mine.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    out = tmp_path_factory.mktemp("runs")
    run(Job(BENCHMARKS["own"].open(data / "mine.jsonl"), longer(), out / "mine"))
    return out


def test_a_replay_shows_the_run_and_loads_no_model(folder, tmp_path, browser):
    with started(tmp_path, "--replay", str(folder)) as (url, pid):
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        page.goto(url)
        expect(page.locator("#runs")).to_contain_text("longer wins", timeout=60_000)
        page.locator("#runs tr", has_text="Your own file").get_by_role("link", name="its failures").click()
        expect(page.locator("#item .prompt")).to_contain_text("Q", timeout=60_000)
        expect(page.locator("#item img")).to_have_count(1)  # the thumbnail travels with the run
        expect(page.locator(".inspect-link")).to_have_count(0)
        with page.expect_download() as download:
            page.get_by_text("Download", exact=True).click()
            page.locator("#whole").click()
        with zipfile.ZipFile(download.value.path()) as archive:
            archive.extractall(tmp_path / "again")
        page.goto(url + "leaderboard?benchmark=own")
        expect(page.locator("#answer")).to_contain_text("only longer wins", timeout=60_000)
        page.get_by_role("button", name="All numbers").click()
        expect(page.locator("#board")).to_contain_text("longer wins")
        expect(page.get_by_text("Make a run")).to_have_count(0)
        assert "torch" not in Path(f"/proc/{pid}/maps").read_text()
        page.close()
    files = list((tmp_path / "again").rglob("judgements.parquet"))
    assert pq.read_table(files[0]).equals(pq.read_table(folder / "mine" / "judgements.parquet"))


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(AssertionError, match="there is no folder"), started(tmp_path, "--replay", "nowhere"):
        pass
