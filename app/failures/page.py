"""The Failures page: rows of a run, or of two runs against each other, and the picture and texts behind each."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import gradio as gr
import pandas as pd
from markupsafe import Markup

from app.common import downloads, item_view, privately
from app.common.downloads import FORMATS, Downloads, table_file
from app.common.html import NOTHING, html, signed
from app.common.keys import keys_switch
from app.common.problems import problems_html
from core.images import ImageError
from core.records import Condition, letter
from core.runs import browse
from core.runs.browse import ORDER_CHOICES, OUTCOME_CHOICES, PAGE, SORTS, VERSUS_CHOICES, Filters
from core.runs.controls import controls_of, image_ablation_of
from core.runs.library import Library
from core.runs.manifest import RunError
from core.runs.rows import picture_of
from core.runs.run import Run
from core.runs.schema import judgement_of

PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "minimal"}
REPLACE_ADDRESS = "(query) => { if (query) history.replaceState(null, '', location.pathname + '?' + query); }"
DOWNLOADED = 100_000  # rows of a downloaded table


@dataclass(frozen=True)
class Place:
    """Where a reader is: the filters' values as they stand in a link, the page, and the row on show."""

    run: str = ""
    other: str = ""
    versus: str = ""
    outcome: str = "mistakes"
    subgroup: str = ""
    dimension: str = ""
    longer: str = ""
    low: str = ""
    high: str = ""
    search: str = ""
    orders: str = ""
    wrong_reason: str = ""
    sort: str = "most confident mistakes"
    page: str = "0"
    row: str = ""

    @classmethod
    def of(cls, query: dict[str, str]) -> Place:
        known = {k: str(v)[:500] for k, v in query.items() if k in cls.__dataclass_fields__}
        return cls(**known)

    def query(self) -> str:
        standard = Place()
        return urlencode({k: v for k, v in self.__dict__.items() if v and v != getattr(standard, k)})


