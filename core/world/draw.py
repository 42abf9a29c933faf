"""A picture as pixels: drawn with Pillow at SCALE times the canvas, so that it looks clean on a page."""

from __future__ import annotations

import math
import random
from functools import cache

from PIL import Image, ImageDraw, ImageFont

from core.world.pictures import COLOURS, Bottle, Box, Chart, Diagram, Picture, Scene, Sign, Table, Thing

SCALE = 3
INK = (45, 45, 50)
RGB = tuple[int, int, int]


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's own bundled font (Aileron): the same letters on every machine."""
    loaded = ImageFont.load_default(size=size)
    assert isinstance(loaded, ImageFont.FreeTypeFont)
    return loaded


def draw(picture: Picture, scale: int = SCALE) -> Image.Image:
    """An RGB image of size `scale * picture.size`."""
    w, h = picture.size
    image = Image.new("RGB", (w * scale, h * scale), picture.look.background)
    pen = _Pen(ImageDraw.Draw(image), scale, random.Random(picture.look.seed))
    match picture:
        case Scene():
            _scene(pen, picture)
        case Chart():
            _chart(pen, picture)
        case Table():
            _table(pen, picture)
        case Sign():
            _sign(pen, picture)
        case Bottle():
            _bottle(pen, picture)
        case Diagram():
            _diagram(pen, picture)
    return image


class _Pen:
    """ImageDraw in canvas units."""

    def __init__(self, on: ImageDraw.ImageDraw, scale: int, rng: random.Random) -> None:
        self.on, self.scale, self.rng = on, scale, rng

    def shade(self, colour: str) -> RGB:
        """The colour with a little variation, so that no shade is a fingerprint."""
        r, g, b = (max(0, min(255, v + self.rng.randint(-10, 10))) for v in COLOURS[colour])
        return r, g, b

    def _s(self, values: tuple[float, ...]) -> list[float]:
        return [v * self.scale for v in values]

    def rectangle(
        self, box: Box, fill: RGB | None = None, outline: RGB | None = None, width: float = 1
    ) -> None:
        self.on.rectangle(self._s(box), fill=fill, outline=outline, width=round(width * self.scale))

    def rounded(
        self, box: Box, radius: float, fill: RGB, outline: RGB | None = None, width: float = 1
    ) -> None:
        self.on.rounded_rectangle(
            self._s(box), radius * self.scale, fill=fill, outline=outline, width=round(width * self.scale)
        )

    def ellipse(self, box: Box, fill: RGB) -> None:
        self.on.ellipse(self._s(box), fill=fill)

    def polygon(self, points: list[tuple[float, float]], fill: RGB) -> None:
        self.on.polygon([(x * self.scale, y * self.scale) for x, y in points], fill=fill)

    def line(self, a: tuple[float, float], b: tuple[float, float], fill: RGB, width: float) -> None:
        self.on.line(self._s((*a, *b)), fill=fill, width=max(1, round(width * self.scale)))

    def text(self, xy: tuple[float, float], text: str, size: float, fill: RGB = INK) -> None:
        self.on.text((xy[0] * self.scale, xy[1] * self.scale), text, font=font(round(size * self.scale)), fill=fill, anchor="mm", stroke_width=1,
                     stroke_fill=fill)  # fmt: skip


def _scene(pen: _Pen, scene: Scene) -> None:
    for thing in sorted(scene.things, key=lambda t: t.cell):
        # Each thing's shade depends on the scene and its cell alone: a twin differs in nothing else.
        pen.rng = random.Random(f"{scene.look.seed}-{thing.cell}")
        _thing(pen, thing, scene.centre(thing), scene.radius(thing))


def _thing(pen: _Pen, thing: Thing, centre: tuple[float, float], r: float) -> None:
    (x, y), fill = centre, pen.shade(thing.colour)
    if thing.shape == "circle":
        pen.ellipse((x - r, y - r, x + r, y + r), fill)
    elif thing.shape == "square":
        q = r * 0.86
        pen.rectangle((x - q, y - q, x + q, y + q), fill)
    elif thing.shape == "triangle":
        pen.polygon([(x, y - r), (x + r, y + r * 0.8), (x - r, y + r * 0.8)], fill)
    elif thing.shape == "diamond":
        pen.polygon([(x, y - r), (x + r * 0.75, y), (x, y + r), (x - r * 0.75, y)], fill)
    elif thing.shape == "star":
        pen.polygon(_star(x, y, r), fill)
    else:
        q = r * 0.32
        pen.rectangle((x - r, y - q, x + r, y + q), fill)
        pen.rectangle((x - q, y - r, x + q, y + r), fill)


