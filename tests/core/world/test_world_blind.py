"""Whoever cannot see the picture is at chance on every visual family, however much they know about the texts.

The first test is the proof: each pair of texts comes twice, once with either label. The others let judges try.
"""

import random
import re
from collections import defaultdict

import pytest
from scipy.sparse import hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from core.world.items import to_comparison
from core.world.questions import FAMILIES, MANNER_FAMILIES, VISUAL_FAMILIES
from core.world.splits import held_out, lesson


@pytest.fixture(scope="module")
def records():
    return list(held_out(6000, seed=11, images=False))


@pytest.fixture(scope="module")
def lessons():
    """Training-split comparisons, the right answer on a random side against each wrong one."""
    rng, out = random.Random(0), []
    for i in range(900):
        for n, item in enumerate(lesson(0, i, 4).items):
            for wrong, answer in enumerate(item.answers[1:], 1):
                if answer.text:
                    out.append(
                        to_comparison(item, wrong, f"{i}-{n}-{wrong}", rng.random() < 0.5, b"not drawn")
                    )
    return out


def by_family(records, guesses):
    """Share of right guesses per family; a guess of None (a tie) is half right."""
    score = defaultdict(list)
    for record, guess in zip(records, guesses, strict=True):
        score[record.category].append(0.5 if guess is None else float(guess == record.preferred))
    return {f: sum(v) / len(v) for f, v in score.items()}


def assert_chance(shares):
    for family in VISUAL_FAMILIES:
        assert shares[family] == pytest.approx(0.5, abs=0.03), (family, shares[family])


def test_each_pair_of_texts_comes_once_with_either_label(records):
    assert len(records) >= 5000
    for a, b in zip(records[::2], records[1::2], strict=True):
        assert a.category == b.category
        if a.category in VISUAL_FAMILIES:
            assert (a.prompt, a.responses) == (b.prompt, b.responses)
            assert {a.preferred, b.preferred} == {0, 1}
        else:  # two pictures, so two texts; the sides are balanced all the same
            assert {a.preferred, b.preferred} == {0, 1}


def test_every_family_has_its_share(records):
    found = defaultdict(int)
    for r in records:
        found[r.category] += 1
    assert set(found) == set(FAMILIES) and len(set(found.values())) == 1


def test_blind_to_position(records):
    assert_chance(by_family(records, [0] * len(records)))
    assert_chance(by_family(records, [1] * len(records)))


def longer(record):
    a, b = map(len, record.responses)
    return None if a == b else int(b > a)


def more_words(record):
    a, b = (len(r.split()) for r in record.responses)
    return None if a == b else int(b > a)


@pytest.mark.parametrize("rule", [longer, more_words, lambda r: int(r.responses[1] > r.responses[0])])
def test_blind_to_length_and_alphabet(records, rule):
    assert_chance(by_family(records, [rule(r) for r in records]))


# -- a judge that learns ---------------------------------------------------------------------------------------------


def words(text):
    return re.findall(r"\w+", text.lower())


def document(record, i):
    """A response as its words, word pairs, and each word under each word of the prompt and of the rival."""
    own, asked = words(record.responses[i]), words(record.prompt)
    rival = set(words(record.responses[1 - i])) - set(own)
    pairs = [f"{a}+{b}" for a, b in zip(own, own[1:], strict=False)]
    crossed = [f"{a}?{w}" for a in asked[:8] for w in own] + [f"{w}!{x}" for x in rival for w in own]
    return " ".join([*own, *pairs, *crossed, f"length={len(own)}"])


class Blind:
    """Logistic regression on TF-IDF: of either response, of their difference, and of the prompt."""

    def fit(self, records):
        self.responses = TfidfVectorizer(token_pattern=r"\S+", min_df=2, max_features=50_000)
        self.responses.fit([document(r, i) for r in records for i in (0, 1)])
        self.prompts = TfidfVectorizer(ngram_range=(1, 2), min_df=2).fit([r.prompt for r in records])
        self.model = LogisticRegression(max_iter=150, C=20.0)
        self.model.fit(self._features(records), [r.preferred for r in records])
        return self

    def _features(self, records):
        a, b = (self.responses.transform([document(r, i) for r in records]) for i in (0, 1))
        return hstack([a, b, b - a, self.prompts.transform([r.prompt for r in records])]).tocsr()

    def __call__(self, records):
        return by_family(records, self.model.predict(self._features(records)))


def halves(records):
    """Split by couples: the twin of a record that was learnt would give its answer away, turned round."""
    couples = [records[i : i + 2] for i in range(0, len(records), 2)]
    random.Random(3).shuffle(couples)
    middle = len(couples) // 2
    return tuple([r for c in part for r in c] for part in (couples[:middle], couples[middle:]))


def assert_reads_manners(shares):
    """The control has teeth: most faults of manner can be read off the words, and it does."""
    assert sum(shares[f] for f in MANNER_FAMILIES) / len(MANNER_FAMILIES) > 0.8, shares


def test_blind_after_training_on_the_training_split(records, lessons):
    shares = Blind().fit(lessons)(records)
    assert_chance(shares)
    assert_reads_manners(shares)


def test_blind_after_training_on_half_of_the_held_out_split_too(records, lessons):
    """More than any honest judge gets: it learns the very distribution it is asked about."""
    learnt, asked = halves(records)
    shares = Blind().fit(learnt + lessons)(asked)
    assert_chance(shares)
    assert_reads_manners(shares)


def test_the_blind_judge_would_find_a_leak(records):
    """Without twins the texts would give it away: of each couple only the half whose right answer comes first in
    the alphabet is kept."""
    leaky = [
        r for r in records if r.category in VISUAL_FAMILIES and r.responses[r.preferred] == min(r.responses)
    ]
    middle = len(leaky) // 2
    shares = Blind().fit(leaky[:middle])(leaky[middle:])
    assert set(shares) == set(VISUAL_FAMILIES)
    assert sum(shares.values()) / len(shares) > 0.8, shares
