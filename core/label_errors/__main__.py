"""Comparisons ranked by how likely their label is wrong: `python -m core label-errors --run FOLDER [--run FOLDER ...]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from core.label_errors.ranking import suspects
from core.label_errors.report import report
from core.runs.manifest import RunError
from core.runs.run import open_run


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m core.suspects", description=__doc__)
    parser.add_argument("--run", type=Path, action="append", required=True, help="a finished run's folder")
    parser.add_argument("--most", type=int, default=50, help="how many rows the report shows")
    parser.add_argument("--output", type=Path, help="Markdown file; printed without it")
    args = parser.parse_args()
    try:
        runs = [open_run(folder) for folder in args.run]
        text = report(runs, suspects(runs), args.most)
    except RunError as error:
        sys.exit(f"Cannot rank: {error}")
    if args.output:
        args.output.write_text(text)
    else:
        print(text)


if __name__ == "__main__":
    main()
