"""Rewards in TRL's signature: what a reasoning judge is trained by, and any judge as a reward.

R1-Reward's reward is R = accuracy * (1 + 0.5 consistency) + 0.5 format, with consistency +1, -1 or 0. As TRL sums weighted
functions it stands here as three: `format_reward` (0.5), `Accuracy` (1) and `ConsistentAccuracy` (0.5), the product.

The parser that scores is the parser that judges: the rule of the prompt that the judge is asked with (core.judges.verdicts).
Every function gives None for what it cannot say; `guarded` also turns an exception and NaN into None, so that one bad
sample never ends a training.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

from PIL import Image

from core.images import ImageError
from core.judges.aspects import Rewards, known_of, text_of
from core.judges.prompts import Prompt
from core.judges.protocols import Judge
from core.judges.said import said_in
from core.judges.verdicts import OWN_ANSWER, TAG, prose, read
from core.records import Comparison, RecordError

log = logging.getLogger(__name__)
FORM = re.compile(r"<think>.*?</think>\s*<answer>.*?</answer>", re.DOTALL)
THOUGHT = re.compile(r"<think>(.*?)</think>", re.DOTALL)
WEIGHTS = (0.5, 1.0, 0.5)  # of format, accuracy, accuracy times consistency
LINES = 3  # of the reasoning that a judge of consistency is shown, as in the released code

RewardFunction = Callable[..., Rewards]
Consistency = Callable[
    [str, int, Image.Image | None], int
]  # (thoughts, verdict 0 or 1, picture) -> 1, -1 or 0


def format_reward(completions: Sequence[Any], **_: Any) -> Rewards:
    """1 for <think>...</think><answer>...</answer> and nothing else, with one of each tag; else 0."""
    return [float(_is_form(text_of(c).strip())) for c in completions]


def _is_form(text: str) -> bool:
    return bool(FORM.fullmatch(text)) and text.count("<think>") == 1 and text.count("<answer>") == 1


def label_of(answer: Any) -> int:
    """0 or 1 from a column `answer`: 1, "2", "<answer>2</answer>" or a list of one of these (R1-Reward-RL). Raises ValueError."""
    if isinstance(answer, list | tuple) and len(answer) == 1:
        answer = answer[0]
    tagged = TAG.search(answer) if isinstance(answer, str) else None
    said = str(tagged[1] if tagged else answer).strip()
    if said not in ("1", "2"):
        raise ValueError(f"the answer {str(answer)[:60]!r} is not 1 or 2")
    return int(said) - 1


class Accuracy:
    """1 where the verdict is the label of the column `answer`, else 0, also where there is none. first, second: the responses."""

    def __init__(self, prompt: Prompt) -> None:
        self.rule = prompt.parsing
        self.__name__ = "accuracy"

    def __call__(self, completions: Sequence[Any], answer: Sequence[Any], **columns: Any) -> Rewards:
        rows = zip(completions, answer, _shown(columns, len(completions)), strict=True)
        return [float(read(self.rule, text_of(c), shown).choice == label_of(a)) for c, a, shown in rows]


def _shown(columns: dict[str, Any], n: int) -> list[tuple[str, str]]:
    """The responses of each row, where the data has them."""
    return list(zip(columns.get("first") or [""] * n, columns.get("second") or [""] * n, strict=True))


class ConsistentAccuracy:
    """Accuracy times consistency: whether the thoughts of a right answer support it.

    consistency: such as `by_conclusion` or `by_judge(...)`. penalise: a right answer that its own thoughts contradict counts
    -1, as in the released code; the paper describes a bonus only.
    """

    def __init__(self, prompt: Prompt, consistency: Consistency, penalise: bool = True) -> None:
        self.rule, self.consistency, self.penalise = prompt.parsing, consistency, penalise
        self.__name__ = "consistency"

    def __call__(
        self,
        completions: Sequence[Any],
        answer: Sequence[Any],
        images: Sequence[Any] | None = None,
        **columns: Any,
    ) -> Rewards:
        pictures = images if images is not None else [None] * len(completions)
        shown = _shown(columns, len(completions))
        return [
            self._one(text_of(c), label_of(a), p, s)
            for c, a, p, s in zip(completions, answer, pictures, shown, strict=True)
        ]

    def _one(self, text: str, label: int, pictures: Any, shown: tuple[str, str]) -> float:
        choice = read(self.rule, text, shown).choice
        if choice is None or choice != label:
            return 0.0
        if (
            self.rule == OWN_ANSWER and self.consistency is by_conclusion
        ):  # its thoughts conclude by what they see
            said = said_in(text, *shown)[0]
            found = 0 if said is None else 1 if said == choice else -1
        else:
            found = self.consistency(thoughts(text), choice, first_picture(pictures))
        return float(found if self.penalise else max(found, 0))


def thoughts(text: str) -> str:
    """What stands inside <think>, else before <answer>."""
    found = THOUGHT.search(text)
    return (found[1] if found else text.partition("<answer>")[0]).strip()


def by_conclusion(thought: str, choice: int, picture: Image.Image | None = None) -> int:
    """An exact rule: the last sentence of the thoughts that says which response is better. 0 where none does."""
    del picture
    said = prose(thought).choice
    return 0 if said is None else 1 if said == choice else -1


def by_judge(judge: Judge) -> Consistency:
    """Any judge is asked which conclusion follows from the last lines of the thoughts. It is shown the picture where it needs
    one; the released code's judge sees text only."""

    def ask(thought: str, choice: int, picture: Image.Image | None) -> int:
        lines = "; ".join([line.strip() for line in thought.splitlines() if line.strip()][-LINES:])
        if not lines:
            return 0
        asked = Comparison(
            "consistency", picture, f"Which conclusion follows from this reasoning? {lines}",
            ("Response 1 is better.", "Response 2 is better."),
        )  # fmt: skip
        rewards = judge.judge(asked).rewards
        if len(rewards) != 2 or any(map(math.isnan, rewards)) or rewards[0] == rewards[1]:
            return 0
        return 1 if (rewards[1] > rewards[0]) == bool(choice) else -1

    return ask


