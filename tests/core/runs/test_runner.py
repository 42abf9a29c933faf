"""The runner: nothing lost, nothing doubled, the same file however often it was killed."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from core.benchmarks import BENCHMARKS
from core.judges.conditions import blanked
from core.judges.rules import RuleJudge, always_first, longer
from core.judges.vlmdr import VLMDRJudge
from core.records import Condition, JudgeCard, Judgement, RecordError
from core.runs.manifest import RunError
from core.runs.run import find_runs, open_run
from core.runs.runner import Job, run
from core.runs.schema import judgement_of
from core.world.items import png

ROOT = Path(__file__).parents[3]
N = 300

SLOW = """
import sys, time
from pathlib import Path
from core.benchmarks import BENCHMARKS
from core.judges.rules import longer
from core.runs.runner import Job, run
judge = longer()
fast = judge.judge_batch
judge.judge_batch = lambda batch: (time.sleep(0.02), fast(batch))[1]
print("ready", flush=True)
run(Job(BENCHMARKS["own"].open(sys.argv[1]), judge, Path(sys.argv[2]), batch=4))
print("finished", flush=True)
"""


def test_what_is_odd_in_the_data_is_said(data, tmp_path) -> None:
    done = run(Job(BENCHMARKS["own"].open(data), longer(), tmp_path / "run"))
    found = done.manifest.stats["findings"]
    assert found["id occurs more than once"]["count"] == 50  # ids are the row's number modulo 250
    assert found["id occurs more than once"]["first"][0] == [[0, 250], "0"]
    assert found["unreadable row"]["first"][0][0] == [123]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Rows of random length; some without image, some broken."""
    folder = tmp_path_factory.mktemp("data")
    rng = random.Random(0)
    (folder / "i.png").write_bytes(png(Image.new("RGB", (40, 30), "red")))
    (folder / "broken.png").write_bytes(b"no picture")
    rows = []
    for i in range(N):
        responses = ["x" * rng.randint(1, 60), "y" * rng.randint(1, 60)]
        image = "broken.png" if i % 50 == 7 else "gone.png" if i % 50 == 9 else "i.png"
        rows.append({"id": i % 250, "prompt": f"Q{i}", "responses": responses, "preferred": "AB"[i % 2], "image": image,
                     "category": "even" if i % 2 else "odd"})  # fmt: skip
    rows[123]["preferred"] = "neither"
    file = folder / "data.jsonl"
    file.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return file


def test_killed_at_random_moments_it_ends_with_the_same_file(data, tmp_path) -> None:
    whole = tmp_path / "whole"
    run(Job(BENCHMARKS["own"].open(data), longer(), whole, batch=4))
    killed, rng = tmp_path / "killed", random.Random(1)
    kills = 0
    for _ in range(12):
        process = subprocess.Popen(
            [sys.executable, "-c", SLOW, str(data), str(killed)], cwd=ROOT, stdout=subprocess.PIPE
        )
        assert process.stdout
        process.stdout.readline()
        try:
            process.wait(rng.uniform(0.05, 0.6))
            break
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
    else:
        subprocess.run([sys.executable, "-c", SLOW, str(data), str(killed)], cwd=ROOT, check=True)
    assert kills >= 2
    assert (killed / "judgements.parquet").read_bytes() == (whole / "judgements.parquet").read_bytes()
    assert pq.read_table(killed / "judgements.parquet")["row"].to_pylist() == list(range(N))
    assert not (killed / "parts").exists()


