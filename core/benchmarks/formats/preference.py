"""The general form: a question, pictures, and responses with a label, or chosen and rejected. Most formats are this."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from core.benchmarks import labels
from core.benchmarks.fields import RowProblem, literal
from core.benchmarks.formats.cells import (
    IDS,
    OBJECTS,
    PROMPTS,
    REFERENCES,
    RESPONSES,
    TEXTS,
    Answer,
    Cells,
    answers,
    asked,
    listed,
    one_comparison,
)
from core.benchmarks.labels import NONE, Column, Label
from core.benchmarks.rows import Fields, Reading, empty_response
from core.benchmarks.source import Opened

LABELS = ("preferred", "label", "better", "winner", "preference", "choice", "human_answer", "human_preference", "best", "chosen")  # fmt: skip
RANKS = ("human_ranking", "ranking", "rankings", "ranks", "rank")
SCORES = ("scores", "ratings", "rewards")
CHOSEN, REJECTED = ("chosen", "chosen_response"), ("rejected", "rejected_response", "rejected_responses")
NUMBERED = re.compile(
    r"(response|answer|output|completion|pred|prediction|candidate|option|text)[_ ]?([a-h]|[0-9]{1,2})"
)
SCORE = re.compile(r"(score|rating|reward)[_ ]?([a-h]|[0-9]{1,2})")
LOOKED_AT = 1000  # rows of a stream, which cannot be read twice at no cost


def numbered(names: Mapping[str, Any]) -> list[str]:
    """Columns such as response_a, response_b or answer1, answer2, in order; lower-case names."""
    kinds: dict[str, list[str]] = {}
    for name in names:
        if found := NUMBERED.fullmatch(name):
            kinds.setdefault(found[1], []).append(name)
    return next((sorted(n, key=_place) for n in kinds.values() if len(n) >= 2), [])


def _place(name: str) -> tuple[int, str]:
    """So that response_10 comes after response_9."""
    found = NUMBERED.fullmatch(name) or SCORE.fullmatch(name)
    which = found[2] if found else name
    return (int(which), "") if which.isdigit() else (-1, which)


def score_columns(names: Mapping[str, Any]) -> list[str]:
    """Columns such as score_a, score_b, in order; lower-case names."""
    return sorted((n for n in names if SCORE.fullmatch(n)), key=_place)


def responses_of(cells: Cells) -> tuple[list[Answer], bool]:
    """(responses in the order of the file, whether the first is the chosen one)"""
    chosen, rejected = cells.find(*CHOSEN), cells.find(*REJECTED)
    several = numbered(cells.names)
    if chosen and rejected or not several and (chosen or rejected) and not cells.find(*RESPONSES):
        column, value = cells.need(*CHOSEN)
        other, worse = cells.need(*REJECTED)
        listed_worse = worse if isinstance(worse, list) and worse and all(isinstance(w, str) for w in worse) else [worse]  # fmt: skip
        return answers([(column, value), *((other, w) for w in listed_worse)]), True
    if several:
        pairs = [(str(cells.names[n]), cells.raw[cells.names[n]]) for n in several]
        return answers([(c, "" if v is None else v) for c, v in pairs]), False
    column, value = cells.need(*RESPONSES)
    return answers([(column, v) for v in listed(column, value)]), False


def count(cells: Cells) -> int:
    """How many responses a row has, as far as that shows without reading them; 0 where it does not."""
    if several := numbered(cells.names):
        return len(several)
    if found := cells.find(*RESPONSES):
        value = literal(found[1]) if isinstance(found[1], str) else found[1]
        return len(value) if isinstance(value, list | tuple | dict) else 0
    return 0


def is_pair(cells: Cells) -> bool:
    return bool(cells.find(*CHOSEN) and cells.find(*REJECTED))


def told(cells: Cells, responses: Sequence[Answer], meanings: Mapping[str, Column]) -> Label:
    """What the row's label says, or its ranks, or its scores."""
    n = len(responses)
    if found := cells.find(*LABELS):
        column, value = found
        if (place := _named(value, responses)) is not None:
            return Label(place, False, str(value))
        meaning = meanings.get(column) or labels.decide(column, {(labels.token(value), n): 1})
        label = meaning.read(value, n)
        if label is not NONE:
            return label
    if (won := _won(cells, n)) is not NONE:
        return won
    if found := cells.find(*RANKS):
        return labels.ranks(*found, n)
    if found := cells.find(*SCORES):
        return labels.scores(*found, n)
    single = score_columns(cells.names)
    if [_place(c) for c in single] == [_place(c.lower()) for c, _, _ in responses]:
        return labels.scores(single[0], [cells.raw[cells.names[c]] for c in single], n)
    return NONE


WON = re.compile(r"winner_(?:model_|response_)?([a-h]|tie.*)")


def winners(names: Mapping[str, Any]) -> list[str]:
    """Columns such as winner_model_a, winner_model_b, winner_tie, of which one holds 1; lower-case names."""
    return sorted(n for n in names if WON.fullmatch(n))


