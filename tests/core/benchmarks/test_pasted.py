"""Pasted rows: one row in many notations gives one result, and whatever is pasted gives a row or one sentence."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from core.benchmarks.audit import audit
from core.benchmarks.pasted import LARGEST, MOST, UNITS, PasteError, audited, columns_of, read
from core.benchmarks.published import published
from core.benchmarks.readings import sizes_of

VL = "vl-rewardbench"
FIVE = ("general", "hallucination", "reasoning", "overall", "macro")
NUMBERS = ("63.84", "85.71", "64.78", "71.92", "71.44")
WANTED = dict(zip(FIVE, NUMBERS, strict=True))


def notations(name: str, numbers: tuple[str, ...]) -> dict[str, str]:
    """The same row as people write it, with and without names of columns."""
    comma = tuple(n.replace(".", ",") for n in numbers)
    share = tuple(f"0.{int(n.replace('.', '')):04d}" if float(n) < 100 else "1.0000" for n in numbers)
    head = ["Model", "General", "Hallu.", "Reason.", "Overall", "Macro Avg."]
    return {
        "CSV": ",".join(["Model", *FIVE]) + "\n" + ",".join([name, *numbers]),
        "CSV without names": ",".join([name, *numbers]),
        "CSV, decimal commas in quotes": ",".join([name, *(f'"{n}"' for n in comma)]),
        "CSV, decimal commas and semicolons": ";".join([name, *comma]),
        "decimal commas and spaces": ", ".join([name, *comma]),
        "TSV": "\t".join(head) + "\n" + "\t".join([name, *numbers]),
        "TSV in shares": "\t".join([name, *share]),
        "Markdown": f"| {' | '.join(head)} |\n|:---|{'---:|' * 5}\n| {name} | " + " | ".join(f"**{n}**" for n in numbers) + " |",
        "Markdown in percent": f"| {name} | " + " | ".join(f"{n} %" for n in comma) + " |",
        "LaTeX": "\\toprule\n" + " & ".join(head) + " \\\\\n\\midrule\n" + f"{name} & " + " & ".join(f"\\textbf{{{n}}}" for n in numbers) + " \\\\ \\bottomrule",
        "LaTeX in colour": f"{name} & " + " & ".join(f"\\textcolor{{red}}{{\\underline{{{n}}}}}\\%" for n in numbers) + r" \\[2pt]",
        "LaTeX with deviations": f"{name} & " + " & ".join(f"${n} \\pm 0.3$" for n in numbers) + r" \\ \hline",
        "JSON": json.dumps({"model": name, **dict(zip(FIVE, map(float, numbers), strict=True))}) if all(f"{float(n)}" == n for n in numbers) else json.dumps({"model": name, **dict(zip(FIVE, numbers, strict=True))}),
        "JSON, nested": json.dumps({"name": name, "columns": dict(zip(FIVE[:3], comma, strict=False)), "overall": share[3] if False else numbers[3], "macro": numbers[4]}),
        "a list": json.dumps([name, *numbers]),
        "spaces": f"{name} {' '.join(numbers)}",
    }  # fmt: skip


@pytest.mark.parametrize("notation", notations("R1-Reward", NUMBERS))
def test_one_row_in_every_notation_is_one_row(notation: str) -> None:
    (row,) = read(notations("R1-Reward", NUMBERS)[notation], VL).rows
    assert row.name == "R1-Reward"
    assert {**row.columns, "overall": row.overall, "macro": row.macro} == WANTED
    (stored,) = [r for r in published() if r.name == "R1-Reward" and r.benchmark == VL]
    assert audit(row) == audit(stored)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.integers(100, 10_000), min_size=5, max_size=5),
    st.text("abcdefgXYZ-._ 279", min_size=1, max_size=20).map(str.strip).filter(lambda t: t[:1].isalpha()),
)
def test_any_row_in_any_notation_is_the_same_row(hundredths: list[int], name: str) -> None:
    numbers = tuple(f"{h // 100}.{h % 100:02d}" for h in hundredths)
    name = " ".join(name.strip("-._ ").split())
    rows = {}
    for notation, text in notations(name, numbers).items():
        if notation == "spaces" and any(w.strip(".").isdigit() for w in name.split()):
            continue  # a number in the name is a number there
        rows[notation] = read(text, VL).rows[0]
    first = rows["CSV"]
    assert {**first.columns, "overall": first.overall, "macro": first.macro} == dict(zip(FIVE, numbers, strict=True))  # fmt: skip
    assert {n: replace(r, name="") for n, r in rows.items()} == {n: replace(first, name="") for n in rows}


def test_what_is_pasted_as_json_is_audited_as_what_ships() -> None:
    for row in published():
        text = json.dumps({"name": row.name, **row.columns, "overall": row.overall, "macro": row.macro, "Acc+": row.plus})  # fmt: skip
        (read_back,) = read(text, row.benchmark).rows
        assert audit(read_back) == audit(row)
        cells = [row.name, *row.columns.values(), *(v for v in (row.overall, row.macro, row.plus) if v)]
        (by_order,) = read("\t".join(cells), row.benchmark, ",".join(["Model", *row.columns, *(c for c, v in (("overall", row.overall), ("macro", row.macro), ("Acc+", row.plus)) if v)])).rows  # fmt: skip
        assert audit(by_order) == audit(row)


PIECES = st.sampled_from(
    [
        "|", "&", "\\\\", "\t", ";", ",", "\n", "\r", '"', "{", "}", "[", "]", ":", "%", "±", "-", "--", " ", "0.5", "63,84", "63.84",
        "100", "1", "general", "reasoning", "hallucination", "overall", "macro", "avg", "Acc+", "mcq", "\\textbf{", "$", "null", "1e999",
        "NaN", "Infinity", "\x00", "\ud800", "٣", "①", "<script>", "=cmd()", "\u2028", "'", "\\", "model",
    ]
)  # fmt: skip


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=40).map("".join)),
    st.sampled_from(audited()),
    st.one_of(st.just(""), st.lists(PIECES, max_size=12).map("".join), st.text(max_size=60)),
    st.sampled_from(UNITS),
)
@example("[" * 5000, VL, "", "recognised")
@example('{"a":' * 5000, VL, "", "recognised")
@example('{"general": 1e400, "hallucination": 2, "reasoning": 3}', VL, "", "recognised")
@example('"a\rb",1,2,3,4', VL, "", "recognised")
@example("general,hallucination,reasoning\n١,٢,٣", VL, "", "recognised")
@example("x" * (LARGEST + 1), VL, "", "recognised")
@example("\\textbf{" * 2000, VL, "", "recognised")
def test_whatever_is_pasted_gives_rows_or_one_sentence(
    text: str, benchmark: str, columns: str, unit: str
) -> None:
    try:
        found = read(text, benchmark, columns, unit)
    except PasteError as error:
        said = str(error)
        assert 10 < len(said) < 400 and said.endswith(".") and "\n" not in said
        return
    assert found.rows
    for row in found.rows:
        numbers = [*row.columns.values(), *(v for v in (row.overall, row.macro, row.plus) if v is not None)]
        assert numbers and all(0 <= float(n) <= 100 and n.isascii() for n in numbers)
        assert not row.columns or set(row.columns) in [set(s) for s in sizes_of(benchmark).values()]
        assert audit(row).verdict and audit(row).reason


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "Paste a row first."),
        ("R1 only words", "There is no number in what was pasted."),
        ("general,reasoning,overall\n1,2,3", "A check needs general, hallucination, reasoning; missing: hallucination."),
        ("gen,hallu,reas,avg\n1,2,3,4", "'avg' may be the overall or the macro average: name it overall or macro."),
        ("gen,hallu,reas,overall,acc\n1,2,3,4,5", "Two columns are read as overall: 'overall' and 'acc'."),
        ("a,b\n1,2", "None of the columns in the first line is known: a, b."),
        ("general,hallucination,reasoning,overall\n1,2,x,4", "reasoning: 'x' is not a number from 0 to 100."),
        ("general,hallucination,reasoning,overall\n1,2,300,4", "reasoning: 300 is more than 100 %."),
        ("general,hallucination,reasoning,overall\n1,-2,3,4", "hallucination: '-2' is not a number from 0 to 100."),
        ("general,hallucination,reasoning\n1,2,3,4", "There are 3 names of columns and 4 cells in the row: name each one."),
        ("0.6,0.7,0.8,0.7", "general: 0.6 is a share with one decimal, too coarse to check; write 0.60 if that is what it is."),
        ("0.64,70.1,65.2,66.3", "general 0.64 looks like a share and hallucination 70.1 like percent: choose the unit."),
        ("1,2", "2 numbers and no names of columns: name them in order, from general, hallucination, reasoning, overall, macro."),
        ("[", "That begins like JSON and cannot be read as JSON."),
        ("\n".join(["1,2,3,4"] * (MOST + 1)), f"That is more than {MOST} rows: paste fewer."),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(text: str, sentence: str) -> None:
    with pytest.raises(PasteError) as caught:
        read(text, VL)
    assert str(caught.value) == sentence


def test_names_are_taken_from_the_field_where_the_paste_has_none() -> None:
    cells = ["R1", *(f"{random.Random(0).randrange(100)}.5" for _ in range(8))]
    with pytest.raises(PasteError, match=r"8 numbers and no names|7 numbers"):
        read(",".join(cells[:8]), "multimodal-rewardbench")  # six groups and an overall, or seven groups
    names = "overall, correctness, preference, knowledge, math, coding, safety, vqa"
    (row,) = read(",".join(cells), "multimodal-rewardbench", names).rows
    assert row.name == "R1" and row.overall == cells[1] and row.columns["vqa"] == cells[8]
    assert set(columns_of("multimodal-rewardbench")) > set(row.columns)


def test_decimals_stay_as_they_are_written() -> None:
    (row,) = read('{"general": 63.80, "hallucination": 85, "reasoning": 64.7, "overall": 71.920}', VL).rows
    assert row.columns == {"general": "63.80", "hallucination": "85", "reasoning": "64.7"}
    assert row.overall == "71.920"
    (shares,) = read("0.638,0.85,0.6470,1.0", VL).rows
    assert (*shares.columns.values(), shares.overall) == ("63.8", "85", "64.70", "100")
