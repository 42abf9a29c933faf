"""Worker processes: the same bytes, and whatever ends one of them ends in a sentence."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from core.benchmarks import BENCHMARKS
from core.judges.rules import RuleJudge, longer
from core.records import JudgeCard
from core.runs import workers
from core.runs.manifest import RunError
from core.runs.runner import Job, run
from core.world.items import png

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="worker processes are forks")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    (folder / "i.png").write_bytes(png(Image.new("RGB", (40, 30), "red")))
    rows = [{"id": i, "prompt": f"Q{i}", "responses": ["x" * (i % 7 + 1), "y" * (i % 5 + 1)], "preferred": i % 2,
             "image": "gone.png" if i % 11 == 3 else "i.png"} for i in range(90)]  # fmt: skip
    file = folder / "data.jsonl"
    file.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return file


def by(rewards) -> RuleJudge:
    return RuleJudge(JudgeCard("rule", "rule", "rule"), rewards)


def test_two_workers_write_the_same_bytes_as_one_process(embedded_judge, data, tmp_path) -> None:
    loaded, seen = BENCHMARKS["own"].open(data), []
    alone = run(Job(loaded, embedded_judge, tmp_path / "one", batch=4))
    both = run(
        Job(loaded, embedded_judge, tmp_path / "two", batch=4, workers=2), lambda *done: seen.append(done[:2])
    )
    assert alone and both and alone.file.read_bytes() == both.file.read_bytes()
    counts = [n for n, _ in seen]
    assert counts == sorted(counts) and counts[-1] == 90 and len(counts) == 6
    told = [r.manifest.stats["processes"] for r in (alone, both)]
    assert told == [1, 2]


def test_the_work_is_done_in_other_processes_and_rows_are_read_once(data, tmp_path) -> None:
    loaded, read = BENCHMARKS["own"].open(data), []
    watched = replace(loaded, rows=lambda: (read.append(r.index) or r for r in loaded.rows()))
    done = run(Job(watched, by(lambda r: [float(os.getpid()), 0.0]), tmp_path / "r", batch=4, workers=2))
    assert done and read == list(range(90))
    places = {rewards[0] for rewards in done.table(["rewards"])["rewards"].to_pylist() if rewards}
    assert len(places) == 2 and os.getpid() not in places


def test_a_killed_worker_is_a_sentence_and_the_same_command_goes_on(data, tmp_path) -> None:
    loaded, parent = BENCHMARKS["own"].open(data), os.getpid()

    def killed(responses) -> list[float]:
        if os.getpid() != parent and len(responses[0]) == 7:
            os.kill(os.getpid(), signal.SIGKILL)
        return [float(len(r)) for r in responses]

    with pytest.raises(RunError, match="A worker process was killed.*--workers 1"):
        run(Job(loaded, by(killed), tmp_path / "r", batch=4, workers=2))
    assert run(Job(loaded, by(killed), tmp_path / "r", batch=4))


def test_what_a_worker_raises_is_what_the_run_raises(data, tmp_path) -> None:
    def full(responses) -> list[float]:
        raise OSError(28, "No space left on device")

    with pytest.raises(RunError, match="disk of .* is full: make room"):
        run(Job(BENCHMARKS["own"].open(data), by(full), tmp_path / "r", batch=4, workers=2))


def test_a_cancelled_run_stops_its_workers_and_goes_on_later(data, tmp_path) -> None:
    loaded, seen = BENCHMARKS["own"].open(data), []
    job = Job(loaded, longer(), tmp_path / "r", batch=4, workers=2)
    before = _children(os.getpid())  # browsers and servers of other tests
    assert run(job, lambda *done: seen.append(done), lambda: len(seen) >= 2) is None
    assert _children(os.getpid()) == before
    whole = run(Job(loaded, longer(), tmp_path / "whole", batch=4))
    again = run(job)
    assert whole and again and whole.file.read_bytes() == again.file.read_bytes()


SLOW = """
import sys, time
from pathlib import Path
from core.benchmarks import BENCHMARKS
from core.judges.rules import RuleJudge
from core.records import JudgeCard
from core.runs.runner import Job, run
judge = RuleJudge(JudgeCard("slow", "slow", "rule"), lambda r: (time.sleep(0.2), [1.0, 0.0])[1])
told = lambda *done: print("going", flush=True)
run(Job(BENCHMARKS["own"].open(sys.argv[1]), judge, Path(sys.argv[2]), batch=1, workers=2), told)
"""


@pytest.mark.parametrize("by_signal", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_do_not_outlive_the_run(data, tmp_path, by_signal) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(data), str(tmp_path / "r")],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    assert process.stdout and process.stdout.readline() == b"going\n"
    forks = _children(process.pid)
    assert len(forks) == 2
    if by_signal is signal.SIGINT:  # the terminal sends it to all of them
        os.killpg(process.pid, by_signal)
    else:
        process.send_signal(by_signal)
    process.wait(20)
    until = time.monotonic() + 10
    while any(Path(f"/proc/{pid}/exe").exists() for pid in forks) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{pid}/exe").exists() for pid in forks)


def _children(pid: int) -> list[int]:
    """Processes whose parent is this one."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            after = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(after[1]) == pid and after[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def test_who_can_work_in_processes_and_how_many_are_started_unasked(monkeypatch) -> None:
    def judge(**card) -> RuleJudge:
        return RuleJudge(JudgeCard("j", "j", "rule", **card), lambda r: [0.0] * len(r))

    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)))
    assert workers.advised(judge(device="cpu", parameters=4_000_000)) == 6
    assert workers.advised(judge(device="cpu", parameters=7_000_000_000)) == 1  # threads serve it better
    assert workers.possible(judge(device="cpu", parameters=7_000_000_000))
    assert not workers.possible(judge(device="cuda:0", parameters=4_000_000))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    assert workers.advised(judge(device="cpu")) == workers.MOST

    asks = judge()
    asks.estimate = lambda comparisons, rows: None  # as judges behind a server do
    assert not workers.possible(asks) and workers.advised(asks) == 1
