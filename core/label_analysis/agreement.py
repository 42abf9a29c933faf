"""Do the annotators of one queue agree: with each other, with the judges, with the old labels, with themselves?

A verdict is a category: the index of the better response in the record's own order, "tie" or "bad"; "unsure" is no
opinion. `labels` hold one label per item and annotator; `items` are keyed by position and hold every labelled one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from core.label_analysis.coefficients import Coefficient, Share, alpha, cohen, fleiss, share
from core.labels.consensus import DISPUTED, consensus
from core.labels.records import BAD, TIE, UNDECIDED, UNSURE, Item, Label
from core.taxonomy import KEYS

CATEGORIES = ("0", "1", "2", "3", TIE, BAD)  # of items with up to four responses


@dataclass(frozen=True)
class Agreement:
    """pairs: Cohen's kappa by (annotator, annotator), over the items that both labelled; pairs with none are absent.
    fleiss: over the items with the most common number (>= 2) of annotators; `raters` is that number. alpha: over all
    items with two or more."""

    pairs: dict[tuple[str, str], Coefficient]
    fleiss: Coefficient
    alpha: Coefficient


@dataclass(frozen=True)
class DimensionAgreement:
    """alpha: whether the dimension was ticked or not, over items on which two or more annotators ticked any.
    ticked: how many of the labels with any tick have this one."""

    key: str
    alpha: Coefficient
    ticked: Share


@dataclass(frozen=True)
class Changes:
    """changed: blind labels whose final verdict is another than the first. The four counts say whither, and sum to it:
    to what the first judge prefers, to the old label, to both where they are the same, to neither."""

    changed: Share
    to_judge: int
    to_label: int
    to_both: int
    to_neither: int


@dataclass(frozen=True)
class AgainstJudge:
    """agree: blind first verdicts for a response (not tie, bad, unsure) that name the one with the judge's highest reward.
    Several verdicts on one item are counted each, so with many per item the interval is too narrow; kappa's is not:
    it draws items. ties, missing: verdicts left out because the judge's highest rewards are equal, or it has none.
    dimensions: by key, of the items for which a blind annotator ticked it, on how many the judge had it selected."""

    judge: str
    weights: str
    agree: Share
    kappa: Coefficient
    ties: int
    missing: int
    dimensions: dict[str, Share]


@dataclass(frozen=True)
class ErrorRate:
    """wrong: consensus that names another response than the old label, among those that name one. blind: the same from
    blind first verdicts. tie, bad, unsure, disputed: items whose consensus names none; unlabelled: items that had
    no old label."""

    wrong: Share
    blind: Share
    tie: int
    bad: int
    unsure: int
    disputed: int
    unlabelled: int


@dataclass(frozen=True)
class Summary:
    first: Agreement
    final: Agreement
    dimensions: tuple[DimensionAgreement, ...]
    changes: Changes
    judges: tuple[AgainstJudge, ...]


def summary(labels: Sequence[Label], items: Mapping[int, Item], keys: Sequence[str] = KEYS) -> Summary:
    """Everything at once, but for the error rate, which only a queue in random order can give. keys: of the dimensions
    that the queue's annotators can tick."""
    return Summary(
        between(labels, first=True), between(labels), dimensions(labels, keys), changes(labels, items),
        against_judges(labels, items, keys),
    )  # fmt: skip


def _categories(most: int) -> tuple[str, ...]:
    """What can be said of items with up to `most` responses. Categories that nobody used change no coefficient."""
    return CATEGORIES if most <= 4 else (*(str(i) for i in range(most)), TIE, BAD)


def _most(verdicts: Iterable[str]) -> int:
    """The number of responses that the verdicts need."""
    return 1 + max((int(v) for v in verdicts if v not in UNDECIDED), default=0)


# -- each other --------------------------------------------------------------------------------------------


