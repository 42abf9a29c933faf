"""Formats whose rows are a chat with the responses beside it: LLaMA-Factory, ms-swift, OpenRLHF, InternLM's."""

from __future__ import annotations

from typing import Any

from core.benchmarks import chats
from core.benchmarks.chats import Message, Question
from core.benchmarks.fields import RowProblem
from core.benchmarks.formats.cells import Answer, Cells, answers, asked, earlier, one_comparison
from core.benchmarks.labels import Label
from core.benchmarks.rows import Fields

CHOSEN = Label(0)


def llama_factory(raw: dict[str, Any]) -> list[Fields]:
    """ShareGPT: conversations up to the question, one message each in chosen and rejected. Alpaca: instruction and
    input, texts in chosen and rejected."""
    cells = Cells(raw)
    question = asked(cells, "conversations", "messages", "instruction")
    pair = answers([cells.need("chosen"), cells.need("rejected")])
    return [one_comparison(cells, question, pair, CHOSEN)]


def ms_swift(raw: dict[str, Any]) -> list[Fields]:
    """messages end with the chosen response; rejected_response is a text, several texts, or rejected_messages a chat."""
    cells = Cells(raw)
    column, value = cells.need("messages")
    messages = chats.chat(column, value)
    if messages is None:
        raise RowProblem("text where a chat was expected", column)
    chosen, before = chats.answer(column, value)
    other, worse = cells.need("rejected_messages", "rejected_response")
    rejected: list[Answer] = []
    if other == "rejected_messages":
        text, own = chats.answer(other, worse)
        rejected.append((other, text, own))
    else:
        texts = (
            worse if isinstance(worse, list) and worse and all(isinstance(w, str) for w in worse) else [worse]
        )
        rejected += answers([(other, t) for t in texts])
    others, given = cells.find("rejected_images"), cells.find("images")
    if others and (given is None or others[1] != given[1]):
        raise RowProblem("another picture for the rejected response is not supported", others[0])
    question = _with_system(cells, column, before)
    return [one_comparison(cells, question, [(column, chosen, []), *rejected], CHOSEN)]


def open_rlhf(raw: dict[str, Any]) -> list[Fields]:
    """chosen and rejected are whole chats that begin with the same question."""
    cells = Cells(raw)
    pair = answers([cells.need("chosen"), cells.need("rejected")])
    for column, _, before in pair:
        if not before:
            raise RowProblem("a chat that begins with the question was expected", column)
    return [one_comparison(cells, None, pair, CHOSEN)]


def ixc(raw: dict[str, Any]) -> list[Fields]:
    """conversations_a is the chosen chat, conversations_b the rejected one."""
    cells = Cells(raw)
    pair = answers([cells.need("conversations_a"), cells.need("conversations_b")])
    return [one_comparison(cells, None, pair, CHOSEN)]


def _with_system(cells: Cells, column: str, before: list[Message]) -> Question:
    question = chats.question_of(column, before)
    return Question(question.text, earlier(cells) + question.turns, question.pictures)
