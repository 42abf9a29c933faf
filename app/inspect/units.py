"""What each word, region and dimension does to the margin, and which of them act together: what the page says when somebody
points at one. Numbers of the records alone, no model: an ablation of the margin, parts by dimension, and the gate's own."""

from __future__ import annotations

from dataclasses import dataclass

from app.common.html import signed
from core.records import Explanation, Judgement, RecordError, letter
from core.records.headline import TIE
from core.records.parts import Parts
from core.records.what_if import Gate, apply

LEAST = 0.05  # of the margin: a smaller part links nothing
SHARE = 0.25  # of the strongest part in a dimension, from which a word or region is a partner there
MOST = 6  # partners of one unit
LONGEST = 40  # characters of a word or sentence in what is said of it
TARGETS = ("margin", "verdict")  # of which an ablation says what the margin is without a unit


@dataclass(frozen=True)
class Unit:
    """without: the margin with the unit ablated. said: in a sentence. partners: keys of units that act with it."""

    without: float
    said: str
    partners: tuple[str, ...] = ()


def word_key(n: int, i: int) -> str:
    """Piece i of the pair's response n (0 or 1)."""
    return f"w{n}-{i}"


def region_key(i: int) -> str:
    return f"r{i}"


def dimension_key(d: int) -> str:
    return f"d{d}"


def is_ablation(explanation: Explanation | None) -> bool:
    """Whether its values are what the margin loses without each word and region."""
    return (
        explanation is not None
        and explanation.method_key == "ablation"
        and explanation.target_key in TARGETS
        and explanation.scope == "joint"
    )


def units_of(judgement: Judgement, pair: tuple[int, int], ablation: Explanation | None, parts: Parts | None) -> dict[str, Unit]:  # fmt: skip
    """By key. ablation: of the margin of the pair, None where there is none yet. parts: of the same words and regions."""
    links = _links(parts) if parts else {}
    names = {dimension_key(d): judgement.dimensions[d].name for d in (parts.dimensions if parts else ())}
    out = {d: _dimension(judgement, pair, d, links) for d in judgement.selected if judgement.scores}
    found = {dimension_key(d): u for d, u in out.items()}
    if ablation is None:
        return found
    e = ablation
    columns = len(e.patch_values[0])
    given = [
        (word_key(n, i), f"“{_short(text)}” removed", value)
        for n in (0, 1)
        for i, ((text, *_), value) in enumerate(zip(e.tokens[n], e.token_values[n], strict=True))
    ] + [
        (region_key(r * columns + c), f"Row {r + 1}, column {c + 1} greyed", value)
        for r, row in enumerate(e.patch_values)
        for c, value in enumerate(row)
    ]
    titles = {key: what.rpartition(" ")[0] for key, what, _ in given}
    for key, what, value in given:
        partners = links.get(key, ())
        after = e.target_value - value
        said = f"{what}: {moved(e.target_value, after, e.pair)}"
        through = [names[k] for k in partners if k in names]
        together = [titles[k] for k in partners if k in titles]
        if through:
            said += f" Acts through {' and '.join(through)}"
            said += f", as do {_listed(together)}." if together else "."
        found[key] = Unit(after, said, partners)
    return found


def moved(before: float, after: float, pair: tuple[int, int]) -> str:
    """The margin before and after, and whether the verdict turns."""
    a, b = map(letter, pair)
    turns = before * after < 0 and min(abs(before), abs(after)) >= TIE
    end = ", the verdict turns." if turns else f" ({signed(after - before)})."
    return f"margin {a} − {b} {signed(before)} → {signed(after)}{end}"


def _short(text: str) -> str:
    """A word is short; a sentence, where an ablation went by sentences, need not be."""
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _listed(names: list[str]) -> str:
    shown = [n[:1].lower() + n[1:] if n.startswith("Row ") else n for n in names[:3]]
    more = len(names) - len(shown)
    return "; ".join(shown) + (f" and {more} more" if more > 0 else "")


def _dimension(judgement: Judgement, pair: tuple[int, int], d: int, links: dict[str, tuple[str, ...]]) -> Unit:  # fmt: skip
    a, b = pair
    margin, own = judgement.margin(a, b), judgement.contributions(a, b)[d]
    name = judgement.dimensions[d].name
    try:
        gate = Gate(len(judgement.selected), muted=frozenset({d}))
        after, how = (
            apply(judgement, gate).margin(a, b),
            "switched off, the next most relevant takes its place",
        )
    except RecordError:  # no gate: a plain sum
        after, how = margin - own, "left out"
    said = f"{name} adds {signed(own)}; {how}: {moved(margin, after, pair)}"
    return Unit(after, said, links.get(dimension_key(d), ()))


def _links(parts: Parts) -> dict[str, tuple[str, ...]]:
    """Key -> partners. A word or region goes with the dimensions it moves most, and with whatever else moves the first of
    them; a dimension with the words and regions that move it."""
    rows = {word_key(n, i): row for n in (0, 1) for i, row in enumerate(parts.words[n])}
    rows |= {region_key(i): row for i, row in enumerate(parts.regions)}
    movers: list[list[str]] = []
    for s in range(len(parts.dimensions)):
        most = max((abs(row[s]) for row in rows.values()), default=0.0)
        strong = [k for k, row in rows.items() if abs(row[s]) >= max(LEAST, SHARE * most)]
        movers.append(sorted(strong, key=lambda k: -abs(rows[k][s])))
    out = {dimension_key(d): tuple(movers[s][: 2 * MOST]) for s, d in enumerate(parts.dimensions)}
    for key, row in rows.items():
        top = max(range(len(row)), key=lambda s: abs(row[s]), default=None)
        if top is None or abs(row[top]) < LEAST:
            continue
        through = [
            dimension_key(parts.dimensions[s])
            for s in range(len(row))
            if abs(row[s]) >= max(LEAST, abs(row[top]) / 2)
        ]
        others = [k for k in movers[top] if k != key] if key in movers[top] else []
        out[key] = (*through, *others[:MOST])
    return out
