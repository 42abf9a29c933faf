"""How far the embedded model stands one step outside its training: accuracy and warnings on changed pictures and texts.

`python tests/benchmarks/measure_robustness.py --records 400 --seed 4243`: visual families of the held-out split, each
condition over the same records, with 95 % Wilson intervals; blank and shuffled images are the controls.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2]))

from core.evaluation.scene_world import accuracy, judge_all, with_other_images  # noqa: E402
from core.judges.conditions import blanked  # noqa: E402
from core.judges.vlmdr import VLMDRJudge  # noqa: E402
from core.records import Comparison  # noqa: E402
from core.world.questions import VISUAL_FAMILIES  # noqa: E402
from core.world.splits import held_out  # noqa: E402


def moved(image: Image.Image, x: int) -> Image.Image:
    """By x pixels to the right and down; what comes in is the corner's colour."""
    out = Image.new("RGB", image.size, image.getpixel((0, 0)))
    out.paste(image, (x, x))
    return out


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=quality)
    return Image.open(data).convert("RGB")


def framed(image: Image.Image, share: float) -> Image.Image:
    edge = round(share * image.width)
    out = Image.new("RGB", (image.width + 2 * edge, image.height + 2 * edge), "white")
    out.paste(image, (edge, edge))
    return out


def pictures(change: Callable[[Image.Image], Image.Image]) -> Callable[[Comparison], Comparison]:
    return lambda c: replace(c, image=change(c.load_image()))


def texts(change: Callable[[str], str]) -> Callable[[Comparison], Comparison]:
    return lambda c: replace(c, prompt=change(c.prompt), responses=tuple(map(change, c.responses)))


CHANGES: dict[str, Callable[[Comparison], Comparison]] = {
    "as drawn": lambda c: c,
    "JPEG, quality 30": pictures(lambda i: jpeg(i, 30)),
    "moved by 3 of 336 pixels": pictures(lambda i: moved(i, 3)),
    "moved by 9 pixels": pictures(lambda i: moved(i, 9)),
    "white frame of 5 %": pictures(lambda i: framed(i, 0.05)),
    "all texts in lower case": texts(str.lower),
    "a preface sentence in both responses": lambda c: replace(
        c, responses=tuple(f"Thanks for asking. {r}" for r in c.responses)
    ),
    "a blank after the right response": lambda c: replace(
        c, responses=tuple(r + " " * (i == c.preferred) for i, r in enumerate(c.responses))
    ),
    "blank image": blanked,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=400)
    parser.add_argument("--seed", type=int, default=4243)
    args = parser.parse_args()
    judge = VLMDRJudge.load(device="cpu")
    records = [r for r in held_out(args.records * 2, args.seed) if r.category in VISUAL_FAMILIES][
        : args.records
    ]
    conditions = {name: [change(r) for r in records] for name, change in CHANGES.items()}
    conditions["shuffled image"] = with_other_images(records)
    print(f"{'':40}accuracy  95 %             n   warned")
    for name, changed in conditions.items():
        judgements = judge_all(judge, changed)
        found = accuracy(changed, judgements)
        warned = sum(bool(j.ood and j.ood.outside) for j in judgements) / len(judgements)
        print(
            f"{name:40}{found['accuracy']:.3f}     {found['low']:.3f} to {found['high']:.3f}   {found['n']:4} {warned:7.1%}",
            flush=True,
        )


if __name__ == "__main__":
    main()
