"""What the training says about visual tokens and response tokens, against a separate computation."""

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops

from core.model.processor import encode_response
from core.training.data import evidence_tokens, grounding_targets, marks
from core.world.draw import draw
from core.world.items import Answer
from core.world.pictures import CONCEPTS, Bottle, Chart, Diagram, Scene, Sign, Table
from core.world.questions import KINDS, VISUAL_FAMILIES
from core.world.splits import held_out_question, lesson

SIDE = 28  # canvas pixels per visual token: patches of 14, merged two by two


def expected_concepts(picture):  # one case a kind of picture
    """{(row, column) of the token: concepts}, from the picture's fields alone; parts that share a token clash."""
    found = []
    w, h = picture.size
    if isinstance(picture, Scene):
        for t in picture.things:
            names = {
                f"colour={t.colour}",
                f"shape={t.shape}",
                f"size={t.size}",
                f"row={t.row}",
                f"column={t.column}",
            }
            found.append((picture.centre(t), names))
    elif isinstance(picture, Chart):
        for i, letter in enumerate(picture.labels):  # at the letter under the bar
            at = (w * (2 * i + 1) / (2 * len(picture.labels)), 101)
            found.append((at, {f"letter={letter}", f"value={picture.values[i]}"}))
    elif isinstance(picture, Table):
        columns, rows = ["", *picture.days], ["", *picture.names]
        for r, name in enumerate(rows):
            for c, day in enumerate(columns):
                names = {f"name={name}"} if name else set()
                names |= {f"day={day}"} if day else set()
                names |= {f"value={picture.cells[r - 1][c - 1]}"} if r and c else set()
                found.append(((w * (c + 0.5) / len(columns), h * (r + 0.5) / len(rows)), names))
        found = [(at, names) for at, names in found if names]  # the corner is empty
    elif isinstance(picture, Sign):
        # A word may straddle token rows; its concept sits in the first and in the last row of three.
        found = [((70, 14), {f"word={picture.words[0]}"}), ((70, 70), {f"word={picture.words[1]}"})]
    elif isinstance(picture, Bottle):
        deadly = picture.word in ("poison", "acid", "bleach", "petrol")
        found = [((42, 70), {f"word={picture.word}", f"danger={deadly}"})]
    else:
        assert isinstance(picture, Diagram)
        corners = [(20, 20), (92, 20), (20, 92), (92, 92)]
        for i, letter in enumerate(picture.letters):
            following = (picture.letters[i + 1], picture.order[i + 1]) if i < 3 else ("none", "none")
            names = {f"letter={letter}", f"next={following[0]}", f"towards={following[1]}"}
            # The corners of the three by three places of a scene: rows and columns 0 and 2.
            names |= {f"row={2 * (picture.order[i] // 2)}", f"column={2 * (picture.order[i] % 2)}"}
            found.append((corners[picture.order[i]], names))
    tokens = {}
    for (x, y), names in found:
        token = (int(y // SIDE), int(x // SIDE))
        assert token not in tokens, f"two parts share token {token} of {picture}"
        tokens[token] = names
    return tokens


def grid_of(processor, picture):
    small = draw(picture).resize(picture.size, Image.Resampling.BICUBIC)
    return processor.image_processor(images=[small], return_tensors="pt")["image_grid_thw"][0]


@pytest.mark.parametrize("kind", KINDS)
def test_each_part_is_named_at_the_token_with_its_anchor(processor, kind):
    make, _ = KINDS[kind]
    grid = grid_of(processor, make(random.Random(0)))
    columns = int(grid[2]) // 2
    for n in range(150):
        picture = make(random.Random(n))
        assert picture.size == (columns * SIDE, int(grid[1]) // 2 * SIDE)  # the processor resizes nothing
        target = grounding_targets(picture, grid, 2)
        found = {
            divmod(i, columns): {CONCEPTS[c] for c in target[i].nonzero().flatten()}
            for i in target.any(-1).nonzero().flatten().tolist()
        }
        assert found == expected_concepts(picture)


def test_parts_of_any_lesson_keep_to_their_own_token():
    """Edited pictures too: counting and captions change what random_scene made."""
    for i in range(300):
        picture = lesson(5, i, 1).picture
        assert len(expected_concepts(picture)) == len(picture.parts())


def test_visual_token_i_sees_block_i_of_the_picture(random_model, processor):
    """Grounding counts tokens by rows of the picture. Here a block is painted, and the token that changes most is
    looked up: once in what the processor hands over, once in what the eyes make of it."""
    plain = Image.new("RGB", (112, 112), (120, 130, 140))

    def look(image):
        inputs = processor.image_processor(images=[image], return_tensors="pt")
        with torch.no_grad():
            features = random_model.image_features(
                inputs["pixel_values"], image_grid_thw=inputs["image_grid_thw"]
            )
        return inputs["pixel_values"], features[0]

    pixels, features = look(plain)
    for row in range(4):
        for column in range(4):
            token = 4 * row + column
            painted = plain.copy()
            painted.paste((250, 20, 20), (column * SIDE, row * SIDE, (column + 1) * SIDE, (row + 1) * SIDE))
            now = look(painted)
            changed = (now[0] != pixels).any(-1).nonzero().flatten().tolist()
            assert changed == list(range(4 * token, 4 * token + 4))
            assert int((now[1] - features).norm(dim=-1).argmax()) == token


# -- evidence --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", VISUAL_FAMILIES)
def test_evidence_tokens_are_those_of_the_parts_inside_the_evidence(processor, family):
    known = 0
    for n in range(40):
        question = held_out_question(random.Random(f"evidence {family} {n}"), family)
        for half in (question, question.swapped()):
            picture = half.picture
            grid = grid_of(processor, picture)
            found = evidence_tokens(picture, half.evidence, grid, 2).nonzero().flatten().tolist()
            columns = int(grid[2]) // 2
            expected = {
                int(part.anchor[1] // SIDE) * columns + int(part.anchor[0] // SIDE)
                for part in picture.parts()
                if any(mostly_within(part.box, box) for box in half.evidence)
            }
            assert set(found) == expected
            known += bool(found)
    # Only where the proof is an empty place (a thing left out, or invented) there is no part to point at.
    assert known == 80 or (family == "caption" and known > 50)


def mostly_within(box, other):
    """Whether the smaller of two boxes lies with more than half of its area in the larger."""

    def area(b):
        return max(0, b[2] - b[0]) * max(0, b[3] - b[1])

    shared = (max(box[0], other[0]), max(box[1], other[1]), min(box[2], other[2]), min(box[3], other[3]))
    return (
        area(shared) > 0.5 * min(area(box), area(other))
        if shared[0] < shared[2] and shared[1] < shared[3]
        else False
    )


# Families whose twin differs only where the evidence of either half says. (In "position" a thing that stood in
# the way changes places, in "path" the box that gave its letter does.)
LOCAL = [f for f in VISUAL_FAMILIES if f not in ("position", "path")]


@pytest.mark.parametrize("family", LOCAL)
def test_pixels_that_tell_twins_apart_lie_in_the_evidence(family):
    scale = 3
    for n in range(12):
        question = held_out_question(random.Random(f"pixels {family} {n}"), family)
        difference = ImageChops.difference(draw(question.picture), draw(question.twin)).convert("L")
        assert difference.getbbox()
        for x0, y0, x1, y1 in (*question.evidence, *question.twin_evidence):
            # One canvas unit of slack for the edges of what is drawn.
            box = tuple(round(v * scale) for v in (x0 - 1, y0 - 1, x1 + 1, y1 + 1))
            difference.paste(0, box)
        assert not difference.getbbox(), question


# -- words -----------------------------------------------------------------------------------------------------------


def overlaps(a, b):
    return bool(set(range(*a)) & set(range(*b)))


@settings(max_examples=120, deadline=None)
@given(text=st.text(min_size=1, max_size=40), data=st.data())
def test_marks_flag_the_tokens_that_overlap_a_span(processor, text, data):
    at = st.integers(0, len(text))
    spans = tuple(
        tuple(sorted(p)) for p in data.draw(st.lists(st.tuples(at, at), max_size=3)) if p[0] != p[1]
    )
    response = encode_response(processor, text)
    found = marks(response, Answer(text, "text", spans))
    assert found == [any(overlaps(token, span) for span in spans) for token in response.spans]
    assert not found[-1]  # the end of the turn is nobody's word


def test_marks_of_the_worlds_answers_are_their_marked_words(processor):
    marked = 0
    for i in range(60):
        for item in lesson(6, i, 3).items:
            for answer in item.answers:
                response = encode_response(processor, answer.text)
                flags = marks(response, answer)
                pieces = [answer.text[a:b] for f, (a, b) in zip(flags, response.spans, strict=True) if f]
                said = "".join("".join(pieces).split())
                meant = "".join(answer.text[a:b] for a, b in answer.spans)
                assert said == "".join(meant.split()), answer
                marked += any(flags)
    assert marked > 300
