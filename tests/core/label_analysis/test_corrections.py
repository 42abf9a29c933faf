"""Corrected data: what each label makes of its row, files read back by others' readers, judges scored by hand."""

from __future__ import annotations

import base64
import io
import json
import random
import zipfile
from dataclasses import replace

import datasets
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from core.benchmarks import BENCHMARKS
from core.judges.rules import longer, shorter
from core.label_analysis.corrections import CorrectionError, Corrections, Data, rescored
from core.label_analysis.export import (
    Written,
    data_url,
    plain,
    write_datasets,
    write_jsonl,
    write_parquet,
    zip_folder,
)
from core.labels.records import Item, Label
from core.runs.leaderboard import overall
from core.runs.runner import Job, run

ODD = "half \ud800, NUL \0, line\u2028end\nof \x85, \U0001f600 \ud83d\ude00"
ODD_PLAIN = "half \ufffd, NUL \0, line\u2028end\nof \x85, \U0001f600 \U0001f600"


def png(colour="red", size=(20, 30), kind="PNG"):
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, kind)
    return out.getvalue()


def item(position, preferred=0, responses=("yes", "no"), **other):
    made = Item("q", position, position, f"k{position}", f"id{position}", "sub", "", f"prompt {position}", responses,
                preferred, "hash", {"wrong": 0.5, "reasons": [f"reason {position}"]}, ())  # fmt: skip
    return replace(made, **other)


def label(position, final, annotator="a"):
    return Label("q", position, annotator, final, final, True, (), "", 1.0, "2026-01-01")


def labels_of(said):
    return [label(p, v, f"a{i}") for p, verdicts in said.items() for i, v in enumerate(verdicts)]


SAID = {0: ["0", "0", "1"], 1: ["1"], 2: ["tie"], 3: ["bad", "bad"], 4: ["0", "1"], 5: ["unsure"], 6: ["1"]}
STATUS = {
    0: ("confirmed", 0), 1: ("corrected", 1), 2: ("no preference", None), 3: ("no preference", None),
    4: ("disputed", None), 5: ("unsure", None), 6: ("corrected", 1), 7: ("kept", 0), 8: ("unlabelled", None),
}  # fmt: skip


@pytest.fixture
def queue():
    """Nine items: seven labelled, of which number 6 had no label before; 7 and 8 not labelled, 8 without old label."""
    items = {i: item(i, None if i in (6, 8) else 0) for i in range(9)}
    return Corrections(items, labels_of(SAID), lambda i: png(), data=Data("own", "file", "r1", "abc"))


def test_status_of_every_kind(queue):
    rows = list(queue.rows())
    assert {r.row: (r.status, r.preferred) for r in rows} == STATUS
    assert [r.preferred_before for r in rows] == [0] * 6 + [None, 0, None]
    assert (rows[0].votes, rows[0].annotators) == ({"0": 2, "1": 1}, 3)
    assert (rows[7].votes, rows[7].annotators, rows[7].reasons) == ({}, 0, ("reason 7",))
    assert rows[0].data == Data("own", "file", "r1", "abc")


def test_labels_that_do_not_fit():
    with pytest.raises(CorrectionError, match="label for item 3, but no such item"):
        Corrections({0: item(0)}, [label(3, "0")], lambda i: None)
    with pytest.raises(CorrectionError, match="prefers response C, but there are 2"):
        Corrections({0: item(0)}, [label(0, "2")], lambda i: None)
    with pytest.raises(CorrectionError, match="a row twice"):
        Corrections({0: item(0), 1: replace(item(0), position=1)}, [], lambda i: None)


# -- JSON Lines and Parquet ----------------------------------------------------------------------------------

COLUMNS = {"row", "key", "id", "subgroup", "prompt", "responses", "preferred_before", "preferred", "status", "votes",
           "annotators", "reasons", "benchmark", "source", "revision", "data_hash"}  # fmt: skip