def _star(x: float, y: float, r: float) -> list[tuple[float, float]]:
    points = []
    for i in range(10):
        length = r if i % 2 == 0 else r * 0.42
        angle = math.pi * i / 5 - math.pi / 2
        points.append((x + length * math.cos(angle), y + length * math.sin(angle)))
    return points


def _chart(pen: _Pen, chart: Chart) -> None:
    w = chart.size[0]
    for level in range(7):
        y = chart.BASE - level * chart.STEP
        pen.line((0, y), (w, y), INK if level == 0 else (205, 205, 205), 1 if level == 0 else 0.5)
    fill = pen.shade(chart.colour)
    for i, label in enumerate(chart.labels):
        box = chart.bar(i)
        pen.rectangle(box, fill)
        pen.text(((box[0] + box[2]) / 2, 101), label, 16)


def _table(pen: _Pen, table: Table) -> None:
    w, h = table.size
    rows, columns = len(table.names) + 1, len(table.days) + 1
    pen.rectangle((0, 0, w, h / rows), (214, 220, 230))
    for i in range(1, rows):
        pen.line((0, i * h / rows), (w, i * h / rows), (150, 150, 155), 0.7)
    for j in range(1, columns):
        pen.line((j * w / columns, 0), (j * w / columns, h), (150, 150, 155), 0.7)

    def write(row: int, column: int, text: str, size: float) -> None:
        x0, y0, x1, y1 = table.cell_box(row, column)
        pen.text(((x0 + x1) / 2, (y0 + y1) / 2), text, size)

    for j, day in enumerate(table.days):
        write(0, j + 1, day, 14)
    for i, name in enumerate(table.names):
        write(i + 1, 0, name, 14)
        for j, value in enumerate(table.cells[i]):
            write(i + 1, j + 1, str(value), 18)


def _sign(pen: _Pen, sign: Sign) -> None:
    w, h = sign.size
    edge = pen.shade(sign.colour)
    pen.rounded((3, 3, w - 3, h - 3), 8, (252, 252, 248), edge, 3)
    for i, word in enumerate(sign.words):
        x0, y0, x1, y1 = sign.word_box(i)
        pen.text(((x0 + x1) / 2, (y0 + y1) / 2), word, 27)


def _bottle(pen: _Pen, bottle: Bottle) -> None:
    body = pen.shade(bottle.colour)
    pen.rectangle((33, 6, 51, 36), body)
    pen.rectangle((31, 2, 53, 12), INK)
    pen.rounded((8, 30, 76, 136), 14, body)
    pen.rectangle((8, 62, 76, 106), (252, 252, 248))
    pen.text((42, 84), bottle.word, 21)


def _diagram(pen: _Pen, diagram: Diagram) -> None:
    for i in range(3):
        _arrow(pen, diagram.corners[diagram.order[i]], diagram.corners[diagram.order[i + 1]])
    for i, letter in enumerate(diagram.letters):
        box = diagram.node_box(i)
        pen.rounded(box, 4, (252, 252, 248), INK, 1.2)
        pen.text(((box[0] + box[2]) / 2, (box[1] + box[3]) / 2), letter, 18)


def _arrow(pen: _Pen, start: tuple[float, float], end: tuple[float, float]) -> None:
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = math.hypot(dx, dy)
    ux, uy = dx / length, dy / length
    gap = 15.0 if 0 in (round(dx), round(dy)) else 20.0  # boxes reach further along a diagonal
    a = (start[0] + ux * gap, start[1] + uy * gap)
    tip = (end[0] - ux * gap, end[1] - uy * gap)
    back = (tip[0] - ux * 11, tip[1] - uy * 11)
    pen.line(a, back, (200, 60, 40), 3)
    pen.polygon(
        [tip, (back[0] - uy * 7, back[1] + ux * 7), (back[0] + uy * 7, back[1] - ux * 7)], (200, 60, 40)
    )
