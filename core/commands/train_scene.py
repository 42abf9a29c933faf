"""`python -m core train scene`: the embedded models, from nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from core.commands.options import one_of, refuse, saying


def _stages() -> list[str]:
    from core.training.stages import STAGES

    return [stage.name for stage in STAGES]


def train_scene(
    output: Annotated[Path, typer.Option(metavar="FOLDER", help="checkpoints and logs")] = Path("checkpoints/scene"),
    export_to: Annotated[
        Path | None, typer.Option("--export", metavar="FOLDER", help="write the half-precision model for assets/ here")
    ] = None,
    head: Annotated[Literal["vl-mdr", "scalar"], typer.Option(help="scalar: the rival with one number")] = "vl-mdr",
    start: Annotated[
        str | None, typer.Option(help="begin with this VL-MDR checkpoint's weights (with --first)")
    ] = None,
    first: Annotated[str, typer.Option(metavar="STAGE", callback=one_of("stage", _stages), help="first stage")] = "ground",
    seed: int = 0,
) -> None:  # fmt: skip
    """Train the embedded model, or its scalar rival, on the scene world.

    Stop it and start it again: finished stages are skipped, a started one continues from its last checkpoint. Works the
    same under `accelerate launch`.
    """
    for folder in (output, export_to):
        if folder is not None and folder.exists() and not folder.is_dir():
            raise refuse(f"Cannot train: '{folder}' is a file; name a folder.")
    from core.model.loading import CheckpointError
    from core.training.trainer import export, train

    with saying("train", CheckpointError):
        model, processor = train(output, seed, head, start, first)
    if export_to:
        export(model, processor, export_to, head, seed)
        print(f"exported to {export_to}")
