"""An answer key of its own: reads prompt and answer, computes the right answer from the picture's plain fields.

Nothing here uses what the world says about its questions. A question must have one answer (a shape that is asked
about occurs once, the highest bar is alone), the right response must be true and the wrong one false.
"""

import random
import re
from collections import Counter

import pytest
from PIL import Image

from core.world.draw import draw
from core.world.items import build_item
from core.world.pictures import (
    COLOURS,
    SHAPES,
    Bottle,
    Chart,
    Diagram,
    Look,
    Scene,
    Sign,
    Table,
    Thing,
    random_chart,
    random_scene,
)  # fmt: skip
from core.world.questions import VISUAL_FAMILIES
from core.world.splits import held_out_question, lesson

ROWS, COLUMNS = ("top", "middle", "bottom"), ("left", "centre", "right")
PLACE = r"(?P<p>(?:top|middle|bottom) (?:left|centre|right))"
SHAPE = "circle|square|triangle|diamond|star|cross"
COLOUR = "red|orange|yellow|green|blue|purple|pink|black"
DEADLY = {"poison", "acid", "bleach", "petrol"}


# -- the right answer ------------------------------------------------------------------------------------------------


def only(values):
    """The one value there is: a question about one of two equals would have no answer."""
    (value,) = values
    return value


def in_scene(things, prompt):
    """(answer, the forms in which a response may give it; group v is the answer, the rest must fit the prompt)."""
    if m := re.match(rf"(?:What shape is at|What do you see at|Which shape is in) the {PLACE}", prompt):
        row, column = m["p"].split()
        at = (ROWS.index(row), COLUMNS.index(column))
        forms = (
            rf"There is a (?P<v>{SHAPE}) at the {m['p']}",
            rf"The shape at the {m['p']} is a (?P<v>{SHAPE})",
        )
        return only(t.shape for t in things if (t.row, t.column) == at), forms
    if m := re.match(rf"(?:What|Which|Tell me the) colour .*?the ({SHAPE})", prompt):
        colours = [t.colour for t in things if t.shape == m[1]]
        forms = (
            rf"The (?:colour of the )?{m[1]} is (?P<v>{COLOUR})",
            rf"(?:There is|The picture shows) (?P<v>no) {m[1]}",
        )
        return (only(colours) if colours else "no"), forms
    if m := re.match(
        rf"(?:Is the ({SHAPE}) small or large|What size is the ({SHAPE})|How big is the ({SHAPE}))", prompt
    ):
        shape = only(filter(None, m.groups()))
        forms = (rf"The {shape} is (?P<v>small|large)", rf"It is a (?P<v>small|large) {shape}")
        return only(t.size for t in things if t.shape == shape), forms
    if m := re.match(r"(?:How many|Count the) (.*?)(?: are there| does the picture show|\.)", prompt):
        words = m[1].split()
        if words[-1] == "shapes":
            n = sum(t.colour == words[0] for t in things)
        else:
            n = sum(words == [f"{t.shape}es" if t.shape == "cross" else f"{t.shape}s"] for t in things)
        return str(n), (rf"The number of {m[1]} is (?P<v>\d)", rf"I count (?P<v>\d) for the {m[1]}")
    if m := re.match(rf"(?:Where is|In which cell is|Where do you find) the ({SHAPE})", prompt):
        thing = only(t for t in things if t.shape == m[1])
        v = PLACE.replace("<p>", "<v>")
        forms = (rf"The {m[1]} is at the {v}", rf"You find the {m[1]} at the {v}")
        return f"{ROWS[thing.row]} {COLUMNS[thing.column]}", forms
    if m := re.match(
        rf"(?:Is|Tell me: is) the ({SHAPE}) (left or right of|above or below) the ({SHAPE})", prompt
    ):
        a, b = (only(t for t in things if t.shape == s) for s in (m[1], m[3]))
        across = m[2].startswith("left")
        x, y = (a.column, b.column) if across else (a.row, b.row)
        assert x != y, "neither of the two words is right"
        words = ("left of", "right of") if across else ("above", "below")
        return words[x > y], (rf"The {m[1]} is (?P<v>left of|right of|above|below) the {m[3]}",)
    if m := re.match(rf"(?:Is there|Do you see|Does the picture show) (an?) ({COLOUR}) ({SHAPE})", prompt):
        assert (m[1] == "an") == (m[2] == "orange")
        forms = (rf"(?P<v>Yes), there is {m[1]} {m[2]} {m[3]}", rf"(?P<v>No), there is no {m[2]} {m[3]}")
        return ("yes" if any((t.colour, t.shape) == (m[2], m[3]) for t in things) else "no"), forms
    assert re.match(
        r"Describe the picture|List everything in the picture|What does the picture show", prompt
    ), prompt
    everything = Counter((t.colour, t.shape) for t in things)
    return everything, (r"(?:There is|The picture shows|I see) (?P<v>.*)",)


