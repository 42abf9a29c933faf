"""Names that look alike are one name, or none."""

import pytest

from core.labels.records import LabelError, checked_name


@pytest.mark.parametrize("name", ["Аnna", "Annа", "Αnna", "Bоb", "Anna Бob", "pаypal 3"])
def test_letters_of_two_scripts_are_refused(name):
    with pytest.raises(LabelError, match="one script"):
        checked_name(name)


@pytest.mark.parametrize("name", ["Ａnna", "𝐀nna", "Anna\u00a0", "  Anna ", "Ａｎｎａ"])
def test_other_ways_to_write_a_letter_are_that_letter(name):
    assert checked_name(name) == "Anna"


@pytest.mark.parametrize("name", ["Anna", "Anna 2", "Zoë", "Анна", "Ελένη", "美咲", "みさき", "山田さくら", "김민수", "Zoe\u0308", "أحمد", "x_y-z.1"])  # fmt: skip
def test_names_of_one_script_are_welcome(name):
    assert checked_name(name)


@pytest.mark.parametrize(
    "name", ["", " ", "a\u202eb", "a\u200bb", "a\x00b", "<b>", "login:bob", "=1", "x" * 500]
)
def test_what_was_refused_before_still_is(name):
    with pytest.raises(LabelError):
        checked_name(name)
