"""The map of a picture's regions: a greyed picture, tinted by what each region adds to the target, with contour lines and a
colour bar. One renderer for every page, export and preview.

Values are those of the record: at the centre of a cell stands the cell's own value, between centres the two-way linear mean
of the four around, beyond the outermost centres the nearest one. So nothing drawn is larger than what was measured, and the
caption says on which grid that was.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from PIL import Image

from app.common.charts import FIRST, SECOND
from app.common.html import html, signed
from core.explain.methods import WINDOW
from core.judges.conditions import FINER
from core.records import Explanation, letter
from core.records.headline import TIE

HEAVY = 100_000  # bytes of a picture on a page
SHOWN = 640  # longest side of a picture on the page
PALEST = 0.25  # of the target's own unit: what full colour stands for at least
TENTH = 0.1  # of the largest value of any word: the same
LEAST = 0.04  # share of the scale below which nothing is coloured
STRONGEST = 0.85  # opacity of full colour
CONTOURS = (0.25, 0.5, 0.75)  # of full colour, to both sides
LINE = 0.6  # half the width of a contour line, in pixels
GREY = 217  # what a middle grey of the greyed picture is
NEITHER = (
    "Neither the first impression nor a critique held fixed explains why the judge wrote what it wrote: the one is forced before "
    "it has written anything, the other is taken as it stands."
)
Values = Sequence[Sequence[float]]


@dataclass(frozen=True)
class Legend:
    """What a target's two colours mean. up, down: of positive and negative values, "" on a tie. unit: what the numbers are.
    note: what else has to be said. pair: whether they are the two responses, of which the first stands on the left."""

    up: str
    down: str
    unit: str
    note: str = ""
    pair: bool = False


def is_tie(explanation: Explanation) -> bool:
    return explanation.target_key in ("margin", "verdict") and abs(explanation.target_value) < TIE


def scale(explanation: Explanation) -> float:
    """What full colour stands for: the largest region's absolute value, but no less than PALEST and a TENTH of the largest
    word's, so that next to nothing is not drawn in full colour. Infinite on a tie, so that nothing is drawn."""
    if is_tie(explanation):
        return float("inf")
    words = [abs(v) for values in explanation.token_values for v in values]
    regions = [abs(v) for row in explanation.patch_values for v in row]
    return max([PALEST, *regions, *(TENTH * v for v in words)])


def field(values: Values, size: tuple[int, int]) -> np.ndarray:
    """(height, width) the values of a grid over a picture of `size` (width, height) at the middle of every pixel."""
    grid = np.asarray(values, dtype=float)
    return _between(_between(grid, size[0]).T, size[1]).T


def _between(rows: np.ndarray, length: int) -> np.ndarray:
    """Each row at the middle of so many pixels."""
    parts = rows.shape[1]
    centres = (np.arange(parts) + 0.5) * length / parts
    return np.array([np.interp(np.arange(length) + 0.5, centres, row) for row in rows])


def opacity(share: np.ndarray) -> np.ndarray:
    """Of a value that is this share of full colour: nothing up to LEAST, then in proportion."""
    return STRONGEST * np.clip((np.abs(share) - LEAST) / (1 - LEAST), 0, 1)


def contours(share: np.ndarray) -> np.ndarray:
    """(height, width) how much of each pixel a line of CONTOURS covers: its distance to the line by the slope there."""
    slope = np.hypot(*np.gradient(share)) if min(share.shape) > 1 else np.zeros_like(share)
    out = np.zeros_like(share)
    for level in (*CONTOURS, *(-c for c in CONTOURS)):
        distance = np.abs(share - level) / np.maximum(slope, 1e-9)
        out = np.maximum(out, np.clip(LINE + 0.5 - distance, 0, 1))
    return np.where(slope > 1e-6, out, 0.0)


def greyed(image: Image.Image) -> Image.Image:
    """Without its colours, which are the map's, and pale enough to see the map on it."""
    pale = np.asarray(image.convert("L"), dtype=float) * 0.5 + 118
    return Image.fromarray(pale.round().astype(np.uint8)).convert("RGB")


def drawn(image: Image.Image, values: Values, full: float, lines: bool = True) -> Image.Image:
    """The greyed picture with its map, of the picture's size. full: what full colour stands for. lines: with contours."""
    share = np.clip(field(values, image.size) / full, -1, 1)
    if not np.any(np.abs(share) > LEAST):
        return greyed(image)
    out = np.asarray(greyed(image), dtype=float)
    alpha = opacity(share)[..., None]
    tint = np.where(share[..., None] > 0, _rgb(FIRST), _rgb(SECOND))
    out = out + (tint - out) * alpha
    if lines:
        out = out + (tint * 0.45 - out) * 0.75 * contours(share)[..., None]
    return Image.fromarray(out.round().astype(np.uint8))


def colours(steps: int = 11) -> list[str]:
    """Of the colour bar, from full negative to full positive, as they look on a middle grey."""
    out = []
    for share in np.linspace(-1, 1, steps):
        alpha = float(opacity(np.array(share)))
        tint = GREY + (_rgb(FIRST if share > 0 else SECOND) - GREY) * alpha
        out.append("#" + "".join(f"{round(v):02x}" for v in tint))
    return out


