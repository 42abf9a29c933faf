"""The Queues page: make a queue, see how far it is, and take out what came of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr

from app.common import downloads
from app.common.downloads import Downloads
from app.common.html import html, notice
from app.common.identity import Identity
from app.common.label_words import neutral_titles, verdict_words
from app.common.words import queue_title
from app.queues import results
from app.queues.maker import QueueMaker
from core.label_analysis.agreement import error_rate, summary
from core.label_analysis.corrections import Corrections, Data, rescored
from core.label_analysis.export import write_datasets, write_jsonl, write_parquet, zip_folder
from core.label_errors.ranking import label_issues
from core.label_errors.report import report
from core.labels import queues
from core.labels.consensus import consensus
from core.labels.records import LabelError, Queue
from core.labels.store import LabelStore
from core.runs.library import Library
from core.runs.manifest import RunError
from core.runs.run import Run

PRIVATE: dict[str, Any] = {"api_visibility": "private"}
REPORTED = 100  # rows in a report
DOWNLOADS = {
    "jsonl": "corrected data, JSONL",
    "parquet": "corrected data, Parquet",
    "trl": "preference pairs for TRL, a datasets folder (zip)",
    "report": "report of likely label errors (Markdown)",
    "events": "every event of this queue, JSONL",
}


class QueuesPage:
    def __init__(self, store: LabelStore, identity: Identity, library: Library, runs: Path) -> None:
        self.store, self.identity, self.library = store, identity, library
        self.maker = QueueMaker(store, identity, library, runs)

    # -- layout ----------------------------------------------------------------------------------------------

    def build(self, demo: gr.Blocks, storage: str) -> None:
        gr.HTML(
            "<header><h1>Queues</h1><p>Which comparisons people are asked about, and what came of it.</p></header>"
        )
        if storage:
            gr.HTML(html('<div class="warning" role="note">{{ text }}</div>', text=storage))
        self.identity.build()
        self.queue = gr.Dropdown([], label="Queue", elem_id="queue")
        self.head = gr.HTML(elem_id="queue-head")
        with gr.Row(equal_height=True):
            self.offers = {k: gr.Button(v, size="sm", elem_id=f"get-{k}") for k, v in DOWNLOADS.items()}
        self.files = Downloads()
        self.results = gr.HTML(elem_id="results")
        with gr.Accordion("Make a queue", open=False, elem_id="maker"):
            self.maker.build()
        shown = [self.queue, self.head, self.results]
        whole = [self.identity.box, self.maker.runs, self.maker.of, *shown]
        demo.load(self.on_open, [self.identity.secret], whole, **PRIVATE)
        self.identity.connect(self.on_open, [self.identity.secret], whole)
        self.queue.input(self.on_show, [self.identity.secret, self.queue], shown, **PRIVATE)
        self.maker.connect(self.on_show, shown)
        for kind, button in self.offers.items():
            self.files.offer(button, self._download(kind), [self.identity.secret, self.queue])

    # -- events ----------------------------------------------------------------------------------------------

    def on_open(self, secret: str, request: gr.Request) -> tuple:
        known = self.store.queues()
        asked = dict(request.query_params).get("queue", "")
        chosen = asked if asked in {q.id for q in known} else known[0].id if known else None
        who = self.identity.known(request, secret)
        return gr.Column(visible=who is None), *self.maker.choices(), *self._show(chosen, who is not None)

    def on_show(self, secret: str, id_: str | None, request: gr.Request) -> tuple:
        return self._show(id_, self.identity.known(request, secret) is not None)

    def _show(self, id_: str | None, known_reader: bool) -> tuple:
        with told():
            known = self.store.queues()
            choices = [(queue_title(q), q.id) for q in known]
            if id_ is None:
                return (
                    gr.Dropdown(choices=[], value=None),
                    '<p role="status">There is no queue yet. Make one below.</p>',
                    "",
                )
            queue = self.store.queue(id_)
            items, labels = self.store.items(queue.id), self.store.labels(queue.id)
            people = len({label.annotator for label in labels})
            neutral = neutral_titles(known)[queue.id]
            head = results.queue_html(queue, self.store.progress(queue.id), people, known_reader, neutral)
            menu = gr.Dropdown(choices=choices, value=queue.id)
            if not labels:
                return menu, head, '<p class="small">Nobody has labelled anything here yet.</p>'
            found = rescored(self._runs(queue).values(), self._corrections(queue).rows())
            shown = results.results_html(
                summary(labels, items, tuple(queue.dimensions)),
                error_rate(labels, items),
                queue,
                known_reader,
            )
            return menu, head, shown + results.rescored_html(found)

    def _download(self, kind: str) -> Callable[..., str]:
        def write(secret: str, id_: str | None, request: gr.Request) -> str:
            with told():
                self.identity.annotator(request, secret)  # who labelled what is not for strangers
                queue = self.store.queue(id_)
                folder = downloads.folder()
                try:
                    return str(WRITERS[kind](self, queue, folder / f"labels-{queue.id}"))
                except (RunError, ValueError) as error:
                    raise LabelError(str(error)) from error

        return write

    # -- what comes out --------------------------------------------------------------------------------------

    def _runs(self, queue: Queue) -> dict[str, Run]:
        """The queue's runs that are still here and still of its data."""
        known = self.library.runs()
        hash_ = queue.about.get("data_hash")
        return {
            n: known[n] for n in queue.about.get("runs", ()) if n in known and known[n].manifest.stats.get("data_hash") == hash_
        }  # fmt: skip

    def _corrections(self, queue: Queue) -> Corrections:
        a = queue.about
        runs = self._runs(queue)
        return Corrections(
            self.store.items(queue.id), self.store.labels(queue.id),
            lambda item: queues.picture_of(self.store, a.get("benchmark", ""), item),
            next(iter(runs.values()), None), Data(a["benchmark"], a["source"], a["revision"], a["data_hash"]),
        )  # fmt: skip

    def _jsonl(self, queue: Queue, path: Path) -> Path:
        write_jsonl(self._corrections(queue), path := path.with_suffix(".jsonl"))
        return path

    def _parquet(self, queue: Queue, path: Path) -> Path:
        write_parquet(self._corrections(queue), path := path.with_suffix(".parquet"))
        return path

    def _trl(self, queue: Queue, path: Path) -> Path:
        written = write_datasets(self._corrections(queue), path)
        left_out = ", ".join(f"{n:,} with {why}" for why, n in written.left_out.items())
        gr.Info(notice(f"{written.pairs:,} pairs{f'; left out: {left_out}' if left_out else ''}."))
        return zip_folder(path, path.with_suffix(".zip"))

    def _report(self, queue: Queue, path: Path) -> Path:
        runs = list(self._runs(queue).values())
        if not runs:
            raise LabelError("The runs of this queue are not on this server any more: a report needs them.")
        items, found = self.store.items(queue.id), consensus(self.store.labels(queue.id))
        said = {items[p].row: _words(c.verdict, items[p].preferred, c.votes) for p, c in found.items()}
        text = report(runs, label_issues(runs), REPORTED, said)
        (path := path.with_suffix(".md")).write_text(text, encoding="utf-8", errors="replace")
        return path

    def _events(self, queue: Queue, path: Path) -> Path:
        with (path := path.with_suffix(".jsonl")).open("w") as file:
            file.writelines(json.dumps(e) + "\n" for e in self.store.events(queue=queue.id))
        return path


WRITERS: dict[str, Callable[[QueuesPage, Queue, Path], Path]] = {
    "jsonl": QueuesPage._jsonl, "parquet": QueuesPage._parquet, "trl": QueuesPage._trl, "report": QueuesPage._report,
    "events": QueuesPage._events,
}  # fmt: skip


def _words(verdict: str, preferred: int | None, votes: dict[str, int]) -> str:
    """What people said of a label, for the report."""
    count = f" ({', '.join(f'{n} x {verdict_words(v)}' for v, n in votes.items())})"
    if not verdict.isdecimal():
        return {"tie": "see a tie", "bad": "find both bad", "unsure": "cannot tell", "disputed": "disagree"}[
            verdict
        ] + count
    same = "agree with the label" if int(verdict) == preferred else f"prefer {verdict_words(verdict)} instead"
    return same + count


@contextmanager
def told() -> Iterator[None]:
    """Says in a person's words what the store refuses, where the page shows it as a notice."""
    try:
        yield
    except LabelError as error:
        raise gr.Error(notice(error), title="Not done", duration=10, print_exception=False) from error
