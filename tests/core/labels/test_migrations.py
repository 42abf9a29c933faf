"""Label stores of release 0.1, written by its own code, open with nothing lost; versions that are not known are said."""

import json
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.labels import migrations, views
from core.labels.backup import Files, restore
from core.labels.records import LabelError, Opinion
from core.labels.store import LabelStore
from core.taxonomy import KEYS

OLD = Path(__file__).parents[2] / "fixtures" / "release_0_1"
PEOPLE = ("Ann", "Bob", "Çağla")


@pytest.fixture(params=["sqlite", "postgresql"])
def old(request, tmp_path):
    """(address of a store of release 0.1, what that release said of it)."""
    if request.param == "sqlite":
        shutil.copy(OLD / "labels.sqlite", tmp_path / "labels.sqlite")
        return f"sqlite:///{tmp_path / 'labels.sqlite'}", json.loads((OLD / "labels.json").read_text())
    url = request.getfixturevalue("postgres")
    name = f"old_{abs(hash(str(tmp_path))):x}"
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    url = url.replace("/postgres?", f"/{name}?")
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql((OLD / "labels.postgresql.sql").read_text())
    engine.dispose()
    return url, json.loads((OLD / "labels.postgresql.json").read_text())


def as_json(value):
    return json.loads(json.dumps(value))


def as_it_was(item):
    """An item with its reasons as sentences again; what the migration added is taken away by hand here."""
    reasons = item["evidence"].get("reasons", [])
    assert all(r["kind"] == "sentence" and set(r) == {"kind", "text"} for r in reasons)
    return {**item, "evidence": {**item["evidence"], "reasons": [r["text"] for r in reasons]}}


def check(store, said):
    """Everything that release 0.1 said of the store is still so."""
    queues = store.queues()
    assert [
        {**asdict(q), "about": {k: v for k, v in q.about.items() if k != "dimensions"}} for q in queues
    ] == said["queues"]
    assert store.events() == said["events"]
    for queue in queues:
        assert as_json([asdict(v) for v in store.labels(queue.id)]) == said["labels"][queue.id]
        items = [as_it_was(as_json(asdict(i))) for i in store.items(queue.id).values()]
        assert items == said["items"][queue.id]
        for who in PEOPLE:
            assert asdict(store.progress(queue.id, who)) == said["progress"][queue.id][who]
            with store.db.reading() as db:
                assert views.history(db, queue.id, who) == said["history"][queue.id][who]


def version(store):
    with store.db.reading() as db:
        return migrations.version_of(db, "it")


def test_a_store_of_release_0_1_opens_with_nothing_lost(old):
    url, said = old
    assert len(said["queues"]) == 3 and {e["kind"] for e in said["events"]} == {
        "given", "first", "final", "skip", "undo", "late",
    }  # fmt: skip
    for _ in range(2):  # the second time there is nothing to migrate
        store = LabelStore(url, clock=lambda: said["now"])
        check(store, said)
        assert version(store) == migrations.NEWEST == 3
        assert all(len(q.dimensions) == 21 and "counting" in q.dimensions for q in store.queues())
        store.close()


def test_work_goes_on_in_a_migrated_store(old):
    url, said = old
    store = LabelStore(url, clock=lambda: said["now"])
    own = next(q for q in store.queues() if q.about["name"] == "Own file")
    claim = store.claim(own.id, "Çağla")
    (held,) = [e for e in said["events"] if e["annotator"] == "Çağla"]
    assert claim.ticket == held["ticket"]  # what was in her hand before the update still is
    assert store.judge(claim.ticket, "Çağla", Opinion("1", ("harm", "respect"))).label.dimensions == (
        "respect",
        "harm",
    )
    scenes = next(q for q in store.queues() if q.about["name"] == "Scenes")
    before = len(store.labels(scenes.id))
    assert store.undo(scenes.id, "Ann") is not None and len(store.labels(scenes.id)) == before - 1
    store.close()


def test_what_a_queue_of_0_1_could_tick_does_not_change_with_the_taxonomy(old, monkeypatch):
    monkeypatch.setattr("core.labels.records.DIMENSIONS", ())
    url, said = old
    store = LabelStore(url, clock=lambda: said["now"])
    for queue in store.queues():
        ticked = {d for v in store.labels(queue.id) for d in v.dimensions}
        assert ticked <= set(queue.dimensions) == set(migrations.DIMENSIONS_OF_0_1)
    store.close()


def test_the_dimensions_of_0_1_are_those_that_its_labels_use():
    events = json.loads((OLD / "labels.json").read_text())["events"]
    assert {d for e in events for d in e["detail"].get("dimensions", ())} <= set(migrations.DIMENSIONS_OF_0_1)
    assert len(migrations.DIMENSIONS_OF_0_1) == 21
    assert set(migrations.DIMENSIONS_OF_0_1) == set(
        KEYS
    )  # may part when the taxonomy changes: then delete this line


OPENING = """
import sys
from core.labels.store import LabelStore
store = LabelStore(sys.argv[1])
print(sum(len(store.labels(q.id)) for q in store.queues()), store.items(store.queues()[0].id)[0].evidence["reasons"][0]["kind"])
"""


