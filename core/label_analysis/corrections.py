"""What comes out of a label queue: the data with its corrected labels, and what the judges score on them.

The files are written by core.label_analysis.export.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core.label_errors.words import WORDS, reason_words
from core.labels.consensus import DISPUTED, Consensus, consensus
from core.labels.records import BAD, TIE, UNSURE, Item, Label
from core.records import letter
from core.runs.metrics import Rate, outcome, rate
from core.runs.run import Run

KEPT, CONFIRMED, CORRECTED, NO_PREFERENCE, UNLABELLED = (
    "kept", "confirmed", "corrected", "no preference", "unlabelled",
)  # fmt: skip
STATUSES = (KEPT, CONFIRMED, CORRECTED, NO_PREFERENCE, DISPUTED, UNSURE, UNLABELLED)
BY_PEOPLE = (CONFIRMED, CORRECTED, NO_PREFERENCE, DISPUTED, UNSURE)
BATCH = 64  # rows of a run in memory at a time; a response may be a megabyte
FROM_DATA, FROM_RUN = "data", "run"


class CorrectionError(ValueError):
    """Labels that do not fit their items, or items that do not fit their run; the message says which."""


@dataclass(frozen=True)
class Data:
    """Which data the labels belong to. data_hash: over the keys and old labels of all rows, as in a run's manifest."""

    benchmark: str = ""
    source: str = ""
    revision: str = ""
    data_hash: str = ""

    @classmethod
    def of(cls, run: Run) -> Data:
        m = run.manifest
        return cls(m.benchmark, m.source, m.data_revision, str(m.stats.get("data_hash", "")))


@dataclass(frozen=True)
class Corrected:
    """One row of the data. preferred_before: its old label; preferred: the one it has now, None where it has none.

    status: "kept" (nobody looked, the old label stands), "confirmed", "corrected" (people prefer another response, or
    there was no old label), "no preference" (tie or both bad), "disputed" (two verdicts have the most votes), "unsure"
    (nobody was sure), "unlabelled" (nobody looked, and there was no old label). votes: how many final verdicts of each
    kind. annotators: how many people. reasons: why the row stood in the queue, a sentence each, or {"kind", parameters} as
    JSON.
    """

    row: int
    key: str
    id: str
    subgroup: str
    prompt: str
    responses: tuple[str, ...]
    preferred_before: int | None
    preferred: int | None
    status: str
    votes: dict[str, int]
    annotators: int
    reasons: tuple[str, ...]
    data: Data


@dataclass(frozen=True)
class Picture:
    """Encoded bytes. origin: "data" as it is there, or "run": the copy kept in a run for browsing, 512 pixels at most."""

    data: bytes
    origin: str


class Corrections:
    """The corrected data of one queue, row by row.

    items: by position. pictures: the encoded picture of an item, or None; for rows of the run that are not in the queue
    it is asked with a stand-in (position -1, picture ""). run: the one the queue came from; with it all rows of the
    data come out, in the run's order, without it those of the queue in theirs. data: where there is no run.
    Raises CorrectionError.
    """

    def __init__(
        self, items: Mapping[int, Item], labels: Sequence[Label], pictures: Callable[[Item], bytes | None],
        run: Run | None = None, data: Data | None = None,
    ) -> None:  # fmt: skip
        self.pictures, self.run = pictures, run
        self.data = Data.of(run) if run else data or Data()
        self.said = consensus(labels)
        self.items = {(i.row, i.key): i for i in items.values()}
        if len(self.items) < len(items):
            raise CorrectionError("The queue holds a row twice, so its labels cannot be told apart.")
        for position, found in self.said.items():
            _check(position, found, items.get(position))
        if run:
            self._check_run(run)

    def _check_run(self, run: Run) -> None:
        table = run.table(["row", "key"])
        there = set(zip(table["row"].to_pylist(), table["key"].to_pylist(), strict=True))
        strange = sorted(i.row for place, i in self.items.items() if place not in there)
        if strange:
            raise CorrectionError(
                f"{len(strange):,} rows of the queue are not in the run {run.name!r} (row {strange[0]} is the first): "
                "the run is of other data than the one the queue came from."
            )

    @property
    def most_responses(self) -> int:
        """Of an item of the queue: only those can have votes."""
        return max((len(i.responses) for i in self.items.values()), default=0)

    def rows(self) -> Iterator[Corrected]:
        return (row for row, _ in self.with_pictures(False))

    def with_pictures(self, wanted: bool = True) -> Iterator[tuple[Corrected, Picture | None]]:
        """The rows, each with its picture (if `wanted`) or None. One row is in memory at a time, or BATCH of a run."""
        for item, copy in self._every_item(wanted):
            data = self.pictures(item) if wanted else None
            picture = Picture(data, FROM_DATA) if data else Picture(copy, FROM_RUN) if copy else None
            yield self._corrected(item), picture

    def _every_item(self, wanted: bool) -> Iterator[tuple[Item, bytes | None]]:
        """Items of the queue and stand-ins for all other rows, with the run's copy of the picture."""
        if self.run is None:
            yield from ((item, None) for _, item in sorted((i.position, i) for i in self.items.values()))
            return
        columns = ["row", "key", "id", "subgroup", "cluster", "prompt", "responses", "preferred"]
        file = pq.ParquetFile(self.run.file)
        for batch in file.iter_batches(BATCH, columns=[*columns, "image"] if wanted else columns):
            for stored in batch.to_pylist():
                copy = stored.pop("image", None)
                yield self.items.get((stored["row"], stored["key"])) or _stand_in(stored), copy

    def _corrected(self, item: Item) -> Corrected:
        found = self.said.get(item.position)
        status, preferred = _status(item.preferred, found)
        return Corrected(
            item.row, item.key, item.id, item.subgroup, item.prompt, item.responses, item.preferred, preferred, status,
            dict(found.votes) if found else {}, found.annotators if found else 0,
            tuple(_reason(r) for r in item.evidence.get("reasons") or ()), self.data,
        )  # fmt: skip


