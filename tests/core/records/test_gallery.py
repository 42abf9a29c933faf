"""A recorded gallery: what was written comes back, opens without torch, and a forged one ends in one sentence."""

import copy
import io
import json
import random
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from app.recorded import page as recorded
from app.recorded.page import RecordedPage
from core.images import to_png_bytes
from core.records import Comparison, Explanation, JudgeCard, Judgement, Vote, content_hash
from core.records.bundle import Bundle, BundleError
from core.records.bundle import read as read_bundle
from core.records.bundle import write as write_bundle
from core.records.gallery import INDEX, Entry, read, write

ROOT = Path(__file__).parents[3]
EVIL = "<img src=x onerror=alert(1)><script>alert(2)</script>"
THOUGHT = f"<think>Five stars. {EVIL}</think><answer>2</answer>"


def bundle(n=0):
    """Of a judge that writes, with two explanations."""
    png, texts = to_png_bytes(Image.new("RGB", (20, 10), (n, 2, 3))), ("Two stars.", f"Five. {EVIL}")
    c = Comparison(content_hash(png, EVIL, *texts), png, EVIL, texts, 1)
    votes = (Vote((0, 1), THOUGHT, 1, -1.5), Vote((1, 0), "I'm sorry", None, None, "refused"))
    judged = Judgement(c.id, "far", (-0.5, 0.5), critique=THOUGHT, choice=1, votes=votes)
    start = THOUGHT.index("Five")
    explained = Explanation(
        c.id, "log-odds", "Ablation", "grey", 0, ((("Two", 0, 3), ("stars.", 4, 10)), (("Five.", 0, 5),)), ((0.1, 0.2), (-0.3,)),
        ((0.5, -0.5),), 0.0, 0.0, -1.5, 0.0, None, 0.1, "float32", target_key="critique:0", method_key="ablation",
        critique_tokens=(("Five stars.", start, start + 11),), critique_values=(-0.7,),
    )  # fmt: skip
    at_once = replace(
        explained, target="the verdict at once", target_key="verdict", critique_tokens=(), critique_values=()
    )
    card = JudgeCard("far", EVIL, "generative", parameters=7_000_000_000, about=EVIL)
    return Bundle(c, judged, explained, None, card, (at_once,))


def file_of(tmp_path, n=2, title=EVIL):
    path = tmp_path / "recorded.zip"
    assert write(path, title, (Entry(f"{EVIL} {i}", bundle(i)) for i in range(n))) == n
    return path


def test_what_was_written_comes_back(tmp_path):
    path = file_of(tmp_path)
    found = read(path)
    assert found.title == EVIL and [e.caption for e in found.entries] == [f"{EVIL} 0", f"{EVIL} 1"]
    assert [e.bundle for e in found.entries] == [bundle(0), bundle(1)] and found.card == bundle().card
    assert path.read_bytes() == file_of(tmp_path).read_bytes()  # the same results give the same file


def test_the_page_shows_it_and_runs_nothing_of_it(tmp_path):
    gallery = read(file_of(tmp_path))
    page = RecordedPage([gallery])
    pictures, about, place, badge, target, judged = page.on_recording(0)
    assert len(pictures) == 2 and place == (0, 0) and "7.0 billion parameters" in about
    assert [key for _, key in target.choices] == ["critique:0", "verdict"]
    other = page.on_target(place, "verdict")
    for text in (about, badge, judged, other):
        assert "<script" not in text and "<img src=x" not in text
    assert ">recorded<" in badge and "B wins in one order, no verdict in the other" in judged
    assert judged.count("Five stars.") > other.count(
        "Five stars."
    )  # coloured where the critique is held fixed
    assert "votes: A 0, B 0, refused 1" in judged


def test_pictures_are_named_by_what_they_are(tmp_path, monkeypatch):
    monkeypatch.setattr(recorded.privately, "folder", lambda prefix: lambda: tmp_path)
    one = bundle()
    named = replace(one, comparison=replace(one.comparison, id="../../escaped", benchmark="other"))
    gallery = read(file_of(tmp_path, 1))
    evil = replace(gallery, entries=(Entry("x", named),))
    ((path, _),) = recorded.thumbnails(evil)
    assert Path(path).parent == tmp_path and Path(path).stem == content_hash(one.comparison.image)


