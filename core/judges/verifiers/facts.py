"""An answer against what the data says is in the picture: its objects, and the words that can be read."""

from __future__ import annotations

import re

from core.judges.verifiers.answers import polarity
from core.judges.verifiers.check import Check, Task, shown
from core.judges.verifiers.readings import plain_words

THERE = re.compile(
    r"\b(?:is|are) there (?:any |some |an? )?(?P<what>[\w -]{2,40}?)(?: in (?:the|this) (?:image|picture|photo|scene))?\s*\?|"
    r"\b(?:does|do) (?:the|this) (?:image|picture|photo|scene) (?:show|contain) (?:any |some |an? )?(?P<shown>[\w -]{2,40}?)\s*\?|"
    r"\b(?:do|can) you see (?:any |some |an? )?(?P<seen>[\w -]{2,40}?)(?: in (?:the|this) (?:image|picture|photo|scene))?\s*\?",
    re.IGNORECASE,
)
QUOTED = re.compile(r"[\"“”„«»]([^\"“”„«»\n]{1,100})[\"“”«»]")
READS = re.compile(
    r"\b(?:sign|label|text|words?|says?|reads?|written|spell(?:s|ed)?|title|name)\b", re.IGNORECASE
)


def objects(task: Task, response: str) -> Check | None:
    """ "Is there a dog?" against the objects of the picture, which the data lists in full (POPE's question)."""
    asked = THERE.search(task.prompt)
    said = polarity(response)
    if not task.known.objects or not asked or said is None:
        return None
    what = _singular(plain_words(next(g for g in asked.groups() if g)))
    there = any(
        what == (o := _singular(plain_words(k))) or o.endswith(f" {what}") for k in task.known.objects
    )
    return Check(
        "objects",
        said == there,
        0.95,
        f"{'yes' if said else 'no'}, and the data {'has' if there else 'has no'} {shown(what)}",
    )


def texts(task: Task, response: str) -> Check | None:
    """What the response quotes as written in the picture must be written there. Quotes are all that is checked."""
    if not task.known.texts or not READS.search(task.prompt):
        return None
    quoted = [q for m in QUOTED.finditer(response) if (q := plain_words(m[1]))]
    if not quoted:
        return None
    there = " | ".join(plain_words(t) for t in task.known.texts)
    joined = f" {plain_words(' '.join(task.known.texts))} "
    wrong = [q for q in quoted if q not in there and f" {q} " not in joined]
    if wrong:
        return Check("texts", False, 0.92, f"“{shown(wrong[0])}” is not among the words of the picture")
    return Check("texts", True, 0.8, f"“{shown(quoted[0])}” is among the words of the picture")


def _singular(word: str) -> str:
    for end, instead in (("ies", "y"), ("sses", "ss"), ("shes", "sh"), ("ches", "ch"), ("xes", "x")):
        if word.endswith(end):
            return word.removesuffix(end) + instead
    return word.removesuffix("s") if word.endswith("s") and not word.endswith("ss") else word
