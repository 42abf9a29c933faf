"""How a judge that writes is asked: prompt records, ours and those that people bring in a file.

A checkpoint does not say which prompt it was trained with, so a person names it: `--prompt NAME_OR_FILE`. The texts here
are Rewardscope's own wording in each judge's form; to ask a judge exactly as its authors did, put their text into a file
(TOML or JSON, fields as below, with {prompt}, {first} and {second} where theirs has the question and the two responses).
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from core.judges.verdicts import RULES
from core.model.files import CheckpointError
from core.records import content_hash

PLACES = re.compile(r"\{(prompt|first|second)\}")
LARGEST = 1 << 20  # bytes of a prompt file


@dataclass(frozen=True)
class Prompt:
    """text: what the judge is asked. lead: what it is made to have written where the verdict is read at once, without a
    critique. verdicts: what follows the lead for the first and for the second response. parsing: a rule of
    core.judges.verdicts. system: of the chat; "" leaves the template's own.

    temperature, top_p: of a single answer; 0 is greedy. voting_temperature: where several answers are drawn.
    max_new_tokens: of one answer. stop: texts that end one. votes: answers drawn in each order unless a person says
    otherwise; 0 reads the verdict without a critique.
    """

    name: str
    text: str
    lead: str
    verdicts: tuple[str, str]
    parsing: str
    system: str = ""
    temperature: float = 0.0
    top_p: float = 1.0
    voting_temperature: float = 1.0
    max_new_tokens: int = 1024
    stop: tuple[str, ...] = ()
    votes: int = 1
    about: str = ""

    def fill(self, prompt: str, first: str, second: str) -> str:
        """Each place once: what stands in the texts themselves is never taken for a place."""
        given = {"prompt": prompt, "first": first, "second": second}
        return PLACES.sub(lambda m: given[m[1]], self.text)

    @property
    def fingerprint(self) -> str:
        """Of everything that decides the numbers."""
        return content_hash(json.dumps([getattr(self, f.name) for f in fields(self) if f.name != "about"]))


_ASK = (
    "Look at the picture and compare two responses to a question about it. Judge whether what they say is true of the "
    "picture, whether they answer the question, and how well they are put. Their order and length mean nothing.\n\n"
)
_ONE_TWO = "Question:\n{prompt}\n\nResponse 1:\n{first}\n\nResponse 2:\n{second}\n\n"
_ANSWERS = "Question: {prompt}\nAnswer 1: {first}\nAnswer 2: {second}\n\n"
_LETTERS = "Question:\n{prompt}\n\nAssistant A:\n{first}\n\nAssistant B:\n{second}\n\n"
_TAGGED = (
    "{tail}Write <answer>1</answer> if Response 1 is better and <answer>2</answer> if Response 2 is better."
)

PROMPTS: dict[str, Prompt] = {
    p.name: p
    for p in (
        Prompt(
            "verdict", _ASK + _ONE_TWO + _TAGGED.replace("{tail}", ""), "<answer>", ("1", "2"), "answer-tag",
            max_new_tokens=16, stop=("</answer>",), votes=0, about="the verdict at once, for any model that follows instructions",
        ),
        Prompt(
            "think", _ASK + _ONE_TWO + _TAGGED.replace("{tail}", "First compare them inside <think> and </think>. Then decide: a tie is not allowed. "),
            "<answer>", ("1", "2"), "answer-tag", max_new_tokens=2048, stop=("</answer>",),
            about="a comparison, then the verdict, for any model that follows instructions",
        ),
        Prompt(
            "brief-think", "Question: {prompt} Response 1: {first} Response 2: {second} Which is better?", "<answer>", ("1", "2"), "answer-tag",
            max_new_tokens=256, stop=("</answer>",), about="the same in few words, for a small model that was trained with it",
        ),
        Prompt(
            "own-answer", "Question: {prompt} Response 1: {first} Response 2: {second} Which is better?", "<answer>", ("1", "2"), "own-answer",
            max_new_tokens=96, stop=("</answer>",),
            about="the judge writes its own answer and the response that says the same wins; for a small model that was trained with it",
        ),
        Prompt(
            "r1-reward", _ASK + _ONE_TWO + _TAGGED.replace("{tail}", "Compare them side by side inside <think> and </think>; a tie is not permitted. "),
            "<answer>", ("1", "2"), "r1-reward", max_new_tokens=4096, stop=("</answer>",),
            about="R1-Reward's form and its script's reading: what is not the number 1 counts as the second response",
        ),
        Prompt(
            "unified-reward", _ASK + "Then say which is better in the words 'Answer 1 is better' or 'Answer 2 is better'.\n\n" + _ANSWERS,
            "Answer ", ("1", "2"), "unified-reward", max_new_tokens=4096, about="UnifiedReward's form",
        ),
        Prompt(
            "unified-reward-think",
            _ASK + "Inside <think> and </think> compare them on three or more points, give each answer up to 10 points on each, and add them up. Then "
            "write <answer>Answer 1 is better</answer> or <answer>Answer 2 is better</answer>.\n\n" + _ANSWERS,
            "<answer>Answer ", ("1", "2"), "unified-reward-think", max_new_tokens=4096, stop=("</answer>",), about="UnifiedReward-Think's form",
        ),
        Prompt(
            "llava-critic", _ASK + _ONE_TWO + "Say which response is better and why, in a few sentences.", "Response ", ("1", "2"), "prose",
            about="free prose, as LLaVA-Critic writes",
        ),
        Prompt(
            "vl-rewardbench", _ASK + _ANSWERS + "Explain briefly, then end with 'Overall Judgment: Answer X is better.' where X is 1 or 2.",
            "Overall Judgment: Answer ", ("1", "2"), "vl-rewardbench", temperature=0.2, top_p=0.2, voting_temperature=0.2, max_new_tokens=2048,
            about="VL-RewardBench's form, reading and decoding",
        ),
        Prompt(
            "multimodal-rewardbench", _ASK + _LETTERS + "Explain briefly, then end with [[A]] if Assistant A is better or [[B]] if Assistant B is better.",
            "[[", ("A", "B"), "multimodal-rewardbench", about="Multimodal RewardBench's form and reading",
        ),
        Prompt(
            "omni-reward", _ASK + _LETTERS + "Explain briefly, then end with [[A]], [[B]], or [[C]] for a tie.", "[[", ("A", "B"), "bracketed",
            about="Omni-Reward's form",
        ),
    )
}  # fmt: skip
DEFAULT = "verdict"


def find_prompt(asked: str | None) -> Prompt:
    """A prompt by its name, or from a file. Raises CheckpointError with a sentence."""
    if asked is None or asked in PROMPTS:
        return PROMPTS[asked or DEFAULT]
    path = Path(asked)
    if not path.is_file():
        raise CheckpointError(
            f"There is no prompt '{asked}': use one of {', '.join(PROMPTS)}, or the path of a TOML or JSON file."
        )
    return read_prompt(path)


def read_prompt(path: Path) -> Prompt:
    """Raises CheckpointError with a sentence that names what is wrong."""
    try:
        if path.stat().st_size > LARGEST:
            raise CheckpointError(
                f"The prompt file '{path.name}' is larger than 1 MiB, so it is not a prompt."
            )
        text = path.read_text(encoding="utf-8")
        raw = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except CheckpointError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"The prompt file '{path.name}' cannot be read as {'JSON' if path.suffix == '.json' else 'TOML'}: {str(error)[:120]}."
        ) from error
    if not isinstance(raw, Mapping):
        raise CheckpointError(f"The prompt file '{path.name}' is not a table of fields.")
    return _checked({"name": path.stem, **raw}, path.name)


def _checked(raw: Mapping[str, Any], file: str) -> Prompt:
    known = {f.name for f in fields(Prompt)}
    if strange := sorted(set(raw) - known):
        raise CheckpointError(
            f"The prompt file '{file}' has a field '{strange[0]}', which is not one of {', '.join(sorted(known))}."
        )
    if missing := [n for n in ("text", "lead", "verdicts", "parsing") if n not in raw]:
        raise CheckpointError(f"The prompt file '{file}' has no field '{missing[0]}'.")
    kinds: dict[str, Any] = {"verdicts": (list, tuple), "stop": (list, tuple), "temperature": (int, float), "top_p": (int, float),
             "voting_temperature": (int, float), "max_new_tokens": int, "votes": int}  # fmt: skip
    for name, value in raw.items():
        if not isinstance(value, kinds.get(name, str)) or isinstance(value, bool):
            raise CheckpointError(
                f"The prompt file '{file}' says {name} = {str(value)[:60]!r}, which cannot be read."
            )
    listed = {n: tuple(raw[n]) for n in ("verdicts", "stop") if n in raw}
    if not all(isinstance(t, str) and t for texts in listed.values() for t in texts):
        raise CheckpointError(f"The prompt file '{file}': verdicts and stop must be lists of texts.")
    prompt = Prompt(**{**raw, **listed})
    lacks = [place for place in ("{prompt}", "{first}", "{second}") if place not in prompt.text]
    wrong = (
        f"its text has no place {lacks[0]}" if lacks
        else "verdicts must be two different texts" if len(set(prompt.verdicts)) != 2 or len(prompt.verdicts) != 2
        else f"there is no parsing rule '{prompt.parsing}'; use one of {', '.join(RULES)}" if prompt.parsing not in RULES
        else "max_new_tokens must be from 1 to 32768" if not 1 <= prompt.max_new_tokens <= 32768
        else "votes must be from 0 to 64" if not 0 <= prompt.votes <= 64
        else "temperature and voting_temperature must be from 0 to 2" if not (0 <= prompt.temperature <= 2 and 0 <= prompt.voting_temperature <= 2)
        else "top_p must be above 0 and at most 1" if not 0 < prompt.top_p <= 1
        else ""
    )  # fmt: skip
    if wrong:
        raise CheckpointError(f"The prompt file '{file}' cannot be used: {wrong}.")
    return prompt