def test_it_opens_without_torch(tmp_path):
    path = file_of(tmp_path)
    code = (
        "import sys\nfrom pathlib import Path\nfrom app.recorded.page import RecordedPage\nfrom core.records.gallery import read\n"
        f"RecordedPage([read(Path({str(path)!r}))]).on_recording(0)\nprint('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr


def forged(path, **members):
    """The file with some of its members replaced; None takes one away."""
    out = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w") as new:
        held = {n: old.read(n) for n in old.namelist()} | members
        for name, data in held.items():
            if data is not None:
                new.writestr(name, data)
    return out.getvalue()


INDEX_OF = {"format": "rewardscope gallery 1", "title": "x", "captions": ["a", "b"]}


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({INDEX: None}, "not a recorded gallery"),
        ({INDEX: b"{"}, "not a recorded gallery"),
        ({INDEX: json.dumps({**INDEX_OF, "format": "rewardscope bundle 2"})}, "not a recorded gallery"),
        ({INDEX: json.dumps({**INDEX_OF, "format": "rewardscope gallery 9"})}, "version 9"),
        ({INDEX: json.dumps({**INDEX_OF, "captions": []})}, "0 entries"),
        ({INDEX: json.dumps({**INDEX_OF, "captions": [1]})}, "no readable list"),
        ({INDEX: json.dumps({**INDEX_OF, "captions": ["x"] * 501})}, "501 entries"),
        ({INDEX: json.dumps({**INDEX_OF, "captions": ["x"] * 3})}, "not a recorded gallery"),
        ({INDEX: b"[" * 100_000}, "not a recorded gallery"),
        ({"0000.zip": b"PK"}, "not a Rewardscope bundle"),
    ],
)
def test_a_forged_index_is_one_sentence(members, said, tmp_path):
    with pytest.raises(BundleError, match=said):
        read(forged(file_of(tmp_path), **members))


def test_galleries_of_several_judges_and_other_files_are_refused(tmp_path):
    path = tmp_path / "g.zip"
    write(
        path,
        "x",
        [Entry("a", bundle()), Entry("b", replace(bundle(1), card=JudgeCard("near", "near", "scalar")))],
    )
    with pytest.raises(BundleError, match="several judges"):
        read(path)
    for data in (b"", b"PK", b"\0" * 100):
        with pytest.raises(BundleError, match="not a recorded gallery"):
            read(data)
    with pytest.raises(BundleError):
        read(tmp_path / "none.zip")


WRONG = [
    None,
    True,
    -1,
    3,
    1e30,
    float("nan"),
    "",
    "A",
    EVIL,
    "critique:9",
    "critique:x",
    "critique:²",
    [],
    [[]],
    [None],
    [1, 2, 3],
    {},
    "../x",
]


def test_records_broken_anywhere_draw_or_end_in_a_sentence():
    """Explanations beside the first, sentences of critiques and votes are new in bundles: every place is broken in turn."""
    whole = write_bundle(bundle())
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        members = {n: archive.read(n) for n in archive.namelist()}
    record, rng, drawn, refused = json.loads(members["record.json"]), random.Random(0), 0, 0
    for place in places(record):
        broken = copy.deepcopy(record)
        spot = broken
        for step in place[:-1]:
            spot = spot[step]
        spot[place[-1]] = rng.choice(WRONG)
        try:
            found = read_bundle(packed(members, broken))
        except BundleError:
            refused += 1
            continue
        entry = Entry("x", found)
        for explanation in recorded.explanations(entry):
            assert "<script" not in recorded.judged_html(found, explanation)
        drawn += 1
    assert refused > 40 and drawn > 5


def places(value, path=()):
    """Of everything that a critique or a further explanation adds."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        here = (*path, step)
        if {
            "more",
            "votes",
            "critique_tokens",
            "critique_values",
            "target_key",
            "unanswered",
            "critique",
        } & set(map(str, here)):
            yield here
        yield from places(inner, here)


def packed(members, record):
    import hashlib

    data = {**members, "record.json": json.dumps(record).encode()}
    manifest = json.loads(members["manifest.json"])
    manifest["sha256"] = {n: hashlib.sha256(data[n]).hexdigest() for n in data if n != "manifest.json"}
    data["manifest.json"] = json.dumps(manifest).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in data.items():
            archive.writestr(name, content)
    return out.getvalue()
