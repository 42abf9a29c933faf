"""Loaders on files made here in the official formats, on broken files, and on the real texts where they are at hand."""

from __future__ import annotations

import base64
import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from core.benchmarks import BENCHMARKS, BenchmarkError
from core.benchmarks.findings import findings
from core.runs.metrics import accuracy_plus, outcome, report
from core.world.items import png
from tests import releases

SHARED = Path(__file__).parents[4] / "shared" / "data"
PICTURE = png(Image.new("RGB", (32, 32), "red"))

VL = {
    "id": "mathverse_1",
    "query": "<image>\nWhat?",
    "response": ["yes", "no"],
    "human_ranking": [1, 0],
    "image": "i.png",
}
MM = {"id": "q1", "prompt": "What?", "chosen": "yes", "rejected": "no", "image": "mcq/i.png"}
META = {"ID": "mathvista_1", "Text": "What?", "Output1": "yes", "Output2": "no", "Better": "Output2",
        "Category": "reasoning", "Image": "i.png"}  # fmt: skip
OWN = {"image": "i.png", "prompt": "What?", "responses": ["yes", "no", "maybe"], "preferred": "C"}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    (path.parent / "i.png").write_bytes(PICTURE)
    (path.parent / "mcq").mkdir(exist_ok=True)
    (path.parent / "mcq" / "i.png").write_bytes(PICTURE)
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows))
    elif path.suffix == ".parquet":
        pd.DataFrame(rows).to_parquet(path)
    else:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            for r in rows:
                writer.writerow({k: json.dumps(v) if isinstance(v, list) else v for k, v in r.items()})
    return path


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".parquet", ".csv"])
@pytest.mark.parametrize(
    ("name", "raw", "preferred", "subgroup"),
    [
        ("vl-rewardbench", VL, "no", "mathverse"),
        ("mm-rlhf-rewardbench", MM, "yes", "mcq"),
        ("multimodal-rewardbench", META, "no", "math"),
        ("own", OWN, "maybe", "all"),
    ],
)
def test_every_format_gives_the_same_row(tmp_path, suffix, name, raw, preferred, subgroup) -> None:
    rows = list(BENCHMARKS[name].open(write(tmp_path / f"data{suffix}", [raw, raw])).rows())
    assert [r.index for r in rows] == [0, 1] and rows[0].key == rows[1].key
    c = rows[0].comparison
    assert c and not rows[0].problem
    assert c.prompt == "What?" and c.responses[c.preferred] == preferred
    assert rows[0].subgroup == subgroup
    assert c.load_image().size == (32, 32)
    texts = (
        raw.get("response") or raw.get("responses") or [raw.get("chosen", "yes"), raw.get("rejected", "no")]
    )
    assert [texts[i] for i in rows[0].stored] == list(c.responses)


def test_a_datasets_folder_with_embedded_images(tmp_path) -> None:
    import datasets

    data = datasets.Dataset.from_list([{**VL, "image": {"bytes": PICTURE, "path": "a.png"}}]).cast_column(
        "image", datasets.Image()
    )
    data.save_to_disk(str(tmp_path / "saved"))
    (row,) = BENCHMARKS["vl-rewardbench"].open(tmp_path / "saved").rows()
    assert row.comparison and row.comparison.load_image().size == (32, 32)
    data.to_parquet(tmp_path / "raw.parquet")
    (same,) = BENCHMARKS["vl-rewardbench"].open(tmp_path / "raw.parquet").rows()
    assert same.key == row.key


def test_a_scene_record_by_itself_is_the_one_in_the_stream() -> None:
    scene = BENCHMARKS["scene"]
    assert scene.built_in_record
    for row in scene.open().first(60).rows():
        if row.index in (0, 1, 45, 46, 59):
            assert scene.built_in_record(row.index) == row.comparison