def between(labels: Sequence[Label], first: bool = False) -> Agreement:
    """Agreement on final verdicts, or (first) on blind first ones."""
    given = [label.first if first else label.final for label in labels]
    categories = _categories(_most(given))
    number = {verdict: i for i, verdict in enumerate(categories)}
    counted = [v != UNSURE and (label.blind or not first) for label, v in zip(labels, given, strict=True)]
    with _opened(
        position=[label.position for label, c in zip(labels, counted, strict=True) if c],
        person=[label.annotator for label, c in zip(labels, counted, strict=True) if c],
        said=[number[v] for v, c in zip(given, counted, strict=True) if c],
        kind=pa.int64(),
    ) as db:
        counts = _counts(
            db.execute("SELECT position, said, count(*) n FROM given GROUP BY ALL"), len(categories)
        )
        raters = _raters(db)
        both = db.execute(
            "SELECT a.person, b.person, list(a.said * ? + b.said) FROM given a JOIN given b USING (position) "
            "WHERE a.person < b.person GROUP BY ALL ORDER BY ALL", [len(categories)],
        ).fetchall()  # fmt: skip
    opinions = counts.sum(1)
    # The larger number where two are as common: more opinions say more.
    common = max(Counter(opinions.tolist()).items(), key=lambda found: found[::-1], default=(0, 0))[0]
    return Agreement(
        {(a, b): cohen(_cells(np.array(cells), len(categories))) for a, b, cells in both},
        fleiss(counts[opinions == common]),
        alpha(counts, raters),
    )


def dimensions(labels: Sequence[Label], keys: Sequence[str] = KEYS) -> tuple[DimensionAgreement, ...]:
    """One per dimension, in the order of `keys`. A label without a tick says nothing of dimensions; ticks are counted as
    they stand, whether or not the model's own dimensions had been shown before."""
    ticking = [label for label in labels if label.dimensions]
    with _opened(
        position=[label.position for label in ticking], person=[label.annotator for label in ticking],
        said=[list(set(label.dimensions)) for label in ticking], kind=pa.list_(pa.string()),
    ) as db:  # fmt: skip
        raters = _raters(db)
        of_item = db.execute(f"SELECT position, count(*) n FROM given WHERE position IN ({SEVERAL}) GROUP BY ALL ORDER BY ALL").fetchnumpy()  # fmt: skip
        ticks = db.execute("SELECT key, position, count(*) n FROM (SELECT position, unnest(said) AS key FROM given) GROUP BY ALL").fetchnumpy()  # fmt: skip
    positions, people = of_item["position"], of_item["n"]
    out = []
    for key in keys:
        mine = np.asarray(ticks["key"]) == key
        at, n = ticks["position"][mine], ticks["n"][mine]
        ticked = np.zeros(len(positions), dtype=int)
        inside = np.isin(at, positions)
        ticked[np.searchsorted(positions, at[inside])] = n[inside]
        table = np.stack([people - ticked, ticked], axis=1)
        out.append(DimensionAgreement(key, alpha(table, raters), share(int(n.sum()), len(ticking))))
    return tuple(out)


# Items with two opinions or more.
SEVERAL = "SELECT position FROM given GROUP BY position HAVING count(*) >= 2"


def _raters(db: duckdb.DuckDBPyConnection) -> int:
    """People whose opinion stands beside another's."""
    found = db.execute(f"SELECT count(DISTINCT person) FROM given WHERE position IN ({SEVERAL})").fetchall()
    return int(found[0][0])


