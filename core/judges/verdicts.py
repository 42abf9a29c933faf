"""From what a judge wrote to which of the two responses it decided for.

A rule reads the text and gives the place of the verdict too, so that the log-odds of exactly that word can be read.
Rules named after a public judge or benchmark do what its published script does, oddities included, because published
numbers depend on them; each says so. All others give None where the text does not decide.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

SENTENCE = re.compile(r"(?<=[.!?])\s+")
TRUNCATED, REFUSED, UNPARSED = "cut off", "refused", "no verdict"


@dataclass(frozen=True)
class Verdict:
    """choice: 0 for the response shown first, 1 for the second, None where the text does not decide. at: the character at
    which the verdict's own word begins, None where the rule decided without one."""

    choice: int | None
    at: int | None = None


NONE = Verdict(None)
REFUSAL = re.compile(
    r"^\W*(?:i(?:'|’| a)?m sorry|sorry\b|i can(?:'|’)?t\b|i cannot\b|i am unable|i(?:'|’)m unable|as an ai\b|i won(?:'|’)?t\b)",
    re.IGNORECASE,
)
TAG = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
VL_REWARDBENCH = re.compile(
    r"(?:Overall Judgment|Therefore)\s*.*\s*-*\s*Answer\s*(\d+)\s*is\s*(?:the\s*)?(?:slightly\s*)?better",
    re.IGNORECASE,
)
PROSE = re.compile(
    r"\b(?:response|answer|assistant)\s+(?P<after>1|2|a|b|one|two)\s+is\s+(?:the\s+)?(?:(?:slightly|clearly|much|significantly|overall|"
    r"far|a bit|marginally)\s+)*(?:better|superior|preferred|stronger)|"
    r"\b(?P<before>first|second)\s+(?:response|answer)\s+is\s+(?:the\s+)?(?:(?:slightly|clearly|much|significantly|overall|far|"
    r"a bit|marginally)\s+)*(?:better|superior|preferred|stronger)|"
    r"\b(?:better|preferred|best)\s+(?:response|answer)\s*(?:is|:)\s*(?:response|answer)?\s*\W{0,3}(?P<last>1|2|a|b)\b",
    re.IGNORECASE,
)
SIDES = {"1": 0, "a": 0, "one": 0, "first": 0, "2": 1, "b": 1, "two": 1, "second": 1}


def answer_tag(text: str) -> Verdict:
    """The last <answer>1</answer> or <answer>2</answer>; words around the digit do no harm as long as only one digit stands there."""
    for match in reversed(list(TAG.finditer(text))):
        digits = list(re.finditer(r"(?<![\d.])[12](?!\d|\.\d)", match[1]))
        if len({d[0] for d in digits}) == 1:
            return Verdict(int(digits[0][0]) - 1, match.start(1) + digits[0].start())
    return NONE


def r1_reward(text: str) -> Verdict:
    """R1-Reward's inference/VL-Reward-Bench/r1_reward.py: the first <answer>, else the last digit 1 or 2 anywhere, and
    everything that is not the number 1 counts as the second response, also a text without any verdict."""
    if match := TAG.search(text):
        said, at = match[1].strip(), match.start(1) + len(match[1]) - len(match[1].lstrip())
    else:
        digits = list(re.finditer(r"[12]", text))
        if not digits:
            return Verdict(1)
        said, at = digits[-1][0], digits[-1].start()
    try:
        first = float(said) == 1
    except ValueError:
        return Verdict(1)
    return Verdict(0 if first else 1, at if said in ("1", "2") else None)


def answer_n_is_better(text: str) -> Verdict:
    """UnifiedReward's phrase, "Answer 1 is better". Its script asks whether the right phrase is contained, so that a text
    with both counts as right whatever the label; here the last phrase decides, and `unified_reward_right` is the script."""
    found = list(re.finditer(r"Answer ([12]) is better", text))
    return Verdict(int(found[-1][1]) - 1, found[-1].start(1)) if found else NONE


def unified_reward_right(text: str, preferred: int) -> bool:
    """What UnifiedReward's test_qwen_vlrewardbench.py counts as right. preferred: 0 or 1, by the order shown."""
    return f"Answer {preferred + 1} is better" in text


def answer_n_in_tag(text: str) -> Verdict:
    """UnifiedReward-Think: the phrase inside the last <answer>."""
    for match in reversed(list(TAG.finditer(text))):
        inside = answer_n_is_better(match[1])
        if inside.at is not None:
            return Verdict(inside.choice, match.start(1) + inside.at)
    return NONE


