"""The dry run of a file that a person gives to a page: what was understood, before anything is judged."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path

from app.common.html import html
from core.benchmarks import BENCHMARKS, BenchmarkError
from core.benchmarks.check import check, template

SHOWN = 2000  # rows that are looked at while a person waits


def understood(file: str | None, benchmark: str) -> str:
    """HTML: the report of the file's first rows, or why it cannot be read; what a file holds as long as there is none."""
    if BENCHMARKS[benchmark].built_in is not None:
        return ""
    if not file:
        return columns() if benchmark == "own" else ""
    try:
        return in_lines(check(Path(file), benchmark, limit=SHOWN).lines())
    except BenchmarkError as error:
        return in_lines([str(error)])


def columns() -> str:
    """What a file of one's own holds, with one to start from."""
    data = base64.b64encode(template().encode()).decode()
    return html(
        """<p class="small">A file needs a question (column prompt) and responses: chosen and rejected, or responses and the label
        preferred (A, B and so on); and for most judges a picture (image). Files of TRL, RLHF-V, LLaMA-Factory, ms-swift
        and others are recognised.
        <a download="template.jsonl" href="data:application/x-ndjson;base64,{{ data }}">A file to start from</a></p>""",
        data=data,
    )


def in_lines(lines: Sequence[str]) -> str:
    """A status message of several lines."""
    return html(
        '<p class="small" role="status">{% for line in lines %}{{ line }}{% if not loop.last %}<br>{% endif %}{% endfor %}</p>',
        lines=[line.strip() for line in lines],
    )
