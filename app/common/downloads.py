"""Buttons that download what is made on the click. Gradio's DownloadButton hands out what the last click made."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import pandas as pd

PLACE = Path(tempfile.gettempdir()) / f"rewardscope-downloads-{os.getpid()}"
KEPT = 3600  # seconds
FORMATS = ("csv", "jsonl", "parquet")
FETCH = """(file) => {
    const a = Object.assign(document.createElement('a'), {href: file.url, download: file.orig_name || ''});
    document.body.append(a); a.click(); a.remove();
}"""


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
    for old in PLACE.glob("*"):
        with contextlib.suppress(FileNotFoundError):  # somebody else's download was faster
            if old.stat().st_mtime < time.time() - KEPT:
                shutil.rmtree(old, ignore_errors=True)
    PLACE.mkdir(mode=0o700, exist_ok=True)
    return Path(tempfile.mkdtemp(dir=PLACE))


def table_file(table: pd.DataFrame, name: str, kind: str) -> str:
    """The table as csv, jsonl or parquet in a folder of its own."""
    path = folder() / f"{name}.{kind}"
    if kind == "csv":
        table.to_csv(path, index=False)
    elif kind == "jsonl":
        table.to_json(path, orient="records", lines=True, force_ascii=False)
    else:
        table.to_parquet(path, index=False)
    return str(path)
