"""A dry run: what is understood of a file, before anything is judged. Linear in time; holds a few bytes a row."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.benchmarks.reasons import Reasons
from core.benchmarks.rows import Benchmark, Loaded, Row
from core.images import ImageError, check_image
from core.records import content_hash, letter

EXAMPLES = 5


@dataclass(frozen=True)
class Report:
    """What a file holds. rows: comparisons, readable or not; readable: those that can be shown; judgeable: those that
    have their picture too, and no earlier turns. pictures: how many rows name 0, 1, 2 ... pictures; found: how many
    pictures are there and open. problems: the first few, with row and column; reasons: all of them, counted."""

    provenance: dict[str, Any]
    rows: int
    readable: int
    judgeable: int
    labelled: int
    ties: int
    named: int
    found: int
    pictures: dict[int, int]
    with_turns: int
    equal: int
    repeated: int
    contradictory: int
    ids_repeated: int
    reasons: Reasons
    notes: dict[str, int]
    first_preferred: int
    pictured: int
    problems: tuple[str, ...] = ()
    more: bool = False
    preview: tuple[tuple[str, tuple[str, ...], str], ...] = field(default=())

    @property
    def without_picture(self) -> int:
        """Readable rows that lack a picture."""
        return self.readable - self.pictured

    @property
    def missing(self) -> int:
        """Pictures that are named and are not there."""
        return self.named - self.found

    def lines(
        self, elsewhere: str = "If the pictures are in another folder, name it (--images FOLDER)."
    ) -> list[str]:
        """The report in sentences. elsewhere: what to do about pictures that are not there."""
        p = self.provenance
        out = [f"{p['source']}: {_many(self.rows, 'row')}{' (the first ones)' if self.more else ''}, read as {p['format']}."]  # fmt: skip
        out += [f"  {role}: column {column}" for role, column in p["columns"].items()]
        out += [f"  {decision}" for decision in p["decisions"]]
        out += [f"  {_many(n, 'row')}: {note}." for note, n in self.notes.items()]
        out.append(f"  {self.readable:,} of {self.rows:,} rows are readable; {self.judgeable:,} have all that a judge of one picture needs.")  # fmt: skip
        unlabelled = self.readable - self.labelled - self.ties
        out.append(f"  Labels: {self.labelled:,} preferred, {_many(self.ties, 'tie')}, {_many(unlabelled, 'row')} without a label.")  # fmt: skip
        if self.labelled >= 20 and self.first_preferred in (0, self.labelled):
            place = "always" if self.first_preferred else "never"
            out.append(f"  The preferred response is {place} the first in the file; they are shown in another order.")  # fmt: skip
        out.append(f"  Pictures: {self.found:,} of {self.named:,} found{_shares(self.pictures)}.")
        if self.missing:
            out.append(f"  {elsewhere}")
        if self.with_turns:
            out.append(f"  {_many(self.with_turns, 'row')} with earlier turns or a system message: kept, and judged only by judges that read them.")  # fmt: skip
        if self.equal:
            out.append(f"  {_many(self.equal, 'row')} whose responses are the same text.")
        if self.repeated:
            out.append(f"  Rows that repeat an earlier one: {self.repeated:,}, of which {self.contradictory:,} with another label.")  # fmt: skip
        if self.ids_repeated:
            out.append(f"  Rows with an id that an earlier row has: {self.ids_repeated:,}.")
        out += [f"  {line}" for line in self.reasons.lines(EXAMPLES)]
        return out


def check(
    source: str | Path, benchmark: str | Benchmark = "own", *, images: Path | None = None, format: str | None = None,
    limit: int | None = None, open_pictures: bool = True, **options: Any,
) -> Report:  # fmt: skip
    """Reads the rows and looks at each picture's header; judges nothing. limit: only the first so many rows.

    options: as for Benchmark.open. Raises BenchmarkError where nothing of the file can be read.
    """
    from core.benchmarks import BENCHMARKS

    known = BENCHMARKS[benchmark] if isinstance(benchmark, str) else benchmark
    loaded = known.open(source, images=images, format=format, **options)
    return report(loaded, limit, open_pictures)


def report(loaded: Loaded, limit: int | None = None, open_pictures: bool = True) -> Report:
    """The report of what is opened already."""
    n: Counter[str] = Counter()
    pictures: Counter[int] = Counter()
    notes: Counter[str] = Counter()
    reasons, more = Reasons(), False
    problems: list[str] = []
    preview: list[tuple[str, tuple[str, ...], str]] = []
    keys: dict[str, int | None] = {}
    ids: set[str] = set()
    for row in loaded.rows():
        if limit is not None and n["rows"] >= limit:
            more = True
            break
        n["rows"] += 1
        trouble = _look(row, n, open_pictures) or row.problem
        if trouble:
            reasons.add(trouble)
            if len(problems) < EXAMPLES:
                problems.append(trouble)
        c = row.comparison
        if c is None:
            continue
        n["readable"] += 1
        n["judgeable"] += not trouble and not c.turns and len(c.more_images) == 0 and c.image is not None
        n["pictured"] += c.image is not None
        n["labelled"] += c.preferred is not None
        n["ties"] += row.label.tie
        n["turns"] += bool(c.turns)
        n["equal"] += len(set(c.responses)) < len(c.responses)
        if c.preferred is not None and row.stored:
            n["first"] += row.stored[c.preferred] == 0
        pictures[row.pictures] += 1
        notes.update(row.notes)
        if row.key in keys:
            n["repeated"] += 1
            n["contradictory"] += None not in (keys[row.key], c.preferred) and keys[row.key] != c.preferred
        if keys.get(row.key) is None:
            keys[row.key] = c.preferred
        if row.id != f"row {row.index}" and not loaded.benchmark.clustered:
            short = content_hash(row.id)
            n["ids"] += short in ids
            ids.add(short)
        if len(preview) < EXAMPLES:
            preview.append((c.prompt, c.responses, "" if c.preferred is None else letter(c.preferred)))  # fmt: skip
    return Report(
        loaded.provenance, n["rows"], n["readable"], n["judgeable"], n["labelled"], n["ties"], n["named"], n["found"],
        dict(sorted(pictures.items())), n["turns"], n["equal"], n["repeated"], n["contradictory"], n["ids"], reasons,
        dict(notes), n["first"], n["pictured"], tuple(problems), more, tuple(preview),
    )  # fmt: skip


def _look(row: Row, n: Counter[str], open_pictures: bool) -> str:
    """Counts the row's pictures; the first that cannot be opened, in a sentence."""
    n["named"] += row.pictures
    if row.comparison is None or row.comparison.image is None:
        return ""
    trouble = ""
    for picture in (row.comparison.image, *row.comparison.more_images):
        try:
            if open_pictures:
                check_image(picture)
            n["found"] += 1
        except ImageError as error:
            trouble = trouble or f"row {row.index}, column image: {error}"
    return trouble


def _many(n: int, what: str) -> str:
    return f"{n:,} {what}{'s' * (n != 1)}"


def _shares(pictures: dict[int, int]) -> str:
    if set(pictures) <= {1}:
        return ""
    return ": " + ", ".join(f"{_many(n, 'row')} with {_many(k, 'picture') if k else 'no picture'}" for k, n in pictures.items())  # fmt: skip


TEMPLATE: tuple[dict[str, Any], ...] = (
    {"id": "1", "image": "pictures/kitchen.jpg", "prompt": "How many chairs are there?",
     "responses": ["Two chairs.", "There are four chairs."], "preferred": "B", "category": "counting"},
    {"id": "2", "image": "pictures/street.jpg", "prompt": "What does the sign say?",
     "responses": ["STOP", "The sign says SLOW."], "preferred": "A", "category": "reading"},
)  # fmt: skip


def template() -> str:
    """A file to start from: JSON Lines in the general form, with every column that is read."""
    return "".join(json.dumps(row) + "\n" for row in TEMPLATE)
