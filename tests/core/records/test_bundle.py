"""A bundle gives back what went in, notices every change, and holds when computed anew."""

import io
import json
import subprocess
import sys
import zipfile
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.common.words import verified_words
from core.explain import explain
from core.explain.verify import verify
from core.records import Comparison, ImageAblation, content_hash
from core.records.bundle import Bundle, BundleError, read, write
from core.world.splits import couple


@pytest.fixture(scope="module")
def bundle(embedded_judge):
    c = couple("colour", "bundle")[0]
    c = replace(c, truth=None)
    j = embedded_judge.judge(c)
    e = explain(embedded_judge, c, j, method="decomposition")
    return Bundle(c, j, e, ImageAblation(1.0, 0.25, None), embedded_judge.card)


def test_what_is_read_is_what_was_written(bundle, tmp_path):
    path = tmp_path / "b.zip"
    path.write_bytes(write(bundle))
    found = read(path)
    assert found.comparison == bundle.comparison
    assert found.judgement == bundle.judgement and found.explanation == bundle.explanation
    assert found.image_ablation == bundle.image_ablation and found.card == bundle.card
    assert write(found) == path.read_bytes()


def said(found):
    return verified_words(found.same_model, found.holds, found.worst, found.differences[found.worst])


def test_it_verifies_itself_where_the_model_is(bundle, embedded_judge):
    found = verify(read(write(bundle)), embedded_judge)
    assert found.holds and "Verified" in said(found)


def test_forged_numbers_and_other_weights_are_noticed(bundle, embedded_judge):
    forged = replace(bundle, judgement=replace(bundle.judgement, rewards=(9.0, -9.0)))
    found = verify(read(write(forged)), embedded_judge)
    assert not found.holds and "NOT" in said(found)
    stranger = replace(bundle, card=replace(bundle.card, fingerprint="other"))
    assert "Not the same model" in said(verify(read(write(stranger)), embedded_judge))


def repacked(data, **changed):
    old, out = zipfile.ZipFile(io.BytesIO(data)), io.BytesIO()
    with zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            if changed.get(name, b"") is not None:
                new.writestr(name, changed.get(name, old.read(name)))
    return out.getvalue()


def test_every_change_is_told(bundle):
    data = write(bundle)
    record = zipfile.ZipFile(io.BytesIO(data)).read("record.json")
    with pytest.raises(BundleError, match=r"record\.json is not what was written"):
        read(repacked(data, **{"record.json": record.replace(b"decomposition", b"dec0mposition")}))
    with pytest.raises(BundleError, match=r"no picture\.png"):
        read(repacked(data, **{"picture.png": None}))
    with pytest.raises(BundleError, match="version"):
        read(repacked(data, **{"manifest.json": json.dumps({"format": "x"}).encode()}))
    for broken in (b"", b"PK", data[: len(data) // 2]):
        with pytest.raises(BundleError, match="not a Rewardscope bundle"):
            read(broken)


def test_a_bomb_is_not_unpacked():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("manifest.json", b"0" * (3 << 20))
    with pytest.raises(BundleError, match="larger than"):
        read(out.getvalue())


@given(st.binary(max_size=300))
def test_any_bytes_are_a_clear_error(data):
    with pytest.raises(BundleError):
        read(data)


def test_a_users_comparison_is_bound_to_its_id(bundle):
    c = bundle.comparison
    mine = Comparison(content_hash(c.image, c.prompt, *c.responses), c.image, c.prompt, c.responses)
    own = replace(
        bundle,
        comparison=mine,
        judgement=replace(bundle.judgement, comparison_id=mine.id),
        explanation=replace(bundle.explanation, comparison_id=mine.id),
    )
    read(write(own))
    with pytest.raises(BundleError, match="id differs"):
        read(write(replace(own, comparison=replace(mine, prompt="Another question?"))))


def test_it_opens_without_torch(bundle, tmp_path):
    path = tmp_path / "b.zip"
    path.write_bytes(write(bundle))
    code = (
        "import sys; from core.records.bundle import read; from app.replay.bundle_view import bundle_html; "
        f"page = bundle_html(read({str(path)!r})); assert 'The model prefers' in page and 'torch' not in sys.modules, 'torch'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
