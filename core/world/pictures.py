"""What a picture holds. Canvas units are the pixels the embedded model sees.

Every picture knows its parts (`Part`): the box that proves a fact, an anchor point, and the concepts that
hold there. Parts feed the answer key (evidence boxes) and the dense grounding loss (core/training).
A picture's `combinations` are the facts by which the held-out split is kept apart from training.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

Box = tuple[float, float, float, float]

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (214, 40, 40),
    "orange": (245, 135, 20),
    "yellow": (245, 210, 30),
    "green": (40, 160, 70),
    "blue": (40, 90, 215),
    "purple": (135, 55, 175),
    "pink": (250, 130, 190),
    "black": (25, 25, 28),
}
SHAPES = ("circle", "square", "triangle", "diamond", "star", "cross")
SIZES = ("small", "large")
ROWS = ("top", "middle", "bottom")
COLUMNS = ("left", "centre", "right")
LETTERS = ("A", "B", "C", "D", "E", "F")
NAMES = ("Ann", "Bob", "Eva", "Leo", "Max", "Zoe")
DAYS = ("Mon", "Tue", "Wed", "Fri")
FIRST_WORDS = ("open", "closed", "free", "new", "old", "no", "big", "city")
SECOND_WORDS = ("park", "shop", "bank", "hotel", "exit", "taxi", "cafe", "zoo")
SAFE_DRINKS = ("water", "juice", "milk", "tea")
DANGERS = ("poison", "acid", "bleach", "petrol")
MAX_VALUE = 6


@dataclass(frozen=True)
class Part:
    """A part of a picture: its box and anchor in canvas units, and the concepts that hold at the anchor."""

    box: Box
    anchor: tuple[float, float]
    concepts: tuple[str, ...]


@dataclass(frozen=True)
class Thing:
    shape: str
    colour: str
    size: str
    row: int
    column: int

    @property
    def place(self) -> str:
        return f"{ROWS[self.row]} {COLUMNS[self.column]}"

    @property
    def cell(self) -> tuple[int, int]:
        return self.row, self.column


@dataclass(frozen=True)
class Look:
    """What varies without meaning: background, position jitter, colour shade; drawn from `seed`."""

    background: tuple[int, int, int]
    seed: int


BACKGROUNDS = (
    (255, 255, 255),
    (244, 241, 232),
    (228, 236, 244),
    (232, 244, 232),
    (246, 232, 238),
    (226, 226, 226),
)


def random_look(rng: random.Random) -> Look:
    return Look(rng.choice(BACKGROUNDS), rng.randrange(1 << 30))


@dataclass(frozen=True)
class Scene:
    """One to six things on a 3 x 3 layout."""

    look: Look
    things: tuple[Thing, ...]
    size: tuple[int, int] = (112, 112)
    kind: str = "scene"

    def centre(self, thing: Thing) -> tuple[float, float]:
        # Jitter depends on look and cell alone, so an edit elsewhere leaves this thing where it was.
        jitter = random.Random(f"{self.look.seed}-{thing.row}-{thing.column}")
        w, h = self.size
        x = (thing.column + 0.5) * w / 3 + jitter.uniform(-3, 3)
        y = (thing.row + 0.5) * h / 3 + jitter.uniform(-3, 3)
        return x, y

    def radius(self, thing: Thing) -> float:
        return 15.5 if thing.size == "large" else 9.0

    def box(self, thing: Thing) -> Box:
        (x, y), r = self.centre(thing), self.radius(thing)
        return x - r, y - r, x + r, y + r

    def parts(self) -> list[Part]:
        return [
            Part(
                self.box(t),
                self.centre(t),
                (
                    f"colour={t.colour}",
                    f"shape={t.shape}",
                    f"size={t.size}",
                    f"row={t.row}",
                    f"column={t.column}",
                ),
            )
            for t in self.things
        ]

    def combinations(self) -> set[tuple[str, ...]]:
        return {("thing", t.colour, t.shape) for t in self.things}

    def edit(self, old: Thing | None, new: Thing | None) -> Scene:
        """The same scene with one thing changed, removed (new=None) or added (old=None)."""
        things = [t for t in self.things if t != old]
        return replace(self, things=tuple(things + ([new] if new else [])))


@dataclass(frozen=True)
class Chart:
    """A bar chart: letters along the bottom, values 1 to 6 as heights over a grid."""

    look: Look
    labels: tuple[str, ...]
    values: tuple[int, ...]
    colour: str
    size: tuple[int, int] = (112, 112)
    kind: str = "chart"

    BASE = 90.0  # y of the axis
    STEP = 13.5  # pixels per unit

    def bar(self, i: int) -> Box:
        width = self.size[0] / len(self.labels)
        x = (i + 0.5) * width
        half = min(width * 0.3, 10.0)
        return x - half, self.BASE - self.values[i] * self.STEP, x + half, self.BASE

    def parts(self) -> list[Part]:
        out = []
        for i, (label, value) in enumerate(zip(self.labels, self.values, strict=True)):
            x0, y0, x1, _ = self.bar(i)
            concepts = (f"letter={label}", f"value={value}")
            out.append(Part((x0, y0, x1, self.size[1]), ((x0 + x1) / 2, 101.0), concepts))
        return out

    def combinations(self) -> set[tuple[str, ...]]:
        return {("bar", a, str(v)) for a, v in zip(self.labels, self.values, strict=True)}


@dataclass(frozen=True)
class Table:
    """Names down the side, days along the top, digits 1 to 6 in the cells."""

    look: Look
    names: tuple[str, ...]
    days: tuple[str, ...]
    cells: tuple[tuple[int, ...], ...]
    size: tuple[int, int] = (112, 112)
    kind: str = "table"

    def cell_box(self, row: int, column: int) -> Box:
        """Row and column count from 0 with the header as row 0 and the names as column 0."""
        w = self.size[0] / (len(self.days) + 1)
        h = self.size[1] / (len(self.names) + 1)
        return column * w, row * h, (column + 1) * w, (row + 1) * h

    def parts(self) -> list[Part]:
        out = []

        def add(row: int, column: int, *concepts: str) -> None:
            x0, y0, x1, y1 = box = self.cell_box(row, column)
            out.append(Part(box, ((x0 + x1) / 2, (y0 + y1) / 2), concepts))

        for i, name in enumerate(self.names):
            add(i + 1, 0, f"name={name}")
            for j, day in enumerate(self.days):
                add(i + 1, j + 1, f"name={name}", f"day={day}", f"value={self.cells[i][j]}")
        for j, day in enumerate(self.days):
            add(0, j + 1, f"day={day}")
        return out

    def combinations(self) -> set[tuple[str, ...]]:
        return {
            ("cell", name, day, str(self.cells[i][j]))
            for i, name in enumerate(self.names)
            for j, day in enumerate(self.days)
        }


@dataclass(frozen=True)
class Sign:
    """A board with two words, one above the other."""

    look: Look
    words: tuple[str, str]
    colour: str
    size: tuple[int, int] = (140, 84)
    kind: str = "sign"

    def word_box(self, i: int) -> Box:
        w, h = self.size
        return 8.0, 8.0 + i * (h - 16) / 2, w - 8.0, 8.0 + (i + 1) * (h - 16) / 2

    def parts(self) -> list[Part]:
        out = []
        for i, word in enumerate(self.words):
            x0, y0, x1, y1 = self.word_box(i)
            out.append(Part((x0, y0, x1, y1), ((x0 + x1) / 2, 28.0 * (0.5 + 2 * i)), (f"word={word}",)))
        return out

    def combinations(self) -> set[tuple[str, ...]]:
        return {("words", *self.words)}


@dataclass(frozen=True)
class Bottle:
    """A bottle with a coloured label and one word: a drink or a danger."""

    look: Look
    word: str
    colour: str
    size: tuple[int, int] = (84, 140)
    kind: str = "bottle"

    @property
    def dangerous(self) -> bool:
        return self.word in DANGERS

    def parts(self) -> list[Part]:
        return [
            Part(
                (8.0, 62.0, 76.0, 106.0), (42.0, 84.0 - 14), (f"word={self.word}", f"danger={self.dangerous}")
            )
        ]

    def combinations(self) -> set[tuple[str, ...]]:
        return {("label", self.colour, self.word)}


@dataclass(frozen=True)
class Diagram:
    """Four lettered boxes in the corners, joined into one chain by three arrows.

    `order[i]` is the corner (0 top left, 1 top right, 2 bottom left, 3 bottom right) of the i-th box of the
    chain, `letters[i]` its letter.
    """

    look: Look
    letters: tuple[str, str, str, str]
    order: tuple[int, int, int, int]
    size: tuple[int, int] = (112, 112)
    kind: str = "diagram"
    corners: tuple[tuple[float, float], ...] = field(
        default=((20, 20), (92, 20), (20, 92), (92, 92)), repr=False
    )

    def node_box(self, i: int) -> Box:
        x, y = self.corners[self.order[i]]
        return x - 13, y - 13, x + 13, y + 13

    def parts(self) -> list[Part]:
        out = []
        for i, letter in enumerate(self.letters):
            following = self.letters[i + 1] if i < 3 else "none"
            towards = self.order[i + 1] if i < 3 else "none"
            corner = self.order[i]
            place = (f"row={2 * (corner // 2)}", f"column={2 * (corner % 2)}")
            concepts = (f"letter={letter}", *place, f"towards={towards}", f"next={following}")
            out.append(Part(self.node_box(i), self.corners[corner], concepts))
        return out

    def combinations(self) -> set[tuple[str, ...]]:
        # Chains of three: a reserved *pair* would be a rule ("never from A to B") that question and answer give away.
        return {("chain", *self.letters[i : i + 3]) for i in (0, 1)}


Picture = Scene | Chart | Table | Sign | Bottle | Diagram

CONCEPTS: tuple[str, ...] = tuple(
    f"{group}={value}"
    for group, values in (
        ("colour", tuple(COLOURS)),
        ("shape", SHAPES),
        ("size", SIZES),
        ("row", (0, 1, 2)),
        ("column", (0, 1, 2)),
        ("letter", LETTERS),
        ("towards", (0, 1, 2, 3, "none")),
        ("next", (*LETTERS, "none")),
        ("value", tuple(range(1, MAX_VALUE + 1))),
        ("name", NAMES),
        ("day", DAYS),
        ("word", FIRST_WORDS + SECOND_WORDS + SAFE_DRINKS + DANGERS),
        ("danger", (False, True)),
    )
    for value in values
)


# -- random pictures ---------------------------------------------------------------------------------------


def random_thing(rng: random.Random, cell: tuple[int, int]) -> Thing:
    return Thing(rng.choice(SHAPES), rng.choice(tuple(COLOURS)), rng.choice(SIZES), *cell)


def random_scene(rng: random.Random, low: int = 2, high: int = 5) -> Scene:
    cells = rng.sample([(r, c) for r in range(3) for c in range(3)], rng.randint(low, high))
    return Scene(random_look(rng), tuple(random_thing(rng, cell) for cell in cells))


def random_chart(rng: random.Random) -> Chart:
    n = rng.randint(3, 4)
    values = tuple(rng.randint(1, MAX_VALUE) for _ in range(n))
    return Chart(random_look(rng), tuple(rng.sample(LETTERS, n)), values, rng.choice(tuple(COLOURS)))


def random_table(rng: random.Random) -> Table:
    names, days = rng.sample(NAMES, rng.randint(2, 3)), rng.sample(DAYS, 2)
    cells = tuple(tuple(rng.randint(1, MAX_VALUE) for _ in days) for _ in names)
    return Table(random_look(rng), tuple(names), tuple(days), cells)


def random_sign(rng: random.Random) -> Sign:
    words = (rng.choice(FIRST_WORDS), rng.choice(SECOND_WORDS))
    return Sign(random_look(rng), words, rng.choice(tuple(COLOURS)))


def random_bottle(rng: random.Random) -> Bottle:
    return Bottle(random_look(rng), rng.choice(SAFE_DRINKS + DANGERS), rng.choice(tuple(COLOURS)))


def random_diagram(rng: random.Random) -> Diagram:
    a, b, c, d = rng.sample(LETTERS, 4)
    order = rng.sample(range(4), 4)
    return Diagram(random_look(rng), (a, b, c, d), (order[0], order[1], order[2], order[3]))
