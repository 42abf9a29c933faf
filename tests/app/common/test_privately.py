"""Files in a folder that others may write to: nobody else's are read, replaced or followed, and what is left over is cleaned up."""

import os
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import gradio as gr
import pandas as pd
import pytest

from app.common import downloads, privately
from app.inspect import links
from core.images import to_png_bytes
from core.world.splits import couple

KEY = "0123456789abcdef"


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def store(temporary, monkeypatch):
    place = privately.folder("rewardscope-views-")
    monkeypatch.setattr(links, "STORE", place)
    return place()


def test_a_folder_has_a_new_name_and_is_closed_to_others(temporary):
    (temporary / "rewardscope-views").mkdir(mode=0o777)  # as somebody who waits for it would
    first, second = privately.folder("rewardscope-views-")(), privately.folder("rewardscope-views-")()
    assert first != second and first.name != "rewardscope-views"
    assert stat.S_IMODE(first.stat().st_mode) == 0o700


def test_what_a_killed_server_left_is_removed_and_a_running_ones_is_not(temporary):
    mine = privately.folder("rewardscope-x-")()
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True)  # fmt: skip
    left = privately.folder("rewardscope-x-")()
    (left / "big").write_bytes(b"0" * 1000)
    privately.write(left / privately.OWNER, dead.stdout.strip().encode())
    stranger = temporary / "rewardscope-x-stranger"
    stranger.mkdir(mode=0o700)
    (stranger / privately.OWNER).symlink_to(left / privately.OWNER)
    (temporary / "rewardscope-x-link").symlink_to(mine)
    privately.clean("rewardscope-x-")
    assert mine.is_dir() and not left.exists() and stranger.is_dir()


def test_a_link_in_the_place_of_a_view_is_neither_written_through_nor_read(store, tmp_path):
    target = tmp_path / "precious.txt"
    target.write_text("precious")
    item = couple("colour", "link")[0]
    picture = tmp_path / "p.png"
    picture.write_bytes(item.image)
    view = links.View(str(picture), None, "What?", ("a", "b"))
    key = links._keep(view)
    for suffix in (".json", ".png"):
        (store / f"{key}{suffix}").unlink()
        (store / f"{key}{suffix}").symlink_to(target)
    assert links._kept(key)[0] is None
    assert links._keep(view) == key
    assert target.read_text() == "precious"
    assert links._kept(key)[0].prompt == "What?"
    (store / f"{key}.png").unlink()
    (store / f"{key}.png").symlink_to(target)
    assert links._kept(key)[0].picture is None


@pytest.mark.parametrize("text", ["", "[]", '{"prompt": 1}', "[" * 100_000, "\x00"])
def test_a_view_that_is_damaged_is_a_sentence(store, text):
    (store / f"{KEY}.json").write_text(text)
    view, said = links._kept(KEY)
    assert view is None and "no longer kept" in said


def test_a_whole_run_is_written_once_a_version_and_bounded(temporary, monkeypatch):
    monkeypatch.setattr(downloads, "PLACE", privately.folder("rewardscope-downloads-"))
    monkeypatch.setattr(downloads, "MOST_BYTES", 5_000)
    written = []

    def write(path):
        written.append(path)
        path.write_bytes(b"0" * 1000)

    paths = set()
    crowd = [threading.Thread(target=lambda: paths.add(downloads.once("v1", "a/../b.zip", 1000, write))) for _ in range(8)]  # fmt: skip
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    assert len(written) == 1 and len(paths) == 1
    (path,) = paths
    assert path.is_relative_to(downloads.PLACE()) and path.name == "a-..-b.zip"
    for n in range(12):
        made = downloads.once(f"v{n + 2}", "b.zip", 1000, write)
        old = made.stat().st_mtime - 120 + n
        os.utime(made.parent, (old, old))
    downloads.folder()
    assert sum(f.stat().st_size for f in Path(downloads.PLACE()).rglob("*.zip")) <= 5_000
    assert made.exists()
    with pytest.raises(gr.Error, match="no room"):
        downloads.once("huge", "h.zip", 1 << 60, write)
    assert all(p.name == ".unfinished" for p in written)


def test_an_export_that_fails_leaves_nothing(temporary, monkeypatch):
    monkeypatch.setattr(downloads, "PLACE", privately.folder("rewardscope-downloads-"))

    def write(path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError):
        downloads.once("v", "a.zip", 10, write)
    assert not [f for f in downloads.PLACE().rglob("*") if f.is_file() and f.name != privately.OWNER]


@pytest.mark.parametrize(
    "text", ["=1+1", "+cmd|'/c calc'!A0", "-2+3+cmd", "@SUM(A1)", "\t=1", "  =1", "＝1", "\r=1"]
)
def test_a_spreadsheet_takes_no_cell_for_a_formula(temporary, monkeypatch, text):
    monkeypatch.setattr(downloads, "PLACE", privately.folder("rewardscope-downloads-"))
    table = pd.DataFrame({"prompt": [text, "fine"], text: [-1.5, 2], "margin": ["-1.50", "+0.25"]})
    found = pd.read_csv(downloads.table_file(table, "t", "csv"), dtype=str, keep_default_na=False)
    assert found["prompt"][0] == "'" + text.replace("\r", "\r") and found["prompt"][1] == "fine"
    assert list(found.columns)[1] == "'" + text and list(found["margin"]) == ["-1.50", "+0.25"]
    assert list(found.iloc[:, 1].astype(float)) == [-1.5, 2]
    assert pd.read_json(downloads.table_file(table, "t", "jsonl"), lines=True)["prompt"][0] == text


def test_a_picture_for_the_views_is_a_picture(temporary):
    assert to_png_bytes  # the store holds PNG only