def in_chart(chart, prompt):
    value = dict(zip(chart.labels, chart.values, strict=True))
    if m := re.match(r"(?:What is|Add up|What do) ([A-F]) (?:plus|and) ([A-F])", prompt):
        a, b = m.groups()
        return str(value[a] + value[b]), (
            rf"{a} plus {b} is (?P<v>\d+)",
            rf"The sum of {a} and {b} is (?P<v>\d+)",
        )
    if m := re.search(r"(highest|lowest)", prompt):
        best = (max if m[1] == "highest" else min)(chart.values)
        winner = only(letter for letter, v in value.items() if v == best)
        return winner, (rf"The {m[1]} bar is (?P<v>[A-F])", rf"Bar (?P<v>[A-F]) is the {m[1]}")
    m = re.match(r"(?:What is the value of|How high is bar|Read off the value of bar) ([A-F])", prompt)
    return str(value[m[1]]), (rf"The value of {m[1]} is (?P<v>\d)", rf"Bar {m[1]} stands at (?P<v>\d)")


def in_table(table, prompt):
    def cell(name, day):
        return table.cells[table.names.index(name)][table.days.index(day)]

    if m := re.match(r"Who has more on (\w+), (\w+) or (\w+)\?|On (\w+), is (\w+) or (\w+) ahead\?", prompt):
        day, a, b = filter(None, m.groups())
        assert cell(a, day) != cell(b, day)
        forms = (rf"(?P<v>\w+) has more on {day}", rf"On {day} the larger number is for (?P<v>\w+)")
        return (a if cell(a, day) > cell(b, day) else b), forms
    m = re.match(r"(?:What is the number for|How many does|Look up) (\w+) (?:have )?on (\w+)", prompt)
    forms = (rf"{m[1]} has (?P<v>\d) on {m[2]}", rf"The number for {m[1]} on {m[2]} is (?P<v>\d)")
    return str(cell(*m.groups())), forms


def on_bottle(bottle, prompt):
    if prompt.startswith("What is"):
        advice = "do not drink it" if bottle.word in DEADLY else "you can drink it"
        return f"{bottle.word}, {advice}", (r"(?:It is|The label says) (?P<v>\w+, so .*)",)
    assert re.match(r"Can I drink|Is it safe to drink|May I drink", prompt)
    forms = (
        r"(?P<v>Yes), (?:you can drink it|it is safe)",
        r"(?P<v>No), (?:do not drink it|it is dangerous)",
    )
    return ("no" if bottle.word in DEADLY else "yes"), forms


def in_diagram(diagram, prompt):
    m = re.match(r"(?:Start at|From) ([A-F])(?: and|,) follow (one arrow|two arrows)", prompt)
    follows = {a: b for a, b in zip(diagram.letters[:-1], diagram.letters[1:], strict=True)}
    end = follows[m[1]]
    if m[2] == "two arrows":
        end = follows[end]
    return end, (rf"From {m[1]} you end at (?P<v>[A-F])", rf"After {m[2]} from {m[1]} you reach (?P<v>[A-F])")


def right_answer(picture, prompt):
    if isinstance(picture, Scene):
        cells = [(t.row, t.column) for t in picture.things]
        assert len(set(cells)) == len(cells) > 0, "two things in one cell"
        return in_scene(picture.things, prompt)
    if isinstance(picture, Sign):
        assert re.match(r"What does the sign say|Read the sign|What does the picture show", prompt)
        return " ".join(picture.words), (r"(?:The sign says|It reads|The sign reads|It says) (?P<v>\w+ \w+)",)
    for kind, ask in ((Chart, in_chart), (Table, in_table), (Bottle, on_bottle), (Diagram, in_diagram)):
        if isinstance(picture, kind):
            return ask(picture, prompt)
    raise AssertionError(picture)


RUDE = re.compile(r", (?:you fool|you idiot|stupid)(?=\.|$)")
IDLE = re.compile(r" (?:By the way|My favourite|Music is|I looked at|This took|As you surely).*$")


# -- is a response true? ---------------------------------------------------------------------------------------------


def is_true(picture, prompt, text):
    """Of a short answer or a whole sentence; a rude word or idle sentences after it change nothing."""
    answer, forms = right_answer(picture, prompt)
    body = IDLE.sub("", RUDE.sub("", text))
    sentence = body.removesuffix(".")
    for form in forms:
        if m := re.fullmatch(form, sentence):
            said = m["v"]
            break
    else:
        assert not re.search(r"\.|\b(is|are|has|you end)\b", body), (
            f"neither sentence nor bare answer: {text}"
        )
        said = body
    if isinstance(answer, Counter):
        things = re.split(r", | and ", said)
        assert all((t.split()[0] == "an") == (t.split()[1] == "orange") for t in things)
        return Counter(tuple(t.split()[1:]) for t in things) == answer
    said = said.replace(", so ", ", ").lower()
    return {"none": "no"}.get(said, said) == answer.lower()


