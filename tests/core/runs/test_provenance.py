"""What was understood of the data stands in the run's manifest, typed, and on its page, escaped; judges of one picture refuse several."""

import json

import pytest
from PIL import Image

from core.benchmarks import BENCHMARKS
from core.images import ImageError
from core.judges.rules import RuleJudge, longer
from core.records import Condition, JudgeCard, RecordError
from core.runs.manifest import Manifest, RunError
from core.runs.rows import comparison_of
from core.runs.runner import Job, run
from core.world.items import png

ROW = {"image": "a.png", "prompt": "Which colour?", "responses": ["red", "green"]}


@pytest.fixture
def folder(tmp_path):
    for name, colour in (("a", "red"), ("b", "blue")):
        (tmp_path / f"{name}.png").write_bytes(png(Image.new("RGB", (32, 16), colour)))
    return tmp_path


def made(folder, rows, judge=None, **how):
    (folder / "mine.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    return run(Job(BENCHMARKS["own"].open(folder / "mine.jsonl"), judge or longer(), folder / "run", **how))


def looking(max_images, seen):
    """A judge that looks at what it is given and remembers the sizes and the first pixels."""

    class Looking(RuleJudge):
        def judge_batch(self, comparisons):
            for c in comparisons:
                seen.append([(i.size, i.getpixel((1, 1))) for i in c.load_images()])
            return super().judge_batch(comparisons)

    card = JudgeCard("looking", "looking", "generative", max_images=max_images)
    return Looking(card, lambda responses: [float(len(r)) for r in responses])


def test_source_columns_decisions_and_what_was_left_out_stand_in_the_manifest(folder):
    rows = [{**ROW, "prompt": f"<image>\nWhich {i}?", "preferred": n} for i, n in enumerate((1, 2, 1))]
    done = made(folder, [*rows, {**ROW, "preferred": 3}, {**ROW, "prompt": "", "preferred": 1}])
    p = Manifest.load(done.folder).provenance
    assert p["source"] == "mine.jsonl" and p["format"] == "the general form"
    assert p["columns"] == {
        "prompt": "prompt",
        "picture": "image",
        "responses": "responses",
        "label": "preferred",
    }
    assert p["decisions"] == ["Column preferred counts the responses from 1: 1 is the first."]
    assert p["notes"] == {"places of pictures such as <image> taken out of the prompt": 3}
    assert len(p["left_out"]) == 2 and any(
        "3 where A or B or 1 to 2 was expected" in line for line in p["left_out"]
    )


def test_a_run_that_was_stopped_says_the_same_when_it_is_finished(folder):
    rows = [{**ROW, "prompt": f"<image>\nWhich {i}?", "preferred": "A"} for i in range(20)]
    asked = iter(range(100))
    (folder / "mine.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    job = Job(BENCHMARKS["own"].open(folder / "mine.jsonl"), longer(), folder / "run", batch=2)
    assert run(job, cancelled=lambda: next(asked) >= 1) is None
    assert sum(run(job).manifest.provenance["notes"].values()) == 20


def test_the_page_shows_it_escaped(folder):
    from app.leaderboard.detail import provenance_html

    done = made(folder, [{"<b>id": 1, **ROW, "preferred": "<i>x</i>", "id": "1"}])
    said = provenance_html(done.manifest.provenance)
    assert "Question: column prompt" in said and "Not judged: 1 row" in said
    assert "&lt;i&gt;x" in said and "<i>x" not in said
    assert provenance_html({}) == ""


@pytest.mark.parametrize(
    "wrong", [{"columns": [1]}, {"decisions": "x"}, {"notes": {"a": -1}}, {"left_out": [{}]}, {"format": 3}, {"source": "x" * 5000}]
)  # fmt: skip
def test_a_provenance_of_another_form_is_a_sentence(folder, wrong):
    done = made(folder, [{**ROW, "preferred": "A"}])
    path = done.folder / "manifest.json"
    row = json.loads(path.read_text())
    path.write_text(json.dumps({**row, "provenance": {**row["provenance"], **wrong}}))
    with pytest.raises(RunError, match="its manifest.json is damaged: provenance"):
        Manifest.load(done.folder)


def test_a_column_with_an_endless_name_does_not_make_the_run_unreadable(folder):
    name = "image " + "x" * 9000
    done = made(folder, [{**ROW, "preferred": "A", name: 1, "responses": {"y" * 9000: "a", "z": "b"}}])
    assert Manifest.load(done.folder).provenance["format"] == "the general form"


@pytest.mark.parametrize(("most", "judged"), [(1, 1), (2, 2), (None, 3)])
def test_several_pictures_go_to_judges_whose_card_takes_them(folder, most, judged):
    rows = [
        {**ROW, "image": ["a.png", "b.png", "a.png"][:n], "preferred": "A", "prompt": f"{n}?"}
        for n in (1, 2, 3)
    ]
    seen = []
    done = made(folder, rows, looking(most, seen))
    table = done.table(["outcome", "problem", "pictures"]).to_pylist()
    assert [r["outcome"] != "missing" for r in table] == [n < judged for n in range(3)]
    assert [r["pictures"] for r in table] == [1, 2, 3] and len(seen) == judged
    assert max(len(s) for s in seen) == judged and seen[-1][0][1] == (255, 0, 0)
    for row in table[judged:]:
        takes = "one picture" if most == 1 else f"at most {most} pictures"
        assert (
            f"column image: it has {row['pictures']} pictures, and this judge takes {takes}" in row["problem"]
        )


def test_a_blank_image_blanks_all_of_them(folder):
    seen = []
    made(
        folder,
        [{**ROW, "image": ["a.png", "b.png"], "preferred": "A"}],
        looking(None, seen),
        condition=Condition.BLANK,
    )
    assert [size for size, _ in seen[0]] == [(32, 16)] * 2 and len({pixel for _, pixel in seen[0]}) == 1


def test_the_small_copy_of_several_pictures_is_never_taken_for_the_picture(folder):
    done = made(folder, [{**ROW, "image": ["a.png", "b.png"], "preferred": "A"}, {**ROW, "preferred": "A"}])
    with pytest.raises(RecordError, match="Row 0 has 2 pictures"):
        comparison_of(done, 0)
    assert comparison_of(done, 1).load_image().size == (32, 16)


def test_cards_say_how_many_pictures_a_judge_takes():
    for most in (1, 4, None):
        card = JudgeCard("x", "x", "generative", max_images=most)
        assert JudgeCard.from_row(json.loads(json.dumps(card.to_row()))) == card
    assert "max_images" not in JudgeCard("x", "x", "rule").to_row()
    assert JudgeCard.from_row({"id": "x", "name": "x", "kind": "gated"}).max_images == 1


def test_a_judge_of_one_picture_is_never_given_a_part_of_the_question(folder):
    from core.records import Comparison

    record = Comparison("1", folder / "a.png", "?", ("a", "b"), more_images=(folder / "b.png",))
    with pytest.raises(ImageError, match="2 pictures"):
        record.load_image()
