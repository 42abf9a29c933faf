"""The dry run of a file that a person gives to a page: what was understood, before anything is judged."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path

from app.common.html import html
from core.benchmarks import BENCHMARKS, BenchmarkError
from core.benchmarks.check import Report, check, template
from core.benchmarks.formats import FORMATS

SHOWN = 2000  # rows that are looked at while a person waits
ELSEWHERE = "A page is given the file alone: write the pictures into it as base64, or use the command line with --images FOLDER."  # fmt: skip


def format_choices() -> list[tuple[str, str]]:
    """The formats in which a file of one's own may be read, "" where its columns shall tell."""
    return [("recognised by its columns", ""), *((f.title, f.name) for f in FORMATS.values())]


def understood(file: str | None, benchmark: str, format: str | None = None) -> str:
    """HTML: the report of the file's first rows, or why it cannot be read; what a file holds as long as there is none."""
    if BENCHMARKS[benchmark].built_in is not None:
        return ""
    if not file:
        return columns() if benchmark == "own" else ""
    try:
        return report_html(check(Path(file), benchmark, format=own_format(benchmark, format), limit=SHOWN))
    except BenchmarkError as error:
        return in_lines([str(error)])


def own_format(benchmark: str, format: str | None) -> str | None:
    """The format that was chosen; a benchmark has its own."""
    return format or None if benchmark == "own" else None


def report_html(found: Report) -> str:
    """The sentences of the dry run, and its first comparison as it will be shown."""
    first, *rest = found.lines(ELSEWHERE)
    return html(
        """
        <div class="small" role="status" style="overflow-wrap: anywhere"><p><b>{{ first }}</b></p>
        <ul>{% for line in rest %}<li>{{ line }}</li>{% endfor %}</ul>
        {%- if example %}<p>The first comparison, in the order in which it is shown: <b>{{ example[0] }}</b></p><ul>
        {%- for text in example[1] %}<li>{{ letters[loop.index0] }}{{ " (preferred)" if letters[loop.index0] == example[2] }}: {{ text }}</li>{% endfor %}
        </ul>{% endif %}</div>
        """,
        first=first,
        rest=[line.strip() for line in rest],
        example=_cut(found.preview[0]) if found.preview else None,
        letters="ABCDEFGHIJKLMNOPQRSTUVWXYZ" * 40,
    )


def _cut(example: tuple[str, tuple[str, ...], str]) -> tuple[str, list[str], str]:
    prompt, responses, preferred = example
    prompt, *texts = (t if len(t) <= 200 else t[:199] + "…" for t in (prompt, *responses[:8]))
    return prompt, texts, preferred


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
        '<p class="small" role="status" style="overflow-wrap: anywhere">{% for line in lines %}{{ line }}{% if not loop.last %}<br>{% endif %}{% endfor %}</p>',
        lines=[line.strip() for line in lines],
    )
