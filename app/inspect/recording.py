"""Records a judge's results on anybody's pictures: verdicts, votes and a map for every target that the page would offer.

Whoever has a GPU for ten minutes makes a demo of a model that no Space could load.
"""

from __future__ import annotations

import os
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace
from math import isnan

from app.common.model_options import options_of
from app.common.tasks import default_pair, first_target
from app.inspect.views import another_picture
from core.benchmarks import BENCHMARKS
from core.benchmarks.rows import Loaded, Row
from core.explain import Request, can_explain, default_method, explain, targets_for
from core.explain.counterfactual import image_ablation
from core.explain.explanation import FEW_WORDS
from core.images import ImageError, to_png_bytes
from core.judges.asked import MOST_REGIONS, grid_of
from core.judges.opening import open_judge
from core.judges.pieces import pieces
from core.judges.protocols import Estimates, Explainable
from core.model.loading import CheckpointError
from core.records import Comparison, Explanation, Judgement, RecordError, content_hash
from core.records.bundle import Bundle
from core.records.checked import MOST_TARGETS
from core.records.gallery import Entry, write

CAPTION = 60  # characters of a question under its picture


def record(args: Namespace) -> None:
    """The command's work. Raises BenchmarkError, CheckpointError, RecordError and OSError with a sentence."""
    loaded = (
        BENCHMARKS["own"]
        .open(args.data or args.images, images=args.images, format=args.format)
        .first(args.limit)
    )
    judge = open_judge(args.model, options_of(args))
    if not can_explain(judge):
        raise CheckpointError(f"'{judge.card.name}' can judge, but there is nothing to explain it by.")
    _say_cost(judge, loaded)
    unfinished = args.output.with_name(f".{args.output.name}.unfinished")
    started = time.perf_counter()
    try:
        n = write(unfinished, args.title or judge.card.name, entries(judge, loaded))
        if not n:
            raise RecordError("No row could be recorded; why is said above.")
        os.replace(unfinished, args.output)
    finally:
        unfinished.unlink(missing_ok=True)
    size = args.output.stat().st_size / 1e6
    print(
        f"{n} comparisons recorded in {time.perf_counter() - started:.0f} s, {size:.1f} MB, in {args.output}"
    )


def entries(judge: Explainable, loaded: Loaded) -> Iterator[Entry]:
    """One a row; rows that cannot be recorded are named on stderr."""
    for row in loaded.rows():
        try:
            entry = recorded(judge, row)
        except (RecordError, ImageError) as error:
            where = f"row {row.index}: " if row.comparison else ""  # a row that cannot be read says so itself
            _say(f"left out: {where}{error}")
            continue
        _say(f"row {row.index}: {entry.caption}")
        yield entry


def recorded(judge: Explainable, row: Row) -> Entry:
    """Raises RecordError and ImageError with a sentence."""
    if row.comparison is None:
        raise RecordError(row.problem)
    asked = row.comparison
    png = to_png_bytes(asked.load_image())
    key = content_hash(png, asked.prompt, *asked.responses)
    c = Comparison(key, png, asked.prompt, asked.responses, asked.preferred, category=asked.category)
    judgement = judge.judge(c)
    if not judgement.rewards or any(map(isnan, judgement.rewards)):
        raise RecordError(f"the judge gave no verdict ({judgement.why_undecided}).")
    pair = default_pair(judgement)
    first, *more = maps(judge, c, judgement, pair)
    ablated = image_ablation(judge, c, judgement, *pair, another_picture(c))
    caption = c.prompt if len(c.prompt) <= CAPTION else c.prompt[: CAPTION - 1] + "…"
    return Entry(caption, Bundle(c, judgement, first, ablated, judge.card, tuple(more)))


def maps(
    judge: Explainable, c: Comparison, judgement: Judgement, pair: tuple[int, int]
) -> Iterator[Explanation]:
    """Of the target that the page shows first, then of all others of the pair."""
    first = first_target(judge, judgement, pair)
    keys = [key for key, _ in targets_for(judge, judgement)]
    left_out = {"reward", "margin"} if "verdict" in keys else {"reward"}
    of_others = {f"critique:{k}" for k, v in enumerate(judgement.votes) if set(v.order) != set(pair)}
    others = [key for key in keys if key not in left_out | of_others | {first}]
    for target in [first, *others[:MOST_TARGETS]]:
        method = "gradient" if target.startswith("gate:") else default_method(judge, c)
        yield explain(judge, c, judgement, Request(pair, target, method))


def _say_cost(judge: Explainable, loaded: Loaded) -> None:
    """Of a judge that asks somebody else, before it is asked: each row as given and with two other pictures, and its map."""
    if not isinstance(judge, Estimates):
        return
    asked: list[Comparison] = []
    for row in loaded.rows():
        if row.comparison and row.comparison.image is not None and not row.comparison.more_images:
            c = replace(row.comparison, image=row.comparison.load_image())
            pair = replace(c, responses=c.responses[:2], preferred=None)
            asked += [c] * 3 + [pair] * _points(c)
    _say(f"{judge.card.name}: about {judge.estimate(asked, len(asked)).sentence()}")


def _points(c: Comparison) -> int:
    """Changed inputs of one map by ablation: words or sentences of two responses, the question, the regions, and nothing."""
    level = "sentence" if sum(len(r.split()) for r in c.responses[:2]) > FEW_WORDS else "word"
    rows, columns = grid_of(c.load_image(), MOST_REGIONS)
    return sum(len(pieces(r, level)) for r in c.responses[:2]) + rows * columns + 2


def _say(text: str) -> None:
    print("".join(ch for ch in text if ch.isprintable()), file=sys.stderr, flush=True)
