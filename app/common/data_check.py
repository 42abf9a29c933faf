"""The dry run of a file that a person gives to a page: what was understood, before anything is judged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from app.common.html import html
from core.benchmarks import BENCHMARKS, BenchmarkError
from core.benchmarks.check import check

SHOWN = 2000  # rows that are looked at while a person waits


def understood(file: str | None, benchmark: str) -> str:
    """HTML: the report of the file's first rows, or why it cannot be read; empty without a file."""
    if not file or BENCHMARKS[benchmark].built_in is not None:
        return ""
    try:
        return in_lines(check(Path(file), benchmark, limit=SHOWN).lines())
    except BenchmarkError as error:
        return in_lines([str(error)])


def in_lines(lines: Sequence[str]) -> str:
    """A status message of several lines."""
    return html(
        '<p class="small" role="status">{% for line in lines %}{{ line }}{% if not loop.last %}<br>{% endif %}{% endfor %}</p>',
        lines=[line.strip() for line in lines],
    )
