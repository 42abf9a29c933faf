"""What the labels of a column mean, decided for the whole column: letters, numbers from zero or from one, names, ties."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase as LETTERS
from typing import Any

from core.benchmarks.fields import RowProblem, literal, shown

TIES = {
    "tie",
    "tied",
    "draw",
    "equal",
    "same",
    "both equal",
    "equally good",
    "both good",
    "both bad",
    "bothbad",
}
MORE = re.compile(r"([a-z])\s*(>{1,3}|<{1,3}|=)\s*([a-z])")  # A>B, A>>B, A=B
ORDINALS = {"first": 0, "second": 1, "third": 2, "fourth": 3, "left": 0, "right": 1}
NAMED = re.compile(
    r"[\[({<\s]*(?:the\s+)?(?:(?P<noun>response|answer|output|option|model|assistant|candidate|completion|pred|prediction|image|text)[\s_-]*)?"
    r"(?P<which>[A-Za-z]|\d{1,2}|first|second|third|fourth)(?:\s+(?:response|answer|output|option))?"
    r"(?:\s+(?:is|was)\s+(?:the\s+)?better|\s+wins)?[\])}>\s.]*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Label:
    """What a row says of its responses. preferred: index in the order of the file; None with tie=False: no label.
    written: as the file has it."""

    preferred: int | None = None
    tie: bool = False
    written: str = ""


NONE = Label()
CHOSEN = Label(0)  # of formats whose chosen response comes first


@dataclass(frozen=True)
class Token:
    """kind: "none", "letter", "number" (bare), "named" (a number with a word), "fraction", "tie", "bool" or "other"."""

    kind: str
    value: int = 0


def token(value: Any) -> Token:
    """What one cell may be, before the column is known."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return Token("none")
    if isinstance(value, bool):
        return Token("bool")
    if isinstance(value, int | float):
        if value != value // 1:
            return Token("fraction" if 0 < value < 1 else "other")
        return Token("number", int(value))
    if not isinstance(value, str):
        return Token("other")
    value = unicodedata.normalize("NFKC", value)  # full-width letters
    word = value.strip().strip("[]").lower()
    if found := MORE.fullmatch(word):
        if found[2] == "=":
            return Token("tie")
        return Token("letter", ord(found[1] if ">" in found[2] else found[3]) - ord("a"))
    if word in ("", "nan", "none", "null", "n/a"):
        return Token("none")
    if word in ("true", "false"):
        return Token("bool")
    if word in TIES or word.startswith("tie ("):
        return Token("tie")
    if word in ORDINALS:
        return Token("letter", ORDINALS[word])
    if re.fullmatch(r"[+-]?\d{1,9}(\.0*)?", word, re.ASCII):
        return Token("number", int(float(word)))
    if re.fullmatch(r"0?\.\d{1,18}", word, re.ASCII):
        return Token("fraction")
    found = NAMED.fullmatch(value)
    if not found:
        return Token("other")
    which = found["which"].lower()
    if which.isdigit():
        return Token("named" if found["noun"] else "number", int(which))
    return Token("letter", ORDINALS[which] if which in ORDINALS else ord(which) - ord("a"))


@dataclass(frozen=True)
class Column:
    """A label column whose meaning is decided. start: what the numbers count from, None where that is not known, with
    the reason in `doubt`. said: the decision in a sentence."""

    name: str
    kind: str
    start: int | None
    said: str
    doubt: str = ""
    words_start: int = 1

    def read(self, value: Any, responses: int) -> Label:
        """Raises RowProblem."""
        t, written = token(value), str(value)[:80]
        if t.kind == "none":
            return NONE
        if t.kind == "tie":
            return Label(None, True, written)
        if t.kind == "number" and self.kind == "letter":
            raise RowProblem(
                f"{shown(value)} where {self._letters(responses)} was expected: the other labels are letters",
                self.name,
            )
        if t.kind in ("letter", "named"):
            index = t.value - (self.words_start if t.kind == "named" else 0)
        elif t.kind == "number":
            if self.start is None:
                raise RowProblem(f"{shown(value)} is not clear: {self.doubt}", self.name)
            index = t.value - self.start
        elif t.kind == "bool":
            raise RowProblem(
                f"{shown(value)} does not say which response is preferred: write {self._letters(responses)}",
                self.name,
            )
        else:
            index = -1
        if not 0 <= index < responses:
            start = self.start or 0
            numbers = f"{start} to {responses - 1 + start}"
            letters = self._letters(responses)
            expected = f"{letters} or {numbers}" if self.kind == "number" else letters
            raise RowProblem(f"{shown(value)} where {expected} was expected", self.name)
        return Label(index, False, written)

    def _letters(self, responses: int) -> str:
        return " or ".join(LETTERS[:responses])


