"""`python -m core judge`: one comparison in the terminal."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.commands.options import (
    Base,
    Device,
    DType,
    JudgeName,
    MaxPixels,
    Model,
    Pooled,
    PromptName,
    Served,
    Votes,
    Workers,
    open_judge,
    refuse,
    saying,
)  # fmt: skip

if TYPE_CHECKING:
    from core.records import Comparison, Judgement

NARROWEST = 10  # characters of the longest bar


def judge(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="PNG, JPEG, WebP or GIF file")],
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="the question about the image")],
    responses: Annotated[list[str], typer.Argument(metavar="A B [C ...]", help="two or more responses")],
    judge: JudgeName = None,
    model: Model = None,
    revision: Annotated[str | None, typer.Option(metavar="REVISION", help="of a hub checkpoint")] = None,
    device: Device = None,
    dtype: DType = None,
    judge_prompt: PromptName = None,
    votes: Votes = None,
    max_pixels: MaxPixels = None,
    pooled: Pooled = "newline",
    base: Base = None,
    served: Served = None,
    workers: Workers = 8,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Judge two or more responses to a prompt about an image.

    Prints the verdict in a sentence, the rewards, and what each active dimension contributes, with bars. Write
    `--` before the responses if one of them begins with a dash.
    """
    from core.images import ImageError, open_image
    from core.records import Comparison, RecordError

    with saying(f"open {image}", ImageError):
        picture = open_image(image)
    with saying("judge", RecordError):
        comparison = Comparison("command line", picture, prompt, tuple(responses))

    from core.model.loading import CheckpointError  # torch, once everything else is in order

    if model is None:  # a bar that stands for a blink
        from transformers.utils import logging

        logging.disable_progress_bar()
    with saying("judge", CheckpointError, RecordError):
        loaded = open_judge(
            judge, model, revision=revision, device=device, dtype=dtype, prompt=judge_prompt, votes=votes, max_pixels=max_pixels,
            pooled=pooled, base=base, served=served, workers=workers,
        )  # fmt: skip
        judgement = loaded.judge(comparison)
    if judgement.why_undecided:
        raise refuse(f"{loaded.card.name} gave no verdict: {judgement.why_undecided}.", 1)
    if as_json:
        print(json.dumps(summary(judgement), ensure_ascii=False))
    else:
        width = shutil.get_terminal_size().columns
        print("\n".join(lines(loaded.card.name, comparison, judgement, width, _block())))


def summary(judgement: Judgement) -> dict[str, Any]:
    """preferred: index of the best response, None where the best two tie; runner_up: the second best. dimensions: the
    active ones by falling weight; their contributions sum to the margin of the best response over the runner-up.
    out_of_distribution: None where the judge does not measure it."""
    from core.records.headline import TIE

    best, second = judgement.ranking[:2]
    margin = judgement.margin(best, second)
    contributions = judgement.contributions(best, second)
    return {
        "judge": judgement.judge,
        "preferred": best if margin >= TIE else None,
        "runner_up": second,
        "margin": margin,
        "rewards": list(judgement.rewards),
        "dimensions": [
            {
                "name": judgement.dimensions[d].name,
                "weight": judgement.weights[d],
                "scores": [scores[d] for scores in judgement.scores],
                "contribution": contributions[d],
            }
            for d in sorted(judgement.selected, key=lambda d: -judgement.weights[d])
        ],
        "out_of_distribution": judgement.ood and judgement.ood.outside,
        "critique": judgement.critique,
    }


def lines(
    judge: str, comparison: Comparison, judgement: Judgement, width: int = 80, block: str = "█"
) -> list[str]:
    """A judgement for a terminal. judge: its name for people. width: of the terminal, in characters. block: what bars are made
    of."""
    from core.records import letter, signed

    out = [sentence(judge, comparison, judgement), "", "Rewards"]
    for i, reward in enumerate(judgement.rewards):
        out.append(
            _cut(f"  {letter(i)} {signed(reward):>8}  {printable(comparison.responses[i], ' ')}", width)
        )
    if judgement.selected:
        out += ["", *_contributions(judgement, width, block)]
    if judgement.critique:
        out += ["", "Critique", printable(judgement.critique)]
    if judgement.ood and judgement.ood.outside:
        out += ["", "Warning: this image is out of distribution for this model; do not trust the result."]
    return out


