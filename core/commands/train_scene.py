"""`python -m core train scene`: the embedded models, from nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from core.commands.options import folder, known, saying


def train_scene(
    output: Annotated[Path, typer.Option(metavar="FOLDER", callback=folder, help="checkpoints and logs")] = Path("checkpoints/scene"),
    export_to: Annotated[
        Path | None, typer.Option("--export", metavar="FOLDER", callback=folder, help="write the half-precision model for assets/ here")
    ] = None,
    head: Annotated[Literal["vl-mdr", "scalar"], typer.Option(help="scalar: the rival with one number")] = "vl-mdr",
    start: Annotated[
        str | None, typer.Option(metavar="FOLDER|HUB_ID", help="begin with this VL-MDR checkpoint's weights (with --first)")
    ] = None,
    first: Annotated[str, typer.Option(metavar="STAGE", help="first stage")] = "ground",
    seed: Annotated[int, typer.Option(metavar="N")] = 0,
) -> None:  # fmt: skip
    """Train an embedded model on the scene world.

    Stop it and start it again: finished stages are skipped, a started one continues from its last checkpoint. Works the
    same under `accelerate launch`.
    """
    from core.model.loading import CheckpointError
    from core.training.stages import STAGES
    from core.training.trainer import export, train

    known("--first", first, [stage.name for stage in STAGES])
    with saying("train", CheckpointError):
        model, processor = train(output, seed, head, start, first)
    if export_to:
        export(model, processor, export_to, head, seed)
        print(f"exported to {export_to}")