def _rgb(colour: str) -> np.ndarray:
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], dtype=float)


def shrink(image: Image.Image) -> Image.Image:
    small = image.copy()
    small.thumbnail((SHOWN, SHOWN))
    return small


def picture_url(image: Image.Image, lossless: bool = True) -> str:
    """As data: URL of a WebP. lossless: unless it takes more than HEAVY bytes, as photographs do."""
    data = webp(image, lossless=True, method=2) if lossless else b""
    if not 0 < len(data) <= HEAVY:
        data = webp(image, quality=90 if lossless else 82, method=4)
    return f"data:image/webp;base64,{base64.b64encode(data).decode()}"


def webp(image: Image.Image, **how: Any) -> bytes:
    out = io.BytesIO()
    image.convert("RGB").save(out, "WEBP", **how)
    return out.getvalue()


def grid_words(explanation: Explanation) -> str:
    """On which grid a map was measured, and what a value of it is."""
    rows, columns = len(explanation.patch_values), len(explanation.patch_values[0])
    what = "cells" if explanation.method_key == "windows" else "regions"
    side = {"windows": FINER, "occlusion": WINDOW}.get(explanation.method_key)
    how = ""
    if side:
        sides = f"{min(side, rows)} × {min(side, columns)}"
        how = f", each the mean over the grey windows of {sides} {what} that cover it"
    return f"Measured on {rows} × {columns} {what}{how}; smooth between their centres."


def strongest(explanation: Explanation, full: float) -> str:
    """In words, for whoever cannot see the map."""
    cells = [(abs(v), v, r, c) for r, row in enumerate(explanation.patch_values) for c, v in enumerate(row)]
    largest, value, r, c = max(cells)
    if largest < LEAST * full:
        return "no region has a part in it"
    rows, columns = len(explanation.patch_values), len(explanation.patch_values[0])
    return f"strongest: row {r + 1} of {rows}, column {c + 1} of {columns}, {signed(value)}"


def legend(explanation: Explanation, a: int, b: int) -> Legend:
    kind = explanation.target_key.partition(":")[0]
    first, second = letter(a), letter(b)
    unit = f"adds to the {explanation.target}"
    if kind == "gate":
        what = explanation.target.removesuffix(" logit")
        note = "No response has a part in a gate: it reads image and prompt alone."
        return Legend(f"raises the {what}", f"lowers the {what}", unit, note)
    if kind == "reward":
        return Legend(f"raises the reward of {first}", f"lowers the reward of {first}", unit)
    if is_tie(explanation):
        note = "This is a tie, so there is no preference to explain, and nothing is coloured."
        return Legend("", "", unit, note)
    note = NEITHER if kind in ("verdict", "critique") else ""
    return Legend(f"speaks for {first}", f"speaks for {second}", unit, note, pair=True)


def map_img(image: Image.Image, explanation: Explanation) -> Markup:
    """The map alone, as an image whose description names the strongest region."""
    full = scale(explanation)
    return html(
        '<img class="mapped" src="{{ url }}" width="{{ w }}" height="{{ h }}" alt="The picture with its regions coloured; {{ said }}">',
        url=picture_url(drawn(image, explanation.patch_values, full), lossless=False),
        w=image.width, h=image.height, said=strongest(explanation, full),
    )  # fmt: skip


def map_html(image: Image.Image, explanation: Explanation, pair: tuple[int, int]) -> Markup:
    """Picture and map in one place, the original behind a switch (or while the picture is pressed), with colour bar and
    caption. Without a script."""
    small = shrink(image)
    return html(
        """
        <figure class="region-map"><div class="layers">{{ mapped }}
        <img class="given" src="{{ given }}" width="{{ w }}" height="{{ h }}" alt="The picture as given"></div>
        <label class="peek"><input type="checkbox"> Original picture</label>
        {{ bar }}<figcaption>{{ grid }} Press the picture to see it without the map.</figcaption></figure>
        """,
        mapped=map_img(small, explanation), given=picture_url(small), w=small.width, h=small.height,
        bar=bar_html(scale(explanation), legend(explanation, *pair)), grid=grid_words(explanation),
    )  # fmt: skip


def bar_html(full: float, said: Legend) -> Markup:
    """The colour bar with its numbers; nothing on a tie."""
    if not said.up:
        return Markup("")
    shares, first = (-1, -0.5, 0, 0.5, 1), said.pair
    return html(
        """
        <div class="colour-bar" role="img" aria-label="Colour bar, {{ unit }}: {{ ticks[0] }} {{ left }}, {{ ticks[-1] }} {{ right }}">
        <div class="ends"><span>{{ left }}</span><span class="unit">{{ unit }}</span><span class="up">{{ right }}</span></div>
        <div class="bar" style="background: linear-gradient(to right, {{ colours|join(", ") }})"></div>
        <div class="ends">{% for t in ticks %}<span>{{ t }}</span>{% endfor %}</div></div>
        """,
        left=said.up if first else said.down, right=said.down if first else said.up, unit=said.unit,
        colours=colours()[::-1] if first else colours(), ticks=[signed(full * share) for share in (shares[::-1] if first else shares)],
    )  # fmt: skip