def _won(cells: Cells, responses: int) -> Label:
    columns = winners(cells.names)
    held = {c: str(cells.raw[cells.names[c]]).strip().lower() for c in columns}
    ones = [c for c in columns if held[c] in ("1", "1.0", "true")]
    if not ones:
        return NONE
    which = [WON.fullmatch(c)[1] for c in ones]  # type: ignore[index]
    place = ord(which[0]) - ord("a") if len(which[0]) == 1 else None
    if len(ones) > 1 or (place is not None and place >= responses):
        raise RowProblem(
            f"{' and '.join(ones)} where one winner among {responses} responses was expected", ones[0]
        )
    return Label(place, place is None, ones[0])


def _named(value: Any, responses: Sequence[Answer]) -> int | None:
    """A label that is the name of a response's column (Better = Output2), or the text of one response."""
    if isinstance(value, str) and len(value.strip()) > 1:
        for names in ([c for c, _, _ in responses], [t for _, t, _ in responses]):
            if names.count(value.strip()) == 1:
                return names.index(value.strip())
    return None


def parse(
    raw: dict[str, Any], meanings: Mapping[str, Column], prompts: Sequence[str] = PROMPTS
) -> list[Fields]:
    cells = Cells(raw)
    question = asked(cells, *prompts)
    responses, first_is_chosen = responses_of(cells)
    if empty := empty_response([(column, text) for column, text, _ in responses]):
        raise RowProblem(*empty)
    label = labels.CHOSEN if first_is_chosen else told(cells, responses, meanings)
    if first_is_chosen and (tie := cells.find("is_tie")) and tie[1] in (True, 1, "True", "true", "1"):
        label = Label(None, True, "is_tie")
    return [one_comparison(cells, question, responses, label)]


def meanings_of(opened: Opened) -> dict[str, Column]:
    """Per label column what its labels mean, from all rows of the file (the first LOOKED_AT of a stream)."""
    if opened.first is not None and is_pair(Cells(opened.first)):
        return {}
    wanted = {c for c in opened.columns if (n := c.strip().lower()) in LABELS or n in RESPONSES or NUMBERED.fullmatch(n)}  # fmt: skip
    seen: dict[str, Counter[tuple[labels.Token, int]]] = {}
    columns: list[str] = []
    for number, raw in enumerate(opened.rows(wanted or None)):
        if opened.streaming and number >= LOOKED_AT:
            break
        if not isinstance(raw, dict):
            continue
        cells = Cells(raw)
        if is_pair(cells) or not (found := cells.find(*LABELS)):
            continue
        several = numbered(cells.names)
        columns = columns or several
        if isinstance(found[1], str) and found[1].strip() in [str(cells.names[n]) for n in several]:
            continue  # it names the column
        seen.setdefault(found[0], Counter())[labels.token(found[1]), count(cells)] += 1
    digits = [n for n, _ in map(_place, columns) if n >= 0]
    hint = min(digits) if digits and min(digits) in (0, 1) else None
    return {column: labels.decide(column, cells, hint) for column, cells in seen.items()}


def understood(opened: Opened, name: str, read: Callable[..., list[Fields]] = parse) -> Reading:
    """The Reading of a file in this form."""
    meanings = meanings_of(opened)
    cells = Cells(opened.first or {})
    said = [m.said for m in meanings.values()]
    if is_pair(cells) and (unread := cells.find(*(c for c in LABELS if c not in CHOSEN))):
        said.append(f"Column {unread[0]} is not read: chosen and rejected say which response is preferred.")
    return Reading(name, lambda raw: read(raw, meanings), columns_of(cells), tuple(said))


def columns_of(cells: Cells) -> dict[str, str]:
    """What is read from which column, by the first row."""
    out: dict[str, str] = {}
    names: tuple[str, ...]
    for role, found in (
        ("prompt", cells.find(*PROMPTS)),
        ("reference answer, for rules only", cells.find(*REFERENCES)),
        ("objects, for rules only", cells.find(*OBJECTS)),
        ("texts, for rules only", cells.find(*TEXTS)),
        ("picture", cells.pictures()),
        ("id", cells.find(*IDS)),
    ):
        if found:
            out[role] = found[0]
    if is_pair(cells):
        chosen, rejected = cells.need(*CHOSEN), cells.need(*REJECTED)
        return {**out, "responses": f"{chosen[0]} (preferred), {rejected[0]}"}
    if several := numbered(cells.names):
        out["responses"] = ", ".join(str(cells.names[n]) for n in several)
    elif listed_in := cells.find(*RESPONSES):
        out["responses"] = listed_in[0]
    if won := winners(cells.names):
        out["label"] = ", ".join(str(cells.names[c]) for c in won)
    if single := score_columns(cells.names):
        out["scores, the highest best"] = ", ".join(str(cells.names[c]) for c in single)
    for role, names in (
        ("label", LABELS),
        ("ranks, the lowest best", RANKS),
        ("scores, the highest best", SCORES),
    ):
        if role not in out and (labelled := cells.find(*names)):
            return {**out, role: labelled[0]}
    return out


def has_responses(names: Mapping[str, Any]) -> bool:
    return bool(set(names) & {*RESPONSES, *CHOSEN} or numbered(names))


def has_prompt(names: Mapping[str, Any]) -> bool:
    return bool(set(names) & set(PROMPTS))