def decide(name: str, cells: Mapping[tuple[Token, int], int], hint: int | None = None) -> Column:
    """cells: (what a cell may be, number of responses) -> how many rows of the column have it. hint: what the names of the response columns
    count from (answer1, answer2), where the numbers alone do not tell."""
    kinds: Counter[str] = Counter()
    numbers: set[tuple[int, int]] = set()  # (value, responses)
    named_zero, between, below = False, False, False
    for (t, responses), rows in cells.items():
        kinds[t.kind] += rows
        if (
            t.kind == "number" and responses > 1 and 0 <= t.value <= responses
        ):  # one response is no comparison
            numbers.add((t.value, responses))
        named_zero |= t.kind == "named" and t.value == 0
        between |= t.kind == "fraction"
        below |= t.kind == "number" and t.value == -1
    words_start = 0 if named_zero else 1
    if kinds["letter"] + kinds["named"] >= kinds["number"]:
        if kinds["letter"] or kinds["named"]:
            said = "letters" if kinds["letter"] else f"numbered names counted from {words_start}"
            return Column(name, "letter", 0, f"Column {name} names the preferred response: {said}.", "", words_start)  # fmt: skip
        if kinds["bool"]:
            return Column(name, "letter", 0, f"Column {name} holds true and false, which do not say which response "
                          "is preferred: its rows are left out.")  # fmt: skip
        if kinds["other"] or kinds["fraction"]:
            return Column(name, "letter", 0, f"Column {name} holds values that do not say which response is preferred: "
                          "its rows are left out. Write A, B, and so on.")  # fmt: skip
        return Column(name, "letter", 0, f"Column {name} holds no label." if not kinds["tie"] else f"Column {name} holds ties only.")  # fmt: skip
    zero = any(v == 0 for v, _ in numbers)
    top = any(v == n for v, n in numbers)
    found = ", ".join(str(v) for v in sorted({v for v, _ in numbers})[:8])
    if between:
        doubt = "this column holds fractions too, so its numbers may be shares or scores"
    elif below and (zero or not top):
        doubt = f"this column holds -1, {found}, so 0 may stand for a tie"
    elif zero and top:
        doubt = f"this column holds {found}, and whether its numbers count from 0 or from 1 cannot be told"
    elif zero or (hint == 0 and not top):
        return Column(name, "number", 0, f"Column {name} counts the responses from 0: 0 is the first.")
    elif top or hint == 1:
        return Column(name, "number", 1, f"Column {name} counts the responses from 1: 1 is the first.")
    else:
        doubt = f"this column holds {found or 'other numbers'} only, and whether they count from 0 or from 1 cannot be told"
    return Column(name, "number", None, f"Column {name} is not understood: {doubt}. Write A, B, and so on.",
                  f"{doubt}; write A, B, and so on")  # fmt: skip


def ranks(name: str, value: Any, responses: int) -> Label:
    """Ranks, one a response: the lowest is the best, counted from 0 or from 1. Raises RowProblem."""
    numbers = _numbers(name, value, responses)
    if not all(n == int(n) and 0 <= n <= responses for n in numbers) or min(numbers) > 1:
        raise RowProblem(f"{shown(value)} where the ranks of {responses} responses were expected", name)
    return _best([-n for n in numbers], value)


def scores(name: str, value: Any, responses: int) -> Label:
    """Scores, one a response: the highest is the best. Raises RowProblem."""
    return _best(_numbers(name, value, responses), value)


def _best(numbers: Sequence[float], value: Any) -> Label:
    best = [i for i, n in enumerate(numbers) if n == max(numbers)]
    written = str(value)[:80]
    return Label(best[0], False, written) if len(best) == 1 else Label(None, True, written)


def _numbers(name: str, value: Any, responses: int) -> list[float]:
    found = literal(value) if isinstance(value, str) else value
    if not isinstance(found, list | tuple) or len(found) != responses:
        raise RowProblem(f"{shown(value)} where {responses} numbers were expected, one a response", name)
    return [number(name, v) for v in found]


def number(name: str, value: Any) -> float:
    """A finite number, also one written as text. Raises RowProblem."""
    try:
        found = float(value) if not isinstance(value, bool) else math.nan
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        raise RowProblem(f"{shown(value)} where a number was expected", name)
    return found
