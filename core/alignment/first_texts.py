"""The first two stages: questions in both orders, and thoughts to begin with."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any

from core.alignment import key_texts
from core.alignment.config import TrainingError
from core.alignment.job import SCENE, Job
from core.alignment.reasoning_data import (
    Question,
    both_orders,
    from_rows,
    keep,
    read_questions,
    read_rows,
    write_rows,
)
from core.benchmarks import BENCHMARKS
from core.judges.opening import open_judge
from core.judges.options import Options
from core.judges.protocols import Writes
from core.records import Comparison, RecordError, Vote


def make_data(job: Job) -> None:
    if (job.output / "data.jsonl").exists():
        return
    left_out: Counter[str] = Counter()
    if job.data == SCENE:
        if job.limit is None:
            raise TrainingError("The scene world has no end: say how many pairs to draw with --limit.")
        found = [
            q for p in islice(key_texts.training_pairs(job.seed), job.limit)
            for q in both_orders(p.id, keep(p.image, job.pictures), p.item.prompt, *p.texts)
        ]  # fmt: skip
    else:
        loaded = BENCHMARKS["own"].open(job.data, images=job.images, format=job.format)
        pairs = islice(from_rows(loaded.rows(), job.pictures, left_out), job.limit)
        found = [q for one, other, _ in pairs for q in (one, other)]
    for why, n in left_out.items():
        job.say(f"data: {n:,} rows left out: {why}")
    if not found:
        raise TrainingError(
            "No pair can be learnt from: the data holds no labelled pair with one picture (see `python -m core data check`)."
        )
    write_rows(job.output / "data.jsonl", (q.row() for q in found))
    job.say(f"data: {len(found) // 2:,} pairs, {len(found):,} questions in both orders")


def make_texts(job: Job) -> None:
    """Appended one by one, so that a kill loses one; done when texts.jsonl has a line for each question."""
    file = job.output / "texts.jsonl"
    done = read_rows(file)
    write_rows(file, done)  # without what a kill cut off
    written = {r["id"] for r in done}
    questions = [q for q in read_questions(job.output / "data.jsonl") if q.id not in written]
    if not questions:
        return
    rows = _by_key(job) if job.data == SCENE and job.writer is None else _by_writer(job, questions)
    with file.open("a", encoding="utf-8") as out:
        for row in rows:
            if row["id"] not in written:
                out.write(json.dumps(row, ensure_ascii=False) + "\n")
                out.flush()
    found = read_rows(file)
    job.say(
        f"texts: {sum(bool(r['text']) for r in found):,} of {len(found):,} questions have a right thought to begin with"
    )


def _by_key(job: Job) -> Iterator[dict[str, Any]]:
    for pair in islice(key_texts.training_pairs(job.seed), job.limit):
        for n in (1, 2):
            rng = random.Random(f"thought-{job.seed}-{pair.id}-{n}")
            text, facts = key_texts.thought(pair, rng)
            yield {"id": f"{pair.id}-{n}", "text": text, "attempts": None, "facts": facts}


def _by_writer(job: Job, questions: list[Question]) -> Iterator[dict[str, Any]]:
    """The first of `tries` answers that decides rightly; attempts: which one it was, tries + 1 where none did."""
    if job.writer is None:
        raise TrainingError(
            "Say who writes the first thoughts: --writer and a judge that writes (a checkpoint or a server)."
        )
    tries = job.settings.tries
    judge = open_judge(job.writer, Options(prompt=job.settings.prompt, votes=tries))
    if not isinstance(judge, Writes):
        raise TrainingError(
            f"The judge '{judge.card.name}' writes nothing, so it cannot write the first thoughts."
        )
    by_pair: dict[str, list[Question]] = {}
    for q in questions:
        by_pair.setdefault(q.pair, []).append(q)
    for pair in by_pair.values():
        q = pair[0]
        responses = (q.first, q.second) if q.answer == 1 else (q.second, q.first)
        asked = Comparison(q.pair, (job.pictures / q.image).read_bytes(), q.question, responses, 0)
        try:
            votes = judge.critique(asked, tries).votes
        except RecordError as error:
            job.say(f"texts: {q.pair} was not written: {error}")
            votes = ()
        for one in pair:
            order = (0, 1) if one.answer == 1 else (1, 0)
            yield {"id": one.id, **_first_right([v for v in votes if v.order == order], tries)}


def _first_right(votes: list[Vote], tries: int) -> dict[str, Any]:
    right = next((i for i, v in enumerate(votes) if v.choice == 0 and v.text), None)
    return {
        "text": "" if right is None else votes[right].text,
        "attempts": tries + 1 if right is None else right + 1,
    }
