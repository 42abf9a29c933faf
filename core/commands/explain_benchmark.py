"""`python -m core explain-benchmark`: methods of explanation against the scene world's answer keys."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from core.commands.options import Model, Output, known, saying


def explain_benchmark(
    model: Model = None,
    records: Annotated[int, typer.Option(metavar="N", min=1, help="how many held-out records")] = 1000,
    part: Annotated[
        int, typer.Option(metavar="N", min=1, help="how many of them get the costly measures")
    ] = 150,
    seed: Annotated[int, typer.Option(metavar="N", help="of the records and of all random choices")] = 0,
    judge: Annotated[
        str, typer.Option(metavar="KIND", help="the kind of judge: vl-mdr or scalar")
    ] = "vl-mdr",
    output: Output = None,
) -> None:
    """Score the explanation methods.

    Against the scene world's answer keys, on held-out comparisons that the model judges right.
    """
    from core.evaluation.explanations import run
    from core.explain.capabilities import explainable, has_gradients
    from core.judges.registry import JUDGES, Options
    from core.model.loading import CheckpointError
    from core.records import RecordError

    known("--judge", judge, JUDGES)
    with saying("explain", CheckpointError, RecordError):
        chosen = explainable(JUDGES[judge](Options(model)))
    assert has_gradients(chosen)  # all of JUDGES that can be explained
    result = run(chosen, records, part, seed)
    if output:
        output.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    for row in result["table"]:
        print(
            f"{row['method']:38}{row['measure']:18}{row['value']:8.3f}  [{row['low']:.3f}, {row['high']:.3f}]  n={row['n']}"
        )
