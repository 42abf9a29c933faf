"""Words and sentences of a text in any script, with their character spans."""

from __future__ import annotations

from itertools import pairwise

import regex

from core.records import RecordError

Piece = tuple[str, int, int]  # text, start and end in its response
LEVELS = ("word", "sentence")
SCOPES = ("joint", "responses")  # what an explanation varies (core.judges.masked)

BLANK = r"[\s\x1c-\x1f]"  # as str.isspace has it
# Scripts that put no blank between words: without a dictionary a character (with its marks) is the smallest piece that
# is surely not cut in two; a run of kana is kept together.
DENSE = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}]"
KANA = r"(?:(?:(?=\p{Hiragana})\X)+ー*|(?:(?=[\p{Katakana}ー])\X)+)"
BEFORE, AFTER = r"[\p{Ps}\p{Pi}]*", r"[\p{Pe}\p{Pf}\p{Po}]*"  # punctuation stays with its word
WORD = regex.compile(
    rf"{BEFORE}(?:{KANA}|(?={DENSE})\X){AFTER}|(?:(?!{BEFORE}{DENSE}){BLANK.replace('[', '[^', 1)})+"
)

# A sentence ends at a mark that closes it, quotes and brackets included, where a blank or the end follows; wide marks and
# those of other scripts need no blank; a line's end always ends it.
END = regex.compile(
    rf"[.!?…]+[\"'”’»)\]]*(?={BLANK}|$)|[。！？｡।॥؟۔]+[」』”’）\"']*|\n+",
)
ABBREVIATIONS = frozenset(
    [
        "mr",
        "mrs",
        "ms",
        "dr",
        "prof",
        "st",
        "vs",
        "e.g",
        "i.e",
        "cf",
        "fig",
        "figs",
        "eq",
        "approx",
        "al",
        "jr",
        "sr",
        "ca",
    ]
)  # "no." is left out: it is oftener an answer


def pieces(text: str, level: str) -> list[Piece]:
    """Words, or sentences. They never overlap, and together they hold every character that is not blank. Raises RecordError."""
    if level not in LEVELS:
        raise RecordError(f"There is no level '{level}': use one of {', '.join(LEVELS)}.")
    if level == "word":
        return [(m.group(), m.start(), m.end()) for m in WORD.finditer(text)]
    ends = [0, *(m.end() for m in END.finditer(text) if _ends(text, m.start(), m.group())), len(text)]
    found = (_trimmed(text, start, end) for start, end in pairwise(ends))
    return [p for p in found if p[0]]


def _ends(text: str, at: int, mark: str) -> bool:
    """Whether a full stop ends a sentence: not after an abbreviation, nor after the number of a list's item."""
    if mark != ".":
        return True
    line = text[:at].rsplit("\n", 1)[-1]
    word = (line.split() or [""])[-1].lstrip("([\"'“‘").lower()
    initials = bool(regex.fullmatch(r"\p{L}(?:\.\p{L})+", word))  # U.S., e.g.
    return not (word in ABBREVIATIONS or initials or line.strip().isdecimal())


def _trimmed(text: str, start: int, end: int) -> Piece:
    part = text[start:end]
    start += len(part) - len(part.lstrip())
    said = part.strip()
    return said, start, start + len(said)
