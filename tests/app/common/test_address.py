"""Addresses: what is written is read back, and whatever is read is either its form or left out with a sentence."""

import dataclasses
import json
import zlib
from base64 import urlsafe_b64encode
from urllib.parse import parse_qsl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.common import address
from app.common.address import LONGEST, TooLong, read, written
from app.inspect.address import UNPACKED, Inspect, packed, unpacked
from core.records import RecordError, plain
from core.records.edit_path import DIGITS, Step

NAMES = [f.name for f in dataclasses.fields(Inspect)]
TEXT = st.text(max_size=60)
STEPS = st.one_of(
    st.builds(Step, prompt=TEXT),
    st.builds(Step, responses=st.dictionaries(st.integers(0, 3), TEXT, min_size=1, max_size=3).map(
        lambda d: tuple(sorted(d.items())))),
    st.builds(Step, mask=st.text("0123456789abcdef", min_size=DIGITS, max_size=DIGITS), how=st.sampled_from(("erase", "blur"))),
)  # fmt: skip


def of_form(f):
    if f.name in "abcd" or f.name == "prompt":
        return st.text(max_size=80)
    return st.from_regex(f.metadata["pattern"], fullmatch=True).filter(
        lambda v: len(v) <= f.metadata["longest"]
    )


ADDRESSES = st.fixed_dictionaries(
    {}, optional={f.name: of_form(f) for f in dataclasses.fields(Inspect)}
).map(lambda d: Inspect(**d))  # fmt: skip


def parsed(query):
    return dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))


@settings(max_examples=150, deadline=None)
@given(ADDRESSES)
def test_what_is_written_is_read_back(given):
    try:
        query = written(given)
    except TooLong:
        return
    found, problems = read(Inspect, parsed(query))
    assert not problems and len(query) <= LONGEST
    assert vars(found) == {k: None if v is None else plain(v) for k, v in vars(given).items()}


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=9), st.text(max_size=300)))
def test_anything_can_be_read_and_only_what_has_the_form_is_kept(query):
    found, problems = read(Inspect, query)
    for f in dataclasses.fields(Inspect):
        value = getattr(found, f.name)
        assert value in (None, query.get(f.name)) and (value is None or address.fits(f.metadata, value))
    assert len(problems) == sum(getattr(found, n) is None for n in NAMES if n in query)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("example", "../../etc/passwd"), ("view", "../secret"), ("row", "-1"), ("row", "9" * 12), ("pair", "AA"), ("pair", "AE"),
        ("target", "<script>alert(1)</script>"), ("target", "gate:<b>"), ("method", "__class__"[:3] + "!"), ("level", "letter"),
        ("edits", "a b"), ("run", "a\nb"), ("judge", "\x00"),
    ],
)  # fmt: skip
def test_hostile_values_are_left_out_with_a_sentence(name, value):
    found, problems = read(Inspect, {name: value, "utm_source": "x"})
    assert getattr(found, name) is None and len(problems) == 1
    assert "cannot be read and is left out" in problems[0] and value not in problems[0]


def test_an_address_is_bounded_and_says_what_else_there_is():
    with pytest.raises(TooLong, match="export it as a page"):
        written(Inspect(example="count", a="ä" * 1500))
    with pytest.raises(TooLong, match="response A is too long"):
        written(Inspect(a="x" * 3001))
    with pytest.raises(ValueError, match="not a pair"):
        written(Inspect(pair="AA"))


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, min_size=1, max_size=5))
def test_steps_are_packed_and_unpacked_without_what_they_claim_to_have_done(steps):
    try:
        text = packed([dataclasses.replace(s, margin=3.0, found=True) for s in steps])
    except UnicodeEncodeError:  # halves of surrogate pairs: no address can hold them
        return
    assert unpacked(text) == tuple(steps)


def pack(data):
    return urlsafe_b64encode(zlib.compress(data)).decode().rstrip("=")


@pytest.mark.parametrize(
    "text",
    [
        "", "A", "AAAA", pack(b"{}"), pack(b"[]"), pack(b"[1]"), pack(b"nonsense"), pack(b"[" * 50_000),
        pack(b"[" + b" " * 50_000_000 + b"]"), pack(json.dumps([{}] * 51).encode()), pack(json.dumps([{"mask": "zz"}]).encode()),
        pack(json.dumps([{"responses": {"A": 7}}]).encode()), pack(b'[{"prompt": "x"}]')[:-6],
    ],
)  # fmt: skip
def test_a_damaged_or_hostile_path_of_edits_is_refused(text):
    with pytest.raises(RecordError):
        unpacked(text)
    assert UNPACKED < 1 << 20