def test_row_groups_are_large_and_bounded_by_rows_and_bytes(data, tmp_path, monkeypatch) -> None:
    """Queries scan few large groups fast; looking up one row must not read a gigabyte of pictures."""
    loaded = BENCHMARKS["own"].open(data)

    def groups(name: str) -> list[int]:
        done = run(Job(loaded, longer(), tmp_path / name, batch=4))
        assert done
        meta = pq.ParquetFile(done.file).metadata
        return [meta.row_group(i).num_rows for i in range(meta.num_row_groups)]

    assert groups("default") == [N]
    monkeypatch.setattr("core.runs.runner.GROUP_ROWS", 100)
    assert groups("rows") == [112, 112, 76]  # whole windows of 16
    monkeypatch.setattr("core.runs.runner.GROUP_BYTES", 1)
    assert groups("bytes") == [16] * (N // 16) + [N % 16]
    tables = [pq.read_table(tmp_path / name / "judgements.parquet") for name in ("default", "rows", "bytes")]
    assert tables[0] == tables[1] == tables[2]


def test_every_row_is_there_with_its_reason(data, tmp_path) -> None:
    seen = RuleJudge(JudgeCard("sees", "sees", "rule"), lambda r: [float(len(t)) for t in r])
    done = run(Job(BENCHMARKS["own"].open(data), seen, tmp_path / "r", batch=8))
    assert done
    rows = done.table().to_pylist()
    assert [r["row"] for r in rows] == list(range(N))
    assert (
        "not a picture" in rows[7]["problem"] and rows[7]["outcome"] == "missing" and not rows[7]["rewards"]
    )
    assert "no file 'gone.png'" in rows[9]["problem"] and rows[9]["responses"]
    assert "'neither'" in rows[123]["problem"] and rows[123]["outcome"] == "missing"
    assert sum(bool(r["problem"]) for r in rows) == 13
    assert all(r["outcome"] in ("right", "wrong", "tie") for r in rows if not r["problem"])
    assert rows[0]["image"] and len(rows[0]["image"]) < 2000


def test_outcome_and_margin_are_those_of_the_stored_numbers(data, tmp_path) -> None:
    near = RuleJudge(
        JudgeCard("near", "near", "rule", reads_images=False), lambda r: [1.0 + 1e-12 * len(t) for t in r]
    )  # equal in fp32
    done = run(Job(BENCHMARKS["own"].open(data), near, tmp_path / "r"))
    assert done
    for row in done.table().to_pylist():
        if row["rewards"]:
            assert row["outcome"] == "tie" and row["margin"] == 0.0


def test_another_run_in_the_folder_is_not_overwritten(data, tmp_path) -> None:
    run(Job(BENCHMARKS["own"].open(data), longer(), tmp_path / "r"))
    with pytest.raises(RunError, match="holds another run: its judge"):
        run(Job(BENCHMARKS["own"].open(data), always_first(), tmp_path / "r"))
    with pytest.raises(RunError, match="limit"):
        run(Job(BENCHMARKS["own"].open(data), longer(), tmp_path / "r", limit=5))


def test_two_processes_do_not_share_a_folder(data, tmp_path) -> None:
    folder = tmp_path / "r"
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(data), str(folder)], cwd=ROOT, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout
        process.stdout.readline()
        deadline = time.time() + 20
        while not (folder / "parts").exists() and time.time() < deadline:
            time.sleep(0.02)
        with pytest.raises(RunError, match="another process"):
            run(Job(BENCHMARKS["own"].open(data), longer(), folder, batch=4))
    finally:
        process.kill()
        process.wait()


def test_cancelled_and_continued(data, tmp_path) -> None:
    seen: list[int] = []
    job = Job(BENCHMARKS["own"].open(data), longer(), tmp_path / "r", batch=4)
    assert run(job, lambda done, total, each: seen.append(done), lambda: len(seen) >= 3) is None
    with pytest.raises(RunError, match="not finished"):
        open_run(tmp_path / "r")
    assert find_runs(tmp_path) == []
    assert run(job) and [r.name for r in find_runs(tmp_path)] == ["longer wins"]


def test_a_row_the_judge_refuses_does_not_take_its_batch_along(data, tmp_path) -> None:
    judge = longer()
    inner = judge.judge_batch

    def picky(batch: list) -> list[Judgement]:
        if any(c.prompt == "Q20" for c in batch):
            raise RecordError("too long for this model")
        return inner(batch)

    judge.judge_batch = picky  # type: ignore[method-assign]
    done = run(Job(BENCHMARKS["own"].open(data), judge, tmp_path / "r", batch=8))
    assert done
    rows = done.table().to_pylist()
    refused = [r for r in rows if "too long" in r["problem"]]
    assert [r["row"] for r in refused] == [20]
    assert rows[19]["rewards"] and rows[21]["rewards"]


