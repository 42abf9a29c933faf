"""The warning of unknown words: by the tokenizer that the model really has, never on the scene world's own sentences."""

import pytest

from app.common import words
from app.inspect import views
from app.inspect.first_looks import Looks
from app.inspect.gallery import FAMILIES, gallery
from core.model.vocabulary import unknown_words
from core.world.splits import couple


def test_no_held_out_sentence_of_the_world_is_warned_of():
    for family in FAMILIES:
        for c in couple(family, "vocabulary"):
            assert unknown_words(c.prompt, *c.responses) == ()


def test_a_known_word_is_one_token_of_the_models_own_tokenizer(embedded_judge):
    own = embedded_judge.processor.tokenizer
    for text in ("The number of purple shapes is 2.", "Two gorgeous zebras, really!", "Die Zahl ist drei."):
        expected = []
        for w in text.replace(".", " ").replace(",", " ").replace("!", " ").split():
            spellings = (f" {w}", f" {w.lower()}", w, w.lower())
            if w.isalpha() and all(len(own(s, add_special_tokens=False).input_ids) != 1 for s in spellings):
                expected.append(w)
        assert list(unknown_words(text)) == expected


@pytest.mark.parametrize(
    "text", ["كم عدد الأشكال؟", "🦓🦓", "いくつありますか", "Photosynthesis converts sunlight."]
)
def test_other_languages_signs_and_subjects_are_warned_of(text):
    assert unknown_words(text)


def test_it_is_said_above_the_verdict_and_escaped(embedded_judge):
    e = gallery()[0]
    c = views.comparison_of(
        e.path, e.comparison.prompt, ["Two zebraish <b>shapes</b>.", e.comparison.responses[1]]
    )
    view = views.judge_view(Looks(embedded_judge, {}), c)
    assert "zebraish" in view.unknown and "“zebraish”" in views.verdict_html(view)
    assert views.as_dict(view, embedded_judge)["unknown_words"] == list(view.unknown)
    assert words.unknown_words([]) is None and "and 2 more" in words.unknown_words(
        [f"w{i}" for i in range(8)]
    )
