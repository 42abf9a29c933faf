"""What can be asked about a scene of things."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from core.world.pictures import COLOURS, COLUMNS, ROWS, SHAPES, SIZES, Box, Scene, Thing, random_thing
from core.world.question import Claim, Question, a_thing, another, claims_for, near_miss


def _named(scene: Scene, *, colour: bool = False) -> list[Thing]:
    """Things that their shape (or colour and shape) names without doubt."""

    def name(t: Thing) -> tuple[str, ...]:
        return (t.colour, t.shape) if colour else (t.shape,)

    names = [name(t) for t in scene.things]
    return [t for t in scene.things if names.count(name(t)) == 1]


def ask_object(rng: random.Random, scene: Scene) -> Question:
    thing = rng.choice(scene.things)
    new = replace(thing, shape=another(rng, SHAPES, thing.shape))
    prompt = rng.choice(
        (
            "What shape is at the {place}?",
            "What do you see at the {place}?",
            "Which shape is in the {place} cell?",
        )
    ).format(place=thing.place)
    right, wrong = claims_for(
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
    new = replace(thing, colour=another(rng, tuple(COLOURS), thing.colour))
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
    return claims_for(rng, "[{v}]", sentences, {"v": a}, {"v": b})


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
    new = replace(thing, size=another(rng, SIZES, thing.size))
    prompt = rng.choice(
        ("Is the {s} small or large?", "What size is the {s}?", "How big is the {s}?")
    ).format(s=thing.shape)
    right, wrong = claims_for(
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
    m = near_miss(rng, n, 1, 4)
    twin = _with_count(rng, scene, key, values, wanted, m)
    noun = f"{wanted} shapes" if not by_shape else f"{wanted}s" if wanted != "cross" else "crosses"
    prompt = rng.choice(
        ("How many {x} are there?", "Count the {x}.", "How many {x} does the picture show?")
    ).format(x=noun)
    right, wrong = claims_for(
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
    changed: dict[str, Any] = {key: wanted}
    hits = [i for i, t in enumerate(things) if getattr(t, key) == wanted]
    rest = [i for i, t in enumerate(things) if getattr(t, key) != wanted]
    rng.shuffle(hits)
    rng.shuffle(rest)
    for i in hits[n:]:
        things[i] = replace(things[i], **{key: another(rng, values, wanted)})
    for i in rest[: max(0, n - len(hits))]:
        things[i] = replace(things[i], **changed)
    free = [(r, c) for r in range(3) for c in range(3) if (r, c) not in {t.cell for t in things}]
    while sum(getattr(t, key) == wanted for t in things) < n:
        cell = free.pop(rng.randrange(len(free)))
        things.append(replace(random_thing(rng, cell), **changed))
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
    right, wrong = claims_for(
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
    right, wrong = claims_for(
        rng, "[{v}]", (f"The {a.shape} is [{{v}}] the {b.shape}.",), {"v": yes}, {"v": no}
    )
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
        new = replace(thing, colour=another(rng, tuple(COLOURS), thing.colour))
    else:
        new = replace(thing, shape=another(rng, SHAPES, thing.shape))
    twin = scene.edit(thing, new)
    what = a_thing(thing.colour, thing.shape)
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
        new = replace(target, **{key: another(rng, values, getattr(target, key))})
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
            return a_thing(t.colour, t.shape)
        if other is None:
            return f"[{a_thing(t.colour, t.shape)}]"
        same = (
            t.colour if t.colour == other.colour else f"[{t.colour}]",
            t.shape if t.shape == other.shape else f"[{t.shape}]",
        )
        return f"{a_thing(t.colour, '').split()[0]} {same[0]} {same[1]}"

    true = [item(t, new) for t in order]
    false = [
        item(new, target) if t is target and new else item(t, None) for t in order if new or t is not target
    ]
    start = rng.choice(("There is", "The picture shows", "I see"))
    return (
        Claim(", ".join(true), f"{start} {' and '.join(true)}."),
        Claim(", ".join(false), f"{start} {' and '.join(false)}."),
    )
