"""Fits and measures the unfamiliarity score of the embedded model.

`python -m core fit-ood --real FOLDER [FOLDER ...]`: FOLDERs hold real images, none of which is used to fit.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from PIL import Image

from core.images import ImageError, open_image
from core.judges.vlmdr import VLMDRJudge
from core.model.ood import OODModel, pixel_statistics
from core.world.draw import draw
from core.world.splits import held_out, lesson

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp"}


def real_images(folders: Iterable[Path]) -> list[Image.Image]:
    out = []
    for path in sorted(p for folder in folders for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES):
        try:
            out.append(open_image(path))
        except ImageError as error:
            print(f"left out {path.name}: {error}")
    return out


def fit(judge: VLMDRJudge, real: list[Image.Image], pictures: int = 1600) -> OODModel:
    """Fitted on training pictures, measured on held-out ones and on real images."""

    def seen(images: Iterable[Image.Image]) -> list[tuple[Image.Image, torch.Tensor]]:
        with torch.inference_mode():
            return [(image, judge.visual_tokens(image).clone()) for image in images]

    model = OODModel.fit(seen(draw(lesson(1, i, 1).picture) for i in range(pictures)))
    inside = [
        model.score(pixel_statistics(i), t) for i, t in seen(r.load_image() for r in held_out(690, seed=5))
    ]
    outside = [model.score(pixel_statistics(i), t) for i, t in seen(real)]
    model.measured = {
        "false_alarms": sum(s > model.threshold for s in inside) / len(inside),
        "held_out_pictures": len(inside),
        "misses": sum(s <= model.threshold for s in outside) / max(len(outside), 1),
        "real_images": len(outside),
    }
    print(model.measured, "threshold", round(model.threshold, 3))
    print("real images, lowest scores:", [round(s, 2) for s in sorted(outside)[:10]])
    return model
