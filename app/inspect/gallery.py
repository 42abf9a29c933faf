"""The gallery: held-out records of the scene world, drawn when the app starts, never seen in training."""

from __future__ import annotations

import base64
import functools
import io
from dataclasses import dataclass, replace

from app.common import privately
from core.images import small_copy
from core.records import Comparison
from core.world.draw import draw
from core.world.items import build_item, png, to_comparison
from core.world.splits import couple, held_out_question

SMALL = 150  # pixels, longest side
FAMILIES = (
    "count",
    "caption",
    "relation",
    "colour",
    "sum",
    "highest",
    "table",
    "text",
    "drink",
    "path",
    "respect",
)


@dataclass(frozen=True)
class Example:
    """id in links, a caption for the gallery, the comparison, its picture as a file, and a small copy as a data: URL."""

    id: str
    caption: str
    comparison: Comparison
    path: str
    small: str


@functools.cache
def gallery() -> tuple[Example, ...]:
    folder = privately.folder("rewardscope-gallery-")()
    made = [(f, couple(f, f"gallery-{f}")[0]) for f in FAMILIES]
    made.insert(1, ("three answers", _three_answers()))
    out = []
    for name, comparison in made:
        assert isinstance(comparison.image, bytes)
        key = name.replace(" ", "-")
        path = folder / f"{key}.png"
        path.write_bytes(comparison.image)
        out.append(
            Example(key, name, replace(comparison, id=f"example {key}"), str(path), _small(comparison))
        )
    return tuple(out)


def _small(comparison: Comparison) -> str:
    out = io.BytesIO()
    small_copy(comparison.load_image(), SMALL).save(out, "WEBP", quality=70)
    return f"data:image/webp;base64,{base64.b64encode(out.getvalue()).decode()}"


def _three_answers() -> Comparison:
    """A right answer, a wrong one, and a right one in the wrong manner."""
    import random

    rng = random.Random("gallery-three")
    item = build_item(held_out_question(rng, "position"), "gallery-three-answers")
    base = to_comparison(item, 1, "gallery-three", right_first=False, image=png(draw(item.picture)))
    third = item.answers[2]
    return replace(base, responses=(*base.responses, third.text), truth=None, category="three answers")


def by_id(key: str) -> Example | None:
    return next((e for e in gallery() if e.id == key), None)
