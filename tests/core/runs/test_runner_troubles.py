"""What goes wrong for a runner is a sentence, and the same command goes on once it is mended, to the same bytes."""

import errno
import json
from pathlib import Path

import pytest

from core.benchmarks import BENCHMARKS
from core.judges.rules import longer
from core.runs import parts
from core.runs.manifest import RunError
from core.runs.runner import Job, run

ROWS = 20


@pytest.fixture
def file(tmp_path):
    rows = [{"prompt": f"Q{i}", "responses": ["short", f"much longer {i}"], "preferred": "A"} for i in range(ROWS)]  # fmt: skip
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


def job(file, folder):
    return Job(BENCHMARKS["own"].open(file), longer(), folder, batch=2)  # fmt: skip


def stopped(file, folder, after=2):
    """A run that was stopped after so many windows."""
    asked = iter(range(100))
    assert run(job(file, folder), cancelled=lambda: next(asked) >= after) is None
    return sorted((folder / "parts").glob("*.parquet"))


@pytest.fixture
def whole(file, tmp_path):
    return run(job(file, tmp_path / "whole")).file.read_bytes()


@pytest.mark.parametrize("damage", ["cut", "empty", "garbage", "foreign", "swapped"])
def test_a_part_that_is_damaged_or_not_ours_is_judged_again(file, tmp_path, whole, damage):
    first, second = stopped(file, tmp_path / "run")
    data = first.read_bytes()
    first.write_bytes({"cut": data[:200], "empty": b"", "garbage": b"x" * 900, "foreign": data, "swapped": second.read_bytes()}[damage])  # fmt: skip
    if damage == "foreign":
        (first.parent / "0000099.parquet").write_bytes(data)
        (first.parent / "stranger.parquet").write_bytes(data)
    assert run(job(file, tmp_path / "run")).file.read_bytes() == whole


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO])
def test_what_the_disk_says_is_a_sentence_and_the_run_goes_on(file, tmp_path, whole, monkeypatch, number):
    write, calls = parts.write_whole, iter(range(100))

    def failing(path: Path, data: bytes) -> None:
        if next(calls) == 1:
            raise OSError(number, "said the disk")
        write(path, data)

    monkeypatch.setattr(parts, "write_whole", failing)
    with pytest.raises(RunError, match="run the same command again"):
        run(job(file, tmp_path / "run"))
    assert run(job(file, tmp_path / "run")).file.read_bytes() == whole


def test_a_folder_that_is_a_file_is_a_sentence(file, tmp_path):
    (tmp_path / "taken").write_text("x")
    for folder in (tmp_path / "taken", tmp_path / "taken" / "below"):
        with pytest.raises(RunError, match="is a file"):
            run(job(file, folder))


@pytest.mark.parametrize("wrong", [{"prompt": "\ud800"}, {"responses": ["a", "\udfff b"]}, {"human_ranking": [0, "1"], "preferred": None}, {"responses": {"a": 1}}, {"id": "\ud800"}, {"category": [1]}])  # fmt: skip
def test_one_row_does_not_kill_a_run(file, tmp_path, wrong):
    row = {"prompt": "Q", "responses": ["a", "b"], "preferred": "A", **wrong}
    with file.open("a") as out:
        out.write(json.dumps({k: v for k, v in row.items() if v is not None}) + "\n")
    table = run(job(file, tmp_path / "run")).table(["row", "problem", "prompt"])
    assert len(table) == ROWS + 1
    prompt, problem = table["prompt"].to_pylist()[-1], table["problem"].to_pylist()[-1]
    if "\ud800" in wrong.get("prompt", ""):
        assert prompt == "\ufffd"  # half a surrogate pair, made visible in its place
    elif wrong.get("responses") == {"a": 1}:
        assert prompt == "" and f"row {ROWS}" in problem
    else:  # the rest can be read
        assert prompt == "Q"


def test_a_line_that_is_too_long_is_a_row_with_a_problem(file, tmp_path, monkeypatch):
    monkeypatch.setattr("core.benchmarks.source.MAX_LINE", 1000)
    lines = file.read_text().splitlines(keepends=True)
    lines.insert(3, json.dumps({"prompt": "x" * 5000}) + "\n")
    file.write_text("".join(lines))
    problems = run(job(file, tmp_path / "run")).table(["problem"])["problem"].to_pylist()
    assert (
        len(problems) == ROWS + 1
        and "longer than" in problems[3]
        and not any("longer" in p for p in problems[:3] + problems[4:])
    )
