"""What a judge's thoughts say against what it decides: does it say the right thing and decide wrongly, or the reverse?

What the thoughts say is read from the text alone, by the first of these that it has:

fault       a sentence that finds fault with one response ("Response 2 is rude"): the other one
sight       what it says that it sees, before it turns to the responses: the response that agrees with it more, word by word
conclusion  its last sentence that says which response is better (core.judges.verdicts.prose)

The decision is the vote's own. The conclusion alone would hardly ever differ from it: a judge seldom writes "1 is better" and
answers 2, but it may describe the picture rightly and then choose the response that says otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.judges.verdicts import SENTENCE, SIDES, nearest, prose

THOUGHT = re.compile(r"<think>(.*?)(?:</think>|<answer>|$)", re.DOTALL)
NAMED = re.compile(r"\b(?:response|answer|assistant)\s+(1|2|a|b|one|two)\b", re.IGNORECASE)
FAULT = re.compile(
    r"\b(?:response|answer|assistant)\s+(?P<n>1|2|a|b|one|two)\s+(?:is\s+(?:not\b|wrong|incorrect|false|padded|rude|broken|"
    r"inaccurate|impolite|off)|leaves the topic|does not\b|ignores\b|insults\b|invents\b|omits\b|misses\b|hallucinates\b)",
    re.IGNORECASE,
)
ASIDE = re.compile(r"^(?:but|one)\b", re.IGNORECASE)  # a sentence that turns to a response without naming it
OPENER = re.compile(r"^[^:.]{0,40}:\s*")
FAULT_FOUND, SIGHT, CONCLUSION = "fault", "sight", "conclusion"


@dataclass(frozen=True)
class Said:
    """said, decided: indices of responses, None where the text does not tell. by: which rule read what it says, or ""."""

    said: int | None
    decided: int | None
    by: str = ""

    def against(self, preferred: int | None) -> str:
        """ "says right, decides wrong", "says wrong, decides right", or "" where both agree or one is not known."""
        if preferred is None or self.said is None or self.decided is None or self.said == self.decided:
            return ""
        if self.said == preferred:
            return SAYS_RIGHT
        return SAYS_WRONG if self.decided == preferred else ""


SAYS_RIGHT, SAYS_WRONG = "says right, decides wrong", "says wrong, decides right"


def thought_of(text: str) -> str:
    """What stands inside <think>, else before <answer>, else the whole text."""
    found = THOUGHT.search(text)
    return (found[1] if found else text.partition("<answer>")[0]).strip()


def seen_in(thought: str) -> str:
    """The last sentence before the thoughts turn to one of the responses, without its opener: what the judge says it sees."""
    named = NAMED.search(thought)
    before = (thought[: named.start()] if named else thought).strip()
    if named:  # what stands before its name in the same sentence belongs to the response
        before = before[: max((before.rfind(end) for end in ".!?"), default=-1) + 1]
    before = OPENER.sub("", before)
    sentences = [s for s in SENTENCE.split(before) if s.strip() and not ASIDE.match(s)]
    return sentences[-1].strip() if sentences else ""


def said_in(text: str, first: str, second: str) -> tuple[int | None, str]:
    """(place, rule): which of the responses, as they were shown, the text speaks for: 0, 1 or None."""
    thought = thought_of(text)
    if fault := FAULT.search(thought):
        return 1 - SIDES[fault["n"].lower()], FAULT_FOUND
    by_sight = nearest(seen_in(thought), first, second)
    if by_sight is not None:
        return by_sight, SIGHT
    concluded = prose(thought).choice
    return concluded, CONCLUSION if concluded is not None else ""


def of_row(row: Mapping[str, Any]) -> Said:
    """Of a stored row of a run (core.runs.browse.record): of the critique that is shown for it. Nothing is known of a row
    without votes that were written."""
    critique, responses = row.get("critique") or "", row["responses"]
    for vote in row.get("votes") or ():
        if critique and vote["text"] == critique and len(vote["order"]) == 2:
            return of_vote(vote["text"], vote["order"], vote["choice"], responses)
    return Said(None, None)


def of_vote(text: str, order: Sequence[int], choice: int | None, responses: Sequence[str]) -> Said:
    """order: which response was shown first and second; choice: the response that was decided for."""
    place, by = said_in(text, *(responses[i] for i in order))
    return Said(None if place is None else order[place], choice, by)
