"""`python -m core judge`: one comparison in the terminal."""

from __future__ import annotations

import json
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
    from core.records import Judgement


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

    Prints the verdict, the rewards, and what each active dimension contributes. Write `--` before the
    responses if one of them begins with a dash.
    """
    from core.images import ImageError, open_image
    from core.records import Comparison, RecordError

    with saying(f"open {image}", ImageError):
        picture = open_image(image)
    with saying("judge", RecordError):
        comparison = Comparison("command line", picture, prompt, tuple(responses))

    from core.model.loading import CheckpointError  # torch, once everything else is in order

    with saying("judge", CheckpointError, RecordError):
        loaded = open_judge(
            judge, model, revision=revision, device=device, dtype=dtype, prompt=judge_prompt, votes=votes, max_pixels=max_pixels,
            pooled=pooled, base=base, served=served, workers=workers,
        )  # fmt: skip
        judgement = loaded.judge(comparison)
    if judgement.why_undecided:
        raise refuse(f"{loaded.card.name} gave no verdict: {judgement.why_undecided}.", 1)
    found = summary(judgement)
    print(json.dumps(found, ensure_ascii=False) if as_json else "\n".join(lines(loaded.card.name, found)))


def summary(judgement: Judgement) -> dict[str, Any]:
    """preferred: index of the best response, None where the best two tie; runner_up: the second best. dimensions: the
    active ones by falling weight; their contributions sum to the margin of the best response over the runner-up.
    out_of_distribution: None where the judge does not measure it."""
    best, second = judgement.ranking[:2]
    margin = judgement.margin(best, second)
    contributions = judgement.contributions(best, second)
    return {
        "judge": judgement.judge,
        "preferred": best if margin > 0 else None,
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


def lines(judge: str, found: dict[str, Any]) -> list[str]:
    """The summary for a terminal. judge: its name for people."""
    rewards = found["rewards"]
    best, second = found["preferred"], letter(found["runner_up"])
    if best is None:
        out = [f"{judge} sees no difference between the best responses: their rewards are equal."]
    else:
        out = [f"{judge} prefers {letter(best)}, by {found['margin']:.2f} over {second}."]
    out += ["", "Rewards", *(f"  {letter(i)}  {reward:+8.2f}" for i, reward in enumerate(rewards))]
    if found["dimensions"]:
        first = letter(max(range(len(rewards)), key=rewards.__getitem__))
        heads = "".join(f"{'score ' + letter(i):>10}" for i in range(len(rewards)))
        out += [
            "",
            f"Contributions to {first} over {second}",
            f"  {'':18}{'weight':>10}{heads}{'contribution':>15}",
        ]
        out += [
            f"  {d['name']:18}{d['weight']:10.2f}"
            + "".join(f"{score:+10.2f}" for score in d["scores"])
            + f"{d['contribution']:+15.2f}"
            for d in found["dimensions"]
        ]
    if found["critique"]:
        # A model's own text: nothing in it may steer the terminal.
        out += ["", "Critique", "".join(c for c in found["critique"] if c.isprintable() or c == "\n")]
    if found["out_of_distribution"]:
        out += ["", "Warning: this image is out of distribution for this model; do not trust the result."]
    return out


def letter(index: int) -> str:
    """A to Z, then R27 and so on."""
    return chr(ord("A") + index) if index < 26 else f"R{index + 1}"
