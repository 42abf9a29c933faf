"""`python -m core audit`: whether published results add up."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from core.benchmarks.published import audit as check
from core.benchmarks.published import published
from core.commands.options import known


def audit(
    benchmark: Annotated[str | None, typer.Option(metavar="NAME", help="only the rows of this benchmark")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object a row")] = False,
) -> None:  # fmt: skip
    """Check whether published results add up.

    For each published row that ships with Rewardscope: which groups, averages and whole counts its numbers fit.
    """
    rows = published()
    if benchmark is not None:
        known("--benchmark", benchmark, sorted({row.benchmark for row in rows}))
    for row in rows:
        if benchmark not in (None, row.benchmark):
            continue
        found = check(row)
        if as_json:
            line = {"benchmark": row.benchmark, "name": row.name, "verdict": found.verdict, "comparable": found.comparable,
                    "source": row.source}  # fmt: skip
            print(json.dumps(line, ensure_ascii=False))
        else:
            printed = ", ".join(f"{name} {value}" for name, value in row.columns.items())
            print(
                f"{row.benchmark}: {row.name}: {printed or 'no columns'}; overall {row.overall or 'not given'}"
            )
            print(f"  {found.verdict}")
