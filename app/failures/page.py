"""The Failures page: records of a run as a wall of pictures, filters on its left, and on its right the one that is looked at."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
from markupsafe import Markup

from app.common import downloads, privately
from app.common.downloads import FORMATS, Downloads, table_file
from app.common.html import NOTHING, html, notice
from app.common.item_view import problem_html
from app.common.keys import keys_switch
from app.common.problems import problems_html
from app.common.theme import ASSETS
from app.failures.detail import Opinion, inspect_link, item_html
from app.failures.filters import FilterError, filters_of, or_none
from app.failures.place import Place
from app.failures.wall import crosstab_html, quadrant, similar_html, wall_html
from core.images import ImageError
from core.records import Condition
from core.runs import browse
from core.runs.browse import ORDER_CHOICES, OUTCOME_CHOICES, PAGE, SORTS, VERSUS_CHOICES, Filters
from core.runs.controls import image_ablation_of
from core.runs.library import Library
from core.runs.manifest import RunError
from core.runs.rows import picture_of
from core.runs.run import Run
from core.runs.said import SAID_CHOICES, states_choices
from core.runs.schema import judgement_of

PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "minimal"}
SCRIPT = (ASSETS / "wall.js").read_text()
FOLLOW = "(query) => { window.rewardscopeWall?.(query); }"
PRESS = """element.addEventListener('click', event => {
    const cell = event.target.closest('button[data-index]');
    if (cell) trigger('select', {index: Number(cell.dataset.index), value: ''});
});"""
FILTERS = (
    "run", "other", "third", "versus", "outcome", "subgroup", "dimension", "longer", "low", "high", "search", "orders", "said",
    "wrong_reason", "sort",
)  # fmt: skip
OF_RUN = (
    "run",
    "other",
    "third",
    "versus",
    "subgroup",
    "dimension",
    "orders",
    "said",
    "wrong_reason",
)  # change with the run
SHOWN = ("place", "address", "summary", "crosstab", "wall", "item", "similar")
DOWNLOADED = 100_000  # rows of a downloaded table


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
        self.files = Downloads()
        with gr.Row(elem_id="browser", equal_height=False):
            with gr.Column(elem_id="filters", min_width=180):
                self._filter_boxes()
            with gr.Column(elem_id="pictures", min_width=260):
                gr.HTML(
                    '<button type="button" id="fold" aria-controls="filters" aria-expanded="false">Filters</button>',
                    elem_id="fold-box",
                )
                self.summary = gr.HTML(elem_id="summary")
                self.crosstab = gr.HTML(js_on_load=PRESS, elem_id="crosstab")
                self.wall = gr.HTML(js_on_load=SCRIPT, elem_id="wall")
                with gr.Row(elem_id="turn"):
                    self.newer = gr.Button("◂ page", size="sm", elem_id="page-back", min_width=80)
                    self.older = gr.Button("page ▸", size="sm", elem_id="page-on", min_width=80)
            with gr.Column(elem_id="detail", min_width=300):
                with gr.Row(elem_id="walk"):
                    gr.HTML('<a href="#wall" id="to-wall">◂ All pictures</a>', elem_id="to-wall-box")
                    self.previous = gr.Button("◂ previous (K)", size="sm", elem_id="previous", min_width=110)
                    self.next = gr.Button(
                        "next (J) ▸", size="sm", elem_id="next", variant="primary", min_width=110
                    )
                    keys_switch(demo)
                self.item = gr.HTML(elem_id="item")
                self.similar = gr.HTML(elem_id="similar")
        self._events(demo)

    def _filter_boxes(self) -> None:
        none = ("any", "")
        self.run = _choice("run", "Judge and data", [])
        self.outcome = _choice("outcome", "Show", list(OUTCOME_CHOICES), "mistakes")
        self.search = gr.Textbox(label="Search in prompts and responses", elem_id="search")
        self.subgroup = _choice("subgroup", "Group", [none])
        self.dimension = _choice("dimension", "Dimension selected", [none])
        self.orders = _choice(
            "orders",
            "Shown in both orders",
            [none, *((said, key) for key, said in ORDER_CHOICES.items())],
            visible=False,
        )
        self.said = _choice(
            "said", "What it writes and what it decides", [none, *SAID_CHOICES], visible=False
        )
        self.sort = _choice("sort", "Sorted by", list(SORTS), next(iter(SORTS)))
        self.other = _choice("other", "Compare with", [("none", "")])
        self.third = _choice("third", "and with", [("none", "")], visible=False)
        self.versus = _choice("versus", "Of the two", [none, *VERSUS_CHOICES], visible=False)
        with gr.Accordion("More filters", open=False):
            self.longer = _choice(
                "longer",
                "The preferred response is the",
                [none, ("longer", "longer"), ("shorter", "shorter")],
            )
            self.low = gr.Textbox(label="Margin from", placeholder="-2.5", elem_id="low")
            self.high = gr.Textbox(label="to", placeholder="0", elem_id="high")
            self.wrong_reason = gr.Checkbox(label="Right with a blank image as well", elem_id="wrong-reason")
        with gr.Accordion("Download", open=False):
            self.downloads = [
                gr.Button(f"filtered rows, {f}", size="sm", elem_id=f"download-{f}") for f in FORMATS
            ]
            self.whole = gr.Button("the whole run, zip (opens with --replay)", size="sm", elem_id="whole")

    def _events(self, demo: gr.Blocks) -> None:
        filters, shown = self._named(FILTERS), self._named(SHOWN)
        of_run, of_other = self._named(OF_RUN), [self.third, self.versus]
        demo.load(self.on_open, None, [*filters, *shown], **PRIVATE)
        self.run.input(self.on_run, [self.run], of_run, **PRIVATE).then(
            self.on_filter, filters, shown, **PRIVATE
        )
        self.other.input(self.on_other, [self.other, self.third, self.versus], of_other, **PRIVATE).then(
            self.on_filter, filters, shown, **PRIVATE
        )
        for box in filters[2:]:
            if isinstance(box, gr.Textbox):
                box.submit(self.on_filter, filters, shown, **PRIVATE)
                box.blur(self.on_filter, filters, shown, **PRIVATE)
            else:
                box.input(self.on_filter, filters, shown, **PRIVATE)
        self.crosstab.select(self.on_cell, [self.place], [self.versus, *shown], **PRIVATE)
        # The wall stands still while another of its records is fetched, and fast presses are all counted.
        walks = {"outputs": shown, "trigger_mode": "multiple", "show_progress_on": [self.item], **PRIVATE}
        self.wall.select(self.on_select, [self.place], **walks)
        for button, step in ((self.newer, -1), (self.older, 1)):
            button.click(self._turn(step), [self.place], shown, **PRIVATE)
        for button, step in ((self.previous, -1), (self.next, 1)):
            button.click(self._step(step), [self.place], **walks)
        self.address.change(None, [self.address], None, js=FOLLOW)
        for button, kind in zip(self.downloads, FORMATS, strict=True):
            self.files.offer(button, self._download(kind), [self.place])
        self.files.offer(self.whole, self.on_whole, [self.run])

    def _named(self, names: tuple[str, ...]) -> list[Any]:
        return [getattr(self, name) for name in names]

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
        query = dict(request.query_params)
        place = Place.of(query)
        if place.run and place.run not in runs:
            gr.Warning("The run of this link is not on this server.")
            place = Place()
        if not runs:
            note = _note("There is no run yet: make one on the Leaderboard page.")
            return (*(gr.skip() for _ in FILTERS), None, "", note, "", "", "", "")
        if not place.run:
            place = replace(place, run=_first(runs))
        try:
            filters = filters_of(place, runs, self.library)
        except FilterError as error:
            gr.Warning(notice(error))
            place = Place(run=place.run)
        else:
            if place.row and "page" not in query:  # a link to a record: the wall opens where it stands
                place = replace(place, page=str(_page_of(runs[place.run], filters, int(place.row))))
        boxes = _boxes(place, runs)
        return (*(boxes.get(name, getattr(place, name)) for name in FILTERS), *self._show(place))

    def on_run(self, run: str) -> tuple:
        runs = self.library.runs()
        if run not in runs:
            return tuple(gr.skip() for _ in OF_RUN)
        boxes = _boxes(Place(run=run), runs)
        return tuple(boxes[name] for name in OF_RUN)

    def on_other(self, other: str, third: str, versus: str) -> tuple:
        """What needs a second run comes and goes with it."""
        there = bool(other)
        third = third if there and third != other else ""
        return gr.Dropdown(value=third, visible=there), gr.Dropdown(
            value=versus if there else "", visible=there
        )

    def on_filter(self, *values: Any) -> tuple:
        texts = {
            n: ("1" if v else "") if isinstance(v, bool) else str(v or "").strip()
            for n, v in zip(FILTERS, values, strict=True)
        }
        return self._show(Place(**texts))

    def on_cell(self, place: Place | None, event: gr.SelectData) -> tuple:
        """Shows the records of a cell of the 2 x 2; pressed again, all of them."""
        what = quadrant(event.index)
        if place is None or not what or not place.other:
            return (gr.skip(), *_skipped())
        what = "" if place.versus == what else what
        return (what, *self._show(replace(place, versus=what, page="0", row="")))

    def on_select(self, place: Place | None, event: gr.SelectData) -> tuple:
        if place is None or type(event.index) is not int or not 0 <= event.index < 10**12:
            return _skipped()
        return self._show(replace(place, row=str(event.index)), place)

    def _turn(self, step: int) -> Any:
        def turn(place: Place | None) -> tuple:
            if place is None:
                return _skipped()
            try:
                last = max(0, (self._page(place).total - 1) // PAGE)
            except (FilterError, RunError):
                return self._show(place)
            page = str(min(max(0, int(place.page) + step), last))
            return self._show(replace(place, page=page, row="")) if page != place.page else _skipped()

        return turn

    def _step(self, step: int) -> Any:
        """To the next or previous row of the filtered, sorted list, over the page's edge too."""

        def move(place: Place | None) -> tuple:
            if place is None:
                return _skipped()
            try:
                found, at = self._page(place), int(place.page)
                rows = [str(r) for r in found.rows["row"]]
                here = rows.index(place.row) + step if place.row in rows else 0
                if here < 0 or here >= len(rows):
                    at = min(max(0, at + step), max(0, (found.total - 1) // PAGE))
                    if at == int(place.page):
                        return _skipped()
                    rows = [str(r) for r in self._page(replace(place, page=str(at))).rows["row"]]
                    here = 0 if step > 0 else len(rows) - 1
            except (FilterError, RunError):
                return self._show(place)
            return self._show(replace(place, page=str(at), row=rows[here] if rows else ""), place)

        return move

    def _download(self, kind: str) -> Any:
        def write(place: Place | None) -> str:
            if place is None:
                raise gr.Error("There is nothing to download yet.")
            runs = self.library.runs()
            try:
                filters = filters_of(place, runs, self.library)
            except FilterError as error:
                raise gr.Error(notice(error)) from error
            rows = browse.page(runs[place.run], filters, limit=DOWNLOADED).rows
            return table_file(rows, "failures", kind)

        return write

    # -- what is shown ---------------------------------------------------------------------------------------

    def _page(self, place: Place) -> browse.Page:
        runs = self.library.runs()
        filters = filters_of(place, runs, self.library)
        return browse.page(runs[place.run], filters, int(place.page) * PAGE)

    def _show(self, place: Place, before: Place | None = None) -> tuple:
        """One value a name of SHOWN. before: where the reader was; the wall stays as it is where only the row is another one. A
        problem is said above the wall, and what was shown stays."""
        try:
            return self._shown(place, before)
        except FilterError as error:
            return (gr.skip(), gr.skip(), problem_html(str(error)), *(gr.skip() for _ in SHOWN[3:]))
        except RunError as error:
            return place, place.query(), problems_html([str(error)]), "", "", "", ""

    def _shown(self, place: Place, before: Place | None = None) -> tuple:
        runs, problems = self.library.surveyed()
        filters = filters_of(place, runs, self.library)
        run = runs[place.run]
        if before is not None and replace(before, row=place.row) == place:
            return (place, place.query(), gr.skip(), gr.skip(), gr.skip(), *self._item(place, runs))
        found = browse.page(run, filters, int(place.page) * PAGE)
        if not place.row and len(found.rows):
            place = replace(place, row=str(found.rows["row"][0]))
        summary = _summary(found, place) + problems_html(problems)
        counts = crosstab_html(
            browse.crosstab(run, filters), run.name, filters.other.name if filters.other else "", place.versus
        )
        return (place, place.query(), summary, counts, wall_html(found, place, run), *self._item(place, runs))

    def _item(self, place: Place, runs: dict[str, Run]) -> tuple[Markup, Markup]:
        if not place.row:
            return _note("No record passes these filters."), NOTHING
        run, row = runs[place.run], int(place.row)
        try:
            stored = browse.record(run, row)
            if stored is None:
                return _note(f"This run has no row {row}."), NOTHING
            names = dict.fromkeys((place.run, place.other, place.third))
            opinions = [_opinion(runs[n], row, stored["key"]) for n in names if n in runs]
            judgeable = self.inspect and len(stored["responses"]) > 1
            link = inspect_link(place.run, row) if judgeable else NOTHING
            ablated = image_ablation_of(self.library, run, stored)
            text = item_html(stored, picture_of(run, stored), opinions, ablated, link)
        except (RunError, ImageError) as error:  # this row alone: the list and the other rows stay
            return problem_html(f"Row {row} cannot be shown. {error}"), NOTHING
        return text, _similar(run, row, place)


def _boxes(place: Place, runs: dict[str, Run]) -> dict[str, Any]:
    """What the filters offer for a run, and what of it is chosen."""
    run = runs[place.run]
    same = [
        (r.name, n)
        for n, r in runs.items()
        if n != place.run and r.manifest.benchmark == run.manifest.benchmark
    ]
    others = {n for _, n in same}
    other = place.other if place.other in others else ""
    third = place.third if other and place.third in others and place.third != other else ""
    none, dimensions = ("any", ""), run.manifest.judge.dimensions
    return {
        "run": gr.Dropdown(choices=[(f"{r.name} ({r.manifest.title})", n) for n, r in runs.items()], value=place.run),
        "other": gr.Dropdown(choices=[("none", ""), *same], value=other),
        "third": gr.Dropdown(choices=[("none", ""), *same], value=third, visible=bool(other)),
        "versus": gr.Dropdown(value=place.versus if other else "", visible=bool(other)),
        "subgroup": gr.Dropdown(choices=[none, *or_none(browse.subgroups, run)], value=place.subgroup),
        "dimension": gr.Dropdown(
            choices=[none, *((d.name, d.key) for d in dimensions)], value=place.dimension, visible=bool(dimensions)
        ),
        "orders": gr.Dropdown(value=place.orders, visible=bool(or_none(browse.knows_orders, run))),
        "said": gr.Dropdown(value=place.said, visible=states_choices(run)),
        "wrong_reason": gr.Checkbox(value=bool(place.wrong_reason)),
    }  # fmt: skip


def _choice(name: str, label: str, choices: Any, value: str = "", visible: bool = True) -> gr.Dropdown:
    return gr.Dropdown(choices, value=value, label=label, elem_id=name, visible=visible)


def _opinion(run: Run, row: int, key: str) -> Opinion:
    stored = browse.record(run, row)
    if stored is None or stored["key"] != key:  # the same number of other data
        return Opinion(run.name, run.manifest.judge, None, None)
    judgement = judgement_of(stored, run.manifest) if stored["rewards"] else None
    return Opinion(run.name, run.manifest.judge, stored, judgement)


def _similar(run: Run, row: int, place: Place) -> Markup:
    try:
        return similar_html(browse.similar(run, row), place, run)
    except RunError:  # another row is damaged: this one can be shown without its likes
        return NOTHING


def _page_of(run: Run, filters: Filters, row: int) -> int:
    """0 where the row does not pass: it is shown beside the wall all the same."""
    try:
        return browse.page_of(run, filters, row) or 0
    except RunError:
        return 0


def _skipped() -> tuple:
    return tuple(gr.skip() for _ in SHOWN)


def _first(runs: dict[str, Run]) -> str:
    """The one with most to show: of a gated judge if there is one, else of one with dimensions."""
    as_given = [n for n, r in runs.items() if r.manifest.condition is Condition.AS_GIVEN]
    gated = [n for n in as_given if runs[n].manifest.judge.kind == "gated"]
    with_dimensions = [n for n in as_given if runs[n].manifest.judge.dimensions]
    return (gated or with_dimensions or list(runs))[0]


def _note(text: str) -> Markup:
    return html('<p class="small">{{ text }}</p>', text=text)


def _summary(found: browse.Page, place: Place) -> Markup:
    """How many, and where they are all of one outcome, how often the judge is right on the records that they are taken from."""
    told_by_filter = place.versus or place.wrong_reason or place.said
    first = int(place.page) * PAGE
    return html(
        """
        <p class="small" role="status"><b>{% if n %}{{ first + 1 }} to {{ first + n }} of {% endif %}{{ total|f(",") }} records.</b>
        {%- if r %} The judge is right on {{ (100 * r.value)|f(".1f") }} % (95 %: {{ (100 * r.low)|f(".1f") }} to {{ (100 * r.high)|f(".1f") }})
        of the {{ r.n|f(",") }} that pass the filters but "Show".{% endif %}</p>
        """,
        first=first, n=len(found.rows), total=found.total,
        r=found.slice_rate if found.slice_rate.n and not told_by_filter else None,
    )  # fmt: skip


def build_failures(library: Library, demo: gr.Blocks, inspect: bool = True) -> FailuresPage:
    """inspect: whether there is an Inspect page to open a record in."""
    page = FailuresPage(library, inspect)
    page.build(demo)
    return page
