"""Rows of one question: those whose labels contradict each other, and those that nearly repeat each other.

Two texts are nearly equal if the three-word runs they consist of overlap by 90 % (Jaccard; Broder 1997) and their
numbers, single letters and negations are the same. Runs of three, because then one other word in a text of up to 58
words is a difference: in a short answer one word is the answer. Nearly equal does not mean equally true, so the
similarity is always told. In a row whose own responses are nearly equal (minimal edits) only equal texts count.

Rows are of one question if they show the same picture under the same or a nearly equal prompt. Where pictures are not
at hand, prompts must be equal, and id or texts must agree too; very short texts ("Yes", "No") prove nothing then. The
key hashes what the data said of the picture, so rows with equal texts and different keys have different pictures.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

import pandas as pd

NEAR = 0.9
RUN = 3  # words
FEW_WORDS = 12  # in all responses together; below, equal texts may well belong to different pictures
BLOCK = 1_000  # rows in which nearly equal texts are looked for; in larger blocks only equal ones count
PARTNERS = 5  # rows with the same text that one row is held against

Words = tuple[str, ...]
_WORD = re.compile(r"(?<!\w)-?\d+(?:[.,/:]\d+)*|\w+|[+/=<>^%$€£°~≈≠≤≥]")  # 3.91, -5 and < are words too
_NEGATIONS = {"no", "not", "never", "none", "without", "cannot"}  # "isn't" has its single letter


@dataclass(frozen=True)
class Kin:
    """Two rows of one question, by row number, a < b.

    opposed: some text is preferred in one and rejected in the other; if not, all texts and the labels nearly agree.
    lost, won: of an opposed pair, whether the text that a prefers is rejected in b, and whether the one that b
    prefers is rejected in a. Both: the two labels cannot both be right. One: they can, but only as parts of a ranking.
    alike: similarity of the texts so matched, the least of them, 1 where they are equal but for case and punctuation.
    pictures: "same", or "unknown" where the data has none at hand.
    """

    a: int
    b: int
    opposed: bool
    lost: bool
    won: bool
    alike: float
    pictures: str

    @property
    def certain(self) -> bool:
        return self.lost and self.won


def words(text: str) -> Words:
    """Without case, spaces and punctuation; numbers keep their sign and their decimals."""
    return tuple(_WORD.findall(text.casefold()))


def similarity(a: Words, b: Words) -> float:
    """0 to 1; 0 where numbers, single letters or negations differ."""
    if a == b:
        return 1.0
    if _marks(a) != _marks(b):
        return 0.0
    first, second = _runs(a), _runs(b)
    both = len(first & second)
    return both / (len(first) + len(second) - both)


def kin(frame: pd.DataFrame, clustered: bool) -> list[Kin]:
    """Pairs of related rows, each once, in row order.

    frame: columns row, key, id, prompt, responses, preferred, picture ("" where unknown), all labelled. clustered:
    rows of one id are parts of one ranking, so a text may win here and lose there.
    """
    found: dict[tuple[int, int], Kin] = {}
    rows = [_Row(*values) for values in frame[list(_COLUMNS)].itertuples(index=False, name=None)]
    for block in _blocks(rows):
        for pair in _pairs(block, clustered):
            found.setdefault((pair.a, pair.b), pair)
    return [found[pair] for pair in sorted(found)]


_COLUMNS = ("row", "key", "id", "prompt", "responses", "preferred", "picture")


class _Row:
    """A row, with its texts as words once somebody asks."""

    def __init__(self, row: int, key: str, id_: str, prompt: str, responses: list[str], preferred: int, picture: str) -> None:  # fmt: skip
        self.row, self.key, self.id, self.picture = row, key, id_, picture
        self.prompt, self.responses, self.preferred = prompt, responses, preferred
        self.prompt_words = words(prompt)
        self.texts: list[Words] = []

    @property
    def winner(self) -> Words:
        return self.texts[self.preferred]

    @property
    def losers(self) -> list[Words]:
        return [t for i, t in enumerate(self.texts) if i != self.preferred]


def _blocks(rows: list[_Row]) -> Iterator[list[_Row]]:
    """Rows that may be of one question. Their words are made here and let go of with the block."""
    groups: dict[tuple[str, Words | None], list[_Row]] = defaultdict(list)
    for row in rows:
        groups[(row.picture, None if row.picture else row.prompt_words)].append(row)
    for group in groups.values():
        if len(group) < 2:
            continue
        for row in group:
            row.texts = [words(t) for t in row.responses]
        yield from _same_picture(group) if group[0].picture else _unseen(group)
        for row in group:
            row.texts = []


def _same_picture(group: list[_Row]) -> Iterator[list[_Row]]:
    like = _likes({r.prompt_words for r in group}, len(group) <= BLOCK)
    yield from _grouped((like[r.prompt_words], r) for r in group)


def _unseen(group: list[_Row]) -> Iterator[list[_Row]]:
    yield [r for r in group if sum(map(len, r.texts)) >= FEW_WORDS]
    yield from _grouped((r.id, r) for r in group if r.id)
    yield from _grouped((r.key, r) for r in group)


def _grouped(named: Iterable[tuple[object, _Row]]) -> Iterator[list[_Row]]:
    out: dict[object, list[_Row]] = defaultdict(list)
    for name, row in named:
        out[name].append(row)
    yield from (rows for rows in out.values() if len(rows) > 1)


def _pairs(block: list[_Row], clustered: bool) -> Iterator[Kin]:
    like = _likes({t for r in block for t in r.texts}, len(block) <= BLOCK)
    won: dict[Words, list[_Row]] = defaultdict(list)
    lost: dict[Words, list[_Row]] = defaultdict(list)
    agree: dict[object, _Row] = {}
    for row in block:
        names = [like[t] for t in row.texts]
        if len(set(names)) < len(names):
            names = row.texts
        for i, (text, name) in enumerate(zip(row.texts, names, strict=True)):
            for known_as in {text, name}:
                (won if i == row.preferred else lost)[known_as].append(row)
        losers = sorted(n for i, n in enumerate(names) if i != row.preferred)
        before = agree.setdefault((names[row.preferred], tuple(losers)), row)
        if before is not row and before.key != row.key and not _other_picture(before, row):
            yield from _agreeing(before, row)
    for name in sorted(won.keys() & lost.keys()):
        yield from _opposing(won[name], lost[name], clustered)


def _opposing(won: list[_Row], lost: list[_Row], clustered: bool) -> Iterator[Kin]:
    held = [(a, b) for a in won for b in lost[:PARTNERS]] + [(a, b) for b in lost for a in won[:PARTNERS]]
    yield from (k for a, b in held if (k := _opposed(a, b, clustered)))


def _other_picture(a: _Row, b: _Row) -> bool:
    """Keys hash prompt, responses and what the data said of the picture: all else equal, the pictures differ."""
    same_texts = a.prompt == b.prompt and sorted(a.responses) == sorted(b.responses)
    return not a.picture and same_texts and a.key != b.key


def _opposed(a: _Row, b: _Row, clustered: bool) -> Kin | None:
    """None where the texts do not oppose each other after all, or where the rows are not known to be of one question."""
    if a is b or _other_picture(a, b):
        return None
    a, b = (a, b) if a.row < b.row else (b, a)
    lost, won = _rejected(a, b), _rejected(b, a)
    if not lost and not won:
        return None
    # A text that wins here and loses there, against different ones, may be the middle of a ranking: only where the
    # data names both rows alike is that taken for a contradiction.
    if not (lost and won) and (clustered or not a.id or a.id != b.id):
        return None
    alike = min(s for s in (lost, won) if s)
    return Kin(a.row, b.row, True, bool(lost), bool(won), alike, "same" if a.picture else "unknown")


def _rejected(a: _Row, b: _Row) -> float:
    """How much the text that a prefers resembles one that b rejects; 0 where each resembles another one more."""
    alike, text = max((similarity(a.winner, t), t) for t in b.losers)
    rivals = max(similarity(a.winner, b.winner), *(similarity(text, t) for t in a.losers))
    return alike if alike >= NEAR and alike > rivals else 0.0


def _agreeing(a: _Row, b: _Row) -> Iterator[Kin]:
    a, b = (a, b) if a.row < b.row else (b, a)
    losers = [max(similarity(t, u) for u in b.losers) for t in a.losers]
    alike = min([similarity(a.winner, b.winner), *losers])
    if alike >= NEAR:
        yield Kin(a.row, b.row, False, False, False, alike, "same" if a.picture else "unknown")


def _likes(texts: set[Words], near: bool) -> dict[Words, Words]:
    """Each text -> one that stands for all that are nearly equal to it, by way of others too, or itself.

    Sets that overlap by t share at least ceil(t n) of n runs, hence one of the rarest: of all but the ceil(t n) - 1
    commonest shared ones (Bayardo et al. 2007). Only texts that have such a run in common are compared.
    """
    out = {t: t for t in texts}
    if not near:
        return out
    counts = Counter(chain.from_iterable(map(_runs, texts)))
    index: dict[Words, list[Words]] = defaultdict(list)
    for text in sorted(texts):
        runs = _runs(text)
        shared = [run for run in runs if counts[run] > 1]
        enough = math.ceil(NEAR * len(runs))
        if len(shared) < enough:
            continue
        rare = sorted(shared, key=lambda run: (counts[run], run))[: len(shared) - enough + 1]
        for other in {o for run in rare for o in index[run] if similarity(o, text) >= NEAR}:
            a, b = sorted((_root(out, other), _root(out, text)))
            out[b] = a
        for run in rare:
            index[run].append(text)
    return {t: _root(out, t) for t in texts}


def _root(parents: dict[Words, Words], text: Words) -> Words:
    while parents[text] != text:
        text = parents[text]
    return text


@lru_cache(maxsize=4 * BLOCK)
def _runs(text: Words) -> frozenset[Words]:
    return frozenset(zip(*(text[i:] for i in range(RUN)), strict=False)) or frozenset([text])


@lru_cache(maxsize=4 * BLOCK)
def _marks(text: Words) -> Words:
    """The words of which each decides by itself, in their order; the article and the pronoun are none."""
    return tuple(
        w for w in text if (len(w) == 1 and w not in "ai") or w in _NEGATIONS or any(c.isdigit() for c in w)
    )
