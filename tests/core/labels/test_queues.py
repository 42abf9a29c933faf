"""Queues over the bundled runs, a file that nobody judged, and what annotators disagree about."""

import io
import json
from pathlib import Path

import pytest
from PIL import Image

from core.benchmarks import BENCHMARKS
from core.judges.rules import longer, no_judge
from core.labels import queues
from core.labels.records import LabelError, Opinion
from core.labels.store import LabelStore
from core.runs.manifest import RunError
from core.runs.run import open_run
from core.runs.runner import Job, run

SCENE = Path(__file__).parents[3] / "assets" / "runs" / "scene"


@pytest.fixture
def store(tmp_path):
    store = LabelStore(f"sqlite:///{tmp_path / 'l.sqlite'}")
    yield store
    store.close()


def scene(*names):
    return {f"scene/{n}": open_run(SCENE / n) for n in names}


def own(tmp_path, rows, judge=no_judge):
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return {"own": run(Job(BENCHMARKS["own"].open(file), judge(), tmp_path / f"run-{judge.__name__}"))}


def row(prompt, chosen, rejected, colour="red"):
    out = io.BytesIO()
    Image.new("RGB", (40, 40), colour).save(out, "PNG")
    import base64

    picture = "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()
    return {"prompt": prompt, "chosen": chosen, "rejected": rejected, "image": picture}


def test_suspicious_labels_come_first_with_what_the_judges_said(store):
    queue = queues.from_runs(store, scene("vl-mdr", "scalar"), name="", by="me", most=30)
    items = store.items(queue.id)
    wrong = [i.evidence["wrong"] for i in items.values()]
    assert len(items) == 30 and wrong == sorted(wrong, reverse=True)
    first = items[0]
    assert [j["judge_name"] for j in first.judged] == [r.name for r in scene("vl-mdr", "scalar").values()]
    assert all(j["revision"] for j in first.judged) and first.evidence["reasons"]
    assert (
        queue.about["runs"] == ["scene/vl-mdr", "scene/scalar"]
        and queue.about["name"] == "Scene world, held out"
    )


def test_the_picture_of_a_built_in_record_is_drawn_from_its_row(store):
    queue = queues.from_runs(store, scene("vl-mdr"), name="", by="me", most=3)
    item = store.items(queue.id)[1]
    drawn = Image.open(io.BytesIO(queues.picture_of(store, "scene", item))).convert("RGB")
    assert drawn.tobytes() == BENCHMARKS["scene"].built_in_record(item.row).load_image().tobytes()


def test_a_random_queue_is_a_seeded_sample(store):
    rows = []
    for seed in (1, 1, 2):
        queue = queues.from_runs(
            store, scene("vl-mdr"), name="", by="me", order="random", most=200, seed=seed
        )
        rows.append([i.row for i in store.items(queue.id).values()])
    assert rows[0] == rows[1] != rows[2] and len(set(rows[0])) == 200
    assert 800 < sum(rows[0]) / 200 < 1220  # 2,024 rows: the mean of a uniform sample


def test_a_file_that_nobody_judged_can_be_labelled(store, tmp_path):
    rows = [
        row("What?", "red", "blue"),
        row("What?", "blue", "red"),
        row("What?", "blue", "red", "blue"),
        row("How?", "a", "b"),
    ]
    queue = queues.from_runs(store, own(tmp_path, rows), name="mine", by="me")
    items = store.items(queue.id)
    assert {items[0].row, items[1].row} == {
        0,
        1,
    }  # the contradiction; the same texts with another picture are none
    assert (
        items[0].evidence["reasons"][0]["kind"] == "contradicts"
        and items[0].evidence["reasons"][0]["certain"]
    )
    assert items[0].judged == ()
    assert Image.open(io.BytesIO(queues.picture_of(store, "own", items[0]))).size == (40, 40)


def test_runs_of_other_data_are_not_mixed(store, tmp_path):
    mixed = {**scene("vl-mdr"), **own(tmp_path, [row("What?", "red", "blue")], longer)}
    with pytest.raises(RunError):
        queues.from_runs(store, mixed, name="", by="me")


@pytest.mark.parametrize(
    "wrong", [{"most": 0}, {"most": 10**9}, {"overlap": 0}, {"overlap": 99}, {"order": "no such"}]
)
def test_what_makes_no_queue_is_said(store, wrong):
    with pytest.raises(LabelError):
        queues.from_runs(store, scene("vl-mdr"), name="", by="me", **wrong)
    with pytest.raises(LabelError):
        queues.from_runs(store, {}, name="", by="me")
    assert store.queues() == []


def test_what_people_disagree_about_makes_the_next_queue(store):
    queue = queues.from_runs(store, scene("vl-mdr"), name="q", by="me", most=3, overlap=3)
    with pytest.raises(LabelError, match="Nobody disagrees"):
        queues.from_disagreement(store, queue, by="me")
    said = {"ann": ("0", "0", "1"), "bob": ("0", "1", "1"), "cy": ("0", "0", "tie")}
    for who, verdicts in said.items():
        for _ in range(3):
            claim = store.claim(queue.id, who)
            store.judge(claim.ticket, who, Opinion(verdicts[claim.item.position]))
    again = queues.from_disagreement(store, queue, by="me")
    items = store.items(again.id)
    rows = store.items(queue.id)
    assert sorted(i.row for i in items.values()) == sorted(rows[p].row for p in (1, 2))
    reason = items[0].evidence["reasons"][0]
    assert (
        reason["kind"] == "disputed"
        and sum(reason["verdicts"].values()) == 3
        and again.about["of"] == queue.id
    )
