"""What can be asked about charts, tables, signs, bottles and diagrams."""

from __future__ import annotations

import random
from dataclasses import replace

from core.world.pictures import (
    DANGERS,
    FIRST_WORDS,
    MAX_VALUE,
    SAFE_DRINKS,
    SECOND_WORDS,
    Bottle,
    Chart,
    Diagram,
    Sign,
    Table,
)
from core.world.question import Claim, Question, another, claims_for, near_miss


def ask_chart(rng: random.Random, chart: Chart) -> Question:
    i = rng.randrange(len(chart.labels))
    letter, value = chart.labels[i], chart.values[i]
    new = near_miss(rng, value, 1, MAX_VALUE)
    twin = replace(chart, values=_put(chart.values, i, new))
    prompt = rng.choice(
        ("What is the value of {x}?", "How high is bar {x}?", "Read off the value of bar {x}.")
    ).format(x=letter)
    right, wrong = claims_for(
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
    right, wrong = claims_for(
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
    new = near_miss(rng, chart.values[k], 1, MAX_VALUE)
    twin = replace(chart, values=_put(chart.values, k, new))
    a, b = chart.labels[i], chart.labels[j]
    prompt = rng.choice(
        ("What is {a} plus {b}?", "Add up {a} and {b}.", "What do {a} and {b} make together?")
    ).format(a=a, b=b)
    right, wrong = claims_for(
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
    new = another(rng, range(1, MAX_VALUE + 1), value)
    twin = replace(table, cells=_put(table.cells, i, _put(table.cells[i], j, new)))
    name, day = table.names[i], table.days[j]
    prompt = rng.choice(
        ("What is the number for {n} on {d}?", "How many does {n} have on {d}?", "Look up {n} on {d}.")
    ).format(n=name, d=day)
    right, wrong = claims_for(
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
    right, wrong = claims_for(
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
    new = another(rng, (FIRST_WORDS, SECOND_WORDS)[i], sign.words[i])
    words = _put(sign.words, i, new)
    twin = replace(sign, words=words)
    # "What does the picture show?" is asked of scenes too: there the gate can only tell by looking.
    prompt = rng.choice(("What does the sign say?", "Read the sign.", "What does the picture show?"))

    def marked(pair: tuple[str, ...]) -> str:
        return " ".join(f"[{w}]" if n == i else w for n, w in enumerate(pair))

    right, wrong = claims_for(
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
    new = str(another(rng, words, bottle.word))
    twin = replace(bottle, word=new)
    prompt = rng.choice(
        ("What is in the bottle, and can I drink it?", "What is this, and is it safe to drink?")
    )
    end = "do not drink it" if bottle.dangerous else "you can drink it"
    right, wrong = claims_for(
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
    right, wrong = claims_for(
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
