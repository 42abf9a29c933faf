"""The part of the Queues page where a queue is made, from runs, from a file, or from what annotators disagree about."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from app.common.data_check import format_choices, own_format, understood
from app.common.html import notice
from app.common.identity import Identity
from app.common.turns import takes_turns
from core.benchmarks import BENCHMARKS
from core.benchmarks.check import Report, report
from core.benchmarks.source import SUFFIXES
from core.labels import queues
from core.labels.records import LabelError, Queue
from core.labels.store import LabelStore
from core.records import Condition
from core.runs.library import Library
from core.runs.run import Run

PRIVATE: dict[str, Any] = {"api_visibility": "private"}


class QueueMaker:
    def __init__(self, store: LabelStore, identity: Identity, library: Library, runs: Path) -> None:
        self.store, self.identity, self.library, self.folder = store, identity, library, runs

    def build(self) -> None:
        gr.Markdown(
            "Runs of the **same data** may be combined: then all their judges have a say in how likely a label is wrong; rules such as the longer answer have none. "
            "Only a random order lets the share of wrong labels be estimated without bias. A file of your own needs "
            "no run: contradictions and repetitions are found without a judge."
        )
        self.runs = gr.Dropdown([], multiselect=True, label="Runs", elem_id="from-runs")
        with gr.Row():
            self.order = gr.Dropdown([(w, k) for k, w in queues.ORDERS.items()], value="likely errors", label="Order",
                                     elem_id="order", scale=2)  # fmt: skip
            self.of = gr.Dropdown([], label="Of the queue", visible=False, elem_id="of-queue", scale=2)
            self.name = gr.Textbox(label="Name", max_lines=1, elem_id="queue-name", scale=2)
        with gr.Row():
            self.most = gr.Number(
                value=200, precision=0, minimum=1, maximum=queues.MOST, label="At most so many items"
            )
            self.overlap = gr.Number(
                value=1, precision=0, minimum=1, maximum=10, label="Opinions on each item"
            )
            self.seed = gr.Number(value=0, precision=0, minimum=0, label="Seed of the random order")
        with gr.Accordion("A file instead of runs", open=False):
            self.file = gr.File(label="Your file", elem_id="queue-file", type="filepath",
                                file_types=list(SUFFIXES))  # fmt: skip
            known = [(b.title, b.name) for b in BENCHMARKS.values() if b.built_in is None]
            self.format = gr.Dropdown(known, value="own", label="Data", elem_id="queue-format")
            self.read_as = gr.Dropdown(
                format_choices(), value="", label="How your file is read", elem_id="queue-read-as"
            )
            self.understood = gr.HTML(understood(None, "own"), elem_id="queue-understood")
        self.make = gr.Button("Make the queue", variant="primary", elem_id="make-queue")

    def connect(self, then: Callable[..., Any], outputs: list[Any]) -> None:
        """`then` gets the new queue's id and shows it."""
        self.order.input(
            lambda o: gr.Dropdown(visible=o == "disagreement"), [self.order], [self.of], **PRIVATE
        )
        read: list[Any] = [self.file, self.format, self.read_as]
        gr.on([box.change for box in read], understood, read, [self.understood], **PRIVATE)
        made = gr.State(None)
        inputs = [self.identity.secret, self.runs, self.file, self.format, self.order, self.of, self.name, self.most, self.overlap, self.seed, self.read_as]  # fmt: skip
        self.make.click(
            takes_turns(self.on_make), inputs, [made], show_progress_on=self.make, **PRIVATE
        ).success(then, [self.identity.secret, made], outputs, **PRIVATE)

    def choices(self) -> tuple[gr.Dropdown, gr.Dropdown]:
        """The menus as they are now."""
        known = {n: r for n, r in self.library.runs().items() if r.manifest.condition is Condition.AS_GIVEN}
        titles = [(f"{r.manifest.title}: {r.name}", n) for n, r in known.items()]
        finished = [(q.about["name"], q.id) for q in self.store.queues()]
        return gr.Dropdown(choices=titles), gr.Dropdown(choices=finished)

    def on_make(self, secret: str, runs: list[str] | None, file: str | None, format_: str, order: str, of: str | None, name: str,
                most: float | None, overlap: float | None, seed: float | None, read_as: str | None, request: gr.Request) -> str:  # fmt: skip
        who = self.identity.annotator(request, secret)
        try:
            size = {"most": int(most or 0), "overlap": int(overlap or 0)}
            return self._made(
                who,
                runs or [],
                file,
                format_,
                own_format(format_, read_as),
                order,
                of,
                name or "",
                abs(int(seed or 0)),
                size,
            ).id
        except (
            ValueError,
            OverflowError,
        ) as error:  # LabelError, RunError and BenchmarkError are ValueErrors
            raise gr.Error(
                notice(error), title="No queue was made", duration=15, print_exception=False
            ) from error

    def _made(self, who: str, names: list[str], file: str | None, format_: str, read_as: str | None, order: str, of: str | None, name: str,
              seed: int, size: dict[str, Any]) -> Queue:  # fmt: skip
        if order == "disagreement":
            return queues.from_disagreement(self.store, self.store.queue(of), by=who, **size)
        if file:
            chosen = self._of_file(Path(file), format_, read_as)
        else:
            known = self.library.runs()
            if missing := [n for n in names if n not in known]:
                raise LabelError(f"There is no run '{missing[0][:60]}' on this server.")
            chosen = {n: known[n] for n in names}
        return queues.from_runs(self.store, chosen, name=name, by=who, order=order, seed=seed, **size)

    def _of_file(self, file: Path, format_: str, read_as: str | None) -> dict[str, Run]:
        """The file's rows as a run in which no judge has spoken."""
        from core.judges.rules import no_judge
        from core.runs.runner import (  # these import torch, which a replay does without until it is needed
            Job,
            run,
        )

        loaded = BENCHMARKS[format_].open(file, format=read_as)
        found = report(loaded, open_pictures=False)
        if not found.labelled:
            raise LabelError(_nothing_to_check(found))
        if said := _left_out(found):
            gr.Warning(notice(said), title="Not all of the file", duration=30)
        stem = re.sub(r"[^A-Za-z0-9]+", "-", file.stem)[:40].strip("-") or "data"
        content = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
        name = f"{format_}-{stem}/{content}{'-' + read_as if read_as else ''}"
        done = run(Job(loaded, no_judge(), self.folder / name))
        assert done
        return {name: done}


def _left_out(found: Report) -> str:
    """How many rows people are not asked about and why, and how many have no picture; empty where all is there."""
    unlabelled = found.readable - found.labelled
    parts = []
    if left := found.rows - found.labelled:
        parts.append(
            f"{left:,} of {found.rows:,} rows are left out: {found.rows - found.readable:,} cannot be read, "
            f"{unlabelled:,} have no preferred response ({found.ties:,} ties)."
        )
    if found.without_picture:
        parts.append(f"{found.without_picture:,} readable rows have no picture.")
    return " ".join([*parts, *(f"{line}." for line in found.reasons.lines())])


def _nothing_to_check(found: Report) -> str:
    """Why a file gives no queue: a queue asks whether labels are right."""
    reasons = "; ".join(found.reasons.lines())
    if not found.readable:
        return f"None of the {found.rows:,} rows can be read: {reasons}"
    return (
        f"No row of this file has a label, so there is none to check ({found.rows:,} rows, {found.ties:,} ties). A label "
        "stands in a column preferred, label or better as A, B and so on, or in the columns chosen and rejected."
        + (f" {reasons}" if reasons else "")
    )
