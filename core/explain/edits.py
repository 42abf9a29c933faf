"""A part of a picture erased or blurred, and the steps of an edit path made again. No torch: a page shows a path without it."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from PIL import Image, ImageFilter

from core.images import to_png_bytes
from core.judges.conditions import GREY
from core.records import Comparison, RecordError
from core.records.edit_path import Step, mask_image

How = Literal["erase", "blur"]


def changed(image: Image.Image, mask: Image.Image, how: How) -> Image.Image:
    """Where `mask` (L, the picture's size) is white: grey as explanations have it, or blurred beyond recognition."""
    if how == "erase":
        other = Image.new("RGB", image.size, GREY)
    else:
        other = image.filter(ImageFilter.GaussianBlur(max(image.size) / 10))
    return Image.composite(other, image, mask)


def applied(comparison: Comparison, step: Step) -> Comparison:
    """The comparison after the step; a label of it is not one any more. Raises RecordError where the step does not fit."""
    texts = list(comparison.responses)
    for i, text in step.responses:
        if i >= len(texts):
            raise RecordError("A step of this path of edits changes a response that does not exist.")
        texts[i] = text
    image = comparison.image
    if step.mask:
        given = comparison.load_image()
        how: How = "blur" if step.how == "blur" else "erase"
        image = to_png_bytes(changed(given, mask_image(step.mask, given.size), how), effort=1)
    prompt = comparison.prompt if step.prompt is None else step.prompt
    return replace(comparison, image=image, prompt=prompt, responses=tuple(texts), preferred=None)
