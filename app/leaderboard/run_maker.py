"""Makes a run from the page: a judge, a benchmark or one's own file, a limit."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from app.common import lane
from app.common.data_check import format_choices, in_lines, own_format, understood
from app.common.html import notice
from app.common.lane import LANE
from app.common.tasks import LOADED, RunWanted, make_run
from app.common.words import markdown
from core.benchmarks import BENCHMARKS, BenchmarkError
from core.benchmarks.source import SUFFIXES
from core.judges.named import NAMED
from core.judges.protocols import Estimates, Judge
from core.model.files import CheckpointError
from core.records import Condition
from core.runs.manifest import RunError

PRIVATE: dict[str, Any] = {"api_visibility": "private"}


def _choices(judge: Judge) -> list[tuple[str, str]]:
    """(title, name): the judge that is loaded first."""
    named = [(name, name) for name in sorted(NAMED, key=lambda name: name != judge.card.id)]
    return named if judge.card.embedded else [(judge.card.name, LOADED), *named]


class RunMaker:
    def __init__(self, judge: Judge, output: Path) -> None:
        self.judge, self.output = judge, output

    def build(self) -> None:
        gr.Markdown("A run judges every record of a benchmark and keeps each judgement. A run that was stopped continues "
                    "where it was. Large runs belong on the command line: `python -m core run --help`.")  # fmt: skip
        if isinstance(self.judge, Estimates):
            gr.Markdown(f"{markdown(self.judge.card.name)} is asked over the network: two requests a row of two responses for each of its answers. "
                        "`python -m core run` says first how many tokens a run will take.")  # fmt: skip
        with gr.Row():
            choices = _choices(self.judge)
            self.new_judge = gr.Dropdown(choices, value=choices[0][1], label="Judge", elem_id="new-judge")
            self.condition = gr.Dropdown(
                [str(c) for c in Condition],
                value=str(Condition.AS_GIVEN),
                label="Image",
                elem_id="new-condition",
            )
            self.new_benchmark = gr.Dropdown(
                [(b.title, b.name) for b in BENCHMARKS.values()],
                value="scene",
                label="Data",
                elem_id="new-benchmark",
            )
            self.limit = gr.Number(value=200, precision=0, minimum=1, label="At most so many rows")
        self.upload = gr.File(label="Your file (not needed for the scene world)", elem_id="upload", file_count="single", type="filepath",
                              file_types=list(SUFFIXES))  # fmt: skip
        self.format = gr.Dropdown(
            format_choices(), value="", label="How your file is read", elem_id="new-format"
        )
        self.understood = gr.HTML(elem_id="understood")
        with gr.Row():
            self.make = gr.Button("Run", variant="primary", elem_id="make-run")
            self.stop = gr.Button("Stop", elem_id="stop-run")
        self.made = gr.HTML(elem_id="made")

    def made_one(self, show: Callable[[str], Any], outputs: list[Any]) -> Any:
        """Wires the buttons; `show` gets the benchmark's name once a run is finished. Gives that event."""
        read: list[Any] = [self.upload, self.new_benchmark, self.format]
        gr.on([box.change for box in read], understood, read, [self.understood], **PRIVATE)
        inputs = [self.new_judge, self.condition, self.new_benchmark, self.upload, self.limit, self.format]
        making = self.make.click(self.on_make, inputs, [self.made], **LANE, **PRIVATE)
        said = "Stopped; the same choice continues it."
        self.stop.click(lambda: said, None, [self.made], cancels=[making], queue=False, **PRIVATE)
        return making.success(show, [self.new_benchmark], outputs, **PRIVATE)

    def on_make(
        self, judge: str, condition: str, benchmark: str, file: str | None, limit: float | None, format: str | None = None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> str:  # fmt: skip
        source = Path(file) if file and benchmark != "scene" else None
        wanted = RunWanted(
            judge,
            benchmark,
            source,
            self.output,
            int(limit) if limit else None,
            Condition(condition),
            own_format(benchmark, format),
        )
        started = time.perf_counter()

        def say(done: int, total: int | None, each: float) -> None:
            left = f", {(total - done) * each:.0f} s left" if total and each else ""
            progress((done, total or done), desc=f"judging{left}")

        try:
            rows, judged, reasons = lane.run_on_model(
                make_run,
                self.judge,
                wanted,
                watch={"progress": say},
                seconds=min(120, 30 + (wanted.limit or 2000) // 20),
            )
        except (BenchmarkError, CheckpointError, RunError) as error:
            raise gr.Error(notice(error), title="This cannot be run", duration=15) from error
        said = f"{judged:,} of {rows:,} rows judged in {time.perf_counter() - started:.1f} s."
        return in_lines([said, *reasons])
