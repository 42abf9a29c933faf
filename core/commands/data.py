"""`python -m core data`: what is understood of a file of preference data, before anything is judged."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core.benchmarks import BENCHMARKS, BenchmarkError
from core.benchmarks.check import check as dry_run
from core.benchmarks.check import template as rows
from core.commands.options import Format, Output, known, saying


def check(
    source: Annotated[str, typer.Argument(metavar="FILE", help="the data: a file, a folder or a hub id")],
    benchmark: Annotated[str, typer.Option(metavar="NAME", help="read it as this benchmark")] = "own",
    images: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="the image files, if they are not beside the data")
    ] = None,
    format: Format = None,
    limit: Annotated[int | None, typer.Option(metavar="N", min=1, help="only the first so many rows")] = None,
) -> None:
    """Say what is understood of preference data, and what is not.

    Rows read, pictures found, columns and labels and how they are read, the first problems. Nothing is judged.
    """
    known("--benchmark", benchmark, sorted(BENCHMARKS))
    with saying("read this", BenchmarkError):
        found = dry_run(source, benchmark, images=images, format=format, limit=limit)
    print("\n".join(found.lines()))
    if not found.readable:
        raise typer.Exit(1)


def template(output: Output = None) -> None:
    """Write a file to start from: two rows with every column that is read."""
    if output is None:
        print(rows(), end="")
    else:
        output.write_text(rows(), encoding="utf-8")
