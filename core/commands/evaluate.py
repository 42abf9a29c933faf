"""`python -m core evaluate`: a judge on held-out records of the scene world."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from core.commands.options import Model, Output, saying
from core.world.questions import FAMILIES

FEWEST = 4 * len(FAMILIES)  # two minimal pairs a family: with one there is no other image to shuffle with


def evaluate(
    model: Model = None,
    records: Annotated[int, typer.Option(metavar="N", min=FEWEST, help="how many held-out records")] = 2000,
    seed: Annotated[int, typer.Option(metavar="N", help="which of them")] = 0,
    output: Output = None,
) -> None:
    """Measure VL-MDR on the scene world.

    On held-out records, which share no combination with the training pictures, and with blank and shuffled images as
    controls. Prints JSON.
    """
    from core.evaluation.scene_world import evaluate as measure
    from core.judges.vlmdr import VLMDRJudge
    from core.model.loading import CheckpointError

    with saying("evaluate", CheckpointError):
        judge = VLMDRJudge.load(model)
    text = json.dumps(measure(judge, records, seed), indent=1)
    if output:
        output.write_text(text + "\n")
    print(text)
