"""`python -m core fit-ood`: the out-of-distribution score of a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core.commands.options import refuse, saying


def fit_ood(
    real: Annotated[
        list[Path], typer.Option(metavar="FOLDER", help="real images; several folders may follow")
    ],
    more: Annotated[list[Path] | None, typer.Argument(metavar="FOLDER", hidden=True)] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="of the model, where the result goes too; the embedded model without it"
        ),
    ] = None,
) -> None:
    """Fit the out-of-distribution score.

    On training pictures of the scene world; measured on held-out ones and on real images, none of which is used to fit.
    """
    folders = [*real, *(more or [])]  # `--real A B` as well as `--real A --real B`
    if missing := [f for f in folders if not f.is_dir()]:
        raise refuse(f"Cannot fit: there is no folder '{missing[0]}'.")
    from core.evaluation.fit_ood import fit, real_images
    from core.judges.vlmdr import VLMDRJudge
    from core.model.loading import EMBEDDED, CheckpointError

    folder = model or EMBEDDED
    images = real_images(folders)
    if not images:
        raise refuse("Cannot fit: those folders hold no images that can be read.")
    with saying("fit", CheckpointError):
        judge = VLMDRJudge.load(folder)
    fit(judge, images).save(folder)
