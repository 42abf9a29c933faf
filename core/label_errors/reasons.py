"""Why a row is suspected, in sentences that stand by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.label_errors.contradictions import Kin
from core.records import letter

SHOWN = 3  # other rows that are named


@dataclass(frozen=True)
class Opinion:
    """What one judge says of a row. blind: it saw no picture; judge is then the name of the one that does. margin:
    preferred - best other, above 0 where it sides with the label. choice: index of the response it likes best. counts:
    whether it has a weight; a blind one is quoted beside its seeing self even without."""

    judge: str
    blind: bool
    margin: float
    choice: int | None
    counts: bool


@dataclass(frozen=True)
class Repeat:
    """kind: "id" or "row" (with its label). others: row numbers, no more than SHOWN + 1 of them."""

    kind: str
    others: tuple[int, ...]


def kin_reasons(row: int, related: Sequence[Kin], wrong: float | None) -> list[str]:
    """wrong: the judges' estimate, given that one of the contradictory labels is wrong; None without judges."""
    opposed = [k for k in related if k.opposed]
    agreeing = [k for k in related if not k.opposed]
    out = [_opposed(row, k) for k in sorted(opposed, key=lambda k: not k.certain)[:SHOWN]]
    if len(opposed) > SHOWN:
        out.append(f"{len(opposed) - SHOWN} more rows contradict it in the same way.")
    if opposed and wrong is not None:
        out.append(f"Given that one of the labels is wrong, the judges put {wrong:.0%} on this row's.")
    out += [
        f"Row {_other(row, k)} is {'the same comparison' if k.alike == 1 else 'nearly the same comparison'} "
        f"({_alike(k)}) with the same label.{_unseen(k)}"
        for k in agreeing[:SHOWN]
    ]
    return out


def repeat_reason(repeat: Repeat) -> str:
    named = ", ".join(map(str, repeat.others[:SHOWN])) + (" and more" if len(repeat.others) > SHOWN else "")
    what = "Its id" if repeat.kind == "id" else "The very same comparison, with the same label,"
    return f"{what} also stands at {'row' if len(repeat.others) == 1 else 'rows'} {named}."


def judge_reasons(said: Sequence[Opinion], silent: bool) -> list[str]:
    """silent: no judge saw the row at all."""
    if silent:
        return ["No judge has judged this row."]
    if not any(o.counts for o in said):
        return ["No judge that saw it agrees with the labels more often than chance, so none has a say."]
    out = []
    seeing = {o.judge: o for o in said if o.counts and not o.blind}
    for o in sorted(said, key=lambda o: o.blind):
        if o.blind and o.judge in seeing:
            out += _blind(o, seeing[o.judge])
        elif o.counts:
            out += _seeing(o)
    agree = sum(o.counts and o.margin > 0 for o in said)
    return out or [f"{'The judge agrees' if agree == 1 else f'All {agree} judges agree'} with the label."]


def _seeing(o: Opinion) -> list[str]:
    name = f"{o.judge} (which does not see the picture)" if o.blind else o.judge
    if o.margin == 0:
        return [f"{name} finds the preferred response no better than another one."]
    return [f"{name} prefers response {_letter(o)} by {-o.margin:.3g}."] if o.margin < 0 else []


def _blind(o: Opinion, seeing: Opinion) -> list[str]:
    if seeing.margin < 0 and o.margin < 0:
        return [
            f"With the picture removed {o.judge} still disagrees: it prefers response {_letter(o)} by {-o.margin:.3g}."
        ]
    if seeing.margin < 0 < o.margin:
        return [
            f"Without the picture {o.judge} agrees with the label (by {o.margin:.3g}): the label may have been made from "
            "the texts alone."
        ]
    return []


def _opposed(row: int, k: Kin) -> str:
    other = _other(row, k)
    if k.certain:
        return (
            f"Row {other} asks the same question, prefers the response that this row rejects and rejects the one that "
            f"it prefers ({_alike(k)}): at least one of the two labels is wrong.{_unseen(k)}"
        )
    does = ("rejects", "prefers") if k.lost == (row == k.a) else ("prefers", "rejects")
    return (
        f"Row {other}, with the same id and question, {does[0]} the response that this row {does[1]} ({_alike(k)}): if a "
        f"response is right or wrong, one of the two labels is wrong; both can stand only as parts of a ranking.{_unseen(k)}"
    )


def _other(row: int, k: Kin) -> int:
    return k.b if row == k.a else k.a


def _alike(k: Kin) -> str:
    return "word for word" if k.alike == 1 else f"{k.alike:.0%} alike"


def _unseen(k: Kin) -> str:
    if k.pictures == "same":
        return ""
    return " The pictures were not at hand; the two rows are taken to show the same one."


def _letter(o: Opinion) -> str:
    return "?" if o.choice is None else letter(o.choice)
