"""Thoughts of the reasoning judge beside VL-MDR's decision, as Markdown: `python tests/benchmarks/show_thoughts.py
assets/runs/scene/vl-mdr assets/runs/scene/reasoning`. Five records that VL-MDR gets wrong and five that the reasoning judge gets
wrong, evenly over each list from the surest mistake to the least sure."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from core.judges.said import of_row, thought_of  # noqa: E402
from core.runs import browse  # noqa: E402
from core.runs.run import Run, open_run  # noqa: E402

SHOWN = 5


def mistakes(run: Run) -> list[int]:
    table = run.table(["row", "outcome", "margin"]).to_pylist()
    wrong = sorted((r for r in table if r["outcome"] == "wrong"), key=lambda r: r["margin"])
    picked = (
        [wrong[round(i * (len(wrong) - 1) / (SHOWN - 1))] for i in range(SHOWN)]
        if len(wrong) >= SHOWN
        else wrong
    )
    return [r["row"] for r in picked]


def cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def line(first: dict[str, Any], second: dict[str, Any]) -> str:
    preferred = second["preferred"]
    said = of_row(second)
    choice = {0: "A", 1: "B", None: "neither"}
    votes = [v["choice"] == preferred for v in second["votes"]]
    return " | ".join([
        f"| {second['row']}", cell(second["prompt"]), " / ".join(f"{'AB'[i]}: {cell(r)}" for i, r in enumerate(second["responses"])),
        "AB"[preferred], f"{choice[first['choice'] if first.get('choice') is not None else _best(first)]} ({first['margin']:+.2f})",
        f"{cell(thought_of(second['critique']))}", f"{choice[second['choice']]} ({second['margin']:+.2f}; {sum(votes)} of {len(votes)} votes right)",
        said.against(preferred) or f"says {choice[said.said]}", "",
    ]).strip()  # fmt: skip


def _best(row: dict[str, Any]) -> int | None:
    a, b = row["rewards"]
    return None if a == b else int(b > a)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    args = parser.parse_args()
    first, second = open_run(args.first), open_run(args.second)
    for title, rows in (
        ("VL-MDR gets wrong", mistakes(first)),
        ("the reasoning judge gets wrong", mistakes(second)),
    ):
        print(f"\n**Five records that {title}**\n")
        print(
            "| row | question | responses | right | VL-MDR | what the judge writes | it decides | what it says |"
        )
        print("| --- | --- | --- | --- | --- | --- | --- | --- |")
        for row in rows:
            one, other = browse.record(first, row), browse.record(second, row)
            assert one and other and one["prompt"] == other["prompt"]
            print(line(one, other))


if __name__ == "__main__":
    main()
