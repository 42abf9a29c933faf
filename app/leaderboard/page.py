"""The Leaderboard page: every run and every published row, with intervals, denominators, controls and audit verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import gradio as gr
import pandas as pd
from markupsafe import Markup

from app.common import words
from app.common.downloads import FORMATS, Downloads, table_file
from app.common.html import NOTHING, html, joined
from app.common.problems import problems_html
from app.leaderboard import figures
from core.records import Condition
from core.runs import leaderboard
from core.runs.criteria import Criteria
from core.runs.library import Library
from core.runs.manifest import RunError
from core.runs.metrics import POLICIES, Rate
from core.runs.run import Run
from core.runs.stats import Provenance
from core.runs.verifiability import Verifiability, by_verifiability
from core.runs.votes import Share

if TYPE_CHECKING:
    from app.leaderboard.run_maker import RunMaker

PRIVATE: dict[str, Any] = {"api_visibility": "private"}
REPLACE_ADDRESS = "(query) => { if (query) history.replaceState(null, '', location.pathname + '?' + query); }"
TIES = {
    "wrong": "a tie counts as wrong (strict)", "half": "a tie counts half", "dropped": "ties excluded",
    "coin": "random tie-breaking (seed 123)",
}  # fmt: skip


class LeaderboardPage:
    def __init__(self, library: Library, maker: RunMaker | None) -> None:
        self.library, self.maker = library, maker

    # -- layout ----------------------------------------------------------------------------------------------

    def build(self, demo: gr.Blocks) -> None:
        gr.HTML("<header><h1>Leaderboard</h1><p>Numbers with their denominators, their intervals, and what "
                "text-only baselines score on the same labels.</p></header>")  # fmt: skip
        self.address = gr.Textbox(visible="hidden")
        with gr.Row():
            self.benchmark = gr.Dropdown([], label="Benchmark", elem_id="benchmark", scale=2)
            self.ties = gr.Dropdown([(v, k) for k, v in TIES.items()], value=POLICIES[0], label="Ties and unparsed answers",
                                    elem_id="ties", scale=2)  # fmt: skip
        self.chart = gr.HTML(elem_id="intervals")
        self.table = gr.Dataframe(
            interactive=False,
            label="Judges",
            show_label=False,
            elem_id="board",
            pinned_columns=1,
            max_height=420,
        )
        self.refused = gr.HTML(elem_id="refused")
        self.verifiable = gr.HTML(elem_id="verifiable")
        with gr.Row():
            self.downloads = [gr.Button(f"Table as {f}", size="sm", elem_id=f"table-{f}") for f in FORMATS]
        self.files = Downloads()
        gr.HTML("<h2>One run in detail</h2>")
        with gr.Row():
            self.run = gr.Dropdown([], label="Run", elem_id="run")
            self.other = gr.Dropdown([], label="Compared with", elem_id="other")
        self.detail = gr.HTML(elem_id="detail")
        with gr.Row(equal_height=False):
            with gr.Column(min_width=320):
                gr.HTML("<h2>Groups</h2>")
                self.groups = gr.HTML(elem_id="groups")
            with gr.Column(min_width=320):
                gr.HTML("<h2>Dimensions</h2>")
                self.dimensions = gr.HTML(elem_id="dimensions")
        with gr.Row(equal_height=False):
            with gr.Column(min_width=320):
                gr.HTML("<h2>Calibration</h2>")
                self.calibration = gr.HTML(elem_id="calibration")
            with gr.Column(min_width=320):
                gr.HTML("<h2>Margins</h2>")
                self.margins = gr.HTML(elem_id="margins")
        self.voted = gr.Column(visible=False)
        with self.voted:
            gr.HTML("<h2>Voting@K</h2>")
            self.voting = gr.HTML(elem_id="voting")
        if self.maker:
            with gr.Accordion("Make a run", open=False):
                self.maker.build()
        self._events(demo)

    def _events(self, demo: gr.Blocks) -> None:
        board = [
            self.address, self.chart, self.table, self.refused, self.verifiable, self.run, self.other,
        ]  # fmt: skip
        detail = [
            self.detail,
            self.groups,
            self.dimensions,
            self.calibration,
            self.margins,
            self.voted,
            self.voting,
        ]
        chosen = [self.benchmark, self.ties]
        show_detail = {
            "fn": self.on_detail,
            "inputs": [self.run, self.other, self.ties],
            "outputs": detail,
            **PRIVATE,
        }
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
        names = [(r.name, n) for n, r in runs.items()]
        first = next(
            (n for n, r in runs.items() if (j := r.manifest.judge).fingerprint and j.kind != "hybrid"),
            next(iter(runs), None),
        )
        return (
            address, self._chart(runs, ties), _percents(table).drop(columns=["why no macro average"], errors="ignore"),
            _refusals(table) + problems_html([*self.library.problems(), *damaged]), verifiable_html(by_verifiability(list(runs.values()), ties)),
            gr.Dropdown(choices=names, value=first),
            gr.Dropdown(choices=[("", ""), *names], value=""),
        )  # fmt: skip

    def _chart(self, runs: dict[str, Run], ties: str) -> Markup:
        if not runs:
            return NOTHING
        entries = {r.name: leaderboard.entry(r, ties) for r in runs.values()}
        controls = next(iter(entries.values())).controls
        rules = {r.name for r in runs.values() if r.manifest.judge.kind == "rule"}
        shown = {n: e.reports[0].overall for n, e in entries.items() if n not in rules}
        return figures.intervals(list(shown), list(shown.values()), controls).html()

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
            detail_html(chosen, e, ties)
            + criteria_html(e.criteria)
            + voting_html(votes)
            + provenance_html(chosen.manifest.provenance)
            + findings_html(chosen.manifest.stats.get("findings", {}), name)
        )
        if other and other in runs and other != name:
            text += paired_html(chosen, runs[other])
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


def _percents(table: pd.DataFrame) -> pd.DataFrame:
    return table.map(lambda v: "" if v is None or (isinstance(v, float) and pd.isna(v)) else v)


def _refusals(table: pd.DataFrame) -> Markup:
    reasons = {} if table.empty else dict(zip(table["judge"], table["why no macro average"], strict=True))
    return joined(
        html('<p class="small">No macro for {{ judge }}: {{ reason }}.</p>', judge=j, reason=r)
        for j, r in reasons.items()
        if r
    )


def detail_html(chosen: Run, e: leaderboard.Entry, ties: str) -> Markup:
    o = e.reports[0].overall
    return html(
        """
        {%- if outside %}<div class="warning" role="alert">{{ outside }}</div>{% endif %}
        <p><b>{{ name }}</b>: {{ overall }}, {{ ties }}.
        {%- if plus %} Acc+ {{ (100 * plus.value)|f(".2f") }} ({{ plus.points|f("g") }}/{{ plus.n }}).{% endif %}</p>
        <p class="small">Rows: {{ counts }}. Text-only baselines on the same labels: {{ controls }}.</p>
        <div class="wide"><table class="contributions"><thead><tr><th>grouping</th><th>groups</th><th>macro</th></tr></thead><tbody>
        {%- for r, groups, macro in rows %}<tr><td>{{ r.grouping }}</td><td>{{ groups }}</td><td>{{ macro }}</td></tr>{% endfor %}
        </tbody></table></div>
        <p class="small">Data: {{ m.source }} {{ m.data_revision }}, hash {{ m.stats.get("data_hash", "") }};
        images {{ m.condition }}{% if m.blank %} ({{ m.blank }}){% endif %}; weights {{ m.judge.fingerprint or "none" }}; code {{ m.code }}.
        Dimensions: accuracy on {{ means }}.</p>
        """,
        name=chosen.name, m=chosen.manifest, outside=None if chosen.manifest.condition is Condition.BLANK else words.outside_share(*e.outside), ties=TIES[ties], means=e.by_dimension_means,
        overall=(
            f"overall {100 * o.value:.2f} % ({o.points:g}/{o.n}; 95 %: {100 * o.low:.1f} to {100 * o.high:.1f})"
            if o.n else "nothing was scored"
        ),
        plus=e.plus if e.plus and e.plus.n else None,
        counts=", ".join(f"{n:,} {name}" for name, n in o.counts.items() if n),
        controls=", ".join(f"{n} {100 * r.value:.1f}" for n, r in e.controls.items() if r.n),
        rows=[(r, _groups(r.groups), f"{100 * r.macro:.2f}" if r.macro is not None else r.refused) for r in e.reports],
    )  # fmt: skip


def verifiable_html(found: Verifiability | None) -> Markup:
    """Rule, model and hybrid on the same rows, by whether a rule can check them."""
    if found is None:
        return NOTHING
    return html(
        """
        <h2>By what a rule can check</h2>
        <div class="wide"><table class="contributions"><thead><tr><th>judge</th>
        {%- for part, n in rows.items() %}<th>{{ part }} ({{ n|f(",") }} rows)</th>{% endfor %}</tr></thead><tbody>
        {%- for name, rates in table.items() %}<tr><td>{{ name }}</td>
        {%- for part in rows %}<td>{{ said(rates[part]) }}</td>{% endfor %}</tr>{% endfor %}
        </tbody></table></div>
        <p class="small">Which rows a rule is sure of is read off the run “{{ rules }}”; rules are deterministic. In per cent, with 95 % intervals.</p>
        """,
        rows=found.rows, table=found.table, rules=found.rules,
        said=lambda r: f"{100 * r.value:.1f} [{100 * r.low:.1f}, {100 * r.high:.1f}]" if r.n else "no rows",
    )  # fmt: skip


def criteria_html(criteria: Sequence[Criteria]) -> Markup:
    """Several labels an item: what holds of all of them together."""
    if not criteria:
        return NOTHING
    return html(
        """
        <div class="wide"><table class="contributions" id="criteria"><thead><tr><th>split</th><th>right on all criteria of an item (PAcc)</th>
        <th>trade-off sensitivity (TOS)</th><th>conflict matching rate (CMR)</th><th>mean of the criteria</th></tr></thead><tbody>
        {%- for c in criteria %}<tr><td>{{ c.split }}</td><td>{{ share(c.pacc) }}</td><td>{{ share(c.tos) }}</td><td>{{ share(c.cmr) }}</td>
        <td>{{ (100 * c.macro)|f(".2f") }}</td></tr>{% endfor %}</tbody></table></div>
        {%- for c in criteria if c.left_out %}<p class="small">{{ c.split }}: {{ c.left_out|f(",") }} items left out, because a row of theirs was not judged or has no label.</p>{% endfor %}
        """,
        criteria=criteria,
        share=_share,
    )


def voting_html(votes: leaderboard.Voting | None) -> Markup:
    """Order effects, answers without a verdict, and majorities of K answers by the official rule."""
    if votes is None:
        return NOTHING
    return html(
        """
        <p>Order consistency {{ share(o.consistent) }} of pairs decided in both orders. Position preference: the response shown first is preferred
        in {{ share(o.first) }} of answers.
        {%- if o.undecided %} Answers without a verdict: {% for reason, n in o.undecided.items() %}{{ n|f(",") }} {{ reason }}{{ "" if loop.last else ", " }}{% endfor %}, of {{ o.answers|f(",") }}.{% endif %}</p>
        <div class="wide"><table class="contributions" id="votes"><thead><tr><th>K</th><th>accuracy</th><th>macro</th><th>right</th><th>wrong</th><th>without a verdict</th><th>split</th></tr></thead><tbody>
        {%- for at in curve %}<tr><td>{{ at.k }}</td><td>{% if at.overall.n %}{{ (100 * at.overall.value)|f(".2f") }} ({{ at.overall.points|f("g") }}/{{ at.overall.n }}){% endif %}</td>
        <td>{{ "" if at.macro is none else (100 * at.macro)|f(".2f") }}</td>{% for n in at.counts.values() %}<td>{{ n|f(",") }}</td>{% endfor %}</tr>{% endfor %}
        </tbody></table></div>
        <p class="small">Majorities as in VL-RewardBench's script: rows without a verdict and split rows are excluded.</p>
        """,
        o=votes.order, curve=votes.curve, share=_share,
    )  # fmt: skip


def _share(s: Share) -> str:
    return (
        f"{100 * s.value:.2f} % ({s.k:,}/{s.n:,}; 95 %: {100 * s.low:.1f} to {100 * s.high:.1f})"
        if s.n
        else "not measured"
    )


ROLES = {"prompt": "question"}


def provenance_html(provenance: dict[str, Any]) -> Markup:
    """What was understood of the run's data, and which rows were left out and why."""
    if not provenance:
        return NOTHING
    p = Provenance.model_validate(provenance)
    return html(
        """
        <details class="small" id="provenance" style="overflow-wrap: anywhere"><summary>How the data were read{% if p.format %}: {{ p.format }}{% endif %}</summary><ul>
        <li>Source: {{ p.source }}{% if p.revision %}, revision {{ p.revision }}{% endif %}</li>
        {%- for role, column in p.columns.items() %}<li>{{ roles.get(role, role)|capitalize }}: column {{ column }}</li>{% endfor %}
        {%- for decision in p.decisions %}<li>{{ decision }}</li>{% endfor %}
        {%- for note, n in p.notes.items() %}<li>{{ n|f(",") }} row{{ "" if n == 1 else "s" }}: {{ note }}</li>{% endfor %}
        {%- for line in p.left_out %}<li>Not judged: {{ line }}</li>{% endfor %}
        {%- for line in p.judged_all_the_same %}<li>Judged without a picture: {{ line }}</li>{% endfor %}
        </ul></details>
        """,
        p=p,
        roles=ROLES,
    )