@contextmanager
def _opened(
    position: list[int], person: list[str], said: list[Any], kind: pa.DataType
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database with these columns as its table `given`: hundreds of thousands of labels are counted there."""
    with duckdb.connect() as db:
        columns = pa.array(position, pa.int64()), pa.array(person, pa.string()), pa.array(said, kind)
        db.register("given", pa.table(dict(zip(("position", "person", "said"), columns, strict=True))))
        yield db


def _counts(found: Any, categories: int) -> np.ndarray:
    """(items, categories) how often each category was said, of items with two opinions or more."""
    rows = found.fetchnumpy()
    _, item = np.unique(rows["position"], return_inverse=True)
    out = np.zeros((int(item.max()) + 1 if len(item) else 0, categories), dtype=int)
    out[item, rows["said"]] = rows["n"]
    return out[out.sum(1) >= 2]


def _cells(both: np.ndarray, categories: int) -> np.ndarray:
    """(items, K, K) of what two people said of each item, as first * K + second."""
    out = np.zeros((len(both), categories, categories), dtype=int)
    out.reshape(len(both), -1)[np.arange(len(both)), both] = 1
    return out


def _cell(a: int, b: int, categories: int) -> np.ndarray:
    out = np.zeros((categories, categories), dtype=int)
    out[a, b] = 1
    return out


# -- themselves, before and after the reveal ---------------------------------------------------------------


def changes(labels: Sequence[Label], items: Mapping[int, Item]) -> Changes:
    """How often the reveal of judge and old label changed a mind. "unsure" is a mind like any other here."""
    blind = [label for label in labels if label.blind]
    moved = [label for label in blind if label.final != label.first]
    whither: Counter[tuple[bool, bool]] = Counter()
    for label in moved:
        item = items[label.position]
        judge = _best(item.judged[0]) if item.judged else None
        to_label = item.preferred is not None and label.final == str(item.preferred)
        whither[isinstance(judge, int) and label.final == str(judge), to_label] += 1
    return Changes(
        share(len(moved), len(blind)), whither[True, False], whither[False, True], whither[True, True],
        whither[False, False],
    )  # fmt: skip


# -- the judges --------------------------------------------------------------------------------------------


def against_judges(
    labels: Sequence[Label], items: Mapping[int, Item], keys: Sequence[str] = KEYS
) -> tuple[AgainstJudge, ...]:
    """One per judge and weights, in the order in which the items name them."""
    blind: dict[int, list[Label]] = {}
    for label in labels:
        if label.blind:
            blind.setdefault(label.position, []).append(label)
    judged: dict[tuple[str, str], list[tuple[dict[str, Any], list[Label]]]] = {}
    for position in sorted(blind):
        for row in items[position].judged:
            name = str(row.get("judge_name") or row["judge"]), str(row.get("revision") or "")
            judged.setdefault(name, []).append((row, blind[position]))
    return tuple(_against(*name, rows, keys) for name, rows in judged.items())


def _against(
    judge: str, weights: str, rows: list[tuple[dict[str, Any], list[Label]]], keys: Sequence[str]
) -> AgainstJudge:
    cells, left_out = [], Counter[str]()
    said = _most(label.first for _, labels in rows for label in labels)
    size = len(_categories(max([said, *(len(row.get("rewards") or ()) for row, _ in rows)])))
    for row, labels in rows:
        decided = [int(label.first) for label in labels if label.first not in UNDECIDED]
        best = _best(row)
        if isinstance(best, str):
            left_out[best] += len(decided)
        elif decided:
            cells.append(sum(_cell(verdict, best, size) for verdict in decided))
    table = np.array(cells).reshape(-1, size, size)
    agree = int(np.trace(table.sum(0)))
    return AgainstJudge(
        judge, weights, share(agree, int(table.sum())), cohen(table), left_out["tie"], left_out["missing"],
        _selected(rows, keys),
    )  # fmt: skip


def _selected(rows: list[tuple[dict[str, Any], list[Label]]], keys: Sequence[str]) -> dict[str, Share]:
    """Per dimension key; items for which the judge selected none at all are left out."""
    ticked, hit = Counter[str](), Counter[str]()
    for row, labels in rows:
        own = [d if isinstance(d, str) else d["key"] for d in row.get("dimensions") or KEYS]
        selected = {own[int(d)] for d in row.get("selected") or () if int(d) < len(own)}
        if selected:
            said = {d for label in labels for d in label.first_dimensions}
            ticked.update(said)
            hit.update(said & selected)
    return {key: share(hit[key], ticked[key]) for key in keys}


def _best(judged: Mapping[str, Any]) -> int | str:
    """Index of the response with the highest reward; "tie" where two have it, "missing" where there is none."""
    rewards = [float(r) for r in judged.get("rewards") or ()]
    if not rewards or any(np.isnan(r) for r in rewards):
        return "missing"
    best = max(rewards)
    return "tie" if rewards.count(best) > 1 else rewards.index(best)


# -- the old labels ----------------------------------------------------------------------------------------


def error_rate(labels: Sequence[Label], items: Mapping[int, Item]) -> ErrorRate:
    """How many old labels are wrong, by the annotators' consensus.

    It estimates the error rate of the whole data only where the queue is a random sample in random order (a
    calibration sample): a queue that puts likely errors first finds far more. Final verdicts were given after the old label was
    shown and may lean to it; `blind` does not, but has no second thoughts.
    """
    final = consensus(labels)
    named = Counter(c.verdict for c in final.values())
    return ErrorRate(
        _wrong({p: c.verdict for p, c in final.items()}, items),
        _wrong({p: c.verdict for p, c in consensus(labels, first=True).items()}, items),
        named[TIE], named[BAD], named[UNSURE], named[DISPUTED],
        sum(items[p].preferred is None for p in final),
    )  # fmt: skip


def _wrong(verdicts: Mapping[int, str], items: Mapping[int, Item]) -> Share:
    decided = [
        int(v) != items[p].preferred
        for p, v in verdicts.items()
        if v not in (*UNDECIDED, DISPUTED) and items[p].preferred is not None
    ]
    return share(sum(decided), len(decided))
