"""The world is seeded, its splits are apart, and every record is well formed. (Whether its answers are true is in
test_world_truth.py, whether the blind are at chance in test_world_blind.py.)"""

import difflib
import io
import random
import re
import subprocess
import sys
from collections import Counter
from dataclasses import fields
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from core.taxonomy import KEYS, MANNER
from core.world.draw import draw
from core.world.pictures import LETTERS, Bottle, Chart, Diagram, Scene, Sign, Table
from core.world.questions import FAMILIES, MANNER_FAMILIES, VISUAL_FAMILIES
from core.world.splits import couple, held_out, held_out_question, is_held_out, is_training, lesson, reserved

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def records():
    return list(held_out(3000, seed=12, images=False))


@pytest.fixture(scope="module")
def training_pictures():
    return [lesson(0, i, 1).picture for i in range(3000)]


# -- seeds -----------------------------------------------------------------------------------------------------------

DIGEST = """
import hashlib
from core.world.splits import held_out, lesson
h = hashlib.sha256()
for r in held_out(46, 3):
    h.update(repr((r.id, r.prompt, r.responses, r.preferred, r.truth)).encode() + r.image)
for i in range(20):
    h.update(repr(lesson(0, i, 4)).encode())
print(h.hexdigest())
"""


def test_same_seed_same_pixels_in_any_process():
    digests = [
        subprocess.run(
            [sys.executable, "-c", DIGEST],
            env={"PYTHONHASHSEED": s, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
        for s in ("1", "2")
    ]
    assert digests[0].stdout == digests[1].stdout != "", digests[0].stderr


def test_same_seed_same_records_and_another_seed_others():
    a, b, c = (list(held_out(46, s)) for s in (1, 1, 2))
    assert a == b
    assert not {r.id for r in a} & {r.id for r in c}
    assert not {r.image for r in a} & {r.image for r in c}


def test_a_longer_run_begins_like_a_shorter_one(records):
    assert list(held_out(100, seed=12, images=False)) == records[: len(list(held_out(100, 12, images=False)))]


def test_drawing_or_not_drawing_changes_nothing_else():
    drawn, blind = held_out(46, 5), held_out(46, 5, images=False)
    for a, b in zip(drawn, blind, strict=True):
        assert (a.id, a.prompt, a.responses, a.preferred, a.truth) == (
            b.id,
            b.prompt,
            b.responses,
            b.preferred,
            b.truth,
        )


def test_ids_are_unique(records):
    assert len({r.id for r in records}) == len(records)


def test_lessons_of_another_seed_or_number_differ():
    texts = {(seed, i): repr(lesson(seed, i, 3)) for seed in (0, 1) for i in range(20)}
    assert len(set(texts.values())) == len(texts)


# -- splits ----------------------------------------------------------------------------------------------------------


def combinations(picture):
    """The facts by which the splits are kept apart, from the picture's own fields."""
    if isinstance(picture, Scene):
        return {("thing", t.colour, t.shape) for t in picture.things}
    if isinstance(picture, Chart):
        return {("bar", picture.labels[i], str(v)) for i, v in enumerate(picture.values)}
    if isinstance(picture, Table):
        return {
            ("cell", name, day, str(picture.cells[i][j]))
            for i, name in enumerate(picture.names)
            for j, day in enumerate(picture.days)
        }
    if isinstance(picture, Sign):
        return {("words", *picture.words)}
    if isinstance(picture, Bottle):
        return {("label", picture.colour, picture.word)}
    assert isinstance(picture, Diagram)
    return {("chain", *picture.letters[i : i + 3]) for i in range(2)}


def test_reserved_combinations_never_occur_in_training(training_pictures):
    assert len(training_pictures) >= 3000
    for picture in training_pictures:
        assert is_training(picture) and not any(map(reserved, combinations(picture)))


def test_later_questions_of_a_lesson_are_about_the_same_picture():
    for i in range(300):
        made = lesson(0, i, 4)
        assert all(item.picture == made.picture for item in made.items)


def test_every_held_out_picture_has_a_combination_never_seen(training_pictures):
    seen = set().union(*map(combinations, training_pictures))
    for family in VISUAL_FAMILIES:
        for n in range(40):
            question = held_out_question(random.Random(f"unseen {family} {n}"), family)
            for picture in (question.picture, question.twin):
                assert is_held_out(picture) and combinations(picture) - seen


def test_every_single_fact_of_a_held_out_picture_occurs_in_training(training_pictures):
    """New are the combinations alone: no colour, letter, word or number is met for the first time."""

    def facts(picture):
        return {
            (kind, place, fact) for kind, *rest in combinations(picture) for place, fact in enumerate(rest)
        }

    seen = set().union(*map(facts, training_pictures))
    for family in VISUAL_FAMILIES:
        for n in range(40):
            question = held_out_question(random.Random(f"facts {family} {n}"), family)
            assert facts(question.picture) | facts(question.twin) <= seen


# -- twins -----------------------------------------------------------------------------------------------------------


def test_lessons_come_as_twins():
    for i in range(0, 400, 2):
        a, b = lesson(0, i, 1), lesson(0, i + 1, 1)
        assert a.picture != b.picture and a.picture.look == b.picture.look
        x, y = a.items[0], b.items[0]
        assert (x.prompt, x.relevant, x.family) == (y.prompt, y.relevant, y.family)
        assert [v.text for v in x.answers[:2]] == [v.text for v in y.answers[1::-1]]


@pytest.mark.parametrize("family", VISUAL_FAMILIES)
def test_twins_have_the_same_texts_opposite_labels_and_other_pictures(family):
    for n in range(15):
        a, b = couple(family, f"twins {n}")
        assert (a.prompt, a.responses, a.category) == (b.prompt, b.responses, b.category)
        assert a.preferred == 1 - b.preferred
        assert a.truth.relevant == b.truth.relevant
        left, right = (Image.open(io.BytesIO(r.image)) for r in (a, b))
        assert left.size == right.size and left.tobytes() != right.tobytes()


# -- records ---------------------------------------------------------------------------------------------------------


def test_every_dimension_occurs_as_relevant_decisive_and_irrelevant(records):
    relevant = Counter(d for r in records for d in r.truth.relevant)
    decisive = Counter(r.truth.decisive for r in records)
    assert set(relevant) == set(decisive) == set(KEYS)
    for d in KEYS:
        assert relevant[d] < len(records)
        assert relevant[d] > decisive[d] or d not in MANNER  # asked for, yet not what decides
        # On the same kind of picture and question a dimension of manner may matter or not.
        if d in MANNER:
            assert {d in r.truth.relevant for r in records if r.category == "count"} == {True, False}


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**9), st.sampled_from(FAMILIES))
def test_every_record_is_well_formed(seed, family):
    for r in couple(family, str(seed), images=False):
        assert r.category == family
        assert len(set(r.responses)) == 2 and all(x.strip() for x in r.responses)
        assert len(set(r.truth.relevant)) == 3 and set(r.truth.relevant) <= set(KEYS)
        wrong = 1 - r.preferred
        assert r.truth.spoilt[wrong] in r.truth.relevant and r.truth.spoilt[r.preferred] is None
        assert r.truth.wrong_spans[r.preferred] == ()
        spans = r.truth.wrong_spans[wrong]
        assert all(0 <= s < e <= len(r.responses[wrong]) for s, e in spans)
        assert list(spans) == sorted(spans) and all(
            a[1] <= b[0] for a, b in zip(spans, spans[1:], strict=False)
        )
        # Only a thing left out leaves no wrong word behind.
        assert spans or r.truth.decisive == "completeness"
        assert bool(r.truth.evidence) == (r.truth.decisive not in MANNER)
        for left, top, right, bottom in r.truth.evidence:
            assert 0 <= left < right <= 1 and 0 <= top < bottom <= 1


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 10**7), st.integers(1, 5))
def test_every_lesson_is_well_formed(seed, index, questions):
    made = lesson(seed, index, questions)
    assert 1 <= len(made.items) <= questions
    assert len({item.prompt for item in made.items}) == len(made.items)
    for item in made.items:
        if item.family == "caption" and len(made.picture.things) == 1:
            continue  # known: see test_a_list_of_one_thing_is_not_shortened_to_nothing
        assert len(set(item.relevant)) == 3 and set(item.relevant) <= set(KEYS)
        right, *spoilt = item.answers
        assert right.spoils is None and all(a.spoils in item.relevant for a in spoilt)
        texts = [a.text for a in item.answers]
        assert len(set(texts)) == len(texts) and all(t.strip() for t in texts)
        # Beside the visual mistake, one fault for every manner that was asked for.
        assert {a.spoils for a in spoilt[1:]} == set(item.relevant) & MANNER
        for a in item.answers:
            assert all(0 <= s < e <= len(a.text) for s, e in a.spans)


