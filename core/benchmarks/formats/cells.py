"""What all formats share: columns by any of their names, and a comparison from a question, responses and a label."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from core.benchmarks import chats, images
from core.benchmarks.chats import Message, Question
from core.benchmarks.fields import RowProblem, literal, parsed, shown
from core.benchmarks.labels import NONE, Label
from core.benchmarks.rows import Fields
from core.records import Known, Turn

PROMPTS = ("prompt", "query", "question", "instruction", "messages", "conversations", "text")
RESPONSES = ("responses", "response", "answers", "completions", "candidates", "outputs")
PICTURES = (
    "image", "images", "image_path", "image_paths", "img_path", "img", "picture", "pictures", "image_file", "file_name",
    "image_bytes", "image_base64", "img_paths", "image_url",
)  # fmt: skip
IDS = ("id", "question_id", "idx", "index", "uid", "pair_id")
REFERENCES = (
    "reference",
    "references",
    "reference_answer",
    "ground_truth",
    "gold_answer",
)  # answers that are right
OBJECTS, TEXTS = (
    ("objects", "objects_in_image"),
    ("texts", "texts_in_image", "ocr"),
)  # what the picture shows, all of it
GROUPS = ("category", "group", "subset", "criterion", "task")


PICTURE_NUMBERED = re.compile(r"(?:image|img|picture)(?:_path)?[_ ]?(\d)")


class Cells:
    """A row whose columns are found by any of several names, however they are capitalised. An empty cell, None and
    NaN are no value."""

    def __init__(self, raw: dict[str, Any]) -> None:
        self.raw = raw
        self.names = {str(k).strip().lower(): k for k in raw}

    def find(self, *columns: str) -> tuple[str, Any] | None:
        """(the column as the file writes it, value)"""
        for column in columns:
            name = self.names.get(column.lower())
            if name is not None and not _empty(self.raw[name]):
                return str(name), self.raw[name]
        return None

    def need(self, *columns: str) -> tuple[str, Any]:
        found = self.find(*columns)
        if found is None:
            raise RowProblem("missing", " or ".join(columns))
        return found

    def pictures(self) -> tuple[str, Any] | None:
        """(column, value) of the first column that gives a picture, or (columns, values) of image_1, image_2, ..."""
        for column in PICTURES:
            name = self.names.get(column)
            if name is not None and images.each(self.raw[name]):
                return str(name), self.raw[name]
        numbered = sorted(
            (int(m[1]), self.names[n]) for n in self.names if (m := PICTURE_NUMBERED.fullmatch(n))
        )
        given = [(str(name), images.each(self.raw[name])) for _, name in numbered]
        given = [(name, each) for name, each in given if each]
        return (
            (", ".join(name for name, _ in given), [p for _, each in given for p in each]) if given else None
        )

    def text(self, *columns: str) -> str:
        """A text or a number as text, empty where there is none."""
        found = self.find(*columns)
        return str(found[1]) if found and isinstance(found[1], str | int | float) else ""


def _empty(value: Any) -> bool:
    return value is None or (isinstance(value, str | bytes) and not value) or (isinstance(value, float) and math.isnan(value))  # fmt: skip


Answer = tuple[str, str, list[Message]]  # column, text, the messages before it where the whole chat is given


def answers(pairs: Sequence[tuple[str, Any]]) -> list[Answer]:
    """(column, value) of each response, in the order of the file."""
    return [(column, *chats.answer(column, value)) for column, value in pairs]


def listed(column: str, value: Any) -> list[Any]:
    """The responses in one cell: a list, the JSON text of one, or {model: response}."""
    if isinstance(value, str):
        value = parsed(column, value)
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list | tuple):
        raise RowProblem(f"{type(value).__name__} where a list of responses was expected", column)
    if len(value) < 2:
        raise RowProblem(f"{len(value)} response where at least two were expected", column)
    return list(value)


def asked(cells: Cells, *columns: str) -> Question | None:
    """The prompt, with Alpaca's `input` below it, and the turns of the columns `system` and `history` before it."""
    found = cells.find(*columns)
    if found is None:
        return None
    column, value = found
    question = chats.question(column, value)
    if column.lower() == "instruction" and (more := cells.text("input")):
        question = Question(f"{question.text}\n{more}", question.turns, question.pictures)
    return Question(question.text, earlier(cells) + question.turns, question.pictures)


def earlier(cells: Cells) -> tuple[Turn, ...]:
    """Turns that have columns of their own: `system`, and `history` as [question, answer] pairs."""
    turns = []
    if system := cells.find("system", "system_prompt"):
        if not isinstance(system[1], str):
            raise RowProblem(f"{type(system[1]).__name__} where text was expected", system[0])
        turns.append(Turn("system", system[1]))
    if past := cells.find("history"):
        column, pairs = past
        pairs = literal(pairs) if isinstance(pairs, str) else pairs
        for pair in pairs if isinstance(pairs, list | tuple) else [None]:
            if (
                not isinstance(pair, list | tuple)
                or len(pair) != 2
                or not all(isinstance(t, str) for t in pair)
            ):
                raise RowProblem("it is not a list of pairs of question and answer", column)
            turns += [Turn("user", pair[0]), Turn("assistant", pair[1])]
    return tuple(turns)