def _check(position: int, found: Consensus, item: Item | None) -> None:
    if item is None:
        raise CorrectionError(f"There is a label for item {position}, but no such item in the queue.")
    for verdict in found.votes:
        if verdict not in (TIE, BAD, UNSURE) and int(verdict) >= len(item.responses):
            raise CorrectionError(
                f"A label of item {position} prefers response {letter(int(verdict))}, but there are {len(item.responses)}."
            )


def _reason(reason: Any) -> str:
    if isinstance(reason, str):
        return reason
    if reason.get("kind") == "sentence":
        return str(reason["text"])
    return reason_words(reason) if reason.get("kind") in WORDS else json.dumps(reason, sort_keys=True)


def _stand_in(stored: dict[str, Any]) -> Item:
    texts = {k: v for k, v in stored.items() if k != "responses"}
    return Item("", -1, responses=tuple(stored["responses"]), picture="", evidence={}, judged=(), **texts)


def _status(before: int | None, found: Consensus | None) -> tuple[str, int | None]:
    """(status, preferred) of a row with this old label."""
    if found is None:
        return (UNLABELLED if before is None else KEPT), before
    if found.verdict in (TIE, BAD):
        return NO_PREFERENCE, None
    if found.verdict in (DISPUTED, UNSURE):
        return found.verdict, None
    preferred = int(found.verdict)
    return (CONFIRMED if preferred == before else CORRECTED), preferred


# -- what the judges score -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rescored:
    """A judge's accuracy (ties wrong) under the old and the corrected labels; subgroups: (before, after) by name.

    changed: scored rows that now prefer another response. dropped: rows that were scored and now have no label.
    added: rows that are scored now and had no label. So before.n - dropped + added = after.n. absent: rows with a human
    verdict that the run does not hold.
    """

    judge: str
    before: Rate
    after: Rate
    changed: int
    dropped: int
    added: int
    absent: int
    subgroups: dict[str, tuple[Rate, Rate]]


def rescored(runs: Iterable[Run], corrected: Iterable[Corrected]) -> list[Rescored]:
    """One per run, from its stored rewards. Rows are matched by number and content; where nobody looked, the run's own
    label stands."""
    now = {(c.row, c.key): c.preferred for c in corrected if c.status in BY_PEOPLE}
    return [_rescored(run, now) for run in runs]


def _rescored(run: Run, now: Mapping[tuple[int, str], int | None]) -> Rescored:
    frame = run.table(["row", "key", "subgroup", "outcome"]).to_pandas().astype(object)
    frame.index = pd.MultiIndex.from_frame(frame[["row", "key"]])
    frame["after"] = frame["outcome"]
    wanted = pc.field("row").isin(sorted({row for row, _ in now}))
    looked_at = pq.read_table(run.file, columns=["row", "key", "preferred", "rewards"], filters=wanted)
    changed = found = 0
    new = {}
    for stored in looked_at.to_pylist():
        place = stored["row"], stored["key"]
        if place in now:
            found += 1
            new[place] = outcome(stored["rewards"], now[place])
            both = stored["preferred"] is not None and now[place] is not None
            changed += both and bool(stored["rewards"]) and stored["preferred"] != now[place]
    if new:
        frame.loc[list(new), "after"] = pd.Series(new, dtype=object)
    before, after = (~frame[c].isin(["missing", "unlabelled"]) for c in ("outcome", "after"))
    return Rescored(
        run.name, rate(frame["outcome"]), rate(frame["after"]), changed, int((before & ~after).sum()),
        int((after & ~before).sum()), len(now) - found,
        {str(name): (rate(g["outcome"]), rate(g["after"])) for name, g in frame.groupby("subgroup")},
    )  # fmt: skip
