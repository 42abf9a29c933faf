"""Words and sentences in any script: nothing is lost, nothing stands twice."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.judges.pieces import LEVELS, pieces
from core.records import RecordError

SCRIPTS = st.one_of(
    st.text(max_size=60),
    st.text(
        st.sampled_from(
            "aB3.5 !?\n\t…。你好，世界「」、カタカナーひらがなสวัสดีชาวโลกကမ្ពុजानि।؟é́\u200d\x1c\x85\u3000'\")(“”"
        ),
        max_size=60,
    ),
)


@settings(max_examples=400, deadline=None)
@given(text=SCRIPTS, level=st.sampled_from(LEVELS))
@example(text="\x1c.\x1d", level="word")
def test_pieces_never_overlap_and_hold_every_character_that_is_not_blank(text, level):
    found, at = pieces(text, level), 0
    for piece, start, end in found:
        assert at <= start < end and text[start:end] == piece
        assert not text[at:start].strip()  # only blanks between
        assert piece == piece.strip()
        at = end
    assert not text[at:].strip()


@settings(max_examples=100, deadline=None)
@given(words=st.lists(st.from_regex(r"[A-Za-z0-9éß.,!?'\"-]{1,9}", fullmatch=True), max_size=8))
def test_where_blanks_part_the_words_they_are_the_words(words):
    assert [p for p, _, _ in pieces(" \n".join(words), "word")] == words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("图中有三颗星。", ["图", "中", "有", "三", "颗", "星。"]),
        ("「你好」，GPT-4！", ["「你", "好」，", "GPT-4！"]),
        ("データがある", ["データ", "がある"]),
        ("มี3ดวง", ["มี", "3", "ด", "ว", "ง"]),
        ("Es sind 3,5 Äpfel.", ["Es", "sind", "3,5", "Äpfel."]),
    ],
)
def test_scripts_without_blanks_come_in_small_pieces(text, expected):
    assert [p for p, _, _ in pieces(text, "word")] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two three!  Four\nfive", ["One.", "Two three!", "Four", "five"]),
        ("It is 3.5 m wide. Really?!", ["It is 3.5 m wide.", "Really?!"]),
        ("Dr. Smith, i.e. he, sees e.g. cats. He waits.", ["Dr. Smith, i.e. he, sees e.g. cats.", "He waits."]),
        ("The U.S. flag vs. ours. No. It is not.", ["The U.S. flag vs. ours.", "No.", "It is not."]),
        ("1. First thing.\n2. Second thing.", ["1. First thing.", "2. Second thing."]),
        ("The number is 3. They are blue.", ["The number is 3.", "They are blue."]),
        ('He said "no." Then he left.', ['He said "no."', "Then he left."]),
        ("有三颗星。它们是蓝色的！对吗？", ["有三颗星。", "它们是蓝色的！", "对吗？"]),
        ("यह लाल है। वह नीला है।", ["यह लाल है।", "वह नीला है।"]),
        ("no mark at all", ["no mark at all"]),
        ("", []),
    ],
)  # fmt: skip
def test_sentences_end_where_a_reader_would_end_them(text, expected):
    assert [p for p, _, _ in pieces(text, "sentence")] == expected


def test_another_level_is_refused():
    with pytest.raises(RecordError, match="no level"):
        pieces("a", "letter")