def one_comparison(
    cells: Cells, question: Question | None, responses: Sequence[Answer], told: Label = NONE, *, id: str = "",
    group: str = "", cluster: str = "", picture: tuple[str, Any] | None = None, notes: tuple[str, ...] = (),
) -> Fields:  # fmt: skip
    """The Fields of one comparison. question: None where the responses are whole chats that bring it.

    Raises RowProblem where the parts contradict each other.
    """
    question = _agreed(question, responses)
    if (tools := cells.find("tools", "functions")) and tools[1] not in ([], "[]", {}, "{}"):
        raise RowProblem("tools that the model may call are not supported", tools[0])
    for kind in ("video", "videos", "audio", "audios"):
        if (found := cells.find(kind)) and found[1] not in ([], "[]", {}):
            column = found[0]
            plural = "audio" if kind.startswith("audio") else "videos"
            return _fields(cells, question, responses, told, found[1], id, group, cluster, notes,
                           f"column {column}: {plural} are not supported")  # fmt: skip
    column, given = picture or cells.pictures() or ("image", None)
    pictures = _pictures(column, given, question)
    text, places = chats.without_placeholders(question.text, len(pictures))
    turns = []
    for turn in question.turns:
        said, more = chats.without_placeholders(turn.text, len(pictures))
        places += more
        turns.append(Turn(turn.role, said))
    if places > len(pictures) and pictures and not chats.numbered(question.text):
        raise RowProblem(f"{places} places for pictures, but the row has {_many(len(pictures))}", "prompt")
    responses, changed = _bare(question.text, text, responses)
    notes = (*notes, *changed)
    if places:
        notes = (*notes, "places of pictures such as <image> taken out of the prompt")
    return _fields(cells, Question(text, tuple(turns)), responses, told, pictures, id, group, cluster, notes)


REPEATED = 8  # characters of a question that no answer begins with by chance


def _bare(asked: str, question: str, responses: Sequence[Answer]) -> tuple[Sequence[Answer], list[str]]:
    """The responses less what is not theirs: the mark with which a template ends them, and the question where all of
    them begin with it. And what was done, in words."""
    notes, texts = [], [t for _, t, _ in responses]
    ended = [chats.without_end(t) for t in texts]
    if ended != texts and all(t.strip() for t in ended):
        notes.append("end marks of a chat template taken out of the responses")
        texts = ended
    for start in (asked, question):
        start = start.strip()
        rest = [t.lstrip()[len(start) :] for t in texts if t.lstrip().startswith(start)]
        if (
            len(start) >= REPEATED
            and len(rest) == len(texts)
            and all(r[:1].isspace() and r.strip() for r in rest)
        ):
            notes.append("the question, with which all its responses begin, taken out of them")
            texts = [r.strip() for r in rest]
            break
    if any("\ufffd" in t for t in (question, *texts)):
        notes.append("a character that could not be read stands as \ufffd")
    return [(c, t, before) for (c, _, before), t in zip(responses, texts, strict=True)], notes


def _fields(
    cells: Cells, question: Question, responses: Sequence[Answer], told: Label, pictures: Any, id: str, group: str,
    cluster: str, notes: tuple[str, ...], unsupported: str = "",
) -> Fields:  # fmt: skip
    return Fields(
        id or cells.text(*IDS), question.text, [text for _, text, _ in responses], told.preferred, pictures,
        group or cells.text(*GROUPS) or "all", cluster, None, unsupported, question.turns,
        tuple(column for column, _, _ in responses), told, notes, known_of(cells),
    )  # fmt: skip


def known_of(cells: Cells) -> Known | None:
    """What the row says is true, for rules that check answers; a text or number, or a list of them. None where it says nothing.
    Raises RowProblem."""
    found = [_texts(cells, names) for names in (REFERENCES, OBJECTS, TEXTS)]
    return Known(*found) if any(found) else None


def _texts(cells: Cells, names: Sequence[str]) -> tuple[str, ...]:
    if not (found := cells.find(*names)):
        return ()
    column, value = found
    if isinstance(value, str) and value.lstrip().startswith("["):
        value = parsed(column, value)
    values = value if isinstance(value, list | tuple) else [value]
    if not all(isinstance(v, str | int | float) and not isinstance(v, bool) for v in values):
        raise RowProblem(f"{shown(value)} where a text or a list of texts was expected", column)
    return tuple(str(v) for v in values if str(v).strip())


def _agreed(question: Question | None, responses: Sequence[Answer]) -> Question:
    for column, _, before in responses:
        if not before:
            continue
        own = chats.question_of(column, before)
        if question is None:
            question = own
        elif not chats.same_question(question, own):
            raise RowProblem("its chat asks something else than the prompt or the other response", column)
        else:
            question = Question(question.text, question.turns or own.turns, question.pictures or own.pictures)
    if question is None:
        raise RowProblem("missing", " or ".join(PROMPTS[:4]))
    return question


def _pictures(column: str, given: Any, question: Question) -> list[Any]:
    """Of the column, or else of the messages. Both may name the same pictures."""
    own = images.each(given)
    inside = [p for p in question.pictures if images.each(p)]
    if not own:
        if inside and len(inside) < len(question.pictures):
            raise RowProblem("some of its pictures are given and some are not", "prompt")
        return inside
    if len(question.pictures) > len(own):
        raise RowProblem(
            f"the messages hold {_many(len(question.pictures))}, but this column gives {_many(len(own))}",
            column,
        )
    return own


def _many(n: int) -> str:
    return f"{n} picture" + "s" * (n != 1)
