"""Data sets whose columns are their own: a function each, from a row to its comparisons. Keep them small."""

from __future__ import annotations

import re
from itertools import combinations
from typing import Any

from core.benchmarks import chats, labels
from core.benchmarks.chats import Question
from core.benchmarks.fields import RowProblem, literal, shown
from core.benchmarks.formats.cells import Answer, Cells, answers, asked, listed, one_comparison
from core.benchmarks.labels import CHOSEN, Label
from core.benchmarks.rows import Fields


def rlhf_v(raw: dict[str, Any]) -> list[Fields]:
    """`text` is a JSON object with question, chosen and rejected."""
    cells = Cells(raw)
    column, value = cells.need("text")
    text = literal(value) if isinstance(value, str) else value
    if not isinstance(text, dict):
        raise RowProblem("it is not a JSON object with question, chosen and rejected", column)
    inside = Cells(text)
    question = chats.question(f"{column}, question", inside.need("question")[1])
    pair = answers([(name, inside.need(name)[1]) for name in ("chosen", "rejected")])
    return [one_comparison(cells, question, pair, CHOSEN)]


def rlaif_v(raw: dict[str, Any]) -> list[Fields]:
    cells = Cells(raw)
    pair = answers([cells.need("chosen"), cells.need("rejected")])
    return [one_comparison(cells, asked(cells, "question"), pair, CHOSEN, group=cells.text("origin_dataset"))]


def vlfeedback(raw: dict[str, Any]) -> list[Fields]:
    """Each two responses whose mean ratings differ. Ratings are texts, and some are not numbers."""
    cells = Cells(raw)
    question = asked(cells, "prompt")
    column, completions = cells.need("completions")
    if isinstance(completions, str):
        completions = literal(completions)
    if isinstance(completions, dict) and all(
        isinstance(c, list) for c in completions.values()
    ):  # a list of objects, as `datasets` keeps it
        keys = list(completions)
        completions = [dict(zip(keys, c, strict=False)) for c in zip(*completions.values(), strict=False)]
    if not isinstance(completions, list) or not all(isinstance(c, dict) for c in completions):
        raise RowProblem("it is not a list of completions with their annotations", column)
    rated = [(c.get("response"), _mean_rating(c.get("annotations"))) for c in completions]
    texts = [("" if text is None else text, rating) for text, rating in rated if rating is not None]
    found: list[Fields] = []
    equal = 0
    id_ = cells.text("id")
    for (i, (one, a)), (j, (two, b)) in combinations(enumerate(texts), 2):
        if a == b:
            equal += 1
            continue
        pair = answers([(f"{column}, response {i + 1}", one), (f"{column}, response {j + 1}", two)])
        label = Label(int(b > a), False, f"{a:g} to {b:g}")  # type: ignore[operator]
        name = f"{id_} {i + 1}-{j + 1}" if id_ else ""
        found.append(one_comparison(cells, question, pair, label, id=name, cluster=id_))
    if not found:
        raise RowProblem("no two responses have different ratings", column)
    return found


def _mean_rating(annotations: Any) -> float | None:
    if not isinstance(annotations, dict):
        return None
    ratings = []
    for aspect in annotations.values():
        written = aspect.get("Rating") if isinstance(aspect, dict) else None
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?:/\s*\d+)?\s*", str(written))
        if found:
            ratings.append(float(found[1]))
    return sum(ratings) / len(ratings) if ratings else None


def mllm_judge(raw: dict[str, Any]) -> list[Fields]:
    """answer1 and answer2 are {name, answer}; human_answer is A, B or C, and C is a tie."""
    cells = Cells(raw)
    pair = []
    for name in ("answer1", "answer2"):
        column, value = cells.need(name)
        value = literal(value) if isinstance(value, str) and value.lstrip().startswith("{") else value
        pair.append((column, value.get("answer") if isinstance(value, dict) else value))
    column, human = cells.need("human_answer", "human")
    written = "C" if labels.token(human).kind == "tie" else str(human).strip().upper()
    if written not in ("A", "B", "C"):
        raise RowProblem(f"{shown(human)} where A, B or C (a tie) was expected", column)
    label = Label(None, True, "C") if written == "C" else Label("AB".index(written), False, written)
    return [one_comparison(cells, asked(cells, "instruction", "prompt"), answers(pair), label, group=cells.text("original_dataset"))]  # fmt: skip


def multi_crit(raw: dict[str, Any], meanings: dict[str, labels.Column]) -> list[Fields]:
    """Two responses and which is better by one criterion; the rows of a pair are one cluster."""
    cells = Cells(raw)
    pair = answers([cells.need("pred_a"), cells.need("pred_b")])
    column, preference = cells.need("preference")
    name = str(preference).strip().lower()
    if name in ("pred_a", "pred_b"):
        label = Label(int(name == "pred_b"), False, name)
    elif name in {cells.text("model_a").lower(), cells.text("model_b").lower()} - {""} and len(name) > 1:
        label = Label(int(name == cells.text("model_b").lower()), False, name)
    else:
        meaning = meanings.get(column) or labels.decide(column, {(labels.token(preference), 2): 1})
        label = meaning.read(preference, 2)
    # The rows of an item share its prompt_id; question_id is a row's own.
    of_item = cells.text("prompt_id") or cells.text("question_id")
    item = f"{cells.text('split')} {of_item} {cells.text('model_a')} {cells.text('model_b')}".strip()
    criterion = cells.text("criterion")
    return [
        one_comparison(
            cells,
            asked(cells, "question"),
            pair,
            label,
            id=f"{item} {criterion}",
            group=criterion,
            cluster=item,
        )  # fmt: skip
    ]