def test_trl_vision_preference_format(tmp_path) -> None:
    raw = {
        "images": ["i.png"],
        "prompt": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What?"}]}],
        "chosen": [{"role": "assistant", "content": [{"type": "text", "text": "yes"}]}],
        "rejected": [{"role": "assistant", "content": "no"}],
    }
    (row,) = BENCHMARKS["own"].open(write(tmp_path / "d.jsonl", [raw])).rows()
    assert row.comparison and row.comparison.prompt == "What?"
    assert row.comparison.responses[row.comparison.preferred or 0] == "yes"


def test_base64_images(tmp_path) -> None:
    text = "data:image/png;base64," + base64.b64encode(PICTURE).decode()
    (row,) = BENCHMARKS["own"].open(write(tmp_path / "d.csv", [{**OWN, "image": text}])).rows()
    assert row.comparison and row.comparison.load_image().size == (32, 32)


def test_order_on_show_does_not_follow_the_label(tmp_path) -> None:
    raws = [{**MM, "prompt": f"What is {i}?"} for i in range(400)]
    rows = list(BENCHMARKS["mm-rlhf-rewardbench"].open(write(tmp_path / "d.jsonl", raws)).rows())
    first = sum(r.comparison.preferred == 0 for r in rows if r.comparison)
    assert 150 < first < 250
    swapped = [{**r, "chosen": r["rejected"], "rejected": r["chosen"]} for r in raws]
    others = list(BENCHMARKS["mm-rlhf-rewardbench"].open(write(tmp_path / "s.jsonl", swapped)).rows())
    for a, b in zip(rows, others, strict=True):
        assert a.comparison and b.comparison and a.comparison.responses == b.comparison.responses
        assert a.comparison.preferred != b.comparison.preferred


# -- what is not there, what is broken ---------------------------------------------------------------------


def test_missing_images_leave_a_readable_row(tmp_path) -> None:
    (row,) = BENCHMARKS["own"].open(write(tmp_path / "d.jsonl", [{**OWN, "image": "gone.png"}])).rows()
    assert row.comparison and row.comparison.image is None and "there is no file 'gone.png'" in row.problem
    assert row.comparison.prompt == "What?"


@pytest.mark.parametrize(
    "path", ["../secret.png", "/etc/passwd", "a/../../secret.png", "link.png", "\x00", "http://x/y.png"]
)
def test_paths_cannot_leave_their_folder(tmp_path, path) -> None:
    (tmp_path / "secret.png").write_bytes(PICTURE)
    folder = tmp_path / "inside"
    write(folder / "d.jsonl", [{**OWN, "image": path}])
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (row,) = BENCHMARKS["own"].open(folder / "d.jsonl").rows()
    assert row.comparison and row.comparison.image is None and "column image" in row.problem


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"preferred": "Z"}, ["row 1", "column preferred", "'Z'", "A or B or C was expected"]),
        ({"preferred": 3}, ["row 1", "column preferred", "3"]),
        ({"preferred": True}, ["column preferred"]),
        ({"responses": ["one"]}, ["row 1", "column responses", "1 response"]),
        ({"responses": ["one", ""], "preferred": 0}, ["row 1", "Response", "is empty"]),
        ({"responses": "no list"}, ["row 1", "column responses", "not a JSON list"]),
        ({"responses": 5}, ["column responses", "int"]),
        ({"prompt": None}, ["row 1", "column prompt"]),
        ({"prompt": "  "}, ["row 1", "prompt is empty"]),
        ({"image": ["i.png"] * 9}, ["row 1", "column image", "9 images"]),
        ({"image": 7}, ["column image", "int"]),
    ],
)
def test_a_bad_row_is_named_and_the_rest_goes_on(tmp_path, change, words) -> None:
    file = write(tmp_path / "d.jsonl", [OWN, {**OWN, **change}, OWN])
    good, bad, after = BENCHMARKS["own"].open(file).rows()
    assert good.comparison and after.comparison and not after.problem
    for word in words:
        assert word in bad.problem


