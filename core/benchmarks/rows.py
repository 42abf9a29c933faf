"""What every loader gives: rows, each keyed by its place in the data and by its content."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from core.benchmarks.fields import RowProblem
from core.benchmarks.images import ImageFinder, Pictures
from core.benchmarks.labels import NONE, Label
from core.benchmarks.source import BenchmarkError, Broken, Opened, open_source
from core.records import Comparison, Known, RecordError, Truth, Turn, content_hash

LONGEST = 1000  # characters of what is told of a file: its columns may have any names
UNEXPECTED = "the row is of a form that was not expected"


@dataclass(frozen=True)
class Problem:
    """Why a row cannot be read or judged. words: what stands there and what was expected."""

    row: int
    column: str
    words: str

    def __str__(self) -> str:
        return f"row {self.row}, column {self.column}: {self.words}" if self.column else f"row {self.row}: {self.words}"  # fmt: skip


@dataclass(frozen=True)
class Row:
    """Row number `index` of a data set.

    key: hash of prompt, responses and pictures; with `index` it names the row (ids repeat in real benchmarks).
    subgroup: the finest unit that the official script tells apart. cluster: rows that Acc+ counts together.
    stored: for each response, where it stood in the file; responses are shown in the order of their hashes, so
    that no fixed order gives the label away. comparison is None where `problems` say why the row cannot be read;
    a row with a comparison may still lack its image (`comparison.image is None`, the reason in `problems`).
    place: the number of the row in the file, where a row of the file gives several. label: as the file has it, by the
    file's order of the responses. pictures: how many the row names. notes: what was done to it, in words.
    """

    index: int
    key: str
    id: str
    subgroup: str
    cluster: str
    comparison: Comparison | None
    stored: tuple[int, ...] = ()
    problems: tuple[Problem, ...] = ()
    place: int = -1
    label: Label = NONE
    pictures: int = 0
    notes: tuple[str, ...] = ()
    format: str = ""

    @property
    def problem(self) -> str:
        """The problems as one text, empty where there is none."""
        return "; ".join(map(str, self.problems))


@dataclass(frozen=True)
class Grouping:
    """A way to sum subgroups into groups, with the number of rows each must have for its macro to mean anything."""

    name: str
    group_of: dict[str, str]
    expected: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Reading:
    """How the rows of one opened file are read: found once, before the first row.

    parse(raw) gives the comparisons in one row of the file, or raises RowProblem. columns: what is read from which
    column. decisions: what was decided for the whole file, in sentences.
    """

    format: str
    parse: Callable[[dict[str, Any]], Sequence[Fields]]
    columns: dict[str, str] = field(default_factory=dict)
    decisions: tuple[str, ...] = ()
    several: bool = (
        False  # one row of the file may hold several comparisons: their number is not known before
    )


@dataclass(frozen=True)
class Benchmark:
    """How one benchmark is read. groupings[0] is the official one.

    parse(raw) gives the fields of a row or raises RowProblem. needs: columns of which one each must exist. understand:
    for data of any format, looks at the opened file and gives its Reading, or raises BenchmarkError.
    """

    name: str
    title: str
    about: str
    parse: Callable[[dict[str, Any]], Fields]
    groupings: tuple[Grouping, ...] = ()
    hub: str = ""
    split: str = "test"
    needs: tuple[tuple[str, ...], ...] = ()
    clustered: bool = False  # Acc+ counts a cluster as right only if all of its rows are
    criteria: bool = (
        False  # the rows of a cluster are one pair judged by several criteria (core/runs/criteria.py)
    )
    built_in: Callable[[int], Iterator[Row]] | None = None  # seed -> rows the project makes itself
    built_in_record: Callable[[int], Comparison] | None = None  # row number -> its record, without the others
    understand: Callable[[Opened, str | None], Reading] | None = None

    def open(
        self, source: str | Path | None = None, *, images: Path | None = None, revision: str | None = None,
        streaming: bool = False, format: str | None = None, split: str | None = None,
    ) -> Loaded:  # fmt: skip
        """Rows of a local file or folder, of a hub data set, or the benchmark's own hub address (None).

        images: folder of the image files; by default the folder of the data file. format: the name of one of
        core.benchmarks.formats.FORMATS, where it shall not be recognised by the columns.
        Raises BenchmarkError with a sentence that names row, column and what was expected.
        """
        if self.built_in and source is None:
            return Loaded(self, "built in", "", lambda: self.built_in(0), None)  # type: ignore[misc]
        if source is None and not self.hub:
            raise BenchmarkError(f"{self.title} needs a file or folder: give its path.")
        if format is not None and self.understand is None:
            raise BenchmarkError(f"{self.title} has one format: leave the choice of a format out.")
        opened = open_source(source or self.hub, split or self.split, revision, streaming)
        self._check_columns(opened)
        reading = self.understand(opened, format) if self.understand else Reading(self.title, lambda raw: [self.parse(raw)])  # fmt: skip
        finder = ImageFinder(images or opened.folder)
        return Loaded(self, opened.name, opened.revision, lambda: self._rows(opened, reading, finder),
                      None if reading.several else opened.length, reading, opened.notes)  # fmt: skip

    def _check_columns(self, opened: Opened) -> None:
        missing = [names for names in self.needs if not set(names) & set(opened.columns)]
        if missing:
            wanted = "; ".join(" or ".join(names) for names in missing)
            raise BenchmarkError(
                f"{opened.name}: row 0 has the columns {', '.join(sorted(map(str, opened.columns))) or '(none)'}; "
                f"{self.title} needs {wanted}."
            )

    def _rows(self, opened: Opened, reading: Reading, finder: ImageFinder) -> Iterator[Row]:
        index = 0
        for place, raw in enumerate(opened.rows()):
            for row in self._of(place, index, raw, reading, finder):
                yield row
                index += 1

    def _of(
        self, place: int, index: int, raw: dict[str, Any] | Broken, reading: Reading, finder: ImageFinder
    ) -> Iterator[Row]:
        """The comparisons in one row of the file, or one Row that says why there is none."""
        unreadable = Row(index, "", "", "", "", None, place=place, format=reading.format)
        if isinstance(raw, Broken):
            yield replace(unreadable, problems=(Problem(index, "", raw.words),))
            return
        try:
            found = reading.parse(raw)
            if not found:
                raise RowProblem("it holds no two responses that can be compared")
            rows = [f.row(index + n, place, self.name, reading.format, finder) for n, f in enumerate(found)]
        except RowProblem as problem:
            id_ = raw.get("id")
            id_ = str(id_)[:200] if isinstance(id_, str | int) else ""
            yield replace(unreadable, id=id_, problems=(Problem(index, problem.column, problem.words),))
        except (
            Exception
        ) as error:  # a fault of the reader: it must not take the other rows with it, and is said
            words = f"{UNEXPECTED} ({type(error).__name__}: {str(error)[:120]})"
            yield replace(unreadable, problems=(Problem(index, "", words),))
        else:
            yield from rows


@dataclass(frozen=True)
class Fields:
    """The fields of one comparison, before its pictures are looked for. responses in the order of the file; image: one
    picture or a list of them; unsupported: why its input cannot be judged at all (a video).

    columns: which column each response is from. told: the label as the file has it; preferred is its index. id may be
    empty: then the row is called by its number. notes: what was done to the texts.
    """

    id: str
    prompt: str
    responses: Sequence[str]
    preferred: int | None
    image: Any
    subgroup: str = ""
    cluster: str = ""
    truth: Truth | None = None
    unsupported: str = ""
    turns: tuple[Turn, ...] = ()
    columns: tuple[str, ...] = ()
    told: Label = NONE
    notes: tuple[str, ...] = ()
    known: Known | None = None

    def row(self, index: int, place: int, benchmark: str, format_: str, finder: ImageFinder) -> Row:
        if self.unsupported:
            pictures = Pictures(names=(self.image,) if isinstance(self.image, str) else (), problem="")
            problems = [Problem(index, *self.unsupported.removeprefix("column ").split(": ", 1))]
        else:
            pictures = finder.find(self.image)
            problems = [Problem(index, "image", pictures.problem)] if pictures.problem else []
        stored = sorted(
            range(len(self.responses)), key=lambda i: (content_hash(self.prompt, self.responses[i]), i)
        )
        texts = tuple(self.responses[i] for i in stored)
        id_ = self.id or f"row {index}"
        row = Row(index, "", id_, self.subgroup, self.cluster or id_, None, (), (), place, self._label(),
                  pictures.asked, self.notes, format_)  # fmt: skip
        columns = self.columns or ("",) * len(self.responses)
        if empty := empty_response(list(zip(columns, self.responses, strict=True))):
            words, column = empty
            return replace(row, problems=(Problem(index, column, words),))
        key = self._key(texts, pictures.names)
        try:
            comparison = Comparison(
                id=f"{benchmark}-{index}-{key}",
                image=pictures.found[0] if pictures.found else None,
                prompt=self.prompt,
                responses=texts,
                preferred=None if self.preferred is None else stored.index(self.preferred),
                benchmark=benchmark,
                category=self.subgroup,
                truth=self.truth,
                turns=self.turns,
                more_images=pictures.found[1:],
                known=self.known,
            )
        except RecordError as error:
            return replace(row, problems=(Problem(index, "", str(error)),))
        return replace(row, key=key, comparison=comparison, stored=tuple(stored), problems=tuple(problems))

    def _label(self) -> Label:
        if self.told is NONE and self.preferred is not None:
            return Label(self.preferred)
        return self.told

    def _key(self, texts: tuple[str, ...], names: tuple[str | bytes, ...]) -> str:
        parts: list[str | bytes] = [self.prompt, *texts, *(names or ("",))]
        if len(names) > 1:  # so that a second picture cannot pass for a response
            parts.append(f"{len(names)} pictures")
        for turn in self.turns:
            parts += [f"turn of {turn.role}", turn.text]
        return content_hash(*parts)


def empty_response(responses: Sequence[tuple[str, str]]) -> tuple[str, str] | None:
    """(words, column) of the first empty one of (column, text), by its column or by its number in the file: letters
    are given later, in another order."""
    columns = [column for column, _ in responses]
    for i, (column, text) in enumerate(responses):
        if not text.strip():
            alone = column and columns.count(column) == 1
            return (
                "the response is empty" if alone else f"Response {i + 1} of {len(responses)} is empty",
                column,
            )
    return None


@dataclass(frozen=True)
class Loaded:
    """An opened benchmark. rows() streams from the start each time; nothing is kept."""

    benchmark: Benchmark
    source: str
    revision: str
    rows: Callable[[], Iterator[Row]]
    length: int | None
    reading: Reading | None = None
    notes: tuple[str, ...] = ()  # about the file itself

    @property
    def provenance(self) -> dict[str, Any]:
        """Where the rows came from and how they were read: plain values, for a run's manifest."""
        reading = self.reading or Reading(self.benchmark.title, lambda raw: [])
        decisions = [*self.notes, *reading.decisions]
        return {
            "source": self.source[:LONGEST], "revision": self.revision, "format": reading.format,
            "columns": {role: column[:LONGEST] for role, column in reading.columns.items()},
            "decisions": [d[:LONGEST] for d in decisions],
        }  # fmt: skip

    def first(self, n: int) -> Loaded:
        return replace(
            self,
            rows=lambda: islice(self.rows(), n),
            length=n if self.length is None else min(n, self.length),
        )
