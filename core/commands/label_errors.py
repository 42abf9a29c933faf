"""`python -m core label-errors`: comparisons ranked by how likely their label is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core.commands.options import Output, saying


def label_errors(
    run: Annotated[
        list[Path],
        typer.Option(metavar="FOLDER", help="a finished run; may be given several times, for several judges"),
    ],
    most: Annotated[int, typer.Option(metavar="N", min=1, help="how many rows the report shows")] = 50,
    output: Output = None,
) -> None:
    """Report likely label errors.

    The comparisons of finished runs, ranked by how likely their label is wrong, as Markdown.
    """
    from core.label_errors.ranking import label_issues
    from core.label_errors.report import report
    from core.runs.manifest import RunError
    from core.runs.run import open_run

    with saying("rank", RunError):
        runs = [open_run(folder) for folder in run]
        text = report(runs, label_issues(runs), most)
    if output:
        output.write_text(text)
    else:
        print(text)
