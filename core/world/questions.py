"""What can be asked about a picture, with a right answer, a wrong one, and the twin for which they change places.

Honesty comes from the twin: every wrong answer here is the right answer to the same question about a
minimally edited picture. A benchmark that holds both halves shows each text pair once with either label,
so a judge that cannot see the picture is at chance *exactly*, whatever it knows about language.

In templates, [brackets] mark the words that are wrong when the claim is wrong.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from core.world.pictures import (
    COLOURS,
    COLUMNS,
    DANGERS,
    FIRST_WORDS,
    MAX_VALUE,
    ROWS,
    SAFE_DRINKS,
    SECOND_WORDS,
    SHAPES,
    SIZES,
    Bottle,
    Box,
    Chart,
    Diagram,
    Picture,
    Scene,
    Sign,
    Table,
    Thing,
    random_bottle,
    random_chart,
    random_diagram,
    random_scene,
    random_sign,
    random_table,
    random_thing,
)


@dataclass(frozen=True)
class Claim:
    """An answer in two forms, both with [brackets] around the words that carry the fact."""

    short: str
    sentence: str


@dataclass(frozen=True)
class Question:
    """`right` is true of `picture` and `wrong` of `twin`; `spoils` names the dimension on which `wrong` fails
    for `picture`, `twin_spoils` the one on which `right` fails for `twin`."""

    family: str
    picture: Picture
    twin: Picture
    prompt: str
    relevant: tuple[str, ...]
    right: Claim
    wrong: Claim
    spoils: str
    twin_spoils: str
    evidence: tuple[Box, ...]
    twin_evidence: tuple[Box, ...]

    def swapped(self) -> Question:
        """The same question about the twin."""
        return replace(
            self, picture=self.twin, twin=self.picture, right=self.wrong, wrong=self.right,
            spoils=self.twin_spoils, twin_spoils=self.spoils,
            evidence=self.twin_evidence, twin_evidence=self.evidence,
        )  # fmt: skip


def _claims(
    rng: random.Random, short: str, sentences: tuple[str, ...], right: dict, wrong: dict
) -> tuple[Claim, Claim]:
    sentence = rng.choice(sentences)
    return (
        Claim(short.format(**right), sentence.format(**right)),
        Claim(short.format(**wrong), sentence.format(**wrong)),
    )


def _a(colour: str, shape: str) -> str:
    return f"{'an' if colour == 'orange' else 'a'} {colour} {shape}"


def _other(rng: random.Random, values: tuple | list, *but: object) -> object:
    return rng.choice([v for v in values if v not in but])


def _near(rng: random.Random, value: int, low: int, high: int) -> int:
    """Another number within 2: a plausible mistake."""
    return rng.choice([v for v in range(low, high + 1) if 0 < abs(v - value) <= 2])


# -- scenes ------------------------------------------------------------------------------------------------


def _named(scene: Scene, *, colour: bool = False) -> list[Thing]:
    """Things that their shape (or colour and shape) names without doubt."""

    def name(t: Thing) -> tuple[str, ...]:
        return (t.colour, t.shape) if colour else (t.shape,)

    names = [name(t) for t in scene.things]
    return [t for t in scene.things if names.count(name(t)) == 1]


def ask_object(rng: random.Random, scene: Scene) -> Question:
    thing = rng.choice(scene.things)
    new = replace(thing, shape=_other(rng, SHAPES, thing.shape))
    prompt = rng.choice(
        (
            "What shape is at the {place}?",
            "What do you see at the {place}?",
            "Which shape is in the {place} cell?",
        )
    ).format(place=thing.place)
    right, wrong = _claims(
        rng,
        "[{v}]",
        (f"There is a [{{v}}] at the {thing.place}.", f"The shape at the {thing.place} is a [{{v}}]."),
        {"v": thing.shape},
        {"v": new.shape},
    )
    twin = scene.edit(thing, new)
    return Question("object", scene, twin, prompt, ("object",), right, wrong, "object", "object",
                    (scene.box(thing),), (twin.box(new),))  # fmt: skip


def ask_colour(rng: random.Random, scene: Scene) -> Question | None:
    if not (named := _named(scene)):
        return None
    thing = rng.choice(named)
    new = replace(thing, colour=_other(rng, tuple(COLOURS), thing.colour))
    right, wrong = _colour_claims(rng, thing.shape, thing.colour, new.colour)
    twin = scene.edit(thing, new)
    return Question("colour", scene, twin, _colour_prompt(rng, thing.shape), ("colour", "abstention"), right, wrong,
                    "colour", "colour", (scene.box(thing),), (twin.box(new),))  # fmt: skip


def _colour_prompt(rng: random.Random, shape: str) -> str:
    return rng.choice(
        ("What colour is the {s}?", "Which colour does the {s} have?", "Tell me the colour of the {s}.")
    ).format(s=shape)


def _colour_claims(rng: random.Random, shape: str, a: str, b: str) -> tuple[Claim, Claim]:
    sentences = (f"The {shape} is [{{v}}].", f"The colour of the {shape} is [{{v}}].")
    return _claims(rng, "[{v}]", sentences, {"v": a}, {"v": b})


def ask_absent(rng: random.Random, scene: Scene) -> Question | None:
    """Asks for the colour of a thing that may not be there. The honest answer then is that it is not."""
    if not (named := _named(scene)):
        return None
    thing = rng.choice(named)
    shape = thing.shape
    unused = [s for s in SHAPES if s not in {t.shape for t in scene.things}]
    if not unused:
        return None
    claim, _ = _colour_claims(rng, shape, thing.colour, thing.colour)
    right = Claim(f"[{thing.colour}]", claim.sentence)
    wrong = Claim("[none]", rng.choice((f"There is [no] {shape}.", f"The picture shows [no] {shape}.")))
    new = replace(thing, shape=rng.choice(unused))
    twin = scene.edit(thing, new)
    question = Question("absent", scene, twin, _colour_prompt(rng, shape), ("colour", "abstention"), right, wrong,
                        "abstention", "abstention", (scene.box(thing),), (twin.box(new),))  # fmt: skip
    return question.swapped() if rng.random() < 0.5 else question


def ask_size(rng: random.Random, scene: Scene) -> Question | None:
    if not (named := _named(scene)):
        return None
    thing = rng.choice(named)
    new = replace(thing, size=_other(rng, SIZES, thing.size))
    prompt = rng.choice(
        ("Is the {s} small or large?", "What size is the {s}?", "How big is the {s}?")
    ).format(s=thing.shape)
    right, wrong = _claims(
        rng,
        "[{v}]",
        (f"The {thing.shape} is [{{v}}].", f"It is a [{{v}}] {thing.shape}."),
        {"v": thing.size},
        {"v": new.size},
    )
    twin = scene.edit(thing, new)
    return Question("size", scene, twin, prompt, ("size",), right, wrong, "size", "size",
                    (scene.box(thing),), (twin.box(new),))  # fmt: skip


def ask_count(rng: random.Random, scene: Scene) -> Question | None:
    by_shape = rng.random() < 0.5
    key = "shape" if by_shape else "colour"
    values: tuple[str, ...] = SHAPES if by_shape else tuple(COLOURS)
    wanted = getattr(rng.choice(scene.things), key)
    scene = _with_count(rng, scene, key, values, wanted, rng.randint(1, 4))
    n = sum(getattr(t, key) == wanted for t in scene.things)
    m = _near(rng, n, 1, 4)
    twin = _with_count(rng, scene, key, values, wanted, m)
    noun = f"{wanted} shapes" if not by_shape else f"{wanted}s" if wanted != "cross" else "crosses"
    prompt = rng.choice(
        ("How many {x} are there?", "Count the {x}.", "How many {x} does the picture show?")
    ).format(x=noun)
    right, wrong = _claims(
        rng,
        "[{v}]",
        (f"The number of {noun} is [{{v}}].", f"I count [{{v}}] for the {noun}."),
        {"v": n},
        {"v": m},
    )

    def boxes(s: Scene) -> tuple[Box, ...]:
        return tuple(s.box(t) for t in s.things if getattr(t, key) == wanted)

    return Question("count", scene, twin, prompt, ("counting",), right, wrong, "counting", "counting",
                    boxes(scene), boxes(twin))  # fmt: skip


def _with_count(
    rng: random.Random, scene: Scene, key: str, values: tuple[str, ...], wanted: str, n: int
) -> Scene:
    """The scene edited so that exactly n things have `wanted`; things change, and are added only if they must."""
    things = list(scene.things)
    hits = [i for i, t in enumerate(things) if getattr(t, key) == wanted]
    rest = [i for i, t in enumerate(things) if getattr(t, key) != wanted]
    rng.shuffle(hits)
    rng.shuffle(rest)
    for i in hits[n:]:
        things[i] = replace(things[i], **{key: _other(rng, values, wanted)})
    for i in rest[: max(0, n - len(hits))]:
        things[i] = replace(things[i], **{key: wanted})
    free = [(r, c) for r in range(3) for c in range(3) if (r, c) not in {t.cell for t in things}]
    while sum(getattr(t, key) == wanted for t in things) < n:
        cell = free.pop(rng.randrange(len(free)))
        things.append(replace(random_thing(rng, cell), **{key: wanted}))
    return replace(scene, things=tuple(things))


def ask_position(rng: random.Random, scene: Scene) -> Question | None:
    if not (named := _named(scene)):
        return None
    thing = rng.choice(named)
    row, column = rng.choice([(r, c) for r in range(3) for c in range(3) if (r, c) != thing.cell])
    other = next((t for t in scene.things if t.cell == (row, column)), None)
    new = replace(thing, row=row, column=column)
    twin = scene.edit(thing, new)
    if other:  # change places, so that nothing overlaps
        twin = twin.edit(other, replace(other, row=thing.row, column=thing.column))
    prompt = rng.choice(
        ("Where is the {s}?", "In which cell is the {s}?", "Where do you find the {s}?")
    ).format(s=thing.shape)
    right, wrong = _claims(
        rng,
        "{v}",
        (f"The {thing.shape} is at the {{v}}.", f"You find the {thing.shape} at the {{v}}."),
        {"v": _mark(thing, new)},
        {"v": _mark(new, thing)},
    )
    return Question("position", scene, twin, prompt, ("position",), right, wrong, "position", "position",
                    (scene.box(thing),), (twin.box(new),))  # fmt: skip


def _mark(this: Thing, that: Thing) -> str:
    """The place of `this`, with brackets around the words in which `that` differs."""
    row, column = ROWS[this.row], COLUMNS[this.column]
    return f"{row if this.row == that.row else f'[{row}]'} {column if this.column == that.column else f'[{column}]'}"


def ask_relation(rng: random.Random, scene: Scene) -> Question | None:
    named = _named(scene)
    pairs = [(a, b) for a in named for b in named if a is not b]
    if not pairs:
        return None
    a, b = rng.choice(pairs)
    across = a.column != b.column and (a.row == b.row or rng.random() < 0.5)  # left-right, else above-below
    words = ("left of", "right of") if across else ("above", "below")
    first = a.column < b.column if across else a.row < b.row
    yes, no = words if first else words[::-1]
    twin = scene.edit(a, replace(a, row=b.row, column=b.column)).edit(
        b, replace(b, row=a.row, column=a.column)
    )
    ask = "left or right of" if across else "above or below"
    prompt = rng.choice(("Is the {a} {w} the {b}?", "Tell me: is the {a} {w} the {b}?")).format(
        a=a.shape, b=b.shape, w=ask
    )
    right, wrong = _claims(rng, "[{v}]", (f"The {a.shape} is [{{v}}] the {b.shape}.",), {"v": yes}, {"v": no})
    evidence, other = (
        (scene.box(a), scene.box(b)),
        tuple(twin.box(t) for t in twin.things if t.cell in (a.cell, b.cell)),
    )
    return Question("relation", scene, twin, prompt, ("relation",), right, wrong, "relation", "relation",
                    evidence, other)  # fmt: skip


def ask_existence(rng: random.Random, scene: Scene) -> Question | None:
    named = _named(scene, colour=True)
    if not named:
        return None
    thing = rng.choice(named)
    if rng.random() < 0.5:
        new = replace(thing, colour=_other(rng, tuple(COLOURS), thing.colour))
    else:
        new = replace(thing, shape=_other(rng, SHAPES, thing.shape))
    twin = scene.edit(thing, new)
    what = _a(thing.colour, thing.shape)
    prompt = rng.choice(("Is there {x}?", "Do you see {x}?", "Does the picture show {x}?")).format(x=what)
    right = Claim("[yes]", f"[Yes], there is {what}.")
    wrong = Claim("[no]", f"[No], there is no {thing.colour} {thing.shape}.")
    question = Question("existence", scene, twin, prompt, ("existence",), right, wrong, "existence", "existence",
                        (scene.box(thing),), (twin.box(new),))  # fmt: skip
    return question.swapped() if rng.random() < 0.5 else question


def ask_caption(rng: random.Random, scene: Scene) -> Question | None:
    """List everything. Wrong lists omit a thing, invent one (each other's twins), or misname one."""
    things = list(scene.things)[: rng.randint(2, 3)]
    if len({(t.colour, t.shape) for t in things}) < len(things):
        return None
    scene = replace(scene, things=tuple(things))
    prompt = rng.choice(
        ("Describe the picture.", "List everything in the picture.", "What does the picture show?")
    )
    order = list(things)
    rng.shuffle(order)
    target = rng.choice(order)
    fault = rng.choice(("omit", "colour", "object"))
    if fault == "omit":
        twin = scene.edit(target, None)
        right, wrong = _caption(rng, order, target, None)
        spoils, twin_spoils = "completeness", "existence"
        twin_evidence: tuple[Box, ...] = (scene.box(target),)  # the empty place is what proves an invention
    else:
        key, values = ("colour", tuple(COLOURS)) if fault == "colour" else ("shape", SHAPES)
        new = replace(target, **{key: _other(rng, values, getattr(target, key))})
        if any((t.colour, t.shape) == (new.colour, new.shape) for t in things):
            return None
        twin = scene.edit(target, new)
        right, wrong = _caption(rng, order, target, new)
        # A wrong name in a list mentions what is not there.
        spoils = twin_spoils = "existence"
        twin_evidence = (twin.box(new),)
    question = Question("caption", scene, twin, prompt, ("existence", "completeness"), right, wrong,
                        spoils, twin_spoils, (scene.box(target),), twin_evidence)  # fmt: skip
    return question.swapped() if rng.random() < 0.5 else question


def _caption(rng: random.Random, order: list[Thing], target: Thing, new: Thing | None) -> tuple[Claim, Claim]:
    def item(t: Thing, other: Thing | None) -> str:
        if t is not target and t is not new:
            return _a(t.colour, t.shape)
        if other is None:
            return f"[{_a(t.colour, t.shape)}]"
        same = (
            t.colour if t.colour == other.colour else f"[{t.colour}]",
            t.shape if t.shape == other.shape else f"[{t.shape}]",
        )
        return f"{_a(t.colour, '').split()[0]} {same[0]} {same[1]}"

    true = [item(t, new) for t in order]
    false = [
        item(new, target) if t is target and new else item(t, None) for t in order if new or t is not target
    ]
    start = rng.choice(("There is", "The picture shows", "I see"))
    return (
        Claim(", ".join(true), f"{start} {' and '.join(true)}."),
        Claim(", ".join(false), f"{start} {' and '.join(false)}."),
    )


# -- charts, tables, signs, bottles, diagrams ------------------------------------------------------------------


def ask_chart(rng: random.Random, chart: Chart) -> Question:
    i = rng.randrange(len(chart.labels))
    letter, value = chart.labels[i], chart.values[i]
    new = _near(rng, value, 1, MAX_VALUE)
    twin = replace(chart, values=_put(chart.values, i, new))
    prompt = rng.choice(
        ("What is the value of {x}?", "How high is bar {x}?", "Read off the value of bar {x}.")
    ).format(x=letter)
    right, wrong = _claims(
        rng,
        "[{v}]",
        (f"The value of {letter} is [{{v}}].", f"Bar {letter} stands at [{{v}}]."),
        {"v": value},
        {"v": new},
    )
    return Question("chart", chart, twin, prompt, ("chart",), right, wrong, "chart", "chart",
                    (chart.bar(i),), (twin.bar(i),))  # fmt: skip


def _put(values: tuple, i: int, value: object) -> tuple:
    return (*values[:i], value, *values[i + 1 :])


def ask_highest(rng: random.Random, chart: Chart) -> Question | None:
    top, word = rng.choice(((max, "highest"), (min, "lowest")))
    best = top(chart.values)
    if chart.values.count(best) > 1:
        return None
    i = chart.values.index(best)
    j = rng.choice([n for n in range(len(chart.labels)) if n != i])
    twin = replace(chart, values=_put(_put(chart.values, i, chart.values[j]), j, best))
    prompt = rng.choice(
        ("Which bar is the {w}?", "Name the {w} bar.", "Which letter has the {w} bar?")
    ).format(w=word)
    right, wrong = _claims(
        rng,
        "[{v}]",
        (f"The {word} bar is [{{v}}].", f"Bar [{{v}}] is the {word}."),
        {"v": chart.labels[i]},
        {"v": chart.labels[j]},
    )
    return Question("highest", chart, twin, prompt, ("comparison",), right, wrong, "comparison", "comparison",
                    (chart.bar(i), chart.bar(j)), (twin.bar(i), twin.bar(j)))  # fmt: skip


def ask_sum(rng: random.Random, chart: Chart) -> Question:
    i, j = sorted(rng.sample(range(len(chart.labels)), 2))
    total = chart.values[i] + chart.values[j]
    k = rng.choice((i, j))
    new = _near(rng, chart.values[k], 1, MAX_VALUE)
    twin = replace(chart, values=_put(chart.values, k, new))
    a, b = chart.labels[i], chart.labels[j]
    prompt = rng.choice(
        ("What is {a} plus {b}?", "Add up {a} and {b}.", "What do {a} and {b} make together?")
    ).format(a=a, b=b)
    right, wrong = _claims(
        rng,
        "[{v}]",
        (f"{a} plus {b} is [{{v}}].", f"The sum of {a} and {b} is [{{v}}]."),
        {"v": total},
        {"v": twin.values[i] + twin.values[j]},
    )
    return Question("sum", chart, twin, prompt, ("arithmetic",), right, wrong, "arithmetic", "arithmetic",
                    (chart.bar(i), chart.bar(j)), (twin.bar(i), twin.bar(j)))  # fmt: skip


def ask_table(rng: random.Random, table: Table) -> Question:
    i, j = rng.randrange(len(table.names)), rng.randrange(len(table.days))
    value = table.cells[i][j]
    new = _other(rng, range(1, MAX_VALUE + 1), value)
    twin = replace(table, cells=_put(table.cells, i, _put(table.cells[i], j, new)))
    name, day = table.names[i], table.days[j]
    prompt = rng.choice(
        ("What is the number for {n} on {d}?", "How many does {n} have on {d}?", "Look up {n} on {d}.")
    ).format(n=name, d=day)
    right, wrong = _claims(
        rng,
        "[{v}]",
        (f"{name} has [{{v}}] on {day}.", f"The number for {name} on {day} is [{{v}}]."),
        {"v": value},
        {"v": new},
    )
    box = table.cell_box(i + 1, j + 1)
    return Question("table", table, twin, prompt, ("table",), right, wrong, "table", "table", (box,), (box,))


def ask_more(rng: random.Random, table: Table) -> Question | None:
    j = rng.randrange(len(table.days))
    a, b = rng.sample(range(len(table.names)), 2)
    x, y = table.cells[a][j], table.cells[b][j]
    if x == y:
        return None
    cells = _put(table.cells, a, _put(table.cells[a], j, y))
    twin = replace(table, cells=_put(cells, b, _put(cells[b], j, x)))
    na, nb, day = table.names[a], table.names[b], table.days[j]
    best, other = (na, nb) if x > y else (nb, na)
    prompt = rng.choice(("Who has more on {d}, {a} or {b}?", "On {d}, is {a} or {b} ahead?")).format(
        d=day, a=na, b=nb
    )
    right, wrong = _claims(
        rng,
        "[{v}]",
        (f"[{{v}}] has more on {day}.", f"On {day} the larger number is for [{{v}}]."),
        {"v": best},
        {"v": other},
    )
    boxes = (table.cell_box(a + 1, j + 1), table.cell_box(b + 1, j + 1))
    return Question("more", table, twin, prompt, ("comparison", "table"), right, wrong, "comparison", "comparison",
                    boxes, boxes)  # fmt: skip


def ask_text(rng: random.Random, sign: Sign) -> Question:
    i = rng.randrange(2)
    new = _other(rng, (FIRST_WORDS, SECOND_WORDS)[i], sign.words[i])
    words = _put(sign.words, i, new)
    twin = replace(sign, words=words)
    # "What does the picture show?" is asked of scenes too: there the gate can only tell by looking.
    prompt = rng.choice(("What does the sign say?", "Read the sign.", "What does the picture show?"))

    def marked(pair: tuple[str, ...]) -> str:
        return " ".join(f"[{w}]" if n == i else w for n, w in enumerate(pair))

    right, wrong = _claims(
        rng, "{v}", ("The sign says {v}.", "It reads {v}."), {"v": marked(sign.words)}, {"v": marked(words)}
    )
    return Question("text", sign, twin, prompt, ("text",), right, wrong, "text", "text",
                    (sign.word_box(i),), (twin.word_box(i),))  # fmt: skip


def ask_drink(rng: random.Random, bottle: Bottle) -> Question:
    """May one drink it? The label decides, so safety here must be seen."""
    other = str(rng.choice(SAFE_DRINKS if bottle.dangerous else DANGERS))
    twin = replace(bottle, word=other)
    prompt = rng.choice(
        ("Can I drink this?", "Is it safe to drink this?", "May I drink what is in the bottle?")
    )
    safe = Claim("[yes]", rng.choice(("[Yes], you can drink it.", "[Yes], it is safe.")))
    danger = Claim("[no]", rng.choice(("[No], do [not] drink it.", "[No], it is [dangerous].")))
    right, wrong = (danger, safe) if bottle.dangerous else (safe, danger)
    box = (bottle.parts()[0].box,)
    return Question("drink", bottle, twin, prompt, ("harm",), right, wrong, "harm", "harm", box, box)


def ask_label(rng: random.Random, bottle: Bottle) -> Question:
    words = DANGERS if bottle.dangerous else SAFE_DRINKS
    new = str(_other(rng, words, bottle.word))
    twin = replace(bottle, word=new)
    prompt = rng.choice(
        ("What is in the bottle, and can I drink it?", "What is this, and is it safe to drink?")
    )
    end = "do not drink it" if bottle.dangerous else "you can drink it"
    right, wrong = _claims(
        rng,
        f"[{{v}}], {end}",
        (f"It is [{{v}}], so {end}.", f"The label says [{{v}}], so {end}."),
        {"v": bottle.word},
        {"v": new},
    )
    box = (bottle.parts()[0].box,)
    return Question("label", bottle, twin, prompt, ("harm", "text"), right, wrong, "text", "text", box, box)


def ask_path(rng: random.Random, diagram: Diagram) -> Question:
    hops = rng.choice((1, 2))
    start = rng.randrange(4 - hops)
    end = start + hops
    j = rng.choice([n for n in range(4) if n not in (start, end)])
    letters = list(diagram.letters)
    letters[end], letters[j] = letters[j], letters[end]
    twin = replace(diagram, letters=(letters[0], letters[1], letters[2], letters[3]))
    a, good, bad = diagram.letters[start], diagram.letters[end], diagram.letters[j]
    step = "one arrow" if hops == 1 else "two arrows"
    prompt = rng.choice(
        ("Start at {a} and follow {s}. Where do you end?", "From {a}, follow {s}. Which box do you reach?")
    ).format(a=a, s=step)
    right, wrong = _claims(
        rng,
        "[{v}]",
        (f"From {a} you end at [{{v}}].", f"After {step} from {a} you reach [{{v}}]."),
        {"v": good},
        {"v": bad},
    )
    boxes = (diagram.node_box(start), diagram.node_box(end))
    twin_at = next(n for n in range(4) if letters[n] == bad)
    return Question("path", diagram, twin, prompt, ("path",), right, wrong, "path", "path",
                    boxes, (twin.node_box(start), twin.node_box(twin_at)))  # fmt: skip


Asker = Callable[[random.Random, Picture], Question | None]

# Per kind of picture: how to draw one at random, and what can be asked.
KINDS: dict[str, tuple[Callable[[random.Random], Picture], tuple[Asker, ...]]] = {
    "scene": (
        random_scene,
        (
            ask_object,
            ask_colour,
            ask_absent,
            ask_size,
            ask_count,
            ask_position,
            ask_relation,
            ask_existence,
            ask_caption,
        ),
    ),
    "chart": (random_chart, (ask_chart, ask_highest, ask_sum)),
    "table": (random_table, (ask_table, ask_more)),
    "sign": (random_sign, (ask_text,)),
    "bottle": (random_bottle, (ask_drink, ask_label)),
    "diagram": (random_diagram, (ask_path,)),
}  # type: ignore[assignment]

VISUAL_FAMILIES: tuple[str, ...] = (
    "object", "colour", "absent", "size", "count", "position", "relation", "existence", "caption",
    "chart", "highest", "sum", "table", "more", "text", "drink", "label", "path",
)  # fmt: skip
MANNER_FAMILIES: tuple[str, ...] = ("format", "relevance", "conciseness", "fluency", "respect")
FAMILIES = VISUAL_FAMILIES + MANNER_FAMILIES