@pytest.mark.xfail(strict=True, reason="ask_caption omits the only thing: the answer is '' or 'I see .'")
@pytest.mark.parametrize(("index", "number"), [(462, 3), (223, 1), (1388, 1)])
def test_a_list_of_one_thing_is_not_shortened_to_nothing(index, number):
    answers = lesson(0, index, 4).items[number].answers
    assert all(re.search(r"\b(circle|square|triangle|diamond|star|cross)\b", a.text) for a in answers)


@pytest.mark.xfail(
    strict=True, reason="where both are asked for, an answer that wanders off is not brief either"
)
def test_no_prompt_asks_for_two_manners_that_one_fault_breaks():
    items = [item for i in range(200) for item in lesson(0, i, 4).items]
    assert not any({"relevance", "conciseness"} <= set(item.relevant) for item in items)


def words(text):
    return [(m.group(), m.start(), m.end()) for m in re.finditer(r"\w+", text)]


def test_wrong_spans_are_words_in_which_the_right_answer_differs(records):
    for r in records:
        if r.category not in VISUAL_FAMILIES:
            continue
        wrong, right = words(r.responses[1 - r.preferred]), words(r.responses[r.preferred])
        matcher = difflib.SequenceMatcher(
            None, [w for w, _, _ in wrong], [w for w, _, _ in right], autojunk=False
        )
        same = {i for block in matcher.get_matching_blocks() for i in range(block.a, block.a + block.size)}
        for s, e in r.truth.wrong_spans[1 - r.preferred]:
            inside = [i for i, (_, a, b) in enumerate(wrong) if s <= a and b <= e]
            assert inside and "".join(wrong[i][0] for i in inside) == re.sub(
                r"\W", "", r.responses[1 - r.preferred][s:e]
            )
            # "an orange star" too much, beside another star: the alignment may pair off some of its words.
            assert any(i not in same for i in inside), r