def read_jsonl(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


def test_jsonl(queue, tmp_path):
    write_jsonl(queue, tmp_path / "c.jsonl")
    rows = read_jsonl(tmp_path / "c.jsonl")
    assert set(rows[0]) == COLUMNS
    assert {r["row"]: (r["status"], r["preferred"]) for r in rows} == STATUS
    assert rows[0]["votes"] == {"0": 2, "1": 1} and rows[0]["data_hash"] == "abc"
    write_jsonl(queue, tmp_path / "i.jsonl", images=True)
    image = read_jsonl(tmp_path / "i.jsonl")[0]["image"]
    assert image.startswith("data:image/png;base64,") and base64.b64decode(image.split(",")[1]) == png()
    assert data_url(png(kind="WEBP")).startswith("data:image/webp;") and data_url(b"?").startswith("data:app")
    assert {p.name for p in tmp_path.iterdir()} == {"c.jsonl", "i.jsonl"}


def test_no_name_and_no_note_comes_out(tmp_path):
    secret = replace(label(0, "1", "Ada Lovelace"), note="by Ada")
    c = Corrections({0: item(0)}, [secret], lambda i: png())
    write_jsonl(c, tmp_path / "c.jsonl")
    write_parquet(c, tmp_path / "c.parquet")
    assert "Ada" not in (tmp_path / "c.jsonl").read_text()
    assert "Ada" not in str(pq.read_table(tmp_path / "c.parquet").drop_columns("image").to_pylist())


def test_parquet(queue, tmp_path):
    write_parquet(queue, tmp_path / "c.parquet")
    rows = pq.read_table(tmp_path / "c.parquet").to_pylist()
    assert set(rows[0]) == COLUMNS | {"image", "image_from"}
    assert {r["row"]: (r["status"], r["preferred"]) for r in rows} == STATUS
    assert rows[0]["image"] == png() and rows[0]["image_from"] == "data"
    assert rows[4]["votes"] == {"0": 1, "1": 1, "2": 0, "3": 0, "tie": 0, "bad": 0, "unsure": 0}


def test_a_failed_file_leaves_nothing(tmp_path):
    def broken(item):
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        write_parquet(Corrections({0: item(0)}, [], broken), tmp_path / "c.parquet")
    assert list(tmp_path.iterdir()) == []


def test_odd_texts_survive_everywhere(tmp_path):
    big = "x" * 1_000_000 + "\ud800"
    odd = item(0, 0, (ODD, big), prompt=ODD, id=ODD, subgroup=ODD, key="k", evidence={"reasons": [ODD]})
    same = item(1, 0, ("same", "same"))
    without = item(2, None)
    c = Corrections(
        {0: odd, 1: same, 2: without}, [label(1, "1")], lambda i: png(), data=Data(source="\udfff")
    )
    write_jsonl(c, tmp_path / "c.jsonl")
    write_parquet(c, tmp_path / "c.parquet")
    for rows in (read_jsonl(tmp_path / "c.jsonl"), pq.read_table(tmp_path / "c.parquet").to_pylist()):
        first = rows[0]
        assert first["prompt"] == first["id"] == first["subgroup"] == first["reasons"][0] == ODD_PLAIN
        assert first["responses"] == [ODD_PLAIN, "x" * 1_000_000 + "\ufffd"] and first["source"] == "\ufffd"
        assert (rows[1]["status"], rows[2]["status"]) == ("corrected", "unlabelled")
    done = write_datasets(c, tmp_path / "d")
    left_out = {"no response with another text": 1, "no preference": 1}
    assert done == Written(1, True, left_out, 0)
    row = datasets.load_from_disk(str(tmp_path / "d"))[0]
    assert row["chosen"][0]["content"][0]["text"] == ODD_PLAIN
    assert len(row["rejected"][0]["content"][0]["text"]) == 1_000_001


@given(st.text())
def test_plain_leaves_good_text_alone(text):
    assert plain(text) == text  # text() draws no surrogates


@given(st.text(alphabet=st.characters(categories=["Cs", "Lu"])))
def test_plain_is_always_utf8(text):
    plain([{text: (text,)}])[0].popitem()[1][0].encode()
    assert plain(plain(text)) == plain(text)


# -- datasets --------------------------------------------------------------------------------------------------


def test_trl_vision_preference(tmp_path):
    items = {
        0: item(0, 0, ("a", "b", "c")), 1: item(1), 2: item(2), 3: item(3), 4: item(4, picture=""),
    }  # fmt: skip
    pictures = {0: png("red"), 1: png("blue", kind="WEBP"), 2: png(), 3: b"damaged"}
    c = Corrections(items, labels_of({0: ["2"], 1: ["0"], 2: ["tie"]}), lambda i: pictures.get(i.position))
    assert write_datasets(c, tmp_path / "d") == Written(
        3, True, {"no preference": 1, "no picture that opens": 2}, 0
    )
    data = datasets.load_from_disk(str(tmp_path / "d"))
    assert data.column_names == ["images", "prompt", "chosen", "rejected"]
    assert isinstance(data.features["images"].feature, datasets.Image)
    for row in data:  # decodes every picture
        (picture,) = row["images"]
        assert picture.size == (20, 30)
        (asked,) = row["prompt"]
        assert asked["role"] == "user" and [p["type"] for p in asked["content"]] == ["image", "text"]
        assert row["chosen"][0]["role"] == row["rejected"][0]["role"] == "assistant"
        assert [p["type"] for p in row["chosen"][0]["content"]] == ["text"]
    texts = [(r["chosen"][0]["content"][0]["text"], r["rejected"][0]["content"][0]["text"]) for r in data]
    assert texts == [("c", "a"), ("c", "b"), ("yes", "no")]
    assert data[0]["images"][0].getpixel((3, 3)) == (255, 0, 0)


def test_texts_only(tmp_path):
    c = Corrections({0: item(0), 1: item(1, None)}, [label(0, "1")], lambda i: None, data=Data("own", "f"))
    assert write_datasets(c, tmp_path / "d") == Written(1, False, {"no preference": 1}, 0)
    data = datasets.load_from_disk(str(tmp_path / "d"))
    assert list(data) == [
        {
            "prompt": [{"role": "user", "content": "prompt 0"}],
            "chosen": [{"role": "assistant", "content": "no"}],
            "rejected": [{"role": "assistant", "content": "yes"}],
        }
    ]
    assert json.loads(data.info.description)["benchmark"] == "own"


def test_nothing_decided_is_an_empty_dataset(tmp_path):
    done = write_datasets(Corrections({0: item(0, None)}, [], lambda i: png()), tmp_path / "d")
    assert (done.pairs, done.vision) == (0, False)
    assert len(datasets.load_from_disk(str(tmp_path / "d"))) == 0


def test_the_apps_own_loader_reads_it(queue, tmp_path):
    write_datasets(queue, tmp_path / "d")
    rows = list(BENCHMARKS["own"].open(tmp_path / "d").rows())
    assert [(c.prompt, c.responses[c.preferred]) for c in (r.comparison for r in rows)] == [
        ("prompt 0", "yes"), ("prompt 1", "no"), ("prompt 6", "no"), ("prompt 7", "yes"),
    ]  # fmt: skip
    assert all(not r.problem and r.comparison.load_image().size == (20, 30) for r in rows)


def test_a_chat_template_takes_it(queue, tmp_path, processor):
    """The messages as a processor of transformers reads them: the image part has no text, the text part does."""
    write_datasets(queue, tmp_path / "d")
    row = datasets.load_from_disk(str(tmp_path / "d"))[0]
    template = (
        "{% for m in messages %}{{ m.role }}:{% for c in m.content %}"
        "{% if c.type == 'image' %}<image>{% elif c.type == 'text' %}{{ c.text }}{% endif %}{% endfor %};{% endfor %}"
    )
    said = processor.tokenizer.apply_chat_template(
        row["prompt"] + row["chosen"], chat_template=template, tokenize=False
    )
    assert said == "user:<image>prompt 0;assistant:yes;"


def test_zip(queue, tmp_path):
    write_datasets(queue, tmp_path / "data")
    one, two = (zip_folder(tmp_path / "data", tmp_path / f"{n}.zip") for n in "ab")
    assert one.read_bytes() == two.read_bytes()
    with zipfile.ZipFile(one) as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path / "out")
    assert len(datasets.load_from_disk(str(tmp_path / "out" / "data"))) == 4


