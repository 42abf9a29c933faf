"""Why a row's label may be wrong, as data: a kind and its parameters, fit for JSON. words.py says them in English."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.label_errors.contradictions import Kin

SHOWN = 3  # other rows that are named
Reason = dict[str, Any]


@dataclass(frozen=True)
class Opinion:
    """What one judge says of a row. blank: it was shown a blank image. margin: preferred - best other, above 0 where it sides
    with the label. choice: index of the response it likes best. counts: whether it has a weight; what it says of a blank
    image is quoted beside what it says of the picture even without."""

    judge: str
    blank: bool
    margin: float
    choice: int | None
    counts: bool


@dataclass(frozen=True)
class Repeat:
    """kind: "id" or "row" (with its label). others: row numbers, no more than SHOWN + 1 of them."""

    kind: str
    others: tuple[int, ...]


def kin_reasons(row: int, related: Sequence[Kin], wrong: float | None) -> list[Reason]:
    """wrong: the judges' estimate, given that one of the contradictory labels is wrong; None without judges."""
    opposed = [k for k in related if k.opposed]
    agreeing = [k for k in related if not k.opposed]
    out = [_opposed(row, k) for k in sorted(opposed, key=lambda k: not k.certain)[:SHOWN]]
    if len(opposed) > SHOWN:
        out.append({"kind": "more contradictions", "count": len(opposed) - SHOWN})
    if opposed and wrong is not None:
        out.append({"kind": "blamed", "share": wrong})
    out += [{"kind": "same label", **_other(row, k)} for k in agreeing[:SHOWN]]
    return out


def repeat_reason(repeat: Repeat) -> Reason:
    rows = list(repeat.others[:SHOWN])
    return {"kind": "repeated", "what": repeat.kind, "rows": rows, "more": len(repeat.others) > SHOWN}


def judge_reasons(said: Sequence[Opinion], silent: bool, outside: Sequence[str] = ()) -> list[Reason]:
    """silent: no judge saw the row at all. outside: judges for which its picture is out of distribution, so that what they
    say of it is left out."""
    out: list[Reason] = [{"kind": "out of distribution", "judge": judge} for judge in outside]
    if silent:
        return out or [{"kind": "not judged"}]
    if not any(o.counts for o in said):
        return [*out, {"kind": "no say"}]
    seeing = {o.judge: o for o in said if o.counts and not o.blank}
    spoken: list[Reason] = []
    for o in sorted(said, key=lambda o: o.blank):
        if o.blank and o.judge in seeing:
            spoken += _blank(o, seeing[o.judge])
        elif o.counts and o.margin == 0:
            spoken.append({"kind": "judge ties", "judge": o.judge, "blank": o.blank})
        elif o.counts and o.margin < 0:
            spoken.append({"kind": "judge disagrees", "judge": o.judge, "blank": o.blank, **_choice(o)})
    agree = sum(o.counts and o.margin > 0 for o in said)
    return out + (spoken or [{"kind": "judges agree", "count": agree}])


def _blank(o: Opinion, seeing: Opinion) -> list[Reason]:
    if seeing.margin < 0 and o.margin < 0:
        return [{"kind": "blank disagrees too", "judge": o.judge, **_choice(o)}]
    if seeing.margin < 0 < o.margin:
        return [{"kind": "blank agrees", "judge": o.judge, "by": o.margin}]
    return []


def _choice(o: Opinion) -> Reason:
    return {"choice": o.choice, "by": -o.margin}


def _opposed(row: int, k: Kin) -> Reason:
    # In a ranking a response may lose to a better one and still be right.
    prefers = (k.lost == (row == k.a)) if not k.certain else None
    return {
        "kind": "contradicts",
        "certain": k.certain,
        "rejects_what_this_prefers": prefers,
        **_other(row, k),
    }


def _other(row: int, k: Kin) -> Reason:
    return {"row": k.b if row == k.a else k.a, "alike": k.alike, "pictures": k.pictures}