@pytest.mark.parametrize("ranks", [[0, 0], [1, 2], [0], "[0,1", "x", [0.5, 1], 3])
def test_ranks_that_are_none(tmp_path, ranks) -> None:
    (row,) = (
        BENCHMARKS["vl-rewardbench"]
        .open(write(tmp_path / "d.jsonl", [{**VL, "human_ranking": ranks}]))
        .rows()
    )
    assert row.comparison is None and "row 0, column human_ranking" in row.problem


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("d.jsonl", b"", "empty file"),
        ("d.jsonl", b"\n\n", "no rows"),
        ("d.json", b"{}", "dict where a list"),
        ("d.json", b"[1", "not JSON"),
        ("d.jsonl", b"[1]\n", "row 0: list where an object"),
        ("d.csv", "prompt,image\nfa\xe7ade,x\n".encode("latin-1"), "not UTF-8"),
        ("d.parquet", b"PAR1 nothing", "not a readable Parquet"),
        ("d.xlsx", b"PK", "use .jsonl"),
        ("d.jsonl", b'{"a": 1}\n', "row 0 has the columns a"),
    ],
)
def test_broken_files_get_a_sentence(tmp_path, name, content, words) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BenchmarkError, match=words):
        BENCHMARKS["own"].open(tmp_path / name)


def test_a_broken_line_in_the_middle_is_a_row_with_a_problem(tmp_path) -> None:
    file = write(tmp_path / "d.jsonl", [OWN])
    file.write_bytes(file.read_bytes() + b"{broken\n\xff\xfe\n" + json.dumps(OWN).encode() + b"\n")
    rows = list(BENCHMARKS["own"].open(file).rows())
    assert [bool(r.problem) for r in rows] == [False, True, True, False]
    assert "row 1: not JSON" in rows[1].problem and "row 2: byte 0 is not UTF-8" in rows[2].problem


def test_what_does_not_exist() -> None:
    with pytest.raises(BenchmarkError, match="There is no file"):
        BENCHMARKS["own"].open("nowhere.jsonl")
    with pytest.raises(BenchmarkError, match="needs a file"):
        BENCHMARKS["own"].open()


@pytest.mark.parametrize("streaming", [False, True])
def test_the_hub_is_pinned_to_the_commit_it_resolved(monkeypatch, streaming) -> None:
    """The hub itself is out of reach here: what is sent to it and what is made of its answer."""
    import datasets
    import huggingface_hub

    asked: dict[str, Any] = {}
    data = datasets.Dataset.from_list([{**VL, "image": {"bytes": PICTURE, "path": "a.png"}}])
    data = data.cast_column("image", datasets.Image())

    class Info:
        sha = "c0ffee"

    def load(name: str, **options: Any) -> Any:
        asked.update(options, name=name)
        return data.to_iterable_dataset() if streaming else data

    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", lambda self, name, revision=None: Info)
    monkeypatch.setattr(datasets, "load_dataset", load)
    loaded = BENCHMARKS["vl-rewardbench"].open(streaming=streaming)
    (row,) = loaded.rows()
    assert asked == {"name": "MMInstruction/VL-RewardBench", "split": "test", "revision": "c0ffee", "streaming": streaming,
                     "token": "secret"}  # fmt: skip
    assert loaded.revision == "c0ffee" and loaded.length == (None if streaming else 1)
    assert row.comparison and row.comparison.load_image().size == (32, 32)


def test_an_unreachable_hub_gets_a_sentence(monkeypatch) -> None:
    import huggingface_hub

    def refuse(self: Any, *args: Any, **kwargs: Any) -> None:
        raise ConnectionError("no route")

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", refuse)
    with pytest.raises(BenchmarkError, match="cannot be read from the hub"):
        BENCHMARKS["vl-rewardbench"].open()


