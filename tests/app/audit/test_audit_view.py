"""The Audit page without a browser: its address, its rows, its downloads, and that a hostile row is only text."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.audit import view
from app.audit.address import MARKS, SORTS, Form, State, read, write
from app.audit.page import AuditPage
from app.common.html import html
from core.benchmarks.audit import Mark, audit
from core.benchmarks.pasted import UNITS, audited, columns_of
from core.benchmarks.pasted import read as read_pasted
from core.benchmarks.published import published

EVIL = '<img src=x onerror="alert(1)">'
ROWS = [(row, audit(row)) for row in published()]
PAGE = AuditPage()


@given(
    st.sampled_from(MARKS), st.sampled_from(["all", *audited()]), st.sampled_from(SORTS), st.text(max_size=30), st.text(max_size=80),
    st.sampled_from(audited()), st.text(max_size=30), st.sampled_from(UNITS),
)  # fmt: skip
def test_an_address_brings_back_what_it_was_made_of(
    mark: str, benchmark: str, sort: str, row: str, paste: str, of: str, columns: str, unit: str
) -> None:
    form = Form(paste, of, columns, unit) if paste else Form()
    try:
        query = write(State(mark, benchmark, sort, row, form))
    except UnicodeEncodeError:
        return  # half of a surrogate pair, which no browser sends
    assert read(dict(parse_qsl(query, keep_blank_values=True))) == State(mark, benchmark, sort, row, form)


@settings(max_examples=50)
@given(st.dictionaries(st.sampled_from(["mark", "benchmark", "sort", "row", "paste", "of", "unit", "columns", "x"]), st.text(max_size=40)))  # fmt: skip
def test_any_address_opens(query: dict[str, str]) -> None:
    state = read(query)
    assert state.mark in MARKS and state.benchmark in ("all", *audited()) and state.sort in SORTS
    assert isinstance(PAGE._shown(state), list)


def test_the_headline_counts_what_the_rows_say() -> None:
    text = str(view.tally_html(ROWS))
    counts = [int(n) for n in re.findall(r"(\d+) (?:published|add up|partly|do not)", text)]
    shown = str(view.rows_html(ROWS))
    said = [
        shown.count(f"</span> {m}</span>") for m in (Mark.ADDS_UP, Mark.PARTLY, Mark.DOES_NOT, Mark.UNCHECKED)
    ]
    assert counts[0] == len(ROWS) == shown.count("<details") and counts[1:] == said[:3]
    assert sum(said) == len(ROWS)


def test_every_row_shows_its_verdict_its_numbers_and_its_source() -> None:
    for row, found in ROWS:
        text = str(view.rows_html([(row, found)]))
        plain = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text)).replace("&#39;", "'")
        for sentence in found.sentences:
            assert sentence in plain, row.name
        assert all(v in plain for v in row.columns.values())
        assert f'href="{row.link}"' in text and f'href="audit?row={row.key}"' in text
        assert "-0.00" not in plain


@pytest.mark.parametrize("sort", SORTS)
def test_sorting_keeps_every_row(sort: str) -> None:
    found = view.ordered(ROWS, sort)
    assert sorted(r.key for r, _ in found) == sorted(r.key for r, _ in ROWS)
    if sort == "overall":
        values = [float(r.overall) for r, _ in found if r.overall]
        assert values == sorted(values, reverse=True)
    if sort == "mark":
        assert found[0][1].mark is Mark.DOES_NOT and found[-1][1].mark is Mark.ADDS_UP


@pytest.mark.parametrize(("mark", "benchmark"), [("all", "all"), ("partly", "all"), ("does not add up", "mm-rlhf-rewardbench")])  # fmt: skip
def test_downloads_hold_the_librarys_verdicts(mark: str, benchmark: str) -> None:
    wanted = [
        (row, found)
        for row, found in ROWS
        if mark in ("all", found.mark) and benchmark in ("all", row.benchmark)
    ]
    page = AuditPage()
    rows = json.loads(Path(page._download("json")(mark, benchmark, "published", [])).read_text())
    with Path(page._download("csv")(mark, benchmark, "published", [])).open(newline="") as file:
        lines = list(csv.DictReader(file))
    for out in (rows, lines):
        assert [(r["name"], r["mark"], r["verdict"], r["key"]) for r in out] == [
            (row.name, str(found.mark), found.verdict, row.key) for row, found in wanted
        ]
    for line, (row, _) in zip(lines, wanted, strict=True):
        assert {g: line[g] for g in row.columns} == row.columns  # as printed, trailing zeros too
        assert line["overall"] == (row.overall or "")


def test_a_hostile_row_is_text_in_the_page_and_harmless_in_a_spreadsheet() -> None:
    for name in (EVIL, "=cmd|' /C calc'!A0", "{{ 7*7 }}", "</details></div><script>alert(1)</script>"):
        cell = name.replace('"', '""')
        found = read_pasted(f'"{cell}";63.84;85.71;64.78;71.92;71.44', "vl-rewardbench")
        rows = [(row, audit(row)) for row in found.rows]
        text = str(view.checked_html(rows, found.notes))
        assert "<img" not in text and "<script" not in text
        assert found.rows[0].name.count("49") == 0 and str(html("{{ n }}", n=found.rows[0].name)) in text
        path = AuditPage()._download("csv")("all", "all", "published", list(found.rows))
        with Path(path).open(newline="") as file:
            first = next(csv.DictReader(file))
        assert not first["name"].startswith(("=", "+", "-", "@"))
    problem = AuditPage()._check(Form(f"{EVIL},x\n1,2"))[0]
    assert "<img" not in str(problem) and "&lt;img" in str(problem)


def test_what_was_typed_and_the_last_result_stay_where_a_row_cannot_be_read() -> None:
    page = AuditPage()
    problem, checked, rows, address, row = page.on_check(
        "all", "all", "published", "1,2", "vl-rewardbench", "", "recognised"
    )
    assert "2 numbers and no names" in str(problem) and row == ""
    assert checked["__type__"] == rows["__type__"] == "update" and "value" not in checked
    good = page.on_check(
        "all", "all", "published", "A,63.84,85.71,64.78,71.92", "vl-rewardbench", "", "recognised"
    )
    assert good[0] == "" and "Fits 484/448/318 only" in str(good[1]) and "paste=A%2C63.84" in good[3]


def test_the_limits_name_every_reading_that_the_library_knows() -> None:
    text = str(view.limits_html())
    for sizes in ("183/749/318", "484/448/318", "631/301/318", "42/37/34/32/25", "1,004", "1,202", "506"):
        assert sizes in text
    assert columns_of("vl-rewardbench") == ["general", "hallucination", "reasoning", "overall", "macro"]
