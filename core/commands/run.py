"""`python -m core run`: a judge over a benchmark, into a folder."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.benchmarks import BENCHMARKS, BenchmarkError
from core.benchmarks.reasons import Reasons
from core.commands.measures import lines
from core.commands.options import (
    Base,
    Device,
    DType,
    Format,
    JudgeName,
    MaxPixels,
    Model,
    Pooled,
    PromptName,
    Served,
    Votes,
    Workers,
    folder,
    known,
    open_judge,
    refuse,
    saying,
)
from core.records import Condition

SOME = 20  # rows that a cost is estimated from

if TYPE_CHECKING:
    from core.benchmarks.rows import Loaded
    from core.judges.protocols import Judge
    from core.runs.run import Run


def run(
    benchmark: Annotated[str, typer.Option(metavar="NAME", help=", ".join(sorted(BENCHMARKS)))],
    output: Annotated[Path, typer.Option(metavar="FOLDER", callback=folder, help="the run's folder")],
    source: Annotated[
        str | None,
        typer.Option(metavar="PATH|HUB_ID", help="the data; without it, the benchmark's own hub address"),
    ] = None,
    images: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="the image files, if they are not beside the data")
    ] = None,
    format: Format = None,
    data_revision: Annotated[str | None, typer.Option(metavar="REVISION", help="of a hub data set")] = None,
    streaming: Annotated[
        bool, typer.Option("--streaming", help="do not download a hub data set first")
    ] = False,
    judge: JudgeName = None,
    model: Model = None,
    model_revision: Annotated[
        str | None, typer.Option(metavar="REVISION", help="of a hub checkpoint")
    ] = None,
    device: Device = None,
    dtype: DType = None,
    prompt: PromptName = None,
    votes: Votes = None,
    max_pixels: MaxPixels = None,
    pooled: Pooled = "newline",
    base: Base = None,
    served: Served = None,
    workers: Workers = 8,
    batch: Annotated[int, typer.Option(metavar="N", min=1, help="rows judged at once")] = 16,
    limit: Annotated[int | None, typer.Option(metavar="N", min=1, help="only the first so many rows")] = None,
    condition: Annotated[
        Condition, typer.Option(help="control: judge with a blank image, or with another row's")
    ] = Condition.AS_GIVEN,
    swap_images: Annotated[
        bool, typer.Option("--swap-images", help="the same as --condition 'shuffled image'")
    ] = False,
    no_thumbnails: Annotated[
        bool, typer.Option("--no-thumbnails", help="do not store small copies of the images")
    ] = False,
) -> None:
    """Run a judge over a benchmark.

    Stop it at any moment and start it again: it continues. Works the same under `accelerate launch`.
    """
    known("--benchmark", benchmark, sorted(BENCHMARKS))
    with saying("run", BenchmarkError):
        loaded = BENCHMARKS[benchmark].open(
            source, images=images, revision=data_revision, streaming=streaming, format=format
        )

    from core.model.loading import CheckpointError  # torch, once the data can be read
    from core.runs.manifest import RunError
    from core.runs.runner import Job
    from core.runs.runner import run as start

    if judge == "vl-mdr-blind":  # a judge of release 0.1
        judge, condition = "vl-mdr", Condition.BLANK
    if swap_images:
        condition = Condition.SHUFFLED
    try:
        with saying("run", BenchmarkError, CheckpointError, RunError):
            chosen = open_judge(
                judge, model, revision=model_revision, device=device, dtype=dtype, prompt=prompt, votes=votes, max_pixels=max_pixels,
                pooled=pooled, base=base, served=served, workers=workers,
            )  # fmt: skip
            _say_cost(chosen, loaded, limit)
            keep = not no_thumbnails and loaded.benchmark.built_in is None
            job = Job(loaded, chosen, output, batch, limit, condition, keep)
            done = start(job, _progress)
    except KeyboardInterrupt:
        raise refuse("\nStopped. The same command continues.", 130) from None
    if done:
        _say(done)


def _say_cost(judge: Judge, loaded: Loaded, limit: int | None) -> None:
    """Before a run by a judge that asks somebody else: what it will ask for, from the first rows."""
    from core.judges.protocols import Estimates

    if isinstance(judge, Estimates):
        some = [
            r.comparison for r in loaded.first(SOME).rows() if r.comparison and r.comparison.image is not None
        ]
        counts = [n for n in (limit, loaded.length) if n is not None]
        rows = min(counts) if counts else len(some)
        many = "" if counts else f"The number of rows is not known; for each {rows:,}: "
        print(f"{judge.card.name}: {many}{judge.estimate(some, rows).sentence()}", file=sys.stderr)


def _progress(done: int, total: int | None, each: float) -> None:
    left = f", {(total - done) * each:,.0f} s left" if total and each else ""
    rate = f", {1 / each:,.1f} rows/s" if each else ""
    end = "\n" if total and done >= total else ""
    print(
        f"\r{done:,}{f' of {total:,}' if total else ''} rows{rate}{left}   ",
        end=end,
        flush=True,
        file=sys.stderr,
    )


def _say(done: Run) -> None:
    told = [done.table([name])[name].to_pylist() for name in ("outcome", "problem")]
    outcomes = Counter(told[0])
    rows = sum(outcomes.values())
    print(
        f"{done.folder}: {rows - outcomes['missing']:,} of {rows:,} rows judged: "
        + ", ".join(f"{n:,} {name}" for name, n in sorted(outcomes.items()))
    )
    for line in Reasons(p for o, p in zip(*told, strict=True) if o == "missing").lines():
        print(f"  {line}")
    for line in Reasons(p for o, p in zip(*told, strict=True) if o != "missing").lines():
        print(f"  judged without a picture: {line}")
    for line in lines(done):
        print(f"  {line}")
    for kind, found in done.manifest.stats.get("findings", {}).items():
        print(f"  data: {kind}: {found['count']:,}, first in rows {found['first'][0][0]}")
