"""What stands in for the picture in a control: the one definition of a blank image and of another image.

As given: the record's own. Blank image: plain grey of the same size, so that a model reads as many visual tokens as
before; the same grey is the baseline of explanations. Shuffled image: that of another record, never of the minimal
pair's other half, whose picture is made to turn the answer round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from PIL import Image

from core.records import Comparison

GREY = (128, 128, 128)
FINER = 2  # cells along each side of a visual token, where the picture itself is painted over
BLANK = "plain grey (128, 128, 128), same size"


def blank_image(image: Image.Image) -> Image.Image:
    return Image.new("RGB", image.size, GREY)


def blanked(comparison: Comparison) -> Comparison:
    """Raises ImageError where there is no picture to take the size from."""
    return replace(comparison, image=blank_image(comparison.load_image()))


def shuffled(groups: Sequence[str], pairs: Sequence[str]) -> list[int | None]:
    """Per record the place of the one whose image it gets: of the same group, two places on (in a file of minimal pairs the
    next one may be its other half), and further where that is of the same pair. None where there is no other.

    groups: such as the benchmark's subgroup. pairs: what the halves of a minimal pair share; "" where there is none.
    """
    places: dict[str, list[int]] = {}
    for i, group in enumerate(groups):
        places.setdefault(group, []).append(i)
    out: list[int | None] = [None] * len(groups)
    for members in places.values():
        for n, i in enumerate(members):
            around = [members[(n + step) % len(members)] for step in (*range(2, len(members)), 1)]
            out[i] = next((j for j in around if j != i and not (pairs[i] and pairs[i] == pairs[j])), None)
    return out
