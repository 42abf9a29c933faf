"""A bundle of somebody else's ends in records that every page can draw, or in one sentence: valid bundles broken in every place."""

import copy
import hashlib
import io
import json
import random
import re
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.replay.bundle_view import bundle_html
from core.records.bundle import BundleError, read

GALLERY = zipfile.ZipFile(Path(__file__).parents[3] / "assets" / "gallery.zip")
NAMES = sorted(n for n in GALLERY.namelist() if n.endswith(".zip"))
EVIL = "<img src=x onerror=alert(1)><script>alert(2)</script>\"' onload='x"
WRONG = [
    None, True, False, 0, -1, 3, 10**30, -(10**30), 1.5, 1e308, float("nan"), float("inf"), float("-inf"), "", "1", "A", EVIL, "\ud800",
    "x" * 100_000, [], [[]], [None], ["x"], [1], [1, 2, 3], [[1, 2], [3]], [float("nan")] * 21, [0] * 2000, {}, {"a": 1}, [{}], "../x",
]  # fmt: skip


def parts(name=NAMES[0]):
    with zipfile.ZipFile(io.BytesIO(GALLERY.read(name))) as archive:
        return {n: archive.read(n) for n in archive.namelist()}


def packed(members, manifest=None):
    """As somebody would who means it: with the right hashes."""
    manifest = json.loads(members["manifest.json"]) if manifest is None else manifest
    if isinstance(manifest, dict) and isinstance(manifest.get("sha256"), dict):
        manifest["sha256"] = {
            n: hashlib.sha256(members[n]).hexdigest() for n in members if n != "manifest.json"
        }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, json.dumps(manifest) if name == "manifest.json" else data)
    return out.getvalue()


def places(value, here=()):
    """Every place in a tree, but of long lists only the ends."""
    yield here
    if isinstance(value, dict):
        for k, v in value.items():
            yield from places(v, (*here, k))
    elif isinstance(value, list):
        for i in sorted({0, 1, len(value) - 1} & set(range(len(value)))):
            yield from places(value[i], (*here, i))


def changed(tree, place, how, wrong):
    tree = copy.deepcopy(tree)
    if not place:
        return wrong
    at = tree
    for step in place[:-1]:
        at = at[step]
    if how == "drop":
        del at[place[-1]]
    elif how == "nest":
        at[place[-1]] = [at[place[-1]]]
    elif how == "twice" and isinstance(at, list):
        at.append(at[place[-1]])
    elif how == "key" and isinstance(at, dict):
        at["surprise"] = wrong
    else:
        at[place[-1]] = wrong
    return tree


def survives(data):
    """Opens and is drawn, or is refused in a sentence; never is anything in it run."""
    try:
        bundle = read(data)
    except BundleError as error:
        said = str(error)
        assert said[0].isupper() and said.endswith(".") and "Traceback" not in said
        return "refused"
    page = bundle_html(bundle)
    assert not re.search(r"<(img src=x|script)", page)
    for figure in figures_of(bundle):
        assert not re.search(r"<(img|script)", figure)
    return "drawn"


def figures_of(bundle):
    from app.common import figures

    j, (a, b) = bundle.judgement, bundle.explanation.pair
    return [f.html() for f in (figures.waterfall(j, a, b), figures.scores(j), figures.gates(j))]


def test_every_field_of_the_record_broken_in_every_way():
    members = parts()
    record = json.loads(members["record.json"])
    rng = random.Random(0)
    outcomes = {"refused": 0, "drawn": 0}
    for place in places(record):
        for how in ("drop", "nest", "twice", "key"):
            outcomes[try_record(members, changed(record, place, how, EVIL) if place else EVIL)] += 1
        for wrong in rng.sample(WRONG, 4):
            outcomes[try_record(members, changed(record, place, "set", wrong))] += 1
    assert outcomes["refused"] > 300 and outcomes["drawn"] > 50, outcomes


