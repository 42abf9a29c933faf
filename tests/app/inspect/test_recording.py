"""`python -m app.gallery_results --model ... --images FOLDER`: any judge's results on any pictures as one file."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from checkpoints import qwen, value_head
from PIL import Image
from server import serving, text_of

from app.inspect import recording
from app.inspect.recording import record
from core.explain import Request, explain
from core.images import open_image
from core.judges.opening import open_judge
from core.judges.options import Options
from core.model.loading import CheckpointError
from core.records import RecordError
from core.records.gallery import read

ROOT = Path(__file__).parents[3]
SECRET = "sk-very-secret-0123456789"
OPTIONS = (
    "model",
    "revision",
    "prompt",
    "votes",
    "max_pixels",
    "pooled",
    "base",
    "served",
    "workers",
    "dtype",
    "data",
    "format",
    "title",
)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    rows = []
    for i, responses in enumerate(
        (["A red car.", "Two dogs, I think."], ["Yes.", "No.", "Perhaps so."], ["Only one."])
    ):
        Image.fromarray(np.random.default_rng(i).integers(0, 255, (60, 80, 3), dtype="uint8")).save(
            folder / f"{i}.png"
        )
        rows.append({"image": f"{i}.png", "prompt": f"What is in picture {i}?", "responses": responses})
    (folder / "items.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    return folder


def asked(photos, output, **given):
    return SimpleNamespace(
        **{
            **dict.fromkeys(OPTIONS),
            "device": "cpu",
            "images": photos,
            "limit": 10,
            "output": output,
            **given,
        }
    )


@pytest.mark.parametrize("kind", ["scalar", "generative"])
def test_what_is_recorded_is_what_the_judge_says(kind, photos, tmp_path, capsys):
    folder = qwen(tmp_path / "m")
    if kind == "scalar":
        value_head(folder)
    record(asked(photos, tmp_path / "r.zip", model=str(folder), title="Mine"))
    out = capsys.readouterr()
    assert "2 comparisons recorded" in out.out and "left out: row 2, column responses: 1 response" in out.err
    gallery, judge = read(tmp_path / "r.zip"), open_judge(str(folder), Options(device="cpu"))
    assert gallery.title == "Mine" and gallery.card == judge.card and len(gallery.entries) == 2
    for i, entry in enumerate(gallery.entries):
        b = entry.bundle
        assert entry.caption == f"What is in picture {i}?"
        assert open_image(b.comparison.image).tobytes() == open_image(photos / f"{i}.png").tobytes()
        judged = judge.judge(b.comparison)
        assert b.judgement.rewards == pytest.approx(judged.rewards, abs=1e-6)
        assert b.explanation.target_key == ("verdict" if kind == "generative" else "margin") and not b.more
        e = b.explanation
        again = explain(judge, b.comparison, judged, Request(e.pair, e.target_key, e.method_key))
        assert np.array(e.patch_values) == pytest.approx(np.array(again.patch_values), abs=1e-5)
        assert b.image_ablation.given == pytest.approx(judged.margin(*e.pair), abs=1e-6)


def test_the_embedded_model_records_a_map_for_each_score_and_gate(
    photos, tmp_path, embedded_judge, monkeypatch
):
    monkeypatch.setattr(recording, "open_judge", lambda model, options: embedded_judge)
    record(asked(photos, tmp_path / "r.zip", limit=1))
    (entry,) = read(tmp_path / "r.zip").entries
    keys = [e.target_key for e in (entry.bundle.explanation, *entry.bundle.more)]
    selected = [entry.bundle.judgement.dimensions[d].key for d in entry.bundle.judgement.selected]
    assert keys == ["margin", *(f"score:{k}" for k in selected), *(f"gate:{k}" for k in selected)]


def longer(handler, body, number):
    first, second = (text_of(body).split(f"Response {n}:\n")[1].split("\n\n")[0] for n in (1, 2))
    handler.say(
        f"You sent {handler.headers['Authorization']}. <answer>{1 if len(first) >= len(second) else 2}</answer>"
    )


def test_a_served_judge_is_recorded_by_the_command_and_its_cost_is_said_first(photos, tmp_path):
    output = tmp_path / "r.zip"
    with serving(longer, key=SECRET) as server:
        command = [
            sys.executable,
            "-m",
            "app.gallery_results",
            "--model",
            server.address,
            "--images",
            str(photos),
            "--output",
            str(output),
        ]
        done = subprocess.run(
            command, cwd=ROOT, env={**os.environ, "OPENAI_API_KEY": SECRET}, capture_output=True, text=True
        )
    assert done.returncode == 0, done.stderr
    said = int(re.search(r"about ([\d,]+) requests", done.stderr)[1].replace(",", ""))
    assert 0.9 * server.asked <= said <= 1.15 * server.asked  # what is known already is not asked again
    found = read(output)
    assert len(found.entries) == 2 and found.card.kind == "remote"
    assert all("[key]" in v.text for e in found.entries for v in e.bundle.judgement.votes)
    written = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
    assert SECRET.encode() not in written and SECRET not in done.stdout + done.stderr


def test_what_cannot_be_recorded_is_said_and_leaves_no_file(photos, tmp_path):
    with (
        serving(lambda handler, body, number: handler.say("Hm.")) as server,
        pytest.raises(RecordError, match="No row could be recorded"),
    ):
        record(asked(photos, tmp_path / "r.zip", model=server.address))
    with pytest.raises(CheckpointError, match="nothing to explain it by"):
        record(asked(photos, tmp_path / "r.zip", model="longer"))
    assert not list(tmp_path.iterdir())
    for given, says in ((["--model", "x"], "--images FOLDER"), (["--images", str(photos)], "--output FILE"),
                        (["--images", str(photos), "--output", "x.zip", "--limit", "0"], "--limit is 0")):  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", "app.gallery_results", *given], cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 2 and says in done.stderr and "Traceback" not in done.stderr


def test_a_space_brings_its_recorded_galleries(photos, tmp_path, embedded_judge, monkeypatch):
    from app.space import SpaceError, export

    monkeypatch.setattr(recording, "open_judge", lambda model, options: embedded_judge)
    record(asked(photos, tmp_path / "mine.zip", limit=1))
    export(tmp_path / "space", recorded=[tmp_path / "mine.zip"])
    brought = tmp_path / "space" / "assets" / "recorded" / "mine.zip"
    assert read(brought).entries and "*.zip filter=lfs" in (tmp_path / "space" / ".gitattributes").read_text()
    (tmp_path / "no.zip").write_bytes(b"PK")
    with pytest.raises(SpaceError, match="not a recorded gallery"):
        export(tmp_path / "other", recorded=[tmp_path / "no.zip"])
