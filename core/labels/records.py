"""The records of the label store: a queue, its items, what is claimed, said and stands of them. All are frozen."""

from __future__ import annotations

import json
import random
import time
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from core.records import content_hash, plain
from core.taxonomy import DIMENSIONS

TIE, BAD, UNSURE = "tie", "bad", "unsure"  # besides "0", "1", ..., the index of the better response
UNDECIDED = (TIE, BAD, UNSURE)
LONGEST_NOTE = 4_000
LONGEST_NAME = 40


class LabelError(ValueError):
    """Something that cannot be written; the message says why, and what became of the verdict."""


@dataclass(frozen=True)
class Item:
    """One comparison of a queue, complete by itself: the run it came from may be gone.

    position: its place in the queue. row, key, id, subgroup, cluster, preferred: as in the run (core.runs).
    picture: hash of a stored picture, or "" where there is none or the benchmark draws it from `row`.
    evidence: why it stands here {"wrong": probability that the label is wrong or None, "reasons": [reasons]}. A reason is
    {"kind": what it is, its parameters}, which a page puts into words; one that was stored as a sentence is
    {"kind": "sentence", "text": it}.
    judged: what the judges said, one mapping each: core.records.Judgement.to_row less what is empty, and `revision`,
    the fingerprint of the judge's weights.
    """

    queue: str
    position: int
    row: int
    key: str
    id: str
    subgroup: str
    cluster: str
    prompt: str
    responses: tuple[str, ...]
    preferred: int | None
    picture: str
    evidence: dict[str, Any]
    judged: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Label:
    """What one annotator says of one item at present: a view over the events, undone ones left out.

    first: the verdict before model and old label were shown; final: the one that stands after. Both are the index
    of the better response as text ("0", "1", ..., in the record's own order), "tie", "bad" (both bad) or "unsure".
    blind: whether `first` was given before any reveal of this item to this person (it is not after an undo).
    dimensions: keys of the dimensions that decided, at last; first_dimensions: those named with the first verdict. seconds: from sight to first verdict; None where unknown.
    """

    queue: str
    position: int
    annotator: str
    first: str
    final: str
    blind: bool
    dimensions: tuple[str, ...]
    note: str
    seconds: float | None
    at: str
    first_dimensions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Queue:
    """about: name, by, order, seed, benchmark, title, source, revision, data_hash, runs (their names in links), and
    dimensions ([{"key", "name", ...}]: those of the queue's judge)."""

    id: str
    created: float
    overlap: int
    size: int
    about: dict[str, Any]

    @property
    def dimensions(self) -> dict[str, str]:
        """What an annotator can tick, in order: key -> name. The taxonomy where the queue brings none of its own."""
        own = self.about.get("dimensions")
        if own is None:
            return {d.key: d.name for d in DIMENSIONS}
        return {d["key"]: d.get("name") or d["key"] for d in own}


@dataclass(frozen=True)
class Claim:
    """An item in somebody's hands. shown: the record's response indices in the order in which this person sees them.

    label: what this person says of it at present, if anything. seen: whether model and old label were ever revealed to
    them, as before an undo.
    """

    item: Item
    ticket: str
    shown: tuple[int, ...]
    label: Label | None
    seen: bool


@dataclass(frozen=True)
class Progress:
    """done: slots (items x overlap) with a verdict, of `total`; mine: this person's; held: in hands just now."""

    done: int
    total: int
    mine: int
    held: int


@dataclass(frozen=True)
class Opinion:
    """What a person says of an item: one verdict, the dimensions that decided it, a note."""

    verdict: str
    dimensions: tuple[str, ...] = ()
    note: str = ""

    def checked(self, responses: int, dimensions: Iterable[str]) -> Opinion:
        """The opinion with its dimensions in the order of `dimensions`, the keys of the queue. Raises LabelError for
        anything the page would not send."""
        keys = list(dimensions)
        if self.verdict not in (*UNDECIDED, *(str(i) for i in range(responses))):
            raise LabelError("This is not a verdict that this item can have. Nothing was written.")
        if not all(isinstance(d, str) and d in keys for d in self.dimensions):
            raise LabelError("This queue does not have such a dimension. Nothing was written.")
        if len(self.note) > LONGEST_NOTE:
            raise LabelError(
                f"The note has {len(self.note):,} characters: at most {LONGEST_NOTE:,} are kept. Nothing was written."
            )
        return replace(self, dimensions=tuple(k for k in keys if k in self.dimensions), note=plain(self.note))


def checked_name(name: str) -> str:
    """The name with its blanks in order, one way to write what looks alike. Raises LabelError."""
    name = " ".join(unicodedata.normalize("NFKC", name).split())
    if not name or len(name) > LONGEST_NAME or not all(c.isalnum() or c in " ._-" for c in name):
        raise LabelError(
            f"Choose a name of 1 to {LONGEST_NAME} letters, digits, blanks, dots, dashes or underscores."
        )
    scripts = {_script(c) for c in name if c.isalpha()}
    if len(scripts) > 1 and not scripts <= JAPANESE and not scripts <= KOREAN:
        raise LabelError("Choose a name in one script: letters of several look alike.")
    return name


def checked_dimensions(given: Iterable[Any]) -> list[dict[str, Any]]:
    """Dimensions for a queue's `about`. Raises LabelError where a key is missing, empty or there twice."""
    out = [dict(d) if isinstance(d, dict) else {} for d in given]
    keys = [d.get("key") for d in out]
    if not all(isinstance(k, str) and k for k in keys) or len(set(keys)) < len(keys):
        raise LabelError(
            "The dimensions of a queue each need a key of their own. The queue was not made: mend the judge's list of dimensions."
        )
    return out


def sentence(text: str) -> dict[str, Any]:
    """A reason that is known only in words."""
    return {"kind": "sentence", "text": text}


JAPANESE, KOREAN = {"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA"}, {"CJK", "HANGUL"}


def _script(letter: str) -> str:
    """By the first word of its Unicode name: LATIN, GREEK, CYRILLIC, CJK, ..."""
    return unicodedata.name(letter, "UNKNOWN").split()[0]


def shown_order(annotator: str, item: Item) -> tuple[int, ...]:
    """The record's response indices as this person sees them: shuffled by person and item, the same whenever asked."""
    order = list(range(len(item.responses)))
    random.Random(content_hash(annotator, item.queue, item.key, str(item.row))).shuffle(order)
    return tuple(order)


def present(events: Iterable[Any]) -> list[Label]:
    """The labels that stand after these events (rows of core.labels.tables.events, in order)."""
    rows = list(events)
    undone = {r.ticket for r in rows if r.kind == "undo"}
    out: dict[tuple[int, str], Label] = {}
    for r in rows:
        if r.ticket in undone or r.kind not in ("first", "final"):
            continue
        said, place = json.loads(r.detail), (r.position, r.annotator)
        dimensions, note = tuple(said["dimensions"]), said["note"]
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(r.at))
        if r.kind == "first":
            out[place] = Label(
                r.queue, r.position, r.annotator, r.verdict, r.verdict, said["blind"], dimensions, note, r.seconds, at, dimensions
            )  # fmt: skip
        elif place in out:
            out[place] = replace(out[place], final=r.verdict, dimensions=dimensions, note=note, at=at)
    return [out[k] for k in sorted(out)]
