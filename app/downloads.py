"""Buttons that download what is made on the click. Gradio's DownloadButton hands out what the last click made."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import pandas as pd

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


def table_file(table: pd.DataFrame, name: str, kind: str) -> str:
    """The table as csv, jsonl or parquet in a folder of its own."""
    path = Path(tempfile.mkdtemp(prefix="rewardscope-")) / f"{name}.{kind}"
    if kind == "csv":
        table.to_csv(path, index=False)
    elif kind == "jsonl":
        table.to_json(path, orient="records", lines=True, force_ascii=False)
    else:
        table.to_parquet(path, index=False)
    return str(path)