def first_picture(pictures: Any) -> Image.Image | None:
    found = pictures[0] if isinstance(pictures, list | tuple) and pictures else pictures
    return found if isinstance(found, Image.Image) else None


def reasoning_rewards(
    prompt: Prompt, consistency: Consistency = by_conclusion
) -> tuple[list[RewardFunction], list[float]]:
    """The three functions and their weights: their weighted sum is R1-Reward's reward."""
    functions = (format_reward, Accuracy(prompt), ConsistentAccuracy(prompt, consistency))
    return [guarded(f) for f in functions], list(WEIGHTS)


class JudgeReward:
    """Any judge, a hybrid one too, as a reward: each group of completions to one prompt is one comparison of them all.

    Columns: images, and those of core.judges.aspects. A group that the judge refuses or does not decide gives None. A
    response that is empty gets the group's lowest reward.
    """

    def __init__(self, judge: Judge, num_generations: int) -> None:
        self.judge, self.num_generations = judge, num_generations
        self.__name__ = "judge"

    def __call__(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        images: Sequence[Any] | None = None,
        **columns: Any,
    ) -> Rewards:
        n = self.num_generations
        if len(completions) % n:
            raise ValueError(f"{len(completions)} completions cannot be parted into whole groups of {n}")
        out: Rewards = []
        for start in range(0, len(completions), n):
            picture = first_picture(images[start]) if images is not None else None
            texts = [text_of(c) for c in completions[start : start + n]]
            out += self._group(text_of(prompts[start]), texts, picture, known_of(columns, start))
        return out

    def _group(self, prompt: str, texts: list[str], picture: Image.Image | None, known: Any) -> Rewards:
        written = [i for i, t in enumerate(texts) if t.strip()]
        nothing: Rewards = [None] * len(texts)
        if len(written) < 2:
            return nothing
        try:
            asked = Comparison("rollout", picture, prompt, tuple(texts[i] for i in written), known=known)
            rewards = self.judge.judge(asked).rewards
        except (RecordError, ImageError) as error:
            log.warning("A group of completions was not judged: %s", error)
            return nothing
        if any(map(math.isnan, rewards)):
            return nothing
        found = dict(zip(written, rewards, strict=True))
        return [found.get(i, min(rewards)) for i in range(len(texts))]


def guarded(function: RewardFunction, on_error: float | None = None) -> RewardFunction:
    """The function with whatever it raises, and NaN, turned into None for that sample. on_error: what a sample gets whose
    reward raised; the released code of R1-Reward gives 1.0."""

    def safe(prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> Rewards:
        try:
            return [_number(r) for r in function(prompts=prompts, completions=completions, **columns)]
        except Exception as error:  # of one sample: then each is asked alone, for not all may be bad
            if len(completions) == 1:
                log.warning("The reward '%s' failed: %s: %s", name, type(error).__name__, error)
                return [on_error]
        alone = range(len(completions))
        return [
            r
            for i in alone
            for r in safe(prompts[i : i + 1], completions[i : i + 1], **_row(columns, i, len(alone)))
        ]

    name = safe.__name__ = getattr(function, "__name__", type(function).__name__)
    return safe


def _row(columns: dict[str, Any], i: int, n: int) -> dict[str, Any]:
    """Columns of n values cut to the one of row i; whatever else TRL passes stays."""
    return {k: v[i : i + 1] if isinstance(v, list | tuple) and len(v) == n else v for k, v in columns.items()}


def _number(value: Any) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    return float(value)