# -- with a run ------------------------------------------------------------------------------------------------

N = 100  # more than one batch


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two judges on the same 100 rows: every fifth has no label, every tenth is unreadable, pictures are large."""
    folder = tmp_path_factory.mktemp("runs")
    rng = random.Random(5)
    picture = base64.b64encode(png("green", (800, 600))).decode()
    rows = [
        {"id": f"id{i}", "prompt": f"What is {i}?", "image": picture, "category": rng.choice("xy"),
         "preferred": None if i % 5 == 1 else rng.randrange(2),
         "responses": ["a" * rng.randint(1, 6), "b" * rng.randint(1, 6)] if i % 10 else ["only one"]}
        for i in range(N)
    ]  # fmt: skip
    (folder / "d.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    loaded = BENCHMARKS["own"].open(folder / "d.jsonl")
    return [run(Job(loaded, judge, folder / judge.card.id)) for judge in (longer(), shorter())]


def queue_of(run, rows):
    """A queue of these rows, in this order, with the run's own old labels."""
    columns = ["row", "key", "id", "subgroup", "cluster", "prompt", "responses", "preferred"]
    stored = {r["row"]: r for r in run.table(columns).to_pylist()}
    return {
        p: Item("q", p, picture="", evidence={"reasons": []}, judged=(),
                **stored[row] | {"responses": tuple(stored[row]["responses"])})
        for p, row in enumerate(rows)
    }  # fmt: skip


