"""Buttons that download what is made on the click. Gradio's DownloadButton hands out what the last click made."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import pandas as pd

from app.common import privately
from core.records import content_hash

PLACE = privately.folder("rewardscope-downloads-")
KEPT = 3600  # seconds
MOST_FILES, MOST_BYTES = 200, 4 << 30  # of all downloads together; the oldest make room
ROOM = 1 << 30  # bytes of the disk that are left alone
FORMULAS = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
FORMATS = ("csv", "jsonl", "parquet")
FETCH = """(file) => {
    const a = Object.assign(document.createElement('a'), {href: file.url, download: file.orig_name || ''});
    document.body.append(a); a.click(); a.remove();
}"""


MAKING = threading.Lock()  # one large file at a time


class Downloads:
    """One per page: the hidden place through which files reach the browser."""

    def __init__(self) -> None:
        self.file = gr.File(visible="hidden")

    def offer(self, button: gr.Button, write: Callable[..., str], inputs: Sequence[Any]) -> None:
        """On a click, `write` gets the inputs and gives the path of the file."""
        private: dict[str, Any] = {"api_visibility": "private"}
        made = button.click(write, list(inputs), [self.file], show_progress_on=button, **private)
        made.success(None, [self.file], None, js=FETCH, **private)


def folder() -> Path:
    """A new folder for one download. Gradio serves a copy of its own, so folders of an hour ago are thrown away."""
    _make_room()
    return Path(tempfile.mkdtemp(dir=PLACE()))


def once(version: str, name: str, size: int, write: Callable[[Path], None]) -> Path:
    """One file per version, however often it is asked for. size: about how many bytes it will have. Raises gr.Error where the
    disk has no room for it and for the copy that is handed out."""
    place = PLACE() / f"once-{content_hash(version)}"
    path = place / privately.fit(name)
    with MAKING:
        if not path.is_file():
            if shutil.disk_usage(PLACE()).free < 2 * size + ROOM:
                raise gr.Error("This server's disk has no room for this file now: try again in an hour.")
            _make_room()
            place.mkdir(mode=0o700, exist_ok=True)
            temporary = place / ".unfinished"
            try:
                write(temporary)
                os.replace(temporary, path)
            finally:
                temporary.unlink(missing_ok=True)
        os.utime(place)
    return path


def _make_room() -> None:
    now, found = time.time(), []
    for old in PLACE().iterdir():
        with contextlib.suppress(OSError):  # somebody else's download was faster
            if not old.is_dir():
                continue
            size = sum(f.lstat().st_size for f in old.rglob("*"))
            found.append((old.lstat().st_mtime, size, old))
    found.sort(reverse=True)
    total = 0
    for n, (made, size, old) in enumerate(found):
        total += size
        young = made > now - 60  # may be on its way to somebody
        if made < now - KEPT or (not young and (n >= MOST_FILES or total > MOST_BYTES)):
            shutil.rmtree(old, ignore_errors=True)


def table_file(table: pd.DataFrame, name: str, kind: str) -> str:
    """The table as csv, json, jsonl or parquet in a folder of its own."""
    path = folder() / f"{name}.{kind}"
    if kind == "csv":
        harmless(table).to_csv(path, index=False, lineterminator="\r\n")  # as RFC 4180 has it
    elif kind == "json":
        table.to_json(path, orient="records", indent=1, force_ascii=False)
    elif kind == "jsonl":
        table.to_json(path, orient="records", lines=True, force_ascii=False)
    else:
        table.to_parquet(path, index=False)
    return str(path)


def harmless(table: pd.DataFrame) -> pd.DataFrame:
    """For CSV: a spreadsheet takes a text that begins with one of these for a formula, and a quote in front for a text."""
    out = table.rename(columns=_harmless)
    for column in out.columns:
        if not pd.api.types.is_numeric_dtype(out[column]):
            out[column] = out[column].map(_harmless)
    return out


def _harmless(value: Any) -> Any:
    if not isinstance(value, str) or not value.lstrip().startswith(FORMULAS):
        return value
    return value if _number(value) else "'" + value


def _number(text: str) -> bool:
    """A plain signed number stays one."""
    try:
        float(text)
    except ValueError:
        return False
    return True
