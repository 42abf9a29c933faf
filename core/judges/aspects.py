"""Parts of a reward that need no model, as functions in the signature of TRL's reward functions.

Each takes `prompts` and `completions` (texts, or chats that end with the completion) and columns of the data by name, and
gives one float a completion, or None where it does not apply: TRL leaves None out of the sum. Columns `reference`,
`objects` and `texts` are what core.records.Known holds, one text or list of texts a row.

`length_penalty` is **our reading** of the generalised length penalty of HARMO (arXiv 2510.05283), whose formula is not
public: it follows what the paper and its reviews say of it (parameters P_max and tau, a group of samples, at least one of
them correct, against hacking by brevity).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from core.judges.pieces import pieces
from core.judges.verifiers.check import Check, Task
from core.judges.verifiers.constraints import kept
from core.judges.verifiers.rules import check
from core.records import Known

P_MAX, TAU = 0.5, 0.2
Rewards = list[float | None]


def text_of(said: Any) -> str:
    """A prompt or completion as one text: the text itself, or what the last message of a chat says."""
    if isinstance(said, str):
        return said
    if isinstance(said, Mapping):
        content = said.get("content") or ""
        if isinstance(content, str):
            return content
        return "".join(
            p.get("text") or "" for p in content if isinstance(p, Mapping) and p.get("type") == "text"
        )
    return text_of(said[-1]) if isinstance(said, Sequence) and said else ""


def known_of(columns: Mapping[str, Any], i: int) -> Known:
    """Row i of the columns `reference`, `objects`, `texts`."""

    def listed(name: str) -> tuple[str, ...]:
        value = columns[name][i] if columns.get(name) is not None else None
        return (value,) if isinstance(value, str) and value else tuple(map(str, value or ()))

    return Known(listed("reference"), listed("objects"), listed("texts"))


def word(prompt: str, response: str, known: Known) -> Check | None:
    """What the rules say of the answer, where one is sure."""
    said = check(Task(prompt, known), response)
    return said if said and said.sure else None


def verified(prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> Rewards:
    """1 for a right answer and 0 for a wrong one; None where no rule is sure."""
    said = _words(prompts, completions, columns)
    return [None if s is None else float(s.right) for s in said]


def _words(
    prompts: Sequence[Any], completions: Sequence[Any], columns: Mapping[str, Any]
) -> list[Check | None]:
    pairs = zip(prompts, completions, strict=True)
    return [word(text_of(p), text_of(c), known_of(columns, i)) for i, (p, c) in enumerate(pairs)]


def instruction_adherence(prompts: Sequence[Any], completions: Sequence[Any], **_: Any) -> Rewards:
    """The share of the prompt's constraints that the completion keeps; None where the prompt makes none that a rule can check."""
    found = [kept(text_of(p), text_of(c)) for p, c in zip(prompts, completions, strict=True)]
    return [fmean(ok for _, ok in f) if f else None for f in found]


class LengthPenalty:
    """Our reading of HARMO's length penalty, over groups of `num_generations` completions that stand side by side.

    No correct sample in the group: None for all. Else L* = mean length of the correct ones; 0 for a correct sample, and for
    a wrong one of length L: -P_max * clip(((L* - L) / L* - tau) / (1 - tau), 0, 1). Lengths are tokens where TRL gives
    them, else words. Samples of which no rule is sure are neither correct nor wrong: None.
    """

    def __init__(self, num_generations: int, p_max: float = P_MAX, tau: float = TAU) -> None:
        if num_generations < 1 or p_max < 0 or not 0 <= tau < 1:
            raise ValueError(
                "num_generations must be at least 1, p_max at least 0, and tau from 0 to below 1"
            )
        self.num_generations, self.p_max, self.tau = num_generations, p_max, tau
        self.__name__ = "length_penalty"  # what TRL logs it under

    def __call__(
        self, prompts: Sequence[Any], completions: Sequence[Any], completion_ids: Sequence[Sequence[int]] | None = None,
        **columns: Any,
    ) -> Rewards:  # fmt: skip
        n = self.num_generations
        if len(completions) % n:
            raise ValueError(f"{len(completions)} completions cannot be parted into whole groups of {n}")
        said = _words(prompts, completions, columns)
        lengths = (
            [len(i) for i in completion_ids]
            if completion_ids is not None
            else [words(text_of(c)) for c in completions]
        )
        out: Rewards = []
        for start in range(0, len(completions), n):
            right = [None if s is None else s.right for s in said[start : start + n]]
            out += length_penalty(lengths[start : start + n], right, self.p_max, self.tau)
        return out


def length_penalty(
    lengths: Sequence[int], right: Sequence[bool | None], p_max: float = P_MAX, tau: float = TAU
) -> Rewards:
    """Of one group (see LengthPenalty). right: None where nobody knows."""
    correct = [length for length, ok in zip(lengths, right, strict=True) if ok]
    if not correct or not fmean(correct):
        return [None] * len(lengths)
    usual = fmean(correct)

    def one(length: int, ok: bool | None) -> float | None:
        if ok is None:
            return None
        short = ((usual - length) / usual - tau) / (1 - tau)
        return 0.0 if ok else -p_max * min(max(short, 0.0), 1.0)

    return [one(*pair) for pair in zip(lengths, right, strict=True)]


def words(text: str) -> int:
    return len(pieces(text, "word"))