def test_video_rows_are_counted_not_judged(tmp_path) -> None:
    video = {**{k: v for k, v in MM.items() if k != "image"}, "video": "video/abc"}
    _, row = BENCHMARKS["mm-rlhf-rewardbench"].open(write(tmp_path / "d.jsonl", [MM, video])).rows()
    assert row.subgroup == "video" and row.comparison and row.comparison.image is None
    assert "videos are not supported" in row.problem


def test_findings_name_duplicates_and_contradictions(tmp_path) -> None:
    turned = {**VL, "human_ranking": [0, 1]}
    found = findings(BENCHMARKS["vl-rewardbench"].open(write(tmp_path / "d.jsonl", [VL, VL, turned])).rows())
    kinds = Counter(f.kind for f in found)
    assert kinds["same row, contradictory labels"] == 1 and kinds["id occurs more than once"] == 1
    assert all(f.rows for f in found)


# -- whole releases: imitations whose answers are known, and the real texts where this checkout has them ---------


def judged(name: str, file: Path, rule) -> pd.DataFrame:
    rows = list(BENCHMARKS[name].open(file).rows())
    return pd.DataFrame([(r.subgroup, r.cluster, outcome(rule(r), r.comparison.preferred)) for r in rows if r.comparison],
                        columns=["subgroup", "cluster", "outcome"])  # fmt: skip


LONGER = lambda r: [len(t) for t in r.comparison.responses]  # noqa: E731
POINTS = {"wrong": {"right": 1.0}, "half": {"right": 1.0, "tie": 0.5}, "dropped": {"right": 1.0}}


@pytest.mark.parametrize("policy", POINTS)
def test_an_imitation_of_vl_rewardbench_scores_what_its_key_says(tmp_path, policy) -> None:
    key = releases.vl_rewardbench(tmp_path / "data.json")
    f = judged("vl-rewardbench", tmp_path / "data.json", LONGER)
    assert f["outcome"].tolist() == [r["outcome"] for r in key]
    found = report(f, BENCHMARKS["vl-rewardbench"].groupings[0], policy)
    expected = {}
    for group in ("general", "hallucination", "reasoning"):
        mine = [r["outcome"] for r in key if r["group"] == group]
        counted = [o for o in mine if policy != "dropped" or o != "tie"]
        expected[group] = sum(POINTS[policy].get(o, 0.0) for o in counted) / len(counted)
    assert {g: r.value for g, r in found.groups.items()} == pytest.approx(expected)
    assert found.macro == pytest.approx(sum(expected.values()) / 3)
    assert found.overall.n == 1250 - (policy == "dropped") * sum(r["outcome"] == "tie" for r in key)


def test_an_imitation_of_vl_rewardbench_fits_all_groupings_and_its_slips_are_found(tmp_path) -> None:
    key = releases.vl_rewardbench(tmp_path / "data.json")
    rows = list(BENCHMARKS["vl-rewardbench"].open(tmp_path / "data.json").rows())
    for grouping in BENCHMARKS["vl-rewardbench"].groupings:
        assert Counter(grouping.group_of[r.subgroup] for r in rows) == grouping.expected
    official = BENCHMARKS["vl-rewardbench"].groupings[0]
    assert [official.group_of[r.subgroup] for r in rows] == [r["group"] for r in key]
    assert all(r.comparison and not r.comparison.prompt.startswith("<image>") for r in rows)
    kinds = Counter(f.kind for f in findings(rows))
    assert kinds["id occurs more than once"] == releases.TWICE
    assert kinds["same text preferred in one row and rejected in another"] == releases.BOTH_WAYS
    assert len(kinds) == 2


def test_an_imitation_of_mm_rlhf_scores_what_its_key_says(tmp_path) -> None:
    count, won, whole = releases.mm_rlhf(tmp_path / "data.jsonl")
    benchmark = BENCHMARKS["mm-rlhf-rewardbench"]
    assert findings(benchmark.open(tmp_path / "data.jsonl").rows(), benchmark.clustered) == []
    f = judged("mm-rlhf-rewardbench", tmp_path / "data.jsonl", LONGER)
    found = report(f, benchmark.groupings[0])
    assert (found.overall.points, found.overall.n) == (won, count) and not found.refused
    assert (accuracy_plus(f).points, accuracy_plus(f).n) == (whole, f["cluster"].nunique())


