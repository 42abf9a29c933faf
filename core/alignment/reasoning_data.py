"""Preference data as questions to a reasoning judge: each pair in both orders, so that no place is ever the better one.

Kept as JSON Lines in R1-Reward-RL's format (`message`, `question`, `answer`) with pictures in a folder beside them; the file
reads back through core.benchmarks like any other, and R1-Reward-RL's own files read as --data.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.benchmarks.rows import Row
from core.images import ImageError, to_png_bytes
from core.records import Comparison, content_hash
from core.runs.manifest import write_whole

MESSAGE = "Compare two responses to a question about the picture.\n\n#### [Question]:\n{question}\n\n#### [Response 1]:\n{first}\n\n#### [Response 2]:\n{second}\n"  # fmt: skip


@dataclass(frozen=True)
class Question:
    """One order of one pair. pair: the same for both orders. image: file name in images/. answer: 1 or 2, the better one."""

    id: str
    pair: str
    image: str
    question: str
    first: str
    second: str
    answer: int

    def row(self) -> dict[str, Any]:
        """As R1-Reward-RL has it, and this record's own fields."""
        text = MESSAGE.format(question=self.question, first=self.first, second=self.second)
        content = [{"type": "image", "image": f"images/{self.image}"}, {"type": "text", "text": text}]
        return {
            "message": json.dumps([{"role": "user", "content": content}], ensure_ascii=False), "question": self.question,
            "answer": [f"<answer>{self.answer}</answer>"], "image": f"images/{self.image}", "record": asdict(self),
        }  # fmt: skip


def both_orders(pair: str, image: str, question: str, better: str, worse: str) -> tuple[Question, Question]:
    return (
        Question(f"{pair}-1", pair, image, question, better, worse, 1),
        Question(f"{pair}-2", pair, image, question, worse, better, 2),
    )


def comparisons(rows: Iterable[Row], left_out: Counter[str]) -> Iterator[tuple[Row, Comparison, int]]:
    """Those that can be learnt from, with the preferred response. left_out: counts why the others cannot."""
    for row in rows:
        c = row.comparison
        why = (
            row.problem or "cannot be read" if c is None
            else "no label" if c.preferred is None and not row.label.tie
            else "a tie" if c.preferred is None
            else "no picture" if c.image is None
            else "several pictures" if c.more_images
            else "earlier turns" if c.turns
            else "equal responses" if len(set(c.responses)) < len(c.responses)
            else ""
        )  # fmt: skip
        if why:
            left_out[why if c is not None else "cannot be read"] += 1
            continue
        assert c is not None and c.preferred is not None
        yield row, c, c.preferred


def from_rows(
    rows: Iterable[Row], images: Path, left_out: Counter[str]
) -> Iterator[tuple[Question, Question, Comparison]]:
    """Both orders of each pair of the preferred response with another, and the pair as a comparison."""
    for row, c, best in comparisons(rows, left_out):
        try:
            png = to_png_bytes(c.load_image(), effort=1)
        except ImageError:
            left_out["picture that cannot be read"] += 1
            continue
        name = keep(png, images)
        for other in (i for i in range(len(c.responses)) if i != best):
            better, worse = c.responses[best], c.responses[other]
            pair = Comparison(f"{row.index}-{row.key}-{other}", png, c.prompt, (better, worse), 0)
            yield (*both_orders(pair.id, name, c.prompt, better, worse), pair)


def keep(png: bytes, images: Path) -> str:
    """The picture's file name; written once."""
    name = f"{content_hash(png)}.png"
    if not (images / name).exists():
        images.mkdir(parents=True, exist_ok=True)
        write_whole(images / name, png)
    return name


def write_rows(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """All or nothing."""
    text = "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows)
    write_whole(path, text.encode("utf-8", "replace"))


def read_rows(path: Path) -> list[dict[str, Any]]:
    """A last line that was cut off by a kill is left out."""
    out = []
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                out.append(json.loads(line))
            except ValueError:
                break
    return out


def read_questions(path: Path) -> list[Question]:
    return [Question(**r["record"]) for r in read_rows(path)]
