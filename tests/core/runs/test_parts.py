"""Finished windows: gathered while a run goes, each found as it was written, damage judged again."""

import pyarrow as pa
import pytest

from core.benchmarks import BENCHMARKS
from core.benchmarks.rows import Row
from core.judges.options import Options
from core.judges.registry import JUDGES
from core.records import Comparison
from core.runs import parts as module
from core.runs.manifest import RunError
from core.runs.parts import Parts
from core.runs.runner import Job, run
from core.runs.schema import SCHEMA, row_of


def window(number, rows=4, text="a"):
    made = [
        Row(i, f"k{i}", f"id{i}", "g", "", Comparison(f"k{i}", None, "p", (text, "b"), 0))
        for i in range(number * rows, (number + 1) * rows)
    ]
    return made, pa.Table.from_pylist([row_of(r, None, "", None) for r in made], SCHEMA)


@pytest.fixture
def parts(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "GATHERED", 12)  # three windows of four rows
    found = Parts(tmp_path, 4)
    found.make()
    return found


def names(parts):
    return sorted(p.name for p in parts.folder.iterdir())


def test_windows_are_gathered_once_the_last_of_them_is_there(parts):
    written = {n: window(n) for n in (0, 2, 4, 1, 3)}
    for n, (_, table) in written.items():
        parts.write(n, table)
    assert names(parts) == ["0000000-0000002.parquet", "0000003.parquet", "0000004.parquet"]
    for n, (rows, table) in written.items():
        assert parts.finished(n, rows) and parts.read(n).equals(table)
        assert parts.read(n).column("row").num_chunks == table.column("row").num_chunks
    assert not parts.finished(5, window(5)[0])


def test_rows_that_changed_are_judged_again_and_their_own_file_counts(parts, caplog):
    for n in range(3):
        parts.write(n, window(n)[1])
    rows, table = window(1, text="other")
    changed = [Row(r.index, "new" + r.key, r.id, "g", "", r.comparison) for r in rows]
    assert not parts.finished(1, changed) and "judged again" in caplog.text
    assert parts.finished(0, window(0)[0])
    parts.write(1, table)
    assert parts.read(1).equals(table) and parts.read(2).equals(window(2)[1])


@pytest.mark.parametrize("cut", [0.3, 0.9])
def test_a_damaged_file_is_judged_again(parts, cut, caplog):
    for n in range(3):
        parts.write(n, window(n)[1])
    (file,) = parts.folder.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[: int(cut * len(whole))])
    with pytest.raises(RunError, match="run the same command again"):
        parts.read(0)
    assert not any(parts.finished(n, window(n)[0]) for n in range(3)) and names(parts) == []


def test_a_byte_turned_inside_of_a_gathered_file_is_found(parts):
    for n in range(3):
        parts.write(n, window(n)[1])
    (file,) = parts.folder.iterdir()
    whole = file.read_bytes()
    for place in range(40, len(whole) - 200, 97):
        broken = bytearray(whole)
        broken[place] ^= 0xFF
        file.write_bytes(broken)
        for n in range(3):
            rows, table = window(n)
            assert not parts.finished(n, rows) or parts.read(n).equals(table)


def test_two_processes_may_gather_at_once(parts, monkeypatch):
    tables = [window(n)[1] for n in range(3)]
    for n in range(2):
        parts.write(n, tables[n])
    path, whole = parts.path(2), module.write_whole

    def both(file, data):  # the other process writes the last window and gathers before this one looks
        whole(file, data)
        parts._gather(2)

    monkeypatch.setattr(module, "write_whole", both)
    parts.write(2, tables[2])
    assert not path.exists() and [parts.read(n).equals(tables[n]) for n in range(3)] == [True] * 3


def test_a_run_that_is_stopped_again_and_again_has_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "GATHERED", 12)
    loaded, judge = BENCHMARKS["scene"].open().first(46), JUDGES["longer"](Options())

    def job(name):
        return Job(loaded, judge, tmp_path / name, batch=1, keep_images=False)

    assert run(job("whole"))
    calls, seen = [0], set()

    def stop():
        calls[0] += 1
        return calls[0] % 3 == 0

    while run(job("torn"), cancelled=stop) is None:
        seen |= {p.name for p in (tmp_path / "torn" / "parts").iterdir()}
    assert any("-" in name for name in seen)
    assert (tmp_path / "whole/judgements.parquet").read_bytes() == (
        tmp_path / "torn/judgements.parquet"
    ).read_bytes()
