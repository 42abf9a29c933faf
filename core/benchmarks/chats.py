"""Chats wherever they stand: lists of messages, one message, JSON text of them, in the keys of OpenAI, ShareGPT and TRL.

A chat is read whole or refused by name: no turn, picture or other part of it is left out silently.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.benchmarks.fields import RowProblem, literal
from core.records import Turn

ROLES = {
    "system": "system", "developer": "system", "user": "user", "human": "user", "prompter": "user", "assistant": "assistant",
    "gpt": "assistant", "bot": "assistant", "model": "assistant", "chatgpt": "assistant", "chatbot": "assistant",
}  # fmt: skip
OTHER_ROLES = ("tool", "function", "function_call", "observation", "ipython", "environment")
ROLE_KEYS, TEXT_KEYS = ("role", "from"), ("content", "value")
PICTURE_KEYS = ("image", "image_url", "url", "path", "bytes", "data", "base64", "source")
HAS_ROLE = re.compile(r"""["'](role|from)["']\s*:""")
LOOKS_LIKE_CHAT = re.compile(r"""^\s*\[?\s*\{\s*["'](role|from|content|value)["']\s*:""")
HH_TURN = re.compile(r"(?:\A|\n)\s*(Human|Assistant):")  # the text form of Anthropic's HH-RLHF
CHATML = re.compile(r"<\|im_start\|>[ ]*(\w+)[ ]*\n?(.*?)(?:<\|im_end\|>|(?=<\|im_start\|>)|\Z)", re.DOTALL)
NOT_READ = {
    "tool_calls": "tool calls", "function_call": "tool calls", "reasoning_content": "reasoning beside its content",
    "reasoning": "reasoning beside its content", "thinking": "reasoning beside its content", "audio": "audio",
    "audios": "audio", "video": "a video", "videos": "videos",
}  # fmt: skip


@dataclass(frozen=True)
class Message:
    """One turn. pictures: what stands for each picture in it, None for a part {"type": "image"} without a source."""

    role: str
    text: str
    pictures: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Question:
    """What the responses answer: the last user turn, the turns before it, and the pictures that messages hold."""

    text: str
    turns: tuple[Turn, ...] = ()
    pictures: tuple[Any, ...] = ()


def chat(column: str, value: Any) -> list[Message] | None:
    """The messages, or None where the value is plain text. Raises RowProblem for a chat that cannot be read."""
    if isinstance(value, str):
        if value.lstrip().startswith("Human:") and "\nAssistant:" in value:
            return _hh(value)
        if value.lstrip().startswith("<|im_start|>"):
            return _chatml(column, value)
        looks = LOOKS_LIKE_CHAT.match(value)
        if not looks and not (value.lstrip()[:1] in ("[", "{") and HAS_ROLE.search(value)):
            return None
        found = literal(value)
        if found is None and looks:
            raise RowProblem("it begins like a chat, but it is not valid JSON", column)
        if not found or not _all_messages(found) or not _spoken(found):
            return None  # an answer that is itself JSON
        value = found
    given = value
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list | tuple):
        raise RowProblem(f"{type(value).__name__} where text was expected", column)
    if not _all_messages(value):
        what = "an object" if len(value) == 1 and given is not value else "a list"
        raise RowProblem(f"{what} that is not a chat of messages with a role and content", column)
    return [_message(column, m) for m in value]


def question(column: str, value: Any) -> Question:
    """A prompt: text, or a chat that ends with the user. Raises RowProblem."""
    messages = chat(column, value)
    if messages is None:
        return Question(value)
    return question_of(column, messages)


def question_of(column: str, messages: Sequence[Message]) -> Question:
    if not messages:
        raise RowProblem("the chat has no messages", column)
    if messages[-1].role != "user":
        raise RowProblem(f"the chat ends with the {messages[-1].role}, not with the user's question", column)
    for message in messages[:-1]:
        if message.role == "assistant" and message.pictures:
            raise RowProblem("a picture inside an earlier response is not supported", column)
    pictures = tuple(p for m in messages for p in m.pictures)
    turns = tuple(Turn(m.role, m.text) for m in messages[:-1])
    return Question(messages[-1].text, turns, pictures)


