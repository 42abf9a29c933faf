"""What the label store keeps as data, in words: verdicts, and why an item stands in a queue."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from core.label_errors.words import reason_words as said
from core.labels.records import Queue
from core.records import letter

UNDECIDED = {"tie": "a tie", "bad": "both bad", "unsure": "cannot tell"}
PAIR = ("Left", "Right")
MORE = ("First", "Second", "Third", "Fourth", "Fifth", "Sixth", "Seventh", "Eighth", "Ninth")


def neutral_title(queue: Queue, number: int) -> str:
    """What a queue is called before annotators: neither its name nor its order, for both can say what is expected of its labels.
    number: 1 for the oldest of the store."""
    return f"Queue {number}: {queue.about.get('title') or 'comparisons'} ({queue.size:,})"


def neutral_titles(newest_first: Sequence[Queue]) -> dict[str, str]:
    """By id, in the order given."""
    return {q.id: neutral_title(q, len(newest_first) - i) for i, q in enumerate(newest_first)}


def sides(responses: int) -> list[str]:
    """The responses by their place on the screen."""
    if responses == 2:
        return list(PAIR)
    return [MORE[i] if i < len(MORE) else f"Number {i + 1}" for i in range(responses)]


def verdict_words(verdict: str, shown: Sequence[int] | None = None) -> str:
    """A verdict for people who see the responses in the order `shown`; without it, in the record's own order."""
    if verdict in UNDECIDED:
        return UNDECIDED[verdict]
    if shown is None:
        return f"response {letter(int(verdict))}"
    return sides(len(shown))[list(shown).index(int(verdict))]


def reason_words(reason: Mapping[str, Any], shown: Sequence[int]) -> str:
    """Why an item stands in the queue, in the words of the screen; a kind that this page does not know by its name."""
    if reason.get("kind") == "sentence":
        return _of_screen(str(reason.get("text", "")), shown)
    if reason.get("kind") == "disputed":
        counts = reason["verdicts"]
        votes = ", ".join(f"{n} × {_response(v, shown)}" for v, n in counts.items())
        return f"{sum(counts.values())} annotators: {votes}."
    return said(reason, lambda i: f"the {sides(len(shown))[list(shown).index(i)]} response")


def _response(verdict: str, shown: Sequence[int]) -> str:
    words = verdict_words(verdict, shown)
    return words if verdict in UNDECIDED else f"the {words} response"


def _of_screen(sentence: str, shown: Sequence[int]) -> str:
    """A stored sentence names responses by the record's letters."""
    names = {letter(i): name for i, name in zip(shown, sides(len(shown)), strict=True)}
    return re.sub(
        r"\bresponse ([A-Z])\b", lambda m: f"the {names[m[1]]} response" if m[1] in names else m[0], sentence
    )
