"""A store that is wiped and comes back from its files."""

import json
from types import SimpleNamespace

import pytest

from core.labels import backup as label_backup
from core.labels.backup import Files, Schedule, keep, restore
from core.labels.records import Item, Opinion
from core.labels.store import LabelStore


def item(i, picture=""):
    return Item(
        "",
        0,
        i,
        f"key{i}",
        f"id\ud800{i}",
        "g",
        "c",
        "What\x00?",
        ("a", "b"),
        0,
        picture,
        {"reasons": []},
        (),
    )


@pytest.fixture
def store(database):
    store = LabelStore(database)
    yield store
    store.close()


def work(store):
    queue = store.add_queue(
        {"name": "q"}, [item(0, "aa"), item(1), item(2)], [("aa", b"\x00pixels")], overlap=2
    ).id
    for who, verdict in (("ann", "0"), ("bob", "1")):
        claim = store.claim(queue, who)
        store.judge(claim.ticket, who, Opinion(verdict, ("counting",), "n\x00te"), 2.0)
    claim = store.claim(queue, "ann")
    store.judge(claim.ticket, "ann", Opinion("tie"))
    store.revise(claim.ticket, "ann", Opinion("bad"))
    store.judge(store.claim(queue, "ann").ticket, "ann", Opinion("0"))
    store.undo(queue, "ann")
    return queue


def test_everything_comes_back(store, tmp_path):
    queue, secret = work(store), store.enter("Ann")
    Files(store, tmp_path / "f").write()
    fresh = LabelStore(f"sqlite:///{tmp_path / 'fresh.sqlite'}")
    ids = restore(fresh, tmp_path / "f")
    assert ids == {e["id"] for e in store.events()}
    assert fresh.labels(queue) == store.labels(queue)
    assert fresh.items(queue) == store.items(queue) and fresh.picture("aa") == b"\x00pixels"
    assert fresh.who(secret) == "Ann"
    # Work goes on where it was: done slots are done, what was in hand is free again.
    assert fresh.progress(queue).done == store.progress(queue).done == 3
    assert fresh.claim(queue, "ann").item.position == 2
    assert fresh.claim(queue, "bob").item.position == 1
    restore(fresh, tmp_path / "f")
    assert fresh.labels(queue) == store.labels(queue)


def test_each_start_writes_files_of_its_own_and_only_what_is_new(store, tmp_path):
    queue = work(store)
    first = Files(store, tmp_path)
    first.write()
    first.write()
    count = len(store.events())
    claim = store.claim(queue, "cy")
    store.judge(claim.ticket, "cy", Opinion("1"))
    second = Files(store, tmp_path, first.saved)
    second.write()
    sizes = [len(p.read_text().splitlines()) for p in sorted(tmp_path.glob("events-*.jsonl"))]
    assert sorted(sizes) == [2, count]


def test_a_half_written_last_line_is_passed_over(store, tmp_path):
    work(store)
    Files(store, tmp_path).write()
    (file,) = tmp_path.glob("events-*.jsonl")
    file.write_text(file.read_text() + '{"id": "half')
    fresh = LabelStore(f"sqlite:///{tmp_path / 'fresh.sqlite'}")
    assert len(restore(fresh, tmp_path)) == len(store.events())


class Hub:
    """What CommitScheduler needs of HfApi, with a folder in the place of the hub."""

    def __init__(self, folder):
        self.folder = folder

    def create_repo(self, repo_id, **options):
        assert options["repo_type"] == "dataset" and options["private"] is True
        return SimpleNamespace(repo_id=repo_id)

    def create_commit(self, operations, **options):
        for operation in operations:
            path = self.folder / operation.path_in_repo
            path.parent.mkdir(parents=True, exist_ok=True)
            with operation.as_file() as file:
                path.write_bytes(file.read())

    def run_as_future(self, function):
        function()


def test_the_schedule_commits_and_a_restart_reads_it_back(store, tmp_path, monkeypatch):
    hub = tmp_path / "hub"
    queue = work(store)
    schedule = Schedule(Files(store, tmp_path / "local"), "me/labels", Hub(hub))
    schedule._scheduler_thread.join(5)
    schedule.push_to_hub()
    schedule.stop()
    assert json.loads((hub / "queues" / f"{queue}.json").read_text())["queue"]["id"] == queue

    fresh = LabelStore(f"sqlite:///{tmp_path / 'fresh.sqlite'}")
    monkeypatch.setattr(label_backup, "snapshot_download", lambda *a, **k: str(hub))
    monkeypatch.setattr(label_backup, "HfApi", lambda **k: Hub(hub))
    words = keep(fresh, tmp_path / "again", "me/labels")
    assert "me/labels every 5 minutes" in words
    assert fresh.labels(queue) == store.labels(queue)


def test_where_labels_pass_away_it_is_said(tmp_path, monkeypatch):
    store = LabelStore(f"sqlite:///{tmp_path / 'l.sqlite'}")
    assert keep(store, tmp_path) == ""
    monkeypatch.setenv("SPACE_ID", "me/space")
    assert "only until this Space restarts" in keep(store, tmp_path)

    def unreachable(*args, **options):
        raise ConnectionError

    monkeypatch.setattr(label_backup, "snapshot_download", unreachable)
    monkeypatch.setattr(label_backup, "HfApi", lambda **k: SimpleNamespace(create_repo=unreachable))
    monkeypatch.setattr(label_backup, "_keep_trying", lambda *a: None)
    assert "cannot be saved to me/labels just now (ConnectionError)" in keep(store, tmp_path, "me/labels")


def test_the_order_is_that_of_the_events_not_of_the_clock(tmp_path):
    now = [1000.0]
    store = LabelStore(f"sqlite:///{tmp_path / 'l.sqlite'}", clock=lambda: now[0])
    queue = store.add_queue({"name": "q"}, [item(0)], []).id
    claim = store.claim(queue, "ann")
    store.judge(claim.ticket, "ann", Opinion("0"))
    now[0] -= 500  # the clock is set back between the two verdicts
    store.revise(claim.ticket, "ann", Opinion("1"))
    Files(store, tmp_path / "f").write()
    fresh = LabelStore(f"sqlite:///{tmp_path / 'fresh.sqlite'}")
    restore(fresh, tmp_path / "f")
    assert [v.final for v in fresh.labels(queue)] == ["1"] == [v.final for v in store.labels(queue)]


def test_newer_files_go_into_an_older_store_that_is_at_work(store, tmp_path):
    queue = work(store)
    Files(store, tmp_path / "f").write()
    other = LabelStore(f"sqlite:///{tmp_path / 'other.sqlite'}")
    restore(other, tmp_path / "f")
    claim = store.claim(queue, "cy")
    store.judge(claim.ticket, "cy", Opinion("1"))
    held = other.claim(queue, "dee")
    Files(store, tmp_path / "f").write()
    restore(other, tmp_path / "f")
    assert other.labels(queue) == store.labels(queue)
    assert held is not None and other.progress(queue).done == store.progress(queue).done


def test_a_line_that_was_cut_off_does_not_swallow_the_next_one(store, tmp_path):
    queue, files = work(store), Files(store, tmp_path)
    files.write()
    (path,) = tmp_path.glob("events-*.jsonl")
    path.write_text(path.read_text() + '{"id": "cut o')
    claim = store.claim(queue, "cy")
    store.judge(claim.ticket, "cy", Opinion("1"))
    files.write()
    fresh = LabelStore(f"sqlite:///{tmp_path / 'fresh.sqlite'}")
    restore(fresh, tmp_path)
    assert fresh.labels(queue) == store.labels(queue)