def _groups(groups: dict[str, Rate]) -> str:
    if len(groups) >= 9:
        return f"{len(groups)} groups"
    return ", ".join(f"{g} {100 * v.value:.2f} ({v.points:g}/{v.n})" for g, v in groups.items() if v.n)


def findings_html(found: dict[str, Any], name: str) -> Markup:
    """What the data checks found, each with links to its rows."""
    if not found:
        return NOTHING
    return html(
        """
        <div class="small findings"><b>Data checks</b>
        {%- for kind, of_kind in found.items() %}
        <details><summary>{{ kind }}: {{ of_kind["count"]|f(",") }}</summary><ul>
        {%- for rows, detail in of_kind["first"][:10] %}
        <li>rows {% for r in rows[:6] %}<a href="failures?{{ query(r) }}">{{ r }}</a>{{ "" if loop.last else " " }}{% endfor %}: {{ detail }}</li>
        {%- endfor %}
        {%- if of_kind["count"] > 10 %}<li>and {{ (of_kind["count"] - 10)|f(",") }} more</li>{% endif %}</ul></details>
        {%- endfor %}</div>
        """,
        found=found,
        query=lambda row: urlencode({"run": name, "outcome": "everything", "row": row}),
    )


def paired_html(a: Run, b: Run) -> Markup:
    p = leaderboard.paired(a, b)
    if not p.n:
        return html('<p class="small">The two runs have no judged record in common.</p>')
    return html(
        """
        <p>Against {{ name }} on {{ p.n|f(",") }} common records: difference {{ (100 * p.difference)|signed }} points
        (95 %: {{ (100 * p.low)|signed }} to {{ (100 * p.high)|signed }}); only the first right {{ p.only_a|f(",") }}, only the second {{ p.only_b|f(",") }},
        both {{ p.both_right|f(",") }}, neither {{ p.both_wrong|f(",") }}; McNemar's exact test p = {{ p.p_value|f(".2g") }}.</p>
        """,
        name=b.name,
        p=p,
    )


def build_leaderboard(library: Library, demo: gr.Blocks, maker: RunMaker | None = None) -> LeaderboardPage:
    """maker: the part that makes runs; a replay has no judge and goes without."""
    page = LeaderboardPage(library, maker)
    page.build(demo)
    return page