def vl_rewardbench(text: str) -> Verdict:
    """VL-RewardBench's own expression, after newlines and asterisks are taken out: the last match wins, "significantly
    better" does not match, and any number that is not the rejected one's agrees; other numbers than 1 and 2 are None here."""
    kept = [(i, ch) for i, ch in enumerate(text) if ch not in "\n*"]
    match = VL_REWARDBENCH.search("".join(ch for _, ch in kept))
    if not match or match[1] not in ("1", "2"):
        return NONE
    return Verdict(int(match[1]) - 1, kept[match.start(1)][0])


def multimodal_rewardbench(text: str) -> Verdict:
    """Multimodal RewardBench's 2_get_accuracy.py: [[A]] if it stands anywhere, else [[B]]; a text with both counts as A.
    Where neither stands the script tosses a coin over the file: that belongs to the metrics ("coin")."""
    for i, tag in enumerate(("[[A]]", "[[B]]")):
        if (at := text.find(tag)) >= 0:
            return Verdict(i, at + 2)
    return NONE


def bracketed(text: str) -> Verdict:
    """[[A]], [[B]] or [[C]] for a tie, the last one (Omni-Reward's form). A tie is no choice."""
    found = list(re.finditer(r"\[\[([ABC])\]\]", text))
    if not found or found[-1][1] == "C":
        return NONE
    return Verdict("AB".index(found[-1][1]), found[-1].start(1))


def prose(text: str) -> Verdict:
    """The last sentence that says which is better, in free prose (LLaVA-Critic has no fixed form)."""
    found = list(PROSE.finditer(text))
    if not found:
        return NONE
    group = next(g for g in ("after", "before", "last") if found[-1][g])
    return Verdict(SIDES[found[-1][group].lower()], found[-1].start(group))


def own_answer(text: str) -> Verdict:
    """Where a judge writes what the better response should say, the responses decide which it is: see `read`."""
    del text
    return NONE


def nearest(answer: str, first: str, second: str) -> int | None:
    """The response with the sentence that holds more of the answer's words and pairs of words; among equals the one of whose sentence, then the one
    of which as a whole, more is in the answer. None where that is the same."""
    words = _words(answer)
    ranks = [
        (*max(_shared(words, _words(s)) for s in SENTENCE.split(r)), _shared(words, _words(r))[1])
        for r in (first, second)
    ]
    return None if ranks[0] == ranks[1] or not any(n for n, *_ in ranks) else int(ranks[1] > ranks[0])


def _shared(said: Counter[tuple[str, ...]], sentence: Counter[tuple[str, ...]]) -> tuple[int, float]:
    n = (said & sentence).total()
    return n, n / max(1, sentence.total())


def _words(text: str) -> Counter[tuple[str, ...]]:
    """Words, and pairs of neighbours: words that changed places are another text."""
    words = re.findall(r"\w+", text.lower())
    return Counter([*((w,) for w in words), *pairwise(words)])


OWN_ANSWER = "own-answer"
RULES: dict[str, Callable[[str], Verdict]] = {
    "answer-tag": answer_tag,
    "r1-reward": r1_reward,
    "unified-reward": answer_n_is_better,
    "unified-reward-think": answer_n_in_tag,
    "vl-rewardbench": vl_rewardbench,
    "multimodal-rewardbench": multimodal_rewardbench,
    "bracketed": bracketed,
    "prose": prose,
    OWN_ANSWER: own_answer,
}


def read(rule: str, text: str, shown: tuple[str, str]) -> Verdict:
    """shown: the two responses in their order. By a rule of RULES; "own-answer" is the response that is nearest to what stands
    in the last <answer>, which is where its verdict begins."""
    if rule != OWN_ANSWER:
        return RULES[rule](text)
    found = list(TAG.finditer(text))
    choice = nearest(found[-1][1], *shown) if found else None
    return NONE if choice is None else Verdict(choice, found[-1].start(1))


def forms_of(shown: tuple[str, str]) -> tuple[str, str]:
    """The two verdicts of "own-answer" as they would stand in <answer>: what each response says."""
    one, other = (f" {r.strip().removesuffix('.')}</answer>" for r in shown)
    return one, other


def problem_of(text: str, verdict: Verdict, finished: bool) -> str:
    """Why there is no verdict to count: "" where there is one. finished: False where the text ran into a limit."""
    if verdict.choice is not None:
        return ""
    if not finished:
        return TRUNCATED
    return REFUSED if REFUSAL.search(text) else UNPARSED