def test_all_rows_come_out(runs, tmp_path):
    items = queue_of(runs[0], [42, 7, 13])
    c = Corrections(items, labels_of({0: ["tie"], 1: ["0"]}), lambda i: None, runs[0])
    rows = list(c.rows())
    stored = runs[0].table(["row", "key", "prompt", "preferred"]).to_pylist()
    assert [(r.row, r.key, r.prompt, r.preferred_before) for r in rows] == [tuple(s.values()) for s in stored]
    assert rows[42].status == "no preference" and rows[7].preferred == 0
    assert all(r.preferred == r.preferred_before and not r.votes for r in rows if r.row not in (42, 7))
    assert {r.status for r in rows if r.row not in (42, 7)} == {"kept", "unlabelled"}
    assert rows[0].responses == () and rows[0].status == "unlabelled"  # unreadable in the data
    m = runs[0].manifest
    assert rows[0].data == Data("own", m.source, m.data_revision, m.stats["data_hash"])
    write_parquet(c, tmp_path / "c.parquet")
    assert pq.read_table(tmp_path / "c.parquet").num_rows == N


def test_the_runs_small_copy_stands_in_and_is_counted(runs, tmp_path):
    items = queue_of(runs[0], [42, 7])
    c = Corrections(items, [], lambda i: png() if i.row == 42 else None, runs[0])
    done = write_datasets(c, tmp_path / "d")
    data = datasets.load_from_disk(str(tmp_path / "d"))
    assert len(data) == done.pairs == sum(r.preferred is not None for r in c.rows())
    sizes = [row["images"][0].size for row in data]
    assert sizes.count((20, 30)) == 1 and sizes.count((512, 384)) == done.from_run == done.pairs - 1


def test_run_of_other_data_is_refused(runs):
    items = queue_of(runs[0], [42])
    with pytest.raises(CorrectionError, match=r"1 rows of the queue are not in the run .*row 42"):
        Corrections({0: replace(items[0], key="other")}, [], lambda i: None, runs[0])


def by_hand(run, now):
    """right, n under corrected labels, from the stored rewards."""
    right = n = 0
    for r in run.table(["row", "preferred", "rewards"]).to_pylist():
        preferred = now.get(r["row"], r["preferred"])
        if preferred is not None and r["rewards"]:
            n += 1
            right += all(r["rewards"][preferred] > x for i, x in enumerate(r["rewards"]) if i != preferred)
    return right, n


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.integers(0, N - 1).filter(lambda i: i % 10), st.sampled_from(["0", "1", "tie", "bad", "unsure", "01"])))  # fmt: skip
def test_rescored_by_hand(runs, said):
    rows = list(said)
    items = queue_of(runs[0], rows)
    c = Corrections(items, labels_of({p: [said[row]] if len(said[row]) > 2 else list(said[row]) for p, row in enumerate(rows)}),
                    lambda i: None, runs[0])  # fmt: skip
    now = {row: int(v) if v in "01" and len(v) == 1 else None for row, v in said.items()}
    old = {r["row"]: r["preferred"] for r in runs[0].table(["row", "preferred"]).to_pylist()}
    found = rescored(runs, c.rows())
    assert [f.judge for f in found] == ["longer wins", "shorter wins"]
    for f, judged in zip(found, runs, strict=True):
        assert f.before == overall(judged)
        assert (f.after.points, f.after.n) == by_hand(judged, now)
        assert f.changed == sum(
            None not in (old[r], v) and old[r] != v and bool(r % 10) for r, v in now.items()
        )
        assert f.dropped == sum(old[r] is not None and v is None for r, v in now.items())
        assert f.before.n - f.dropped + f.added == f.after.n
        assert f.absent == 0
        for side, whole in enumerate((f.before, f.after)):
            assert sum(pair[side].n for pair in f.subgroups.values()) == whole.n
            assert sum(pair[side].points for pair in f.subgroups.values()) == whole.points


def test_rescored_says_what_a_run_lacks(runs):
    rows = list(Corrections(queue_of(runs[0], [42]), [label(0, "1")], lambda i: None).rows())
    (found,) = rescored(runs[:1], [replace(rows[0], key="other"), replace(rows[0], row=10_000)])
    assert found.absent == 2 and found.before == found.after
