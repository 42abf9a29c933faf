"""A name taken up again on another browser by its recovery phrase; only a salted hash of it is kept."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.labels import migrations, recovery
from core.labels.backup import Files, restore
from core.labels.records import LabelError
from core.labels.store import LabelStore

OLD = Path(__file__).parents[2] / "fixtures" / "release_0_1"


def rows(store, table):
    with store.db.reading() as db:
        return [dict(r) for r in db.execute(sa.text(f"SELECT * FROM {table}")).mappings()]


def test_the_word_list_is_what_the_phrase_promises():
    assert len(set(recovery.words())) == 2048 == len({w[:4] for w in recovery.words()})
    assert all(w.isascii() and w.isalpha() and w.islower() for w in recovery.words())
    phrases = {recovery.new_phrase() for _ in range(200)}
    assert len(phrases) == 200 and all(len(p.split()) == 6 for p in phrases)
    # 1,200 draws of 2,048 words: about 900 different ones
    assert len({w for p in phrases for w in p.split()}) > 700


def test_a_name_is_taken_up_again_by_its_phrase_alone(store):
    first = store.enter("Änn Lee")
    phrase = store.new_phrase("Änn Lee")
    second = store.recover("  änn   LEE ", phrase.upper().replace(" ", " - "))
    assert second and second != first
    assert store.who(first) == store.who(second) == "Änn Lee"
    store.enter("Bob")
    other = store.new_phrase("Bob")
    assert store.recover("Änn Lee", other) is None and store.recover("Nobody", phrase) is None
    assert store.recover("Bob", phrase) is None


def test_a_new_phrase_takes_the_place_of_the_old_one(store):
    secret = store.enter("Ann")
    assert store.recover("Ann", recovery.new_phrase()) is None  # a name without a phrase
    old = store.new_phrase("Ann")
    new = store.new_phrase("Ann")
    assert store.recover("Ann", old) is None and store.recover("Ann", new)
    assert store.who(secret) == "Ann" and len(rows(store, "recovery")) == 1


def test_what_is_kept_is_salted_scrypt_and_says_neither_words_nor_secret(store):
    store.enter("Ann")
    store.enter("Bob")
    phrase = store.new_phrase("Ann")
    secret = store.recover("Ann", phrase)
    (kept,) = rows(store, "recovery")
    kind, n, r, p, salt, proof = kept["phrase"].split("$")
    assert kind == "scrypt" and int(n) * int(r) >= 2**17 and len(salt) == 32
    # computed here once more, from the words alone
    made = hashlib.scrypt(phrase.encode(), salt=bytes.fromhex(salt), n=int(n), r=int(r), p=int(p), maxmem=2**26, dklen=32)  # fmt: skip
    assert made.hex() == proof
    everything = json.dumps([rows(store, t) for t in ("people", "recovery", "browsers")])
    assert secret not in everything and not set(phrase.split()) & set(everything.replace('"', " ").split())
    assert recovery.hashed(phrase) != recovery.hashed(phrase)


@pytest.mark.parametrize("typed", ["", "one", "abandon " * 5, "abandon " * 7, None, 7, "x" * 10**6, "\x00 " * 6, "abandon " * 5 + "abandom"])  # fmt: skip
def test_what_cannot_be_a_phrase_is_said_before_any_hash(store, monkeypatch, typed):
    store.enter("Ann")
    monkeypatch.setattr(recovery, "_scrypt", lambda *_: pytest.fail("hashed"))
    with pytest.raises(LabelError, match="words|not a word"):
        store.recover("Ann", typed)


def test_phrases_and_browsers_come_back_from_a_backup(store, tmp_path):
    first = store.enter("Ann")
    old = store.new_phrase("Ann")
    second = store.recover("Ann", old)
    files = Files(store, tmp_path / "f")
    files.write()
    store.clock.now += 10
    new = store.new_phrase("Ann")
    files.write()
    files.write()
    fresh = LabelStore(f"sqlite:///{tmp_path / 'fresh.sqlite'}")
    for _ in range(2):
        restore(fresh, tmp_path / "f")
    assert fresh.who(first) == fresh.who(second) == "Ann"
    assert fresh.recover("Ann", old) is None and fresh.recover("Ann", new)
    text = "".join(p.read_text() for p in (tmp_path / "f").glob("*.jsonl"))
    assert old not in text and new not in text and second not in text
    fresh.close()


def test_names_of_older_stores_get_phrases_too(tmp_path):
    """Release 0.1 as it lies there; and version 2, which is today's without the two tables."""
    shutil.copy(OLD / "labels.sqlite", tmp_path / "l.sqlite")
    url = f"sqlite:///{tmp_path / 'l.sqlite'}"
    LabelStore(url).close()
    engine = sa.create_engine(url)
    with engine.begin() as db:
        before = [list(db.execute(sa.text(f"SELECT * FROM {t}"))) for t in ("people", "events", "items", "queues", "slots")]  # fmt: skip
        for sentence in ("DROP TABLE recovery", "DROP TABLE browsers", "UPDATE store_format SET version = 2"):
            db.execute(sa.text(sentence))
    store = LabelStore(url)
    with engine.begin() as db:
        assert [list(db.execute(sa.text(f"SELECT * FROM {t}"))) for t in ("people", "events", "items", "queues", "slots")] == before  # fmt: skip
        assert migrations.version_of(db, "it") == 3
    phrase = store.new_phrase("Ann")  # who took the name in release 0.1
    assert store.who(store.recover("Ann", phrase)) == "Ann"
    store.close()
    engine.dispose()