def check(item):
    where = (item.prompt, item.answers, item.picture)
    right, wrong, *manner = item.answers
    assert is_true(item.picture, item.prompt, right.text), where
    assert not is_true(item.picture, item.prompt, wrong.text), where
    for answer in manner:
        if answer.spoils != "fluency":  # broken English says nothing that can be parsed
            assert is_true(item.picture, item.prompt, answer.text), where


@pytest.mark.parametrize("family", VISUAL_FAMILIES)
def test_held_out_answers_agree_with_a_separate_computation(family):
    """300 records a family: 150 couples, each half with its own picture."""
    for n in range(150):
        question = held_out_question(random.Random(f"truth {family} {n}"), family)
        for half in (question, question.swapped()):
            check(build_item(half, f"{family}{n}"))


def test_training_answers_agree_with_a_separate_computation():
    asked = Counter()
    for i in range(600):
        made = lesson(8, i, 4)
        for item in made.items:
            assert item.picture == made.picture
            check(item)
            asked[item.family] += 1
    assert set(asked) == set(VISUAL_FAMILIES)


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("The star is red.", True),
        ("red", True),
        ("The star is blue.", False),
        ("There is no star.", False),
        ("none", False),
    ],
)
def test_the_check_itself_can_tell(text, truth):
    scene = Scene(
        Look((255, 255, 255), 1),
        (Thing("star", "red", "small", 0, 0), Thing("circle", "blue", "small", 1, 1)),
    )
    assert is_true(scene, "What colour is the star? Be polite.", text) is truth
    assert is_true(scene, "What colour is the cross?", "There is no cross.") and not is_true(
        scene, "What colour is the cross?", "red"
    )
    with pytest.raises(ValueError, match="unpack"):  # two stars: no answer is right
        is_true(scene.edit(None, Thing("star", "pink", "large", 2, 2)), "What colour is the star?", text)


# -- the pixels say what the fields say ------------------------------------------------------------------------------


def nearest_colour(rgb):
    return min(COLOURS, key=lambda c: sum((a - b) ** 2 for a, b in zip(COLOURS[c], rgb, strict=True)))


def ink(image, background):
    """A mask of what is not background."""
    blank = Image.new("RGB", image.size, background)
    return [
        [p != q for p, q in zip(row, other, strict=True)]
        for row, other in zip(rows(image), rows(blank), strict=True)
    ]


def rows(image):
    data, width = list(image.get_flattened_data()), image.width
    return [data[i : i + width] for i in range(0, len(data), width)]


def test_a_drawn_scene_shows_each_thing_in_its_cell_in_its_colour_and_size():
    for n in range(40):
        scene = random_scene(random.Random(f"pixels {n}"))
        image = draw(scene, 1)
        table, mask = rows(image), ink(image, scene.look.background)
        there = {(t.row, t.column): t for t in scene.things}
        for row in range(3):
            for column in range(3):
                box = [
                    (x, y)
                    for y in range(112)
                    for x in range(112)
                    if y * 3 // 112 == row and x * 3 // 112 == column
                ]
                inside = [(x, y) for x, y in box if mask[y][x]]
                if thing := there.get((row, column)):
                    colour, _ = Counter(nearest_colour(table[y][x]) for x, y in inside).most_common(1)[0]
                    assert colour == thing.colour
                    width = max(x for x, _ in inside) - min(x for x, _ in inside)
                    assert (width > 20) == (thing.size == "large")
                else:
                    assert len(inside) <= 8  # Pillow rounds: a neighbour's edge


def test_no_two_shapes_look_alike():
    def mask(shape):
        scene = Scene(Look((255, 255, 255), 1), (Thing(shape, "blue", "small", 1, 1),))
        return {
            (x, y)
            for y, row in enumerate(ink(draw(scene), (255, 255, 255)))
            for x, on in enumerate(row)
            if on
        }

    masks = {shape: mask(shape) for shape in SHAPES}
    for a in SHAPES:
        for b in SHAPES:
            assert a == b or len(masks[a] ^ masks[b]) > 0.1 * len(masks[a] | masks[b])


def close(a, b):
    return max(abs(x - y) for x, y in zip(a, b, strict=True)) <= 10  # the shade varies by so much


def test_a_drawn_bar_is_as_high_as_its_value():
    for n in range(30):
        chart = random_chart(random.Random(f"bars {n}"))
        table = rows(draw(chart, 1))
        for i, value in enumerate(chart.values):
            x = int((i + 0.5) * 112 / len(chart.labels))
            coloured = [y for y in range(90) if close(table[y][x], COLOURS[chart.colour])]
            # Gridlines lie 13.5 apart; a bar starts at the axis, y = 90.
            assert round((90 - min(coloured)) / 13.5) == value