def try_record(members, record):
    return survives(packed({**members, "record.json": json.dumps(record).encode()}))


def test_every_field_of_the_manifest_broken_in_every_way():
    members = parts()
    manifest = json.loads(members["manifest.json"])
    refused = 0
    for place in places(manifest):
        for how, wrong in [("drop", None), ("nest", None), *(("set", w) for w in WRONG)]:
            refused += survives(packed(members, changed(manifest, place, how, wrong))) == "refused"
    assert refused > 100


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_anything_anywhere(data):
    members = parts(data.draw(st.sampled_from(NAMES)))
    record = json.loads(members["record.json"])
    tree = st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=9), lambda x: st.lists(x, max_size=4) | st.dictionaries(st.text(max_size=4), x, max_size=4), max_leaves=8)  # fmt: skip
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from(list(places(record))))
        record = changed(
            record, place, data.draw(st.sampled_from(["set", "drop", "nest", "twice"])), data.draw(tree)
        )
        if not isinstance(record, dict):
            break
    try_record(members, record)


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 1 << 20), st.binary(max_size=20))
def test_bytes_that_turn_over_in_the_zip(at, put):
    data = bytearray(GALLERY.read(NAMES[1]))
    at %= len(data)
    data[at : at + len(put)] = put
    survives(bytes(data))
    survives(bytes(data[:at]))


@pytest.mark.parametrize("field", ["target", "method", "baseline", "dtype", "level", "scope", "target_key", "method_key"])  # fmt: skip
def test_what_stands_under_a_map_is_shown_and_never_run(field):
    members = parts()
    record = json.loads(members["record.json"])
    record["explanation"][field] = EVIL
    assert try_record(members, record) == ("refused" if field in ("level", "scope") else "drawn")


@pytest.mark.parametrize("field", ["method", "dtype", "level", "points", "steps", "seconds", "prompt_value"])
def test_a_script_in_the_small_print_is_not_a_tag(field):
    """As it was on the first edition, whatever the reader refuses: the template itself escapes."""
    from dataclasses import replace

    from app.common.heat import _small_print

    e = read(GALLERY.read(NAMES[0])).explanation
    if field in ("method", "dtype", "level"):
        assert "<img" not in _small_print(replace(e, **{field: EVIL}))
    else:
        members = parts()
        record = json.loads(members["record.json"])
        record["explanation"][field] = EVIL
        assert try_record(members, record) == "refused"


@pytest.mark.parametrize(
    "break_it",
    [
        lambda r: r["explanation"]["token_values"][0].append(0.1),
        lambda r: r["explanation"]["patch_values"][0].append(0.1),
        lambda r: r["explanation"]["tokens"][1].append(["x", 5, 99_999]),
        lambda r: r["explanation"].update(pair=[0, 9]),
        lambda r: r["explanation"].update(pair=[1, 1]),
        lambda r: r["explanation"].update(steps=10**9),
        lambda r: r["judgement"]["rewards"].append(0.0),
        lambda r: r["judgement"].update(selected=[999]),
        lambda r: r["judgement"].update(scores=[[1.0]]),
        lambda r: r["judgement"].update(rewards=[float("nan"), 0.0]),
        lambda r: r["judgement"].update(comparison_id="another"),
        lambda r: r["comparison"].update(preferred=7),
        lambda r: r["comparison"].update(responses=["one"]),
    ],
)
def test_lengths_and_indices_that_do_not_fit_each_other(break_it):
    members = parts()
    record = json.loads(members["record.json"])
    break_it(record)
    assert try_record(members, record) == "refused"


def test_a_deep_record_and_a_picture_that_is_none():
    members = parts()
    assert survives(packed({**members, "record.json": b"[" * 200_000})) == "refused"
    assert survives(packed({**members, "picture.png": b"GIF89a"})) == "refused"
    assert survives(packed({**members, "picture.png": b""})) == "refused"
