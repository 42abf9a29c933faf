"""What every loader gives: rows, each keyed by its place in the data and by its content."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from core.benchmarks.fields import RowProblem
from core.benchmarks.images import ImageFinder
from core.benchmarks.source import BenchmarkError, Opened, open_source
from core.records import Comparison, ImageSource, RecordError, Truth, content_hash, plain


@dataclass(frozen=True)
class Row:
    """Row number `index` of a data set.

    key: hash of prompt, responses and image; with `index` it names the row (ids repeat in real benchmarks).
    subgroup: the finest unit that the official script tells apart. cluster: rows that Acc+ counts together.
    stored: for each response, where it stood in the file; responses are shown in the order of their hashes, so
    that no fixed order gives the label away. comparison is None where `problem` says why the row cannot be read;
    a row with a comparison may still lack its image (`comparison.image is None`, the reason in `problem`).
    """

    index: int
    key: str
    id: str
    subgroup: str
    cluster: str
    comparison: Comparison | None
    stored: tuple[int, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Grouping:
    """A way to sum subgroups into groups, with the number of rows each must have for its macro to mean anything."""

    name: str
    group_of: dict[str, str]
    expected: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Benchmark:
    """How one benchmark is read. groupings[0] is the official one.

    parse(raw) gives the fields of a row or raises RowProblem. needs: columns of which one each must exist.
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
    built_in: Callable[[int], Iterator[Row]] | None = None  # seed -> rows the project makes itself
    built_in_record: Callable[[int], Comparison] | None = None  # row number -> its record, without the others

    def open(
        self, source: str | Path | None = None, *, images: Path | None = None, revision: str | None = None,
        streaming: bool = False,
    ) -> Loaded:  # fmt: skip
        """Rows of a local file or folder, of a hub data set, or the benchmark's own hub address (None).

        images: folder of the image files; by default the folder of the data file.
        Raises BenchmarkError with a sentence that names row, column and what was expected.
        """
        if self.built_in and source is None:
            return Loaded(self, "built in", "", lambda: self.built_in(0), None)  # type: ignore[misc]
        if source is None and not self.hub:
            raise BenchmarkError(f"{self.title} needs a file or folder: give its path.")
        opened = open_source(source or self.hub, self.split, revision, streaming)
        self._check_columns(opened)
        root = images or opened.folder
        return Loaded(
            self, opened.name, opened.revision, lambda: self._rows(opened, ImageFinder(root)), opened.length
        )

    def _check_columns(self, opened: Opened) -> None:
        missing = [names for names in self.needs if not set(names) & set(opened.columns)]
        if missing:
            wanted = "; ".join(" or ".join(names) for names in missing)
            raise BenchmarkError(
                f"{opened.name}: row 0 has the columns {', '.join(sorted(opened.columns)) or '(none)'}; "
                f"{self.title} needs {wanted}."
            )

    def _rows(self, opened: Opened, finder: ImageFinder) -> Iterator[Row]:
        for index, raw in enumerate(opened.rows()):
            yield self._row(index, raw, finder)

    def _row(self, index: int, raw: dict[str, Any] | BenchmarkError, finder: ImageFinder) -> Row:
        if isinstance(raw, BenchmarkError):
            return Row(index, "", "", "", "", None, problem=str(raw))
        id_ = str(raw.get("id", ""))
        try:
            found = self.parse(raw)
            id_ = found.id
            image, problem = (None, found.unsupported) if found.unsupported else finder.find(found.image)
            return found.row(index, self.name, image, plain(f"row {index}, {problem}") if problem else "")
        except RowProblem as wrong:
            said = f"row {index}, {wrong}"
        except RecordError as error:
            group, cluster = plain(found.subgroup), plain(found.cluster)
            return Row(index, "", plain(id_), group, cluster, None, problem=f"row {index}: {error}")
        except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
            # Whatever a row holds concerns this row alone.
            said = f"row {index}: its fields have a form that cannot be read ({type(error).__name__})"
        return Row(index, "", plain(id_), "", "", None, problem=plain(said))


@dataclass(frozen=True)
class Fields:
    """The fields of one raw row, before its image is looked for. responses in the order of the file;
    unsupported: why its input cannot be judged at all (a video)."""

    id: str
    prompt: str
    responses: Sequence[str]
    preferred: int | None
    image: Any
    subgroup: str = ""
    cluster: str = ""
    truth: Truth | None = None
    unsupported: str = ""

    def row(self, index: int, benchmark: str, image: ImageSource | None, problem: str) -> Row:
        """Raises RecordError where the texts cannot be compared."""
        if any(not isinstance(t, str) or plain(t) != t for t in (self.prompt, *self.responses)):
            raise RecordError("A text holds half of a surrogate pair, which no file or page can hold.")
        stored = sorted(
            range(len(self.responses)), key=lambda i: (content_hash(self.prompt, self.responses[i]), i)
        )
        texts = tuple(self.responses[i] for i in stored)
        seen = image if isinstance(image, bytes) else _reference(self.image)
        key = content_hash(self.prompt, *texts, seen)
        comparison = Comparison(
            id=f"{benchmark}-{index}-{key}",
            image=image,
            prompt=self.prompt,
            responses=texts,
            preferred=None if self.preferred is None else stored.index(self.preferred),
            benchmark=benchmark,
            category=self.subgroup,
            truth=self.truth,
        )
        id_, subgroup, cluster = map(plain, (self.id, self.subgroup, self.cluster or self.id))
        return Row(index, key, id_, subgroup, cluster, comparison, tuple(stored), problem)


def _reference(image: Any) -> str:
    """What a row says about its image where the bytes are not at hand: enough to tell two images apart."""
    if isinstance(image, dict):
        return str(image.get("path") or "")
    return image if isinstance(image, str) else ""


@dataclass(frozen=True)
class Loaded:
    """An opened benchmark. rows() streams from the start each time; nothing is kept."""

    benchmark: Benchmark
    source: str
    revision: str
    rows: Callable[[], Iterator[Row]]
    length: int | None

    def first(self, n: int) -> Loaded:
        return Loaded(self.benchmark, self.source, self.revision, lambda: islice(self.rows(), n),
                      n if self.length is None else min(n, self.length))  # fmt: skip