def answer(column: str, value: Any) -> tuple[str, list[Message]]:
    """A response, and the messages before it where the whole chat is given. Raises RowProblem."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value), []  # the answer to "How many?"
    messages = chat(column, value)
    if messages is None:
        return value, []
    if not messages or messages[-1].role != "assistant":
        raise RowProblem("the chat does not end with the assistant's response", column)
    last = messages[-1]
    if last.pictures:
        raise RowProblem("a picture inside a response is not supported", column)
    if len(messages) > 1 and messages[-2].role == "assistant":
        raise RowProblem("a response of several turns is not supported", column)
    return last.text, list(messages[:-1])


def same_question(one: Question, other: Question) -> bool:
    """White space and placeholders of pictures aside; a last turn alone may stand for a longer chat."""
    if _bare(one.text) != _bare(other.text):
        return False
    mine, theirs = ([(t.role, _bare(t.text)) for t in q.turns] for q in (one, other))
    return not mine or not theirs or mine == theirs


def _bare(text: str) -> str:
    return " ".join(PLACEHOLDER.sub(" ", text).split())


def _all_messages(value: Any) -> bool:
    """Whether this is a message or a list of them. An empty list is a chat without messages."""
    if isinstance(value, dict):
        return any(k in value for k in ROLE_KEYS) and any(k in value for k in TEXT_KEYS)
    return isinstance(value, list | tuple) and all(isinstance(m, dict) and _all_messages(m) for m in value)


def _spoken(value: Any) -> bool:
    """Whether who speaks is a role: an answer may be JSON with "from" in it."""
    messages = [value] if isinstance(value, dict) else value
    return all(
        str(next(m[k] for k in ROLE_KEYS if k in m)).strip().lower() in (*ROLES, *OTHER_ROLES)
        for m in messages
    )


def _message(column: str, message: dict[str, Any]) -> Message:
    role = next(message[k] for k in ROLE_KEYS if k in message)
    known = ROLES.get(str(role).strip().lower())
    if known is None:
        raise RowProblem(f"a turn of the role {str(role)[:40]!r} is not supported", column)
    if extra := next((words for key, words in NOT_READ.items() if message.get(key)), None):
        raise RowProblem(f"a turn with {extra} is not supported", column)
    content = next(message[k] for k in TEXT_KEYS if k in message)
    texts, pictures = _parts(column, content)
    for beside in (message.get("images"), message.get("image")):
        pictures += (beside if isinstance(beside, list | tuple) else [beside]) if beside else []
    return Message(known, "\n".join(t for t in texts if t), tuple(pictures))


def _parts(column: str, content: Any) -> tuple[list[str], list[Any]]:
    if content is None:
        return [], []
    if isinstance(content, str):
        return [content], []
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list | tuple):
        raise RowProblem(f"a message whose content is {type(content).__name__}, not text or parts", column)
    texts: list[str] = []
    pictures: list[Any] = []
    for part in content:
        if isinstance(part, str):
            texts.append(part)
            continue
        kind = part.get("type") if isinstance(part, dict) else type(part).__name__
        if kind is None and isinstance(part, dict):
            kind = "text" if isinstance(part.get("text"), str) else "image" if "image" in part else None
        if kind in ("text", "input_text", "output_text") and _only_text(part):
            texts.append(part.get("text") or part.get("content") or "")
        elif kind in ("image", "image_url", "input_image"):
            pictures.append(next((part[k] for k in PICTURE_KEYS if part.get(k) is not None), None))
        else:
            raise RowProblem(f"a part of the kind {str(kind)[:40]!r} in a message is not supported", column)
    return texts, pictures


def _only_text(part: dict[str, Any]) -> bool:
    """Whether the part of a message holds a text, or nothing at all."""
    held = {k: v for k, v in part.items() if k not in ("type", "annotations", "cache_control", "index") and v not in (None, [], {})}  # fmt: skip
    return len(held) <= 1 and all(k in ("text", "content") and isinstance(v, str) for k, v in held.items())


def _chatml(column: str, text: str) -> list[Message]:
    """<|im_start|>user ... <|im_end|>: the text that a chat template made. An open assistant turn at its end only asks."""
    found = CHATML.findall(text)
    if CHATML.sub("", text).strip():
        raise RowProblem("it begins with <|im_start|>, but it is not a chat of turns from there to <|im_end|>", column)  # fmt: skip
    messages = [_message(column, {"role": role, "content": said.strip()}) for role, said in found]
    if len(messages) > 1 and messages[-1] == Message("assistant", ""):
        messages.pop()
    return messages


def _hh(text: str) -> list[Message]:
    pieces = HH_TURN.split(text)[1:]
    return [
        Message("user" if who == "Human" else "assistant", said.strip())
        for who, said in zip(pieces[::2], pieces[1::2], strict=True)
    ]


# -- places of pictures in a text ---------------------------------------------------------------------------

PLACEHOLDER = re.compile(
    r"<\|vision_start\|>(?:<\|image_pad\|>)*<\|vision_end\|>|<\|image_pad\|>|<\|image(?:_\d+)?\|>"
    r"|\(<image>\./</image>\)|<im_start><image><im_end>|<(?P<tag>img|image)>[^<\n]{0,300}</(?P=tag)>|<image[ _]?\d*>"
    r"|<img[ _]?\d*>|\[IMG\]|<ImageHere>|<IMAGE_PLACEHOLDER>|<start_of_image>|<\|begin_of_image\|>(?:<\|image\|>)*<\|end_of_image\|>",
    re.IGNORECASE,
)
ENDS = re.compile(r"\s*(?:<\|im_end\|>|<\|eot_id\|>|<\|endoftext\|>|<end_of_turn>|</s>)\s*\Z")


def without_end(text: str) -> str:
    """A response less the mark with which a chat template ends it."""
    found = ENDS.search(text)
    return text[: found.start()] if found else text


def without_placeholders(text: str, pictures: int) -> tuple[str, int]:
    """(text, how many were taken out). The picture itself is given, so its place in the text is not a word of it.

    Those before and after the text, and that of a single picture, are taken out. Several pictures whose places stand
    among the words are meant one by one: each place becomes "(picture 1)" and so on. Without a picture the text stays.
    """
    places = list(PLACEHOLDER.finditer(text))
    if not places or not pictures:
        return text, 0
    start, end, inner = 0, len(text), list(places)
    while inner and not text[start : inner[0].start()].strip():
        start = inner.pop(0).end()
    while inner and not text[inner[-1].end() : end].strip():
        end = inner.pop().start()
    if pictures > 1 and inner:
        numbers = iter(range(1, len(places) + 1))
        return PLACEHOLDER.sub(lambda m: f"(picture {_number(m.group(), next(numbers))})", text), len(places)
    body = text[start:end]
    body = body.lstrip() if start else body
    body = body.rstrip() if end < len(text) else body
    for place in {p.group() for p in inner}:
        body = body.replace(f"\n{place}\n", "\n").replace(f" {place} ", " ").replace(place, "")
    return body, len(places)


def _number(place: str, otherwise: int) -> int:
    digits = re.search(r"\d+", place)
    return int(digits.group()) if digits else otherwise


def numbered(text: str) -> bool:
    """Whether places name their picture (<image 1>), so that one may be named twice."""
    return any(re.search(r"\d", m.group()) for m in PLACEHOLDER.finditer(text))