def vlmevalkit(raw: dict[str, Any]) -> list[Fields]:
    """`response` is the text of a list, `answer` the text of its ranks (0 is best), `image` base64."""
    cells = Cells(raw)
    column, value = cells.need("response")
    texts = answers([(column, v) for v in listed(column, value)])
    label = labels.ranks(*cells.need("answer"), len(texts))
    return [one_comparison(cells, asked(cells, "question"), texts, label)]


def mmrb2(raw: dict[str, Any]) -> list[Fields]:
    """The parts of prompt and responses are ["text", ...] or ["image", ...]. Pictures inside a response are not
    supported, so most rows of the reasoning part and all of the others are left out by name."""
    cells = Cells(raw)
    column, prompt = cells.need("prompt_content")
    words, pictures = _mmrb2_parts(column, prompt)
    pair: list[Answer] = []
    for name in ("response_a", "response_b"):
        column, response = cells.need(name)
        response = literal(response) if isinstance(response, str) else response
        content = response.get("response_content") if isinstance(response, dict) else response
        said, inside = _mmrb2_parts(column, content)
        if inside:
            raise RowProblem("a picture inside a response is not supported", column)
        pair.append((column, said, []))
    column, chosen = cells.need("chosen")
    if str(chosen).strip().upper() not in ("A", "B"):
        raise RowProblem(f"{shown(chosen)} where A or B was expected", column)
    label = Label("AB".index(str(chosen).strip().upper()), False, str(chosen))
    group = cells.text("prompt_source")
    return [one_comparison(cells, Question(words, (), tuple(pictures)), pair, label, group=group)]


def _mmrb2_parts(column: str, parts: Any) -> tuple[str, list[Any]]:
    parts = literal(parts) if isinstance(parts, str) else parts
    texts: list[Any] = []
    pictures: list[Any] = []
    for part in parts if isinstance(parts, list | tuple) else [None]:
        if not isinstance(part, list | tuple) or len(part) != 2 or part[0] not in ("text", "image"):
            raise RowProblem('parts such as ["text", ...] or ["image", ...] were expected', column)
        (texts if part[0] == "text" else pictures).append(part[1])
    return "".join(str(t) for t in texts), pictures


R1_RESPONSES = re.compile(
    r"^[#* ]*\[Response 1\]\**:\s*(.*?)\s*^[#* ]*\[Response 2\]\**:\s*(.*?)\s*(?:^[#* ]*Output Format\b.*)?\Z",
    re.DOTALL | re.MULTILINE,
)


def r1_reward_rl(raw: dict[str, Any]) -> list[Fields]:
    """`message` is the JSON text of a chat that holds question and both responses; `answer` is <answer>1|2</answer>."""
    cells = Cells(raw)
    column, value = cells.need("message")
    messages = chats.chat(column, value)
    if not messages or messages[-1].role != "user":
        raise RowProblem("a chat that ends with the user was expected", column)
    text = messages[-1].text
    found = R1_RESPONSES.search(text)
    if not found or len(re.findall(r"^[#* ]*\[Response \d\]\**:", text, re.MULTILINE)) != 2:
        raise RowProblem("it does not hold [Response 1] and [Response 2] once each", column)
    name, given = cells.need("answer")
    written = str(given[0] if isinstance(given, list) and given else given)
    number = re.search(r"<answer>\s*([12])\s*</answer>", written)
    if not number:
        raise RowProblem(f"{shown(given)} where <answer>1</answer> or <answer>2</answer> was expected", name)
    label = Label(int(number[1]) - 1, False, f"response {number[1]}")
    question = Question(chats.question(*cells.need("question")).text, (), messages[-1].pictures)
    pair: list[Answer] = [(f"{column}, Response {n}", found[n], []) for n in (1, 2)]
    return [one_comparison(cells, question, pair, label)]


LLAVA_PAIR = re.compile(
    r"Question:\s*\[(.*)\]\s*The first response:\s*\[(.*)\]\s*The second response:\s*\[(.*)\]\s*(?:ASSISTANT:\s*)?\Z",
    re.DOTALL,
)
BETTER = re.compile(
    r"(?:\b(first|second)\s+(?:response|answer)|\b(?:response|answer)\s+([12]))\s+is\s+(?:\w+\s+){0,2}?(?:better|superior|preferred|preferable)",
    re.IGNORECASE,
)
EQUAL = re.compile(r"\b(?:equally good|equal(?:ly)? in quality|of (?:the )?(?:same|equal) quality|a tie)\b", re.IGNORECASE)  # fmt: skip


def llava_critic(raw: dict[str, Any]) -> list[Fields]:
    """Pairwise rows: the user's message holds question and both responses, the critic's says which is better."""
    cells = Cells(raw)
    column, value = cells.need("conversations")
    messages = chats.chat(column, value)
    if not messages or len(messages) != 2 or [m.role for m in messages] != ["user", "assistant"]:
        raise RowProblem("a question and the critic's answer were expected", column)
    if "The first response:" not in messages[0].text:
        raise RowProblem("it scores one response: there is nothing to compare", column)
    found = LLAVA_PAIR.search(messages[0].text)
    if not found:
        raise RowProblem("it does not hold a question and a first and a second response in brackets", column)
    verdicts = {(m[0].lower() == "second" or m[1] == "2") for m in BETTER.findall(messages[1].text)}
    if len(verdicts) == 1:
        label = Label(int(verdicts.pop()), False, "the critic's sentence")
    elif not verdicts and EQUAL.search(messages[1].text):
        label = Label(None, True, "the critic's sentence")
    else:
        raise RowProblem("the critic's text does not say once which response is better", column)
    pair: list[Answer] = [(f"{column}, {n} response", found[i], []) for i, n in ((2, "first"), (3, "second"))]
    question = Question(found[1], (), messages[0].pictures)
    return [one_comparison(cells, question, pair, label, group=cells.text("source"))]