def sentence(judge: str, comparison: Comparison, judgement: Judgement) -> str:
    """The verdict on the best response and the runner-up. A score is the model's opinion: told as such."""
    from core.records import letter
    from core.records.headline import Kind, Share, headline

    best, second = judgement.ranking[:2]
    said = headline(comparison, judgement, best, second)
    x, y = letter(said.winner), letter(said.loser)
    if said.kind is Kind.SAME_TEXT:
        return f"{judge} calls it a tie: {x} and {y} are the same text."
    if said.kind is Kind.TIE:
        return f"{judge} calls it a tie: it rates {x} and {y} alike."
    sure = "over 99%" if said.probability >= 0.995 else f"{said.probability:.0%}"
    out = f"{judge} prefers {x} to {y} by {judgement.margin(best, second):.2f} ({sure})"
    if said.leading is None or said.share is None:
        return f"{out}."
    name = judgement.dimensions[said.leading].name
    if said.share is Share.SPREAD and said.second is not None:
        return f"{out}: the gap is mostly {name} and {judgement.dimensions[said.second].name} together."
    but = (
        f", against {judgement.dimensions[said.against].name}"
        if said.share is Share.MORE and said.against is not None
        else ""
    )
    return f"{out}: {said.share} of the gap is {name}{but}."


def _contributions(judgement: Judgement, width: int, block: str) -> Iterator[str]:
    """A line a dimension, by falling weight, and their sum, each with a bar on one axis through zero."""
    from core.records import letter, signed

    best, second = judgement.ranking[:2]
    found = judgement.contributions(best, second)
    order = sorted(judgement.selected, key=lambda d: -judgement.weights[d])
    rows = [
        (judgement.dimensions[d].name, f"{judgement.weights[d]:.2f}", *(signed(s[d]) for s in judgement.scores), signed(found[d]))
        for d in order
    ]  # fmt: skip
    rows.append(("together", "", *("" for _ in judgement.scores), signed(sum(found.values()))))
    heads = ("", "weight", *(f"score {letter(i)}" for i in range(len(judgement.scores))), "adds")
    wide = [max(len(row[i]) for row in (heads, *rows)) for i in range(len(heads))]
    room = max(NARROWEST, width - sum(wide) - 2 * len(wide) - 4)
    drawn = bars([*(found[d] for d in order), sum(found.values())], room, block)
    yield f"Contributions to {letter(best)} over {letter(second)}"
    for row, bar in zip((heads, *rows), ("", *drawn), strict=True):
        cells = [row[0].ljust(wide[0]), *(cell.rjust(n) for cell, n in zip(row[1:], wide[1:], strict=True))]
        yield f"  {'  '.join(cells)}  {bar}".rstrip()


def bars(values: list[float], room: int, block: str = "█") -> list[str]:
    """Bars to both sides of one axis, together `room` characters and the axis wide; the longest one fills its side."""
    low, high = max(0.0, -min(values)), max(0.0, max(values))
    scale = room / (low + high) if low + high else 0.0
    left = round(low * scale)
    out = []
    for value in values:
        n = round(abs(value) * scale)
        out.append((block * n if value < 0 else "").rjust(left) + "|" + (block * n if value > 0 else ""))
    return out


def printable(text: str, newline: str = "\n") -> str:
    """Somebody's or a model's own text: nothing in it may steer the terminal."""
    return "".join(c if c.isprintable() else newline if c == "\n" else "" for c in text)


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else line[: max(0, width - 1)] + "…"


def _block() -> str:
    """Full blocks where the terminal can show them."""
    try:
        "█…".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return "#"
    return "█"