def test_processes_that_start_at_once_migrate_once(old):
    url, said = old
    started = [
        subprocess.Popen([sys.executable, "-c", OPENING, url], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert {p.communicate(timeout=120)[0].strip() for p in started} == {
        f"{sum(map(len, said['labels'].values()))} sentence"
    }
    store = LabelStore(url, clock=lambda: said["now"])
    check(store, said)
    store.close()


def test_processes_that_start_at_once_on_an_empty_database_make_one_store(database):
    made = "import sys\nfrom core.labels.store import LabelStore\nLabelStore(sys.argv[1]).enter(sys.argv[2])"
    started = [subprocess.Popen([sys.executable, "-c", made, database, f"P {n}"]) for n in range(4)]
    assert [p.wait(timeout=120) for p in started] == [0] * 4
    store = LabelStore(database)
    assert version(store) == migrations.NEWEST
    with pytest.raises(LabelError, match="is taken"):
        store.enter("P 3")
    store.close()


def test_a_migration_that_breaks_in_the_middle_changes_nothing(old, monkeypatch):
    url, said = old
    broken = migrations.Step(migrations.STEPS[1].queue, lambda row: row["no such column"])
    with monkeypatch.context() as patch, pytest.raises(KeyError):
        patch.setitem(migrations.STEPS, 1, broken)
        LabelStore(url)
    store = LabelStore(url, clock=lambda: said["now"])
    check(store, said)
    store.close()


def set_version(url, *values):
    engine = sa.create_engine(url)
    with engine.begin() as db:
        db.exec_driver_sql("DELETE FROM store_format")
        for n, value in enumerate(values):
            db.exec_driver_sql(f"INSERT INTO store_format (id, version) VALUES ({n + 1}, {value})")
    engine.dispose()


def test_a_store_of_a_newer_version_is_left_alone_and_said(old):
    url, said = old
    LabelStore(url).close()
    set_version(url, 7)
    with pytest.raises(LabelError) as error:
        LabelStore(url)
    text = str(error.value)
    name = "labels.sqlite" if url.startswith("sqlite") else "postgresql"
    assert name in text and "version 7" in text and "up to 3" in text and "update Rewardscope" in text
    set_version(url, 3)
    store = LabelStore(url, clock=lambda: said["now"])
    check(store, said)
    store.close()


def test_a_password_is_not_in_a_sentence():
    from core.labels.database import name_of

    assert "secret" not in name_of("postgresql+psycopg://ann:secret@host/labels")


@pytest.mark.parametrize("values", [(), (0,), (-3,), (2, 2)], ids=["nothing", "zero", "negative", "two"])
def test_a_damaged_version_is_said(database, values):
    LabelStore(database).close()
    set_version(database, *values)
    with pytest.raises(LabelError, match="is damaged.*backup"):
        LabelStore(database)


@pytest.mark.parametrize("value", ["'two'", "x'00ff'", "2.5", "'2'' OR 1'", "'²'"])
def test_a_version_that_is_not_a_number_is_said(tmp_path, value):
    url = f"sqlite:///{tmp_path / 'l.sqlite'}"
    LabelStore(url).close()
    set_version(url, value)
    with pytest.raises(LabelError, match="is damaged"):
        LabelStore(url)


# -- backup files ------------------------------------------------------------------------------------------


def test_backup_files_of_release_0_1_are_restored_with_nothing_lost(database):
    said = json.loads((OLD / "labels.json").read_text())
    store = LabelStore(database, clock=lambda: said["now"])
    restore(store, OLD / "labels_backup")
    assert [{k: v for k, v in e.items() if k != "seq"} for e in store.events()] == [
        {k: v for k, v in e.items() if k != "seq"} for e in said["events"]
    ]
    for queue in store.queues():
        assert as_json([asdict(v) for v in store.labels(queue.id)]) == said["labels"][queue.id]
        items = [as_it_was(as_json(asdict(i))) for i in store.items(queue.id).values()]
        assert items == said["items"][queue.id] and len(queue.dimensions) == 21
    store.close()


def test_todays_backup_files_say_their_version_and_a_newer_one_is_refused_whole(tmp_path):
    store = LabelStore(f"sqlite:///{tmp_path / 'a.sqlite'}")
    restore(store, OLD / "labels_backup")
    Files(store, tmp_path / "files").write()
    paths = sorted((tmp_path / "files" / "queues").glob("*.json"))
    assert [json.loads(p.read_text())["format"] for p in paths] == [3, 3, 3]
    again = LabelStore(f"sqlite:///{tmp_path / 'b.sqlite'}")
    restore(again, tmp_path / "files")
    assert again.queues() == store.queues() and [store.items(q.id) for q in store.queues()] == [
        again.items(q.id) for q in again.queues()
    ]
    for value, words in (
        (9, "version 9.*update Rewardscope"),
        ("x", "damaged"),
        (0, "damaged"),
        (True, "damaged"),
    ):
        paths[-1].write_text(json.dumps({**json.loads(paths[-1].read_text()), "format": value}))
        third = LabelStore(f"sqlite:///{tmp_path / f'{value}.sqlite'}")
        with pytest.raises(LabelError, match=words):
            restore(third, tmp_path / "files")
        assert third.queues() == [] and third.events() == []
        third.close()
    store.close()
    again.close()
