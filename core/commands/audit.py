"""`python -m core audit`: whether published results add up, or a row of one's own."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from core.benchmarks import pasted
from core.benchmarks.audit import SIGNS, Mark
from core.benchmarks.audit import audit as check
from core.benchmarks.published import Published, published
from core.commands.options import known


def audit(
    row: Annotated[str | None, typer.Argument(
        metavar="[FILE]", help="a file with a row of your own, or - for standard input: CSV, TSV, Markdown, LaTeX or JSON")] = None,
    benchmark: Annotated[str | None, typer.Option(
        metavar="NAME", help="only the rows of this benchmark; of which benchmark your own row is")] = None,
    columns: Annotated[str, typer.Option(
        metavar="NAMES", help="the columns of your row in order, where it comes without their names: general,hallucination,...")] = "",
    unit: Annotated[str, typer.Option(metavar="UNIT", help="percent or share; recognised where it is left out")] = "recognised",
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object a row")] = False,
) -> None:  # fmt: skip
    """Check whether published results add up.

    For each published row that ships with Rewardscope, or for a row of your own: which groups, averages and whole counts its
    numbers fit.
    """
    rows = published()
    if benchmark is not None:
        known("--benchmark", benchmark, sorted({r.benchmark for r in rows}))
    known("--unit", unit, pasted.UNITS)
    if row is not None:
        rows, notes = _own(row, benchmark or "vl-rewardbench", columns, unit)
        print("\n".join(notes), file=sys.stderr)
    rows = [r for r in rows if benchmark in (None, r.benchmark)]
    counts: Counter[Mark] = Counter()
    for r in rows:
        found = check(r)
        counts[found.mark] += 1
        if as_json:
            line = {"benchmark": r.benchmark, "name": r.name, "mark": found.mark, "verdict": found.verdict,
                    "comparable": found.comparable, "source": r.source}  # fmt: skip
            print(json.dumps(line, ensure_ascii=False))
        else:
            printed = ", ".join(f"{name} {value}" for name, value in r.columns.items())
            print(f"{r.benchmark}: {r.name}: {printed or 'no columns'}; overall {r.overall or 'not given'}")
            print(f"  {SIGNS[found.mark]} {found.mark}. {found.verdict}")
    if row is None and not as_json:
        print(
            f"{len(rows)} published rows: {', '.join(f'{counts[m]} {SIGNS[m]} {m}' for m in Mark if counts[m])}."
        )


def _own(row: str, benchmark: str, columns: str, unit: str) -> tuple[list[Published], tuple[str, ...]]:
    """Raises typer.BadParameter."""
    try:
        text = sys.stdin.read(pasted.LARGEST + 1) if row == "-" else _text(Path(row))
        found = pasted.read(text, benchmark, columns, unit)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "it is not UTF-8"
        raise typer.BadParameter(f"'{row}' cannot be read: {why}.") from error
    except pasted.PasteError as error:
        raise typer.BadParameter(str(error)) from error
    return list(found.rows), found.notes


def _text(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        return file.read(pasted.LARGEST + 1)