needs_data = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the public data sets are not part of the project"
)


@needs_data
@pytest.mark.parametrize(
    ("rule", "policy", "expected"),
    [  # computed with the official cal.py on the same outputs (notes on the benchmarks, section 1)
        (lambda r: [-len(t) for t in r.comparison.responses], "wrong", (61.75, 59.15, 47.17, 56.48, 56.02)),
        (lambda r: [len(t) for t in r.comparison.responses], "wrong", (37.16, 40.32, 51.26, 42.64, 42.91)),
        (lambda r: [-p for p in r.stored], "dropped", (97.27, 100, 100, 99.60, 99.09)),
    ],
)
def test_vl_rewardbench_baselines(rule, policy, expected) -> None:
    f = judged("vl-rewardbench", SHARED / "vl_rewardbench" / "unifiedreward_data.json", rule)
    found = report(f, BENCHMARKS["vl-rewardbench"].groupings[0], policy)
    values = [100 * r.value for r in found.groups.values()] + [
        100 * found.overall.value,
        100 * (found.macro or 0),
    ]
    assert values == pytest.approx(expected, abs=0.005)


@needs_data
def test_vl_rewardbench_per_item_flags_of_a_real_model() -> None:
    flags = json.loads((SHARED / "vl_rewardbench" / "ixc25_reward_results.json").read_text())
    rows = [(s, str(i), "right" if v else "wrong")
            for s, key in (("wildvision", "out_general"), ("povid", "out_hallucination"), ("mathverse", "out_reasoning"))
            for i, v in enumerate(flags[key])]  # fmt: skip
    found = report(
        pd.DataFrame(rows, columns=["subgroup", "cluster", "outcome"]),
        BENCHMARKS["vl-rewardbench"].groupings[0],
    )
    assert 100 * found.overall.value == pytest.approx(64.56)
    assert 100 * (found.macro or 0) == pytest.approx(69.31, abs=0.005)
    assert [round(100 * g.value, 2) for g in found.groups.values()] == [84.70, 60.35, 62.89]


@needs_data
def test_vl_rewardbench_groupings_and_findings() -> None:
    rows = list(
        BENCHMARKS["vl-rewardbench"].open(SHARED / "vl_rewardbench" / "unifiedreward_data.json").rows()
    )
    for grouping in BENCHMARKS["vl-rewardbench"].groupings:
        assert Counter(grouping.group_of[r.subgroup] for r in rows) == grouping.expected
    kinds = Counter(f.kind for f in findings(rows))
    assert kinds["id occurs more than once"] == 25
    assert kinds["same text preferred in one row and rejected in another"] == 15


@needs_data
def test_mm_rlhf_baselines() -> None:
    file = SHARED / "mm_rlhf_rewardbench" / "mm_reward_bench.jsonl"
    benchmark = BENCHMARKS["mm-rlhf-rewardbench"]
    assert findings(benchmark.open(file).rows(), benchmark.clustered) == []  # rankings, not contradictions
    longer = judged("mm-rlhf-rewardbench", file, lambda r: [len(t) for t in r.comparison.responses])
    assert report(longer, BENCHMARKS["mm-rlhf-rewardbench"].groupings[0]).overall.points == 122
    assert (accuracy_plus(longer).points, accuracy_plus(longer).n) == (22, 46)
    shorter = judged("mm-rlhf-rewardbench", file, lambda r: [-len(t) for t in r.comparison.responses])
    assert report(shorter, BENCHMARKS["mm-rlhf-rewardbench"].groupings[0]).overall.points == 46
    assert accuracy_plus(shorter).points == 4