def test_faults_of_manner_are_marked_to_the_letter(records):
    """Without its marked words the answer has the fault no more; for form the whole answer is marked."""
    seen = Counter()
    for r in records:
        if r.category not in MANNER_FAMILIES:
            continue
        wrong, right = r.responses[1 - r.preferred], r.responses[r.preferred]
        ((s, e),) = r.truth.wrong_spans[1 - r.preferred]
        seen[r.category] += 1
        if r.category == "format":
            assert (s, e) == (0, len(wrong))
            bare = "bare answer" in r.prompt or "no sentence" in r.prompt
            assert (len(right) < len(wrong)) == bare
        elif r.category in ("relevance", "conciseness"):
            assert wrong[:s].rstrip() == right and e == len(wrong)
        elif r.category == "respect":
            assert wrong[:s].removesuffix(", ") + wrong[e:] == right
        else:
            assert wrong[:s] == right[:s] and right.endswith(wrong[e:])
    assert set(seen) == set(MANNER_FAMILIES)


def test_pictures_are_drawn_at_three_times_their_canvas_and_hide_nothing():
    for family in VISUAL_FAMILIES:
        question = held_out_question(random.Random(family), family)
        assert draw(question.picture).size == tuple(3 * v for v in question.picture.size)
        opened = Image.open(io.BytesIO(couple(family, "png")[0].image))
        assert opened.mode == "RGB" and not opened.info  # no text chunk that could tell the answer


def test_pictures_vary():
    """Backgrounds, shades and jitter: thirty questions, hardly a pixel pattern twice."""
    for family in VISUAL_FAMILIES:
        made = [held_out_question(random.Random(f"vary {family} {n}"), family).picture for n in range(30)]
        assert len({draw(p, 1).tobytes() for p in made}) == 30
        assert len({p.look.background for p in made}) > 3
        assert all(f.name in ("look", "size", "kind", "corners") or len({getattr(p, f.name) for p in made}) > 3
                   for p in made[:1] for f in fields(p))  # fmt: skip


def test_no_training_answer_names_a_reserved_combination():
    """Not even a wrong one, and not in the later questions of a lesson: reserved would come to mean wrong."""
    from core.world import splits

    seen = []
    whole = splits.build_item
    splits.build_item = lambda question, seed: (seen.append(question), whole(question, seed))[1]
    try:
        for i in range(300):
            lesson(5, i, 4)
    finally:
        splits.build_item = whole
    assert len(seen) > 900
    assert all(is_training(q.picture) and is_training(q.twin) for q in seen)


def test_every_pair_of_letters_on_an_arrow_occurs_in_training():
    """Only chains of three are reserved: no question gives away that an answer is reserved."""
    pairs = {
        (p[i], p[i + 1])
        for p in permutations(LETTERS, 4)
        if not any(reserved(("chain", *p[j : j + 3])) for j in (0, 1))
        for i in range(3)
    }
    assert len(pairs) == 30
