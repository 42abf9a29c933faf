"""Queues: which comparisons people are asked about, in which order, and what is known of each."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from core.benchmarks import BENCHMARKS
from core.images import to_png_bytes
from core.label_errors.issue import LabelIssue
from core.label_errors.ranking import label_issues
from core.labels.consensus import most_disputed
from core.labels.records import Item, Label, LabelError, Queue
from core.labels.store import LabelStore
from core.records import Comparison, Condition
from core.runs.run import Run
from core.runs.schema import SCHEMA, judgement_of
from core.taxonomy import DIMENSIONS

ORDERS = {
    "likely errors": "likely wrong labels first",
    "random": "at random: a sample that error rates can be estimated from",
    "disagreement": "what annotators disagree about, from a finished queue",
}
NAMES = {**ORDERS, "suspicion": ORDERS["likely errors"]}  # the second in queues of release 0.1
MOST = 20_000  # items of one queue
LONGEST = 100_000  # characters of one text that a person could be asked to read


def from_runs(
    store: LabelStore, runs: dict[str, Run], *, name: str, by: str, order: str = "likely errors", most: int = 500,
    overlap: int = 1, seed: int = 0, dimensions: Sequence[dict[str, Any]] | None = None,
) -> Queue:  # fmt: skip
    """A queue over runs of the same data (name in links -> run). dimensions: what annotators can tick, [{"key", "name"}];
    where it is None those of the first judge that has any, else the taxonomy. Raises LabelError or core.runs.RunError."""
    if not runs:
        raise LabelError("Choose a run first.")
    _check(order, most, overlap)
    found = label_issues(list(runs.values()), order, seed)[:most]
    first = next(iter(runs.values()))
    entries, stored = _entries(list(runs.values()), found)
    m = first.manifest
    about = {
        "name": "".join(c for c in name.strip()[:80] if c.isprintable()) or m.title, "by": by, "order": order, "seed": seed, "benchmark": m.benchmark,
        "title": m.title, "source": m.source, "revision": m.data_revision, "data_hash": m.stats.get("data_hash", ""),
        "runs": list(runs), "dimensions": list(dimensions if dimensions is not None else _dimensions(runs)),
    }  # fmt: skip
    return store.add_queue(about, entries, stored.items(), overlap)


def from_disagreement(
    store: LabelStore, queue: Queue, *, by: str, most: int = 500, overlap: int = 1
) -> Queue:
    """The items of a queue on which its annotators disagree, the most disputed first. Raises LabelError."""
    _check("disagreement", most, overlap)
    items, labels = store.items(queue.id), store.labels(queue.id)
    entries = [_disputed(items[position], labels) for position, _ in most_disputed(labels)[:most]]
    if not entries:
        raise LabelError(
            "Nobody disagrees in this queue, or no item has two opinions: ask for overlap first."
        )
    about = {**queue.about, "name": f"{queue.about['name']}, disputed"[:80], "by": by, "order": "disagreement", "of": queue.id}  # fmt: skip
    return store.add_queue(about, entries, (), overlap)


def comparison_of(store: LabelStore, queue: Queue, item: Item) -> Comparison:
    """The item with its picture, as far as there is one."""
    image = picture_of(store, queue.about.get("benchmark", ""), item)
    return Comparison(
        f"{item.row}-{item.key}", image, item.prompt, item.responses, item.preferred, category=item.subgroup
    )


def picture_of(store: LabelStore, benchmark: str, item: Item) -> bytes | None:
    """The stored picture's bytes, or those of a built-in benchmark's picture drawn anew."""
    if item.picture:
        return store.picture(item.picture)
    known = BENCHMARKS.get(benchmark)
    if known and known.built_in_record:
        return to_png_bytes(known.built_in_record(item.row).load_image(), effort=1)
    return None


def _check(order: str, most: int, overlap: int) -> None:
    if order not in ORDERS:
        raise LabelError("There is no such order.")
    if not 1 <= most <= MOST:
        raise LabelError(f"A queue holds 1 to {MOST:,} items.")
    if not 1 <= overlap <= 10:
        raise LabelError("Ask for 1 to 10 opinions on each item.")


def _entries(runs: Sequence[Run], found: Sequence[LabelIssue]) -> tuple[list[Item], dict[str, bytes]]:
    """Items in the order of `found`, and their pictures by hash."""
    wanted = [s.row for s in found]
    texts = [n for n in SCHEMA.names if n != "image"]  # pictures are those of the first run
    tables = [run.rows(wanted, texts if n else SCHEMA.names) for n, run in enumerate(runs)]
    entries, stored = [], {}
    for issue in found:
        row = tables[0][issue.row]
        judged = [_judged(run, t[issue.row]) for run, t in zip(runs, tables, strict=True) if issue.row in t]
        hash_ = ""
        if row["image"]:
            hash_ = hashlib.sha256(row["image"]).hexdigest()
            stored[hash_] = row["image"]
        entries.append(
            Item(
                "", 0, row["row"], row["key"], row["id"], row["subgroup"], row["cluster"], row["prompt"][:LONGEST],
                tuple(r[:LONGEST] for r in row["responses"]), row["preferred"], hash_,
                {"wrong": issue.wrong, "reasons": list(issue.reasons)}, tuple(j for j in judged if j),
            )
        )  # fmt: skip
    return entries, stored


def _dimensions(runs: dict[str, Run]) -> list[dict[str, Any]]:
    known = (r.manifest.judge.dimensions for r in runs.values())
    return [{"key": d.key, "name": d.name} for d in next(filter(None, known), DIMENSIONS)]


def _judged(run: Run, row: dict[str, Any]) -> dict[str, Any] | None:
    """What a run's judge said of a row, with the revision that said it; None where it said nothing."""
    if not row["rewards"] or run.manifest.condition is not Condition.AS_GIVEN:
        return None
    said = judgement_of(row, run.manifest).to_row()
    left_out = {
        "comparison_id",
        "seconds",
        "ood",
        *(["dimensions"] if run.manifest.judge.dimensions == DIMENSIONS else []),
    }
    kept = {k: v for k, v in said.items() if v and k not in left_out}
    return {**kept, "judge_name": run.manifest.judge.name, "revision": run.manifest.judge.fingerprint}


def _disputed(item: Item, labels: Sequence[Label]) -> Item:
    said = Counter(label.final for label in labels if label.position == item.position)
    reason = {"kind": "disputed", "verdicts": dict(said)}
    reasons = [reason, *item.evidence.get("reasons", [])]
    return replace(item, evidence={"wrong": item.evidence.get("wrong"), "reasons": reasons})