def test_replayed_judgements_are_the_computed_ones(tmp_path) -> None:
    judge = VLMDRJudge.load()
    done = run(Job(BENCHMARKS["scene"].open().first(24), judge, tmp_path / "r", batch=6, keep_images=False))
    assert done
    records = [r.comparison for r in BENCHMARKS["scene"].open().first(24).rows()]
    for row, record in zip(done.table().to_pylist(), records, strict=True):
        assert record
        replayed, live = judgement_of(row, done.manifest), judge.judge(record)
        np.testing.assert_allclose(replayed.rewards, live.rewards, atol=2e-4)
        assert replayed.selected == live.selected
        a, b = 0, 1
        assert sum(replayed.contributions(a, b).values()) == pytest.approx(replayed.margin(a, b), abs=1e-4)


def test_blind_judge_gives_twins_the_same_answer(tmp_path) -> None:
    records = [r.comparison for r in BENCHMARKS["scene"].open().first(8).rows()]
    judge = VLMDRJudge.load()
    for first, second in zip(records[::2], records[1::2], strict=True):
        assert (
            first and second and first.responses == second.responses and first.preferred != second.preferred
        )
        a, b = (judge.judge(blanked(c)) for c in (first, second))
        np.testing.assert_allclose(a.rewards, b.rewards, atol=1e-5)


def test_swapped_images_are_other_rows_images(tmp_path) -> None:
    shown: dict[str, Image.Image] = {}
    judge = longer()
    inner = judge.judge_batch

    def watch(batch: list) -> list[Judgement]:
        shown.update({c.id: c.load_image() for c in batch})
        return inner(batch)

    judge.judge_batch = watch  # type: ignore[method-assign]
    job = Job(
        BENCHMARKS["scene"].open().first(92),
        judge,
        tmp_path / "r",
        condition=Condition.SHUFFLED,
        keep_images=False,
    )
    assert run(job)
    records = [r.comparison for r in BENCHMARKS["scene"].open().first(92).rows()]
    own = [r.load_image().tobytes() == shown[r.id].tobytes() for r in records if r]
    assert sum(own) <= 4  # a subgroup with a single couple keeps its two images
    with pytest.raises(RunError, match="condition"):
        run(replace(job, condition=Condition.AS_GIVEN))


def test_a_shuffled_image_is_never_the_one_of_the_minimal_pair(tmp_path) -> None:
    """The twin shows what the other answer would be right about: as a control it would measure something else."""
    shown: dict[str, bytes] = {}
    judge = longer()
    inner = judge.judge_batch

    def watch(batch: list) -> list[Judgement]:
        shown.update({c.id: c.load_image().tobytes() for c in batch})
        return inner(batch)

    judge.judge_batch = watch  # type: ignore[method-assign]
    loaded = BENCHMARKS["scene"].open().first(184)
    assert run(Job(loaded, judge, tmp_path / "r", condition=Condition.SHUFFLED, keep_images=False))
    rows = list(loaded.rows())
    couples: dict[str, int] = {}
    for row in rows:
        couples[row.subgroup] = couples.get(row.subgroup, 0) + 1
    pictures = [r.comparison.load_image().tobytes() for r in rows if r.comparison]
    assert len(pictures) == len(shown) == 184 and sum(n >= 4 for n in couples.values()) > 10
    for i, row in enumerate(rows):
        if row.comparison and couples[row.subgroup] >= 4:  # a single couple has no third picture
            assert shown[row.comparison.id] not in (pictures[i], pictures[i ^ 1])
            others = {pictures[j] for j, r in enumerate(rows) if r.subgroup == row.subgroup}
            assert shown[row.comparison.id] in others


def test_foreign_folders_are_refused_with_a_reason(tmp_path) -> None:
    with pytest.raises(RunError, match="is not a run"):
        open_run(tmp_path)
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(RunError, match="damaged|not made by"):
        open_run(tmp_path)
