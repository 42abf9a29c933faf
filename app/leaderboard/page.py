"""The Leaderboard page: which judge is best on what, and whether the difference is more than chance; the rest below, folded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import gradio as gr
import pandas as pd
from markupsafe import Markup

from app.common.downloads import FORMATS, Downloads, table_file
from app.common.html import NOTHING, html, joined
from app.common.problems import problems_html
from app.common.sections import section
from app.leaderboard import detail, figures
from app.leaderboard.answer import answer_html, best_html, names_of
from app.leaderboard.kinds import kinds_html
from core.runs import leaderboard
from core.runs.best import best_on
from core.runs.library import Library
from core.runs.manifest import RunError
from core.runs.metrics import POLICIES
from core.runs.paradigms import paradigms
from core.runs.run import Run
from core.runs.shared import is_baseline
from core.runs.verifiability import by_verifiability

if TYPE_CHECKING:
    from app.leaderboard.run_maker import RunMaker

PRIVATE: dict[str, Any] = {"api_visibility": "private"}
REPLACE_ADDRESS = "(query) => { if (query) history.replaceState(null, '', location.pathname + '?' + query); }"


class LeaderboardPage:
    def __init__(self, library: Library, maker: RunMaker | None) -> None:
        self.library, self.maker = library, maker

    # -- layout ----------------------------------------------------------------------------------------------

    def build(self, demo: gr.Blocks) -> None:
        gr.HTML("<header><h1>Leaderboard</h1><p>Which judge is best on what, and is the difference more than chance? "
                'Results that others published are on the page <a href="audit">Audit</a>.</p></header>')  # fmt: skip
        self.address = gr.Textbox(visible="hidden")
        with gr.Row():
            self.benchmark = gr.Dropdown([], label="Benchmark", elem_id="benchmark", scale=2)
            self.ties = gr.Dropdown([(v, k) for k, v in detail.TIES.items()], value=POLICIES[0],
                                    label="Ties and unparsed answers", elem_id="ties", scale=2)  # fmt: skip
        self.answer = gr.HTML(elem_id="answer")
        self.chart = gr.HTML(elem_id="intervals")
        self.best = gr.HTML(elem_id="best")
        self.refused = gr.HTML(elem_id="refused")
        with section(
            "The kinds of judges compared: accuracy, calibration, cost, and what they can explain",
            elem_id="open-kinds",
            elem_classes="folded",
        ):
            self.kinds = gr.HTML(elem_id="kinds")
            self.verifiable = gr.HTML(elem_id="verifiable")
        with section("All numbers, one line a run", elem_id="open-board", elem_classes="folded"):
            self.table = gr.Dataframe(
                interactive=False, label="Judges", show_label=False, elem_id="board", pinned_columns=1, max_height=420
            )  # fmt: skip
            with gr.Row():
                self.downloads = [
                    gr.Button(f"Table as {f}", size="sm", elem_id=f"table-{f}") for f in FORMATS
                ]
        self.files = Downloads()
        with section(
            "One run in detail: groups, dimensions, calibration, margins, data",
            elem_id="open-detail",
            elem_classes="folded",
        ):
            self._build_detail()
        if self.maker:
            with gr.Accordion("Make a run", open=False, elem_classes="folded"):
                self.maker.build()
        self._events(demo)

    def _build_detail(self) -> None:
        with gr.Row():
            self.run = gr.Dropdown([], label="Run", elem_id="run")
            self.other = gr.Dropdown([], label="Compared with", elem_id="other")
        self.detail = gr.HTML(elem_id="detail")
        titled = {
            "Groups": "groups",
            "Dimensions": "dimensions",
            "Calibration": "calibration",
            "Margins": "margins",
        }
        shown = []
        for pair in (("Groups", "Dimensions"), ("Calibration", "Margins")):
            with gr.Row(equal_height=False):
                for title in pair:
                    with gr.Column(min_width=320):
                        gr.HTML(f"<h2>{title}</h2>")
                        shown.append(gr.HTML(elem_id=titled[title]))
        self.groups, self.dimensions, self.calibration, self.margins = shown
        self.voted = gr.Column(visible=False)
        with self.voted:
            gr.HTML("<h2>Voting@K</h2>")
            self.voting = gr.HTML(elem_id="voting")

    def _events(self, demo: gr.Blocks) -> None:
        board = [
            self.address, self.answer, self.chart, self.best, self.kinds, self.table, self.refused, self.verifiable, self.run,
            self.other,
        ]  # fmt: skip
        shown = [self.detail, self.groups, self.dimensions, self.calibration, self.margins, self.voted, self.voting]  # fmt: skip
        chosen = [self.benchmark, self.ties]
        inputs = [self.run, self.other, self.ties]
        show_detail = {"fn": self.on_detail, "inputs": inputs, "outputs": shown, **PRIVATE}
        demo.load(self.on_open, None, [*chosen, *board], **PRIVATE).then(**show_detail)
        for box in chosen:
            box.input(self.on_board, chosen, board, **PRIVATE).then(**show_detail)
        for box in (self.run, self.other):
            box.input(**show_detail)
        self.address.change(None, [self.address], None, js=REPLACE_ADDRESS)
        for button, kind in zip(self.downloads, FORMATS, strict=True):
            self.files.offer(button, self._download(kind), chosen)
        if self.maker:
            self.maker.made_one(
                lambda b: gr.Dropdown(choices=self.library.benchmarks(), value=b), [self.benchmark]
            ).then(self.on_board, chosen, board, **PRIVATE).then(**show_detail)

    # -- events ----------------------------------------------------------------------------------------------

    def on_open(self, request: gr.Request) -> tuple:
        query = dict(request.query_params)
        choices = self.library.benchmarks()
        names = [n for _, n in choices]
        benchmark = query.get("benchmark") if query.get("benchmark") in names else names[0]
        ties = query.get("ties") if query.get("ties") in POLICIES else POLICIES[0]
        return (
            gr.Dropdown(choices=choices, value=benchmark),
            gr.Dropdown(value=ties),
            *self.on_board(benchmark or "", ties or ""),
        )

    def on_board(self, benchmark: str, ties: str) -> tuple:
        runs, damaged = leaderboard.sound(self.library.of_benchmark(benchmark), ties)
        address = urlencode({"benchmark": benchmark, "ties": ties})
        table = leaderboard.table(list(runs.values()), ties)
        names = names_of(runs)
        found, shared = best_on(runs, benchmark)
        weighted = [n for n, r in runs.items() if (j := r.manifest.judge).fingerprint and j.kind != "hybrid"]
        first = next(iter([*weighted, *runs]), None)
        choices = [(name, n) for n, name in names.items()]
        return (
            address, answer_html(found, shared, names), _chart(runs, ties), best_html(found, names), kinds_html(paradigms(runs), names),
            _blanks(table).drop(columns=["why no macro average"], errors="ignore"),
            _refusals(table) + problems_html([*self.library.problems(), *damaged]),
            detail.verifiable_html(by_verifiability(list(runs.values()), ties)),
            gr.Dropdown(choices=choices, value=first), gr.Dropdown(choices=[("", ""), *choices], value=""),
        )  # fmt: skip

    def on_detail(self, name: str | None, other: str | None, ties: str) -> tuple:
        try:
            return self._detail(name, other, ties)
        except RunError as error:
            return problems_html([str(error)]), "", "", "", "", gr.Column(visible=False), ""

    def _detail(self, name: str | None, other: str | None, ties: str) -> tuple:
        runs = self.library.runs()
        if not name or name not in runs:
            return ("", "", "", "", "", gr.Column(visible=False), "")
        chosen = runs[name]
        e, votes = leaderboard.entry(chosen, ties), leaderboard.voting(chosen)
        text = (
            detail.detail_html(chosen, e, ties)
            + detail.criteria_html(e.criteria)
            + detail.voting_html(votes)
            + detail.provenance_html(chosen.manifest.provenance)
            + detail.findings_html(chosen.manifest.stats.get("findings", {}), name)
        )
        if other and other in runs and other != name:
            text += detail.paired_html(chosen, runs[other])
        text += html(
            '<p><a href="failures?{{ query }}">Look at its failures</a></p>', query=urlencode({"run": name})
        )
        return (
            text, figures.bars(e.reports[0].groups).html(),
            figures.dimensions(e, chosen.manifest.judge).html() if e.by_dimension else NOTHING,
            figures.reliability(*e.calibration).html() if len(e.margins) else NOTHING, figures.margins(e.margins).html(),
            gr.Column(visible=bool(votes)), figures.voting(votes.curve).html() if votes else NOTHING,
        )  # fmt: skip

    def _download(self, kind: str) -> Any:
        def write(benchmark: str, ties: str) -> str:
            runs, _ = leaderboard.sound(self.library.of_benchmark(benchmark), ties)
            table = leaderboard.table(list(runs.values()), ties)
            return table_file(table, f"leaderboard-{benchmark}", kind)

        return write


# -- what is shown -------------------------------------------------------------------------------------------


def _chart(runs: dict[str, Run], ties: str) -> Markup:
    """The best first; baselines of these labels below."""
    if not runs:
        return NOTHING
    names = names_of(runs)
    entries = {n: leaderboard.entry(r, ties) for n, r in runs.items()}
    controls = next(iter(entries.values())).controls
    shown = {n: e.reports[0].overall for n, e in entries.items() if not is_baseline(runs[n])}
    order = sorted(shown, key=lambda n: -shown[n].value if shown[n].n else 1.0)
    return figures.intervals([names[n] for n in order], [shown[n] for n in order], controls).html()


def _blanks(table: pd.DataFrame) -> pd.DataFrame:
    return table.map(lambda v: "" if v is None or (isinstance(v, float) and pd.isna(v)) else v)


def _refusals(table: pd.DataFrame) -> Markup:
    reasons = {} if table.empty else dict(zip(table["judge"], table["why no macro average"], strict=True))
    return joined(
        html('<p class="small">No macro for {{ judge }}: {{ reason }}.</p>', judge=j, reason=r)
        for j, r in reasons.items()
        if r
    )


def build_leaderboard(library: Library, demo: gr.Blocks, maker: RunMaker | None = None) -> LeaderboardPage:
    """maker: the part that makes runs; a replay has no judge and goes without."""
    page = LeaderboardPage(library, maker)
    page.build(demo)
    return page
