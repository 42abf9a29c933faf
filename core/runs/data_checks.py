"""What is odd about the data behind a run: repeated ids and rows, contradictory labels, rows that cannot be read."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import duckdb

from core.benchmarks.findings import Finding, findings
from core.benchmarks.reasons import PLACE
from core.benchmarks.rows import Problem, Row
from core.records import Comparison

MOST = 100_000  # rows looked at; a file that repeats itself everywhere needs no longer list
EXAMPLES = 50  # findings of a kind that are kept


def odd_rows(file: Path) -> list[Row]:
    """The rows of a judgements.parquet whose id or content occurs more than once, or that cannot be read."""
    query = """
        select "row", key, id, subgroup, cluster, prompt, responses, preferred, problem from read_parquet($file)
        where len(responses) = 0 or len(list_distinct(responses)) < len(responses)
           or id in (select id from read_parquet($file) group by id having count(*) > 1)
           or key in (select key from read_parquet($file) group by key having count(*) > 1)
        order by "row" limit $most
    """
    with duckdb.connect() as connection:
        found = connection.execute(query, {"file": str(file), "most": MOST}).fetchall()
    return [_row(*values) for values in found]


def oddities(file: Path, clustered: bool) -> dict[str, Any]:
    """Per kind of finding how many there are, and the first EXAMPLES as [rows, detail]."""
    kinds: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings(odd_rows(file), clustered):
        kinds[finding.kind].append(finding)
    return {
        kind: {"count": len(found), "first": [[list(f.rows), f.detail[:200]] for f in found[:EXAMPLES]]}
        for kind, found in kinds.items()
    }


def _row(index: int, key: str, id_: str, subgroup: str, cluster: str, prompt: str, responses: list[str],
         preferred: int | None, problem: str) -> Row:  # fmt: skip
    comparison = Comparison(key, None, prompt, tuple(responses), preferred) if responses else None
    problems = (Problem(index, "", PLACE.sub("", problem)),) if problem else ()
    return Row(index, key, id_, subgroup, cluster, comparison, problems=problems)
