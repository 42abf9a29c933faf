"""Searches through the side file find what a search through the run finds, and a side file that is not the run's is not believed."""

import random

import numpy as np
import pyarrow as pa
import pytest

from core.benchmarks import BENCHMARKS
from core.judges.options import Options
from core.judges.registry import JUDGES
from core.runs import browse, texts
from core.runs.browse import Filters
from core.runs.runner import Job, run
from core.runs.texts import NAME, search, write_texts

WORDS = [
    "Red",
    "STAR",
    "naïve",
    "İstanbul",
    "straße",
    "日本",
    "a.b",
    "50%",
    "(x)",
    "[y]",
    "\\d",
    "line\nbreak",
    "$",
    "😀",
]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "r"
    done = run(
        Job(BENCHMARKS["scene"].open().first(200), JUDGES["longer"](Options()), folder, keep_images=False)
    )
    rng = random.Random(0)
    table = done.table().to_pydict()
    table["prompt"] = [" ".join(rng.choices(WORDS, k=6)) for _ in range(200)]
    table["responses"] = [[" ".join(rng.choices(WORDS, k=9)) for _ in range(2)] for _ in range(200)]
    table["id"] = [f"ID {i % 50}" for i in range(200)]
    pa.parquet.write_table(pa.table(table, schema=done.table().schema), done.file)
    return done


def results(run, term, **more):
    browse._page.cache_clear()
    found = browse.page(
        run, Filters(search=term, outcome="everything", sort="order of the data", **more), limit=300
    )
    return found.rows["row"].tolist(), found.total, found.slice_rate.counts


@pytest.mark.parametrize("term", ["red", "Star red", "NAÏVE", "strasse", "straße", "i̇stanbul", "日本", "a.b", "50%", "(x) [y]", "\\d", "line\nbreak", "$", "😀", "id 7", "ID 49", "\x00", "nothing of it", "k\nr"])  # fmt: skip
def test_the_same_hits_with_and_without(made, term, monkeypatch):
    (made.folder / NAME).unlink(missing_ok=True)
    assert search(made.file, term.lower()) is None
    plain = results(made, term), results(made, term, subgroup="count")
    monkeypatch.setattr(texts, "FEWEST", 0)
    write_texts(made.file, made.folder)
    assert term == "\x00" or search(made.file, term.lower()) is not None
    assert (results(made, term), results(made, term, subgroup="count")) == plain


def test_a_small_run_has_none(made):
    write_texts(made.file, made.folder)
    assert not (made.folder / NAME).exists()


def test_one_of_another_run_or_damaged_is_not_believed(made, monkeypatch, tmp_path):
    monkeypatch.setattr(texts, "FEWEST", 0)
    monkeypatch.setattr(texts, "GROUP", 64)
    write_texts(made.file, made.folder)
    side, rng = made.folder / NAME, np.random.default_rng(0)
    whole, expected = side.read_bytes(), results(made, "red")
    assert search(made.file, "red").num_rows == expected[1]
    for _ in range(25):
        broken = bytearray(whole)
        for place in rng.integers(0, len(whole), rng.integers(1, 6)):
            broken[place] = rng.integers(0, 256)
        side.write_bytes(bytes(broken[: rng.integers(1, len(whole))] if rng.random() < 0.3 else broken))
        texts._fits.cache_clear()
        found = results(made, "red")  # whatever is damaged: no crash, and never a row that is not there
        assert set(found[0]) <= set(range(200))
    for of in ("", texts.fingerprint(made.file)[:-1] + "x"):
        schema = texts.SCHEMA.with_metadata({"of": of})
        with pa.OSFile(str(side), "wb") as out, pa.ipc.new_file(out, schema) as writer:
            writer.write_table(schema.empty_table())
        texts._fits.cache_clear()
        assert search(made.file, "red") is None and results(made, "red") == expected


def test_offsets_that_lead_out_of_the_file_are_not_followed(made, monkeypatch):
    monkeypatch.setattr(texts, "FEWEST", 0)
    good = pa.array(["ab", "cd"], pa.large_string())
    assert texts._sound(good)
    data = good.buffers()[2]
    for ends in ([0, 3, 2], [0, 4, 3]):
        buffers = [None, pa.py_buffer(np.array(ends, np.int64).tobytes()), data]
        assert not texts._sound(pa.Array.from_buffers(pa.large_string(), 2, buffers))


def test_a_run_made_by_the_runner_brings_its_texts(tmp_path, monkeypatch):
    monkeypatch.setattr(texts, "FEWEST", 10)
    done = run(
        Job(
            BENCHMARKS["scene"].open().first(46),
            JUDGES["longer"](Options()),
            tmp_path / "r",
            keep_images=False,
        )
    )
    assert search(done.file, done.table(["prompt"])["prompt"][0].as_py().lower()).num_rows >= 1