class FailuresPage:
    def __init__(self, library: Library, inspect: bool) -> None:
        self.library, self.inspect = library, inspect

    # -- layout ----------------------------------------------------------------------------------------------

    def build(self, demo: gr.Blocks) -> None:
        gr.HTML(
            "<header><h1>Failures</h1><p>The records behind a number: what was asked, what was answered, who was wrong.</p></header>"
        )
        self.place = gr.State(None)
        self.address = gr.Textbox(visible="hidden")
        with gr.Row():
            self.run = gr.Dropdown([], label="Run", elem_id="run", scale=2)
            self.other = gr.Dropdown([], label="Against", elem_id="other", scale=2)
            self.versus = gr.Dropdown(
                ["", *VERSUS_CHOICES], value="", label="Of the two", elem_id="versus", scale=2
            )
        with gr.Row():
            self.outcome = gr.Dropdown(
                list(OUTCOME_CHOICES), value="mistakes", label="Show", elem_id="outcome"
            )
            self.subgroup = gr.Dropdown([""], value="", label="Group", elem_id="subgroup")
            self.dimension = gr.Dropdown(
                [""],
                value="",
                label="Dimension selected",
                elem_id="dimension",
            )
            self.orders = gr.Dropdown(
                [("", ""), *((said, key) for key, said in ORDER_CHOICES.items())], value="", label="Shown in both orders", elem_id="orders",
                visible=False,
            )  # fmt: skip
            self.sort = gr.Dropdown(list(SORTS), value=next(iter(SORTS)), label="Sorted by", elem_id="sort")
        with gr.Accordion("More filters", open=False):
            with gr.Row():
                self.longer = gr.Dropdown(
                    [("", ""), ("longer", "longer"), ("shorter", "shorter")],
                    value="",
                    label="The preferred response is the",
                )
                self.low = gr.Textbox(label="Margin from", placeholder="-2.5")
                self.high = gr.Textbox(label="to", placeholder="0")
            self.wrong_reason = gr.Checkbox(
                label="Right with a blank image as well",
                elem_id="wrong-reason",
            )
        self.search = gr.Textbox(label="Search in prompts and responses", elem_id="search")
        self.summary = gr.HTML(elem_id="summary")
        self.table = gr.Dataframe(interactive=False, label="Records", show_label=False, max_height=330, wrap=True, elem_id="failures", datatype="str")  # fmt: skip
        with gr.Row():
            self.newer = gr.Button("◂ page", size="sm", elem_id="page-back")
            self.older = gr.Button("page ▸", size="sm", elem_id="page-on")
            self.previous = gr.Button("◂ previous (K)", size="sm", elem_id="previous")
            self.next = gr.Button("next (J) ▸", size="sm", elem_id="next", variant="primary")
            keys_switch(demo)
        self.item = gr.HTML(elem_id="item")
        self.similar = gr.HTML(elem_id="similar")
        with gr.Accordion("Download", open=False), gr.Row():
            self.downloads = [
                gr.Button(f"filtered rows, {f}", size="sm", elem_id=f"download-{f}") for f in FORMATS
            ]
            self.whole = gr.Button("the whole run, zip (opens with --replay)", size="sm", elem_id="whole")
        self.files = Downloads()
        self._events(demo)

    def _events(self, demo: gr.Blocks) -> None:
        filters: list[Any] = [
            self.run, self.other, self.versus, self.outcome, self.subgroup, self.dimension, self.longer, self.low,
            self.high, self.search, self.orders, self.wrong_reason, self.sort,
        ]  # fmt: skip
        shown = [self.place, self.address, self.summary, self.table, self.item, self.similar]
        run_parts = [self.run, self.other, self.subgroup, self.dimension, self.orders]
        demo.load(self.on_open, None, [*filters, *shown], **PRIVATE)
        self.run.input(self.on_run, [self.run], run_parts, **PRIVATE).then(
            self.on_filter, filters, shown, **PRIVATE
        )
        for box in filters[1:]:
            if isinstance(box, gr.Textbox):
                box.submit(self.on_filter, filters, shown, **PRIVATE)
                box.blur(self.on_filter, filters, shown, **PRIVATE)
            else:
                box.input(self.on_filter, filters, shown, **PRIVATE)
        self.table.select(self.on_select, [self.place], shown, **PRIVATE)
        for button, step in ((self.newer, -1), (self.older, 1)):
            button.click(self._turn(step), [self.place], shown, **PRIVATE)
        for button, step in ((self.previous, -1), (self.next, 1)):
            button.click(self._step(step), [self.place], shown, trigger_mode="multiple", **PRIVATE)
        self.address.change(None, [self.address], None, js=REPLACE_ADDRESS)
        for button, kind in zip(self.downloads, FORMATS, strict=True):
            self.files.offer(button, self._download(kind), [self.place])
        self.files.offer(self.whole, self.on_whole, [self.run])

    # -- events ----------------------------------------------------------------------------------------------

    def on_whole(self, name: str) -> str:
        """The run's folder as one file: unpack it, then `python app.py --replay FOLDER`."""
        runs = self.library.runs()
        if name not in runs:
            raise gr.Error("This run is not on this server any more.")
        run = runs[name]
        files = [run.folder / "manifest.json", run.file]
        stem = privately.fit(name)

        def write(path: Path) -> None:
            with zipfile.ZipFile(path, "w") as archive:  # Parquet is compressed already
                for file in files:
                    archive.write(file, f"{stem}/{file.name}")

        try:
            stamps = [(f.stat().st_mtime_ns, f.stat().st_size) for f in files]
            version = f"{run.folder.resolve()} {stamps}"
            return str(downloads.once(version, f"{stem}.zip", sum(size for _, size in stamps), write))
        except OSError as error:
            raise gr.Error("The run cannot be read, or this server's disk is full.") from error

    def on_open(self, request: gr.Request) -> tuple:
        runs = self.library.runs()
        place = Place.of(dict(request.query_params))
        if place.run and place.run not in runs:
            gr.Warning("The run of this link is not on this server.")
            place = Place()
        if not runs:
            nothing = gr.update()
            return (
                *[nothing] * 13,
                None,
                "",
                _note("There is no run yet: make one on the Leaderboard page."),
                None,
                "",
                "",
            )
        if not place.run:
            place = replace(place, run=_first(runs))
        try:
            self._filters(place, runs)
        except gr.Error as error:
            gr.Warning(error.message)
            place = Place(run=place.run)
        run, other, subgroup, dimension, orders = self._run_parts(place.run, place)
        boxes = (run, other, place.versus, place.outcome, subgroup, dimension, place.longer, place.low, place.high,
                 place.search, orders, bool(place.wrong_reason), place.sort)  # fmt: skip
        return (*boxes, *self._show(place))

    def on_run(self, run: str) -> tuple:
        return self._run_parts(run, Place(run=run))

    def _run_parts(self, name: str, place: Place) -> tuple:
        runs = self.library.runs()
        run = runs[name]
        same = [
            (r.name, n)
            for n, r in runs.items()
            if n != name and r.manifest.benchmark == run.manifest.benchmark
        ]
        return (
            gr.Dropdown(choices=[(f"{r.manifest.title}: {r.name}", n) for n, r in runs.items()], value=name),
            gr.Dropdown(
                choices=[("", ""), *same], value=place.other if place.other in dict(same).values() else ""
            ),
            gr.Dropdown(choices=["", *_subgroups(run)], value=place.subgroup),
            gr.Dropdown(
                choices=[("", ""), *((d.name, d.key) for d in run.manifest.judge.dimensions)], value=place.dimension,
                visible=bool(run.manifest.judge.dimensions),
            ),
            gr.Dropdown(value=place.orders, visible=_knows_orders(run)),
        )  # fmt: skip

    def on_filter(self, *values: Any) -> tuple:
        names = (
            "run",
            "other",
            "versus",
            "outcome",
            "subgroup",
            "dimension",
            "longer",
            "low",
            "high",
            "search",
            "orders",
            "wrong_reason",
            "sort",
        )
        texts = {
            n: ("1" if v else "") if isinstance(v, bool) else str(v or "").strip()
            for n, v in zip(names, values, strict=True)
        }
        return self._show(Place(**texts))

    def on_select(self, place: Place | None, event: gr.SelectData) -> tuple:
        if place is None or not event.row_value:
            return (gr.skip(),) * 6
        return self._show(replace(place, row=str(event.row_value[0])))

    def _turn(self, step: int) -> Any:
        def turn(place: Place | None) -> tuple:
            if place is None:
                return (gr.skip(),) * 6
            return self._show(replace(place, page=str(max(0, int(place.page) + step)), row=""))

        return turn

    def _step(self, step: int) -> Any:
        """To the next or previous row of the filtered, sorted list, over the page's edge too."""

        def move(place: Place | None) -> tuple:
            if place is None:
                return (gr.skip(),) * 6
            found, at = self._page(place), int(place.page)
            rows = [str(r) for r in found.rows["row"]]
            here = rows.index(place.row) + step if place.row in rows else 0
            if here < 0 or here >= len(rows):
                at = min(max(0, at + step), max(0, (found.total - 1) // PAGE))
                if at == int(place.page):
                    return (gr.skip(),) * 6
                rows = [str(r) for r in self._page(replace(place, page=str(at))).rows["row"]]
                here = 0 if step > 0 else len(rows) - 1
            return self._show(replace(place, page=str(at), row=rows[here] if rows else ""))

        return move

    def _download(self, kind: str) -> Any:
        def write(place: Place | None) -> str:
            if place is None:
                raise gr.Error("There is nothing to download yet.")
            runs = self.library.runs()
            rows = browse.page(runs[place.run], self._filters(place, runs), limit=DOWNLOADED).rows
            return table_file(rows, "failures", kind)

        return write

    # -- what is shown ---------------------------------------------------------------------------------------

    def _filters(self, place: Place, runs: dict[str, Run]) -> Filters:
        """Raises gr.Error in plain words: links can hold anything."""
        run = runs.get(place.run)
        if run is None:
            raise gr.Error("This run is not on this server any more.")
        keys = {d.key for d in run.manifest.judge.dimensions}
        choices = (
            (place.versus, VERSUS_CHOICES), (place.outcome, OUTCOME_CHOICES), (place.sort, SORTS), (place.dimension, keys),
            (place.longer, ("longer", "shorter")), (place.orders, ORDER_CHOICES if _knows_orders(run) else ()),
        )  # fmt: skip
        for value, allowed in choices:
            if value and value not in allowed:
                raise gr.Error(f"'{value[:60]}' is not a filter of this page.")
        if not place.page.isdecimal() or len(place.page) > 6 or (place.row and not place.row.isdecimal()):
            raise gr.Error("The page or row of this link is not a number.")
        other = runs.get(place.other)
        if place.versus and other is None:
            raise gr.Error("Choose a second run under 'Against' first.")
        blank, shuffled = controls_of(self.library, run)
        if place.wrong_reason and blank is None:
            raise gr.Error(
                "There is no run of this judge with blank images on this data: make one on the Leaderboard page."
            )
        return Filters(
            place.outcome or "mistakes", place.subgroup, place.dimension, (_number(place.low), _number(place.high)),
            place.longer, place.search, other, place.versus, blank, bool(place.wrong_reason),
            place.sort or next(iter(SORTS)), shuffled, place.orders,
        )  # fmt: skip

    def _page(self, place: Place) -> browse.Page:
        runs = self.library.runs()
        return browse.page(runs[place.run], self._filters(place, runs), int(place.page) * PAGE)

    def _show(self, place: Place) -> tuple:
        try:
            return self._shown(place)
        except RunError as error:
            return place, place.query(), problems_html([str(error)]), None, "", ""

    def _shown(self, place: Place) -> tuple:
        runs, problems = self.library.surveyed()
        filters = self._filters(place, runs)
        found = browse.page(runs[place.run], filters, int(place.page) * PAGE)
        if not place.row and len(found.rows):
            place = replace(place, row=str(found.rows["row"][0]))
        summary = _summary(found, place) + problems_html(problems)
        return (place, place.query(), summary, _table(found.rows), *self._item(place, runs))

    def _item(self, place: Place, runs: dict[str, Run]) -> tuple[str, str]:
        if not place.row:
            return _note("No record passes these filters."), ""
        run, row = runs[place.run], int(place.row)
        try:
            stored = browse.record(run, row)
            if stored is None:
                return _note(f"This run has no row {row}."), ""
            judged = [(run.name, stored, judgement_of(stored, run.manifest) if stored["rewards"] else None)]
            other = runs.get(place.other)
            theirs = browse.record(other, row) if other else None
            if other and theirs and theirs["key"] == stored["key"]:
                judged.append(
                    (other.name, theirs, judgement_of(theirs, other.manifest) if theirs["rewards"] else None)
                )
            picture = picture_of(run, stored)
            text = item_view.item_html(stored, picture, judged, image_ablation_of(self.library, run, stored))
        except (RunError, ImageError) as error:  # this row alone: the list and the other rows stay
            return item_view.problem_html(f"Row {row} cannot be shown. {error}"), ""
        judgeable = self.inspect and len(stored["responses"]) > 1
        link = item_view.inspect_link(place.run, row) if judgeable else NOTHING
        return text + link, _similar(run, row, place.run)


def _similar(run: Run, row: int, name: str) -> Markup:
    try:
        return item_view.similar_html(browse.similar(run, row), name)
    except RunError:  # another row is damaged: this one can be shown without its likes
        return NOTHING


def _subgroups(run: Run) -> list[str]:
    try:
        return browse.subgroups(run)
    except RunError:
        return []


def _knows_orders(run: Run) -> bool:
    try:
        return browse.knows_orders(run)
    except RunError:
        return False


def _number(text: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text.replace(",", ".").replace("−", "-"))
    except ValueError as error:
        raise gr.Error(f"'{text[:40]}' is not a number.") from error
    return value


def _first(runs: dict[str, Run]) -> str:
    """A run with dimensions if there is one: it has most to show."""
    with_model = [
        n
        for n, r in runs.items()
        if r.manifest.judge.dimensions and r.manifest.condition is Condition.AS_GIVEN
    ]
    return (with_model or list(runs))[0]


def _note(text: str) -> Markup:
    return html('<p class="small">{{ text }}</p>', text=text)


def _summary(found: browse.Page, place: Place) -> Markup:
    r = found.slice_rate
    accuracy = (
        f"; of the {r.n:,} judged rows that pass the other filters, whatever their outcome, {100 * r.value:.1f} % are right "
        f"(95 %: {100 * r.low:.1f} to {100 * r.high:.1f})"
        if r.n
        else ""
    )
    if place.versus or place.wrong_reason:
        accuracy = ""
    first = int(place.page) * PAGE
    here = f"{first + 1} to {first + len(found.rows)} of " if len(found.rows) else ""
    return html(
        '<p class="small" role="status">{{ text }}</p>', text=f"{here}{found.total:,} records{accuracy}."
    )


def _table(rows: pd.DataFrame) -> pd.DataFrame:
    def margins(name: str) -> list[str]:
        return [signed(m) if pd.notna(m) else "" for m in rows[name]]

    beside = {"margin_blank": "blank image", "margin_shuffled": "shuffled image"}
    return pd.DataFrame({
        "row": rows["row"], "group": rows["subgroup"], "outcome": rows["outcome"], "margin": margins("margin"),
        **{title: margins(name) for name, title in beside.items() if name in rows},
        **({"both orders": _orders(rows)} if "order_consistent" in rows else {}),
        "prompt": [p if len(p) <= 160 else p[:157] + "…" for p in rows["prompt"]],
    })  # fmt: skip


def _orders(rows: pd.DataFrame) -> list[str]:
    return [
        "not decided" if pd.isna(same) else "depends on the order" if not same
        else f"{letter(int(choice))} in both" if pd.notna(choice) else "the same in both"
        for same, choice in zip(rows["order_consistent"], rows["choice"], strict=True)
    ]  # fmt: skip


def build_failures(library: Library, demo: gr.Blocks, inspect: bool = True) -> FailuresPage:
    """inspect: whether there is an Inspect page to open a record in."""
    page = FailuresPage(library, inspect)
    page.build(demo)
    return page
