"""A reason of reasons.py as a sentence that stands by itself, for the report and for pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from core.records import letter


def by_letter(response: int) -> str:
    """A response in the record's own order."""
    return f"response {letter(response)}"


def reason_words(reason: Mapping[str, Any], name: Callable[[int], str] = by_letter) -> str:
    """name: what a response is called where this is read. A kind that is not known here is named."""
    said = WORDS.get(str(reason.get("kind")))
    return said(reason, name) if said else f"{reason.get('kind', 'unknown')}: {dict(reason)}"


def _contradicts(r: Mapping[str, Any], _: Callable[[int], str]) -> str:
    if r["certain"]:
        return (
            f"Row {r['row']} asks the same question, prefers the response that this row rejects and rejects the one that "
            f"it prefers ({_alike(r)}): at least one of the two labels is wrong.{_unseen(r)}"
        )
    does = ("rejects", "prefers") if r["rejects_what_this_prefers"] else ("prefers", "rejects")
    return (
        f"Row {r['row']}, with the same id and question, {does[0]} the response that this row {does[1]} ({_alike(r)}): if a "
        f"response is right or wrong, one of the two labels is wrong; both can stand only as parts of a ranking.{_unseen(r)}"
    )


def _same_label(r: Mapping[str, Any], _: Callable[[int], str]) -> str:
    same = "the same comparison" if r["alike"] == 1 else "nearly the same comparison"
    return f"Row {r['row']} is {same} ({_alike(r)}) with the same label.{_unseen(r)}"


def _repeated(r: Mapping[str, Any], _: Callable[[int], str]) -> str:
    what = "Its id" if r["what"] == "id" else "The very same comparison, with the same label,"
    rows = ", ".join(map(str, r["rows"])) + (" and more" if r["more"] else "")
    return f"{what} also stands at {'row' if len(r['rows']) == 1 and not r['more'] else 'rows'} {rows}."


def _judge(r: Mapping[str, Any]) -> str:
    return f"{r['judge']} (shown a blank image)" if r.get("blank") else str(r["judge"])


def _chosen(r: Mapping[str, Any], name: Callable[[int], str]) -> str:
    return "another response" if r["choice"] is None else name(r["choice"])


WORDS: dict[str, Callable[[Mapping[str, Any], Callable[[int], str]], str]] = {
    "contradicts": _contradicts,
    "more contradictions": lambda r, _: f"{r['count']} more rows contradict it in the same way.",
    "blamed": lambda r, _: (
        f"Given that one of the labels is wrong, the judges put {r['share']:.0%} on this row's."
    ),
    "same label": _same_label,
    "repeated": _repeated,
    "out of distribution": lambda r, _: (
        f"The image is out of distribution for {r['judge']}, so what it says of this row is left out."
    ),
    "not judged": lambda r, _: "No judge has judged this row.",
    "no say": lambda r, _: (
        "No judge that saw it agrees with the labels more often than chance, so none has a say."
    ),
    "judge ties": lambda r, _: f"{_judge(r)} rates the preferred response no better than another one.",
    "judge disagrees": lambda r, name: f"{_judge(r)} prefers {_chosen(r, name)} by {r['by']:.3g}.",
    "blank disagrees too": lambda r, name: (
        f"Shown a blank image, {r['judge']} still disagrees: it prefers {_chosen(r, name)} by {r['by']:.3g}."
    ),
    "blank agrees": lambda r, _: (
        f"Shown a blank image, {r['judge']} agrees with the label (by {r['by']:.3g}): the label may have been made from the "
        "texts alone."
    ),
    "judges agree": lambda r, _: (
        "The judge agrees with the label."
        if r["count"] == 1
        else f"All {r['count']} judges agree with the label."
    ),
}


def _alike(r: Mapping[str, Any]) -> str:
    return "word for word" if r["alike"] == 1 else f"{r['alike']:.0%} alike"


def _unseen(r: Mapping[str, Any]) -> str:
    if r["pictures"] == "same":
        return ""
    return " The pictures were not available; the two rows are taken to show the same one."
