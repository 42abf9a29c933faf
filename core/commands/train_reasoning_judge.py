"""`python -m core train reasoning-judge`: a judge that thinks before it decides, from anyone's preference data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.benchmarks import BenchmarkError
from core.commands.options import Format, folder, refuse, saying

if TYPE_CHECKING:
    from core.alignment.job import Job


def train_reasoning_judge(
    data: Annotated[str, typer.Option(metavar="FILE|HUB_ID|scene", help="preference data; 'scene': training lessons of the scene world")],
    output: Annotated[Path, typer.Option(metavar="FOLDER", callback=folder, help="data, checkpoints and the trained judge")],
    config: Annotated[str, typer.Option(metavar="NAME|FILE", help="settings: embedded, qwen2_5_vl_7b, or a TOML file")] = "embedded",
    model: Annotated[str | None, typer.Option(metavar="FOLDER|HUB_ID", help="begin with this one instead of the settings' own")] = None,
    writer: Annotated[
        str | None, typer.Option(metavar="FOLDER|HUB_ID|ADDRESS", help="the judge that writes the first thoughts; in the scene world the answer key does")
    ] = None,
    recipe: Annotated[str | None, typer.Option(metavar="NAME", help="stable-reinforce, stable-reinforce-released, reinforce++, grpo, no-pre-clip or no-filter")] = None,
    format: Format = None,
    images: Annotated[Path | None, typer.Option(metavar="FOLDER", help="the image files, if they are not beside the data")] = None,
    limit: Annotated[int | None, typer.Option(metavar="N", min=1, help="at most so many pairs")] = None,
    seed: Annotated[int, typer.Option(metavar="N")] = 0,
    export_to: Annotated[
        Path | None, typer.Option("--export", metavar="FOLDER", callback=folder, help="write the trained judge in half precision here")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="build everything but the weights, and say what would be trained")] = False,
    launch: Annotated[Path | None, typer.Option(metavar="FILE", help="with --dry-run: accelerate's settings of the real start")] = None,
) -> None:  # fmt: skip
    """Train a judge that thinks before it decides (R1-Reward).

    Both orders of each pair, a cold start on written thoughts, then RL on what is hard. Stop it and start it again: it
    continues. Works the same under `accelerate launch`.
    """
    try:
        from core.alignment.config import TrainingError, read_settings
        from core.alignment.dry_run import dry_run as without_weights
        from core.alignment.job import Job
        from core.alignment.reasoning_judge import export, train
    except ImportError as error:
        raise refuse(f"Cannot train: {error}. Install what requirements-train.txt lists.") from error
    from dataclasses import replace

    from core.images import ImageError
    from core.model.loading import CheckpointError
    from core.records import RecordError

    with saying("train", BenchmarkError, CheckpointError, TrainingError, RecordError, ImageError):
        settings = read_settings(config)
        settings = replace(settings, model=model or settings.model, recipe=recipe or settings.recipe)
        job = Job(data, output, settings, writer, format, images, limit, seed)
        if dry_run:
            print("\n".join(without_weights(job, launch)))
        else:
            trained = train(job)
            print(f"trained: {trained}")
            if export_to:
                name = f"{'Rewardscope scene model' if data == 'scene' else output.name}, reasoning"
                export(
                    trained,
                    export_to,
                    {"name": name, "trained_on": trained_on(data), "command": command(job, config)},
                )
                print(f"exported to {export_to}")


def trained_on(data: str) -> str:
    return (
        "the scene world's training split, thoughts of the answer key, then StableReinforce"
        if data == "scene"
        else Path(data).name
    )


def command(job: Job, config: str) -> str:
    limit = f" --limit {job.limit}" if job.limit else ""
    return (
        f"python -m core train reasoning-judge --config {config} --data {job.data}{limit} --seed {job.seed}"
    )
