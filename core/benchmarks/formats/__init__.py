"""Formats of preference data by name. A file's format is recognised by its columns, said, and can be chosen.

preference.py          the general form: a question, pictures, and responses with a label or chosen and rejected
chat_rows.py           the forms of training frameworks: a chat with the responses beside it
datasets_by_name.py    data sets with columns of their own
cells.py               what they share
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from core.benchmarks import chats
from core.benchmarks.fields import RowProblem, literal
from core.benchmarks.formats import chat_rows, datasets_by_name, preference
from core.benchmarks.formats.cells import Cells
from core.benchmarks.rows import Fields, Reading
from core.benchmarks.source import BenchmarkError, Opened


@dataclass(frozen=True)
class Format:
    """fits: whether a row has its columns. read: a row to its comparisons; None: the general form. columns: what is
    read from where. several: a row may hold several comparisons. labelled: its labels are decided for the column."""

    name: str
    title: str
    fits: Callable[[Cells], bool]
    read: Callable[..., list[Fields]] | None = None
    columns: tuple[tuple[str, str], ...] = ()
    several: bool = False
    labelled: bool = False


TYPICAL = 50  # rows among which a value of each column is looked for


def _has(*columns: str) -> Callable[[Cells], bool]:
    return lambda cells: all(c in cells.names for c in columns)


def _is_chat(cells: Cells, column: str) -> bool:
    found = cells.find(column)
    try:
        return found is not None and chats.chat(column, found[1]) is not None
    except RowProblem:
        return False


def _rlhf_v(cells: Cells) -> bool:
    found = cells.find("text")
    inside = literal(found[1]) if found and isinstance(found[1], str) else found and found[1]
    return isinstance(inside, dict) and {"question", "chosen", "rejected"} <= set(inside)


def _llava_critic(cells: Cells) -> bool:
    found = cells.find("conversations")
    try:
        messages = chats.chat("conversations", found[1]) if found else None
    except RowProblem:
        return False
    return (
        bool(messages)
        and "response" in cells_text(messages)
        and not {"chosen", "rejected"} & set(cells.names)
    )


def cells_text(messages: list[chats.Message] | None) -> str:
    return messages[0].text if messages else ""


def _llama_factory(cells: Cells) -> bool:
    pair = _has("chosen", "rejected")(cells)
    return pair and bool({"conversations", "messages", "instruction"} & set(cells.names)) and "prompt" not in cells.names  # fmt: skip


def _open_rlhf(cells: Cells) -> bool:
    return (
        not preference.has_prompt(cells.names) and _is_chat(cells, "chosen") and _is_chat(cells, "rejected")
    )


def _mmrb2(cells: Cells) -> bool:
    _, value = cells.find("response_a") or ("", None)
    value = literal(value) if isinstance(value, str) else value
    return isinstance(value, dict) and "response_content" in value


PAIR = (("prompt", "question"), ("responses", "chosen (preferred), rejected"))
FORMATS: dict[str, Format] = {
    f.name: f
    for f in (
        Format("rlhf-v", "RLHF-V", _rlhf_v, datasets_by_name.rlhf_v,
               (("prompt", "text: question"), ("responses", "text: chosen (preferred), rejected"))),
        Format("vlfeedback", "VLFeedback", _has("completions", "prompt"), datasets_by_name.vlfeedback,
               (("prompt", "prompt"), ("responses", "completions: response"), ("label", "completions: mean of the ratings, each two that differ")), True),
        Format("mllm-judge", "MLLM-as-a-Judge", _has("answer1", "answer2", "human_answer"), datasets_by_name.mllm_judge,
               (("prompt", "instruction"), ("responses", "answer1, answer2"), ("label", "human_answer (C is a tie)"))),
        Format("multi-crit", "Multi-Crit", _has("pred_a", "pred_b", "preference"), datasets_by_name.multi_crit,
               (("prompt", "question"), ("responses", "pred_a, pred_b"), ("label", "preference"), ("group", "criterion")), labelled=True),
        Format("mmrb2", "MMRB2", _mmrb2, datasets_by_name.mmrb2,
               (("prompt", "prompt_content"), ("responses", "response_a, response_b"), ("label", "chosen"))),
        Format("r1-reward-rl", "R1-Reward-RL", _has("message", "answer"), datasets_by_name.r1_reward_rl,
               (("prompt", "question"), ("responses", "message: [Response 1], [Response 2]"), ("label", "answer"))),
        Format("llava-critic", "LLaVA-Critic", _llava_critic, datasets_by_name.llava_critic,
               (("prompt", "conversations: Question"), ("responses", "conversations: first and second response"), ("label", "conversations: the critic's sentence"))),
        Format("ixc", "InternLM-XComposer reward data", _has("conversations_a", "conversations_b"), chat_rows.ixc,
               (("responses", "conversations_a (preferred), conversations_b"),)),
        Format("ms-swift", "ms-swift", lambda c: "messages" in c.names and bool({"rejected_response", "rejected_messages"} & set(c.names)), chat_rows.ms_swift,
               (("prompt", "messages"), ("responses", "messages: the last (preferred), rejected_response or rejected_messages"))),
        Format("llama-factory", "LLaMA-Factory", _llama_factory, chat_rows.llama_factory,
               (("prompt", "conversations, or instruction and input"), ("responses", "chosen (preferred), rejected"))),
        Format("vlmevalkit", "VLMEvalKit", _has("index", "question", "response", "answer"), datasets_by_name.vlmevalkit,
               (("prompt", "question"), ("responses", "response"), ("label", "answer (ranks, 0 is best)"))),
        Format("mm-rlhf", "MM-RLHF", _has("prompt", "chosen", "rejected", "chosen_reason")),
        Format("rlaif-v", "RLAIF-V", _has("ds_name", "question", "chosen", "rejected"), datasets_by_name.rlaif_v, PAIR),
        Format("openrlhf", "OpenRLHF", _open_rlhf, chat_rows.open_rlhf, (("responses", "chosen (preferred), rejected: whole chats"),)),
        Format("trl", "TRL vision preference", lambda c: _is_chat(c, "prompt") and preference.is_pair(c)),
        Format("own", "the general form", lambda c: preference.has_responses(c.names)),
    )
}  # fmt: skip


def understand(opened: Opened, name: str | None) -> Reading:
    """How this file is read. Raises BenchmarkError where no format fits, or there is none of this name."""
    opened = replace(opened, first=_typical(opened))
    cells = Cells(opened.first or {})
    if name is not None and name not in FORMATS:
        raise BenchmarkError(f"There is no format {name!r}: use one of {', '.join(FORMATS)}.")
    found = FORMATS[name] if name else next((f for f in FORMATS.values() if f.fits(cells)), None)
    if found is None or not name and found.read is None and not _asks(cells):
        raise BenchmarkError(
            f"{opened.name}: row 0 has the columns {', '.join(sorted(map(str, opened.columns))) or '(none)'}. A row "
            "needs a prompt (column prompt, query, question or instruction) and responses (column responses, or "
            "chosen and rejected, or response_a and response_b), and for most judges an image."
        )
    if found.read is None:
        return preference.understood(opened, found.title)
    columns = dict(found.columns)
    for role, named in preference.columns_of(cells).items():
        if role in ("picture", "id"):
            columns[role] = named
    if found.labelled:
        reading = preference.understood(opened, found.title, found.read)
        return Reading(found.title, reading.parse, columns, reading.decisions, found.several)
    read: Any = found.read
    return Reading(found.title, read, columns, (), found.several)


def _typical(opened: Opened) -> dict[str, Any]:
    """The first row, with what it lacks from the rows after it: by it the format is recognised."""
    first = dict(opened.first or {})
    lacking = {c for c in opened.columns if Cells(first).find(c) is None}
    if lacking and not opened.streaming:
        for raw in islice(opened.rows(), TYPICAL):
            if isinstance(raw, dict):
                cells = Cells(raw)
                first |= {c: raw[c] for c in list(lacking) if c in raw and cells.find(c) is not None}
                lacking = {c for c in lacking if Cells(first).find(c) is None}
            if not lacking:
                break
    return first


def _asks(cells: Cells) -> bool:
    return preference.has_prompt(cells.names) or _is_chat(cells, "chosen")


__all__ = ["FORMATS", "Format", "understand"]
