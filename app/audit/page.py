"""The Audit page: whether published results add up, row by row, and a row of one's own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gradio as gr

from app.audit import view
from app.audit.address import SORTS, Form, State, read, write
from app.common.downloads import Downloads, table_file
from app.common.html import html
from core.benchmarks import BENCHMARKS
from core.benchmarks.audit import audit
from core.benchmarks.pasted import UNITS, PasteError, audited, columns_of
from core.benchmarks.pasted import read as read_pasted
from core.benchmarks.published import Published, published

PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
# The address follows what is shown and which row is unfolded; a link to a row unfolds it and goes there.
FOLLOW = """(query, row) => {
    history.replaceState(null, '', location.pathname + (query ? '?' + query : ''));
    if (!window.rewardscopeAudit) {
        window.rewardscopeAudit = true;
        document.addEventListener('toggle', e => {
            const key = e.target.dataset?.row;
            if (!key) return;
            const given = new URLSearchParams(location.search);
            if (e.target.open) given.set('row', key); else if (given.get('row') === key) given.delete('row');
            history.replaceState(null, '', location.pathname + (given.size ? '?' + given : ''));
        }, true);
    }
    const go = tries => {
        const found = document.getElementById('row-' + row);
        if (found) { found.open = true; found.scrollIntoView({block: 'start'}); found.querySelector('summary').focus(); }
        else if (tries) setTimeout(go, 100, tries - 1);
    };
    if (row) go(50);
}"""
EXAMPLE = "| R1-Reward | 63.84 | 85.71 | 64.78 | 71.92 | 71.44 |"


class AuditPage:
    def __init__(self) -> None:
        self.rows: list[view.Audited] = [(row, audit(row)) for row in published()]

    def build(self, demo: gr.Blocks) -> None:
        gr.HTML("<header><h1>Audit</h1><p>Do published accuracies add up? Each printed number against the number of "
                "questions behind it, and each overall against its columns.</p></header>")  # fmt: skip
        gr.HTML(view.tally_html(self.rows), elem_id="tally")
        self.own = gr.Accordion(
            "Check a row of your own: paste it as it stands in a paper", open=False, elem_id="own"
        )
        with self.own:
            self.paste = gr.Textbox(
                label="A row, or a table of up to 50", lines=3, max_lines=12, elem_id="paste", placeholder=EXAMPLE,
                info="As it stands in CSV, TSV, Markdown, LaTeX or JSON; percent or shares; with the line of column names if there is one.",
            )  # fmt: skip
            self.problem = gr.HTML(elem_id="paste-problem")
            with gr.Row():
                self.of = gr.Dropdown(
                    [(BENCHMARKS[n].title, n) for n in audited()],
                    value=audited()[0],
                    label="Benchmark",
                    elem_id="paste-of",
                )
                self.unit = gr.Radio(list(UNITS), value=UNITS[0], label="Unit", elem_id="paste-unit")
            self.columns = gr.Textbox(
                label="Names of columns in order, if the row comes without", elem_id="paste-columns",
                placeholder=", ".join(columns_of("vl-rewardbench")), max_lines=1,
            )  # fmt: skip
            self.check = gr.Button("Check", variant="primary", elem_id="check-row")
            self.checked = gr.HTML(elem_id="checked")
        with gr.Row():
            self.mark = gr.Radio(
                view.mark_choices(self.rows), value="all", label="Mark", elem_id="audit-mark", scale=3
            )
            self.benchmark = gr.Dropdown(
                [("all", "all"), *((BENCHMARKS[n].title, n) for n in audited())], value="all", label="Benchmark",
                elem_id="audit-benchmark",
            )  # fmt: skip
            self.sort = gr.Dropdown(
                [(view.SORTED_BY[s], s) for s in SORTS], value=SORTS[0], label="Order", elem_id="audit-sort"
            )
        self.list = gr.HTML(elem_id="audit-rows")
        with gr.Row():
            buttons = [gr.Button(f"Download as {k.upper()}", size="sm", elem_id=f"audit-{k}") for k in ("csv", "json")]  # fmt: skip
        with gr.Accordion("What this check can and cannot show", open=False, elem_classes="folded"):
            gr.HTML(view.limits_html(), elem_id="audit-limits")
        self.address, self.row = gr.Textbox(visible="hidden"), gr.Textbox(visible="hidden")
        self.own_rows = gr.State([])
        self._events(demo, buttons)

    def _events(self, demo: gr.Blocks, buttons: list[gr.Button]) -> None:
        filters: list[Any] = [self.mark, self.benchmark, self.sort]
        form = [self.paste, self.of, self.columns, self.unit]
        shown = [self.list, self.address, self.row]
        result = [self.problem, self.checked, self.own_rows]
        follow: dict[str, Any] = {"fn": None, "inputs": [self.address, self.row], "js": FOLLOW, **PRIVATE}
        demo.load(self.on_open, None, [*filters, *form, self.own, *shown, *result], **PRIVATE).then(**follow)
        for box in filters:
            box.input(self.on_filter, [*filters, *form], shown, **PRIVATE).then(**follow)
        for event in (self.check.click, self.paste.submit, self.columns.submit):
            event(self.on_check, [*filters, *form], [*result, self.address, self.row], **PRIVATE).then(
                **follow
            )
        files = Downloads()
        for button, kind in zip(buttons, ("csv", "json"), strict=True):
            files.offer(button, self._download(kind), [*filters, self.own_rows])

    def on_open(self, request: gr.Request) -> tuple[Any, ...]:
        state = read(dict(request.query_params))
        known = {row.key for row, _ in self.rows}
        said = ""
        if state.row and state.row not in known:
            said, state = "The row of this link is not among the published rows.", replace(state, row="")
        elif state.row and state.row not in {row.key for row, _ in self._shown(state)}:
            state = replace(state, mark="all", benchmark="all")  # filters that hide it give way
        form = state.form
        problem, checked, rows = self._check(form) if form.paste else ("", "", [])
        return (
            state.mark, state.benchmark, state.sort, form.paste, form.of, form.columns, form.unit,
            gr.Accordion(open=bool(form.paste)), view.rows_html(self._shown(state), state.row, said), write(state),
            state.row, problem, checked, rows,
        )  # fmt: skip

    def on_filter(self, mark: str, benchmark: str, sort: str, *form: str) -> tuple[Any, ...]:
        state = State(mark, benchmark, sort, form=Form(*form))
        return view.rows_html(self._shown(state)), write(state), ""

    def on_check(self, mark: str, benchmark: str, sort: str, *form: str) -> tuple[Any, ...]:
        given = Form(*form)
        problem, checked, rows = self._check(given)
        if problem:  # an earlier result stays with its address, and what was typed
            return problem, gr.skip(), gr.skip(), gr.skip(), ""
        return "", checked, rows, write(State(mark, benchmark, sort, form=given)), ""

    def _check(self, form: Form) -> tuple[Any, Any, list[Published]]:
        try:
            found = read_pasted(form.paste, form.of, form.columns, form.unit)
        except PasteError as error:
            return _sentence(str(error)), "", []
        rows = list(found.rows)
        return "", view.checked_html([(row, audit(row)) for row in rows], found.notes), rows

    def _shown(self, state: State) -> list[view.Audited]:
        kept = [
            (row, found)
            for row, found in self.rows
            if state.mark in ("all", found.mark) and state.benchmark in ("all", row.benchmark)
        ]
        return view.ordered(kept, state.sort)

    def _download(self, kind: str) -> Any:
        def write_file(mark: str, benchmark: str, sort: str, own: list[Published]) -> str:
            rows = [(row, audit(row)) for row in own] + self._shown(State(mark, benchmark, sort))
            return table_file(view.table(rows), "audit", kind)

        return write_file


def _sentence(text: str) -> Any:
    return html('<p class="problem" role="alert">{{ text }}</p>', text=text) if text else ""


def build_audit(demo: gr.Blocks) -> None:
    AuditPage().build(demo)
