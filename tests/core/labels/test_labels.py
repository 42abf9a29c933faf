"""The label store against a plain account of who did what, in SQLite and in PostgreSQL."""

import random
import sqlite3
import subprocess
import sys
import threading
import time

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.labels.records import LabelError, Opinion, shown_order
from core.labels.store import LabelStore
from core.labels.tables import events, slots
from tests.core.labels.shared import Clock, at_once, fill, item


def test_an_item_comes_back_as_it_went_in(store):
    odd = item(0, ("a\x00b", "c\ud800"), prompt="<b>\x00\udfff</b>", preferred=None, picture="h")
    queue = store.add_queue({"name": "q", "order": "random"}, [odd], [("h", b"\x00picture")])
    assert store.items(queue.id)[0] == item(
        0, ("a\x00b", "c\ud800"), prompt="<b>\x00\udfff</b>", preferred=None, picture="h", queue=queue.id
    )
    assert store.picture("h") == b"\x00picture" and store.picture("other") is None
    assert store.queues() == [queue] and store.queue(queue.id) == queue
    with pytest.raises(LabelError):
        store.queue("' OR 1=1 --")


def test_both_verdicts_are_kept_and_the_present_label_is_a_view(store):
    queue = fill(store)
    claim = store.claim(queue, "ann")
    assert claim.item.position == 0 and claim.label is None
    after = store.judge(claim.ticket, "ann", Opinion("0", ("counting",), "sure"), 3.5)
    assert (after.label.first, after.label.final, after.label.blind) == ("0", "0", True)
    store.revise(claim.ticket, "ann", Opinion("tie", (), "well"))
    (label,) = store.labels(queue)
    assert (label.first, label.final, label.note, label.seconds) == ("0", "tie", "well", 3.5)
    kinds = [(e["kind"], e["verdict"]) for e in store.events()]
    assert kinds == [("given", None), ("first", "0"), ("final", "tie")]
    seen = store.events()[1]["detail"]
    assert seen["key"] == "key0" and seen["models"] == [["m", "abc"]] and sorted(seen["shown"]) == [0, 1]


def test_saying_it_again_writes_nothing(store):
    queue = fill(store)
    claim = store.claim(queue, "ann")
    for verdict in ("0", "0", "1"):
        store.judge(claim.ticket, "ann", Opinion(verdict))
    for verdict in ("1", "1", "0", "1"):
        store.revise(claim.ticket, "ann", Opinion(verdict))
    kinds = [(e["kind"], e["verdict"]) for e in store.events()]
    assert kinds == [("given", None), ("first", "0"), ("final", "1"), ("final", "0"), ("final", "1")]


def test_no_item_goes_to_two_people_unless_overlap_is_asked_for(store):
    queue = fill(store, 6)
    got = {name: store.claim(queue, name).item.position for name in "abcdef"}
    assert sorted(got.values()) == list(range(6))
    assert store.claim(queue, "g") is None
    assert store.progress(queue, "a").held == 5


def test_overlap_gives_each_item_to_so_many_different_people(store):
    queue = fill(store, 3, overlap=2)
    for name in ("ann", "bob"):
        for _ in range(3):
            store.judge(store.claim(queue, name).ticket, name, Opinion("0"))
        assert store.claim(queue, name) is None
    assert store.claim(queue, "cy") is None
    assert sorted((v.position, v.annotator) for v in store.labels(queue)) == [
        (i, n) for i in range(3) for n in ("ann", "bob")
    ]


def test_a_lease_runs_out_and_the_late_verdict_is_kept_as_late(store, clock):
    queue = fill(store, 1)
    old = store.claim(queue, "ann")
    assert store.claim(queue, "bob") is None
    clock.now += 61
    new = store.claim(queue, "bob")
    assert new.item.position == 0
    with pytest.raises(LabelError, match="kept as a late one"):
        store.judge(old.ticket, "ann", Opinion("1"))
    store.judge(new.ticket, "bob", Opinion("0"))
    assert [(v.annotator, v.final) for v in store.labels(queue)] == [("bob", "0")]
    assert [e["verdict"] for e in store.events() if e["kind"] == "late"] == ["1"]


def test_a_lease_that_ran_out_still_counts_while_nobody_took_the_item(store, clock):
    queue = fill(store, 1)
    claim = store.claim(queue, "ann", "tab")
    clock.now += 1000
    store.release("tab")  # the tab was closed, and the page opened again from the browser's memory
    assert store.judge(claim.ticket, "ann", Opinion("1")).label.final == "1"


def test_a_clock_that_goes_back_locks_nothing(store, clock):
    queue = fill(store, 1)
    store.claim(queue, "ann")
    clock.now -= 86_400
    claim = store.claim(queue, "bob")
    assert claim is not None
    store.judge(claim.ticket, "bob", Opinion("0"), seconds=-86_400)
    (label,) = store.labels(queue)
    assert label.seconds is None and label.final == "0"


def test_two_tabs_of_one_person_hold_the_same_item(store, clock):
    queue = fill(store, 3)
    one, two = store.claim(queue, "ann", "tab 1"), store.claim(queue, "ann", "tab 2")
    assert one.ticket == two.ticket
    store.judge(one.ticket, "ann", Opinion("0"))
    assert store.judge(two.ticket, "ann", Opinion("1")).label.first == "0"
    ahead = store.claim(queue, "ann", "tab 1", beside=(0,))
    store.release("tab 1")
    assert store.claim(queue, "bob").item.position != ahead.item.position  # the page may come back ...
    clock.now += 61
    assert store.claim(queue, "cy").item.position == ahead.item.position  # ... but not for ever


def test_undo_gives_the_item_back_and_says_that_it_is_not_blind_any_more(store):
    queue = fill(store)
    claim = store.claim(queue, "ann")
    store.judge(claim.ticket, "ann", Opinion("0"))
    again = store.undo(queue, "ann")
    assert again.item.position == 0 and again.label is None and store.labels(queue) == []
    with pytest.raises(LabelError):
        store.judge(claim.ticket, "ann", Opinion("1"))  # the old ticket, from another tab
    assert store.judge(again.ticket, "ann", Opinion("1")).label.blind is False
    assert len([e for e in store.events() if e["kind"] == "first"]) == 2
    assert store.undo(queue, "nobody") is None


def test_who_saw_the_same_comparison_in_another_queue_is_not_blind_to_it(store):
    first, second = fill(store, 1), fill(store, 1)
    for queue in (first, second):
        claim = store.claim(queue, "ann")
        store.judge(claim.ticket, "ann", Opinion("0"))
    assert [v.blind for q in (first, second) for v in store.labels(q)] == [True, False]


def test_a_skipped_item_that_somebody_else_took_stays_skipped(store):
    queue = fill(store, 2)
    before = store.claim(queue, "ann")
    store.judge(before.ticket, "ann", Opinion("0"))
    store.skip(store.claim(queue, "ann").ticket, "ann")
    store.claim(queue, "bob")
    for _ in range(2):
        with pytest.raises(LabelError, match="stays skipped"):
            store.undo(queue, "ann")
    assert len(store.labels(queue)) == 1
    assert store.undo(queue, "ann", ticket=before.ticket).item.position == 0


def test_a_claim_made_ahead_is_renewed_when_it_is_looked_at(store, clock):
    queue = fill(store, 3)
    now = store.claim(queue, "ann")
    ahead = store.claim(queue, "ann", beside=(now.item.position,))
    clock.now += 59
    assert store.renew(ahead.ticket, "ann") is not None
    clock.now += 59
    assert store.claim(queue, "bob").item.position not in (ahead.item.position,)
    clock.now += 61
    store.claim(queue, "cy")
    store.claim(queue, "dee")
    store.claim(queue, "eve")
    assert store.renew(ahead.ticket, "ann") is None


def test_clocks_that_differ_a_little_give_nothing_twice(store, clock):
    queue = fill(store, 1)
    store.claim(queue, "ann")
    clock.now -= 2
    assert store.claim(queue, "bob") is None


@pytest.mark.parametrize("act", ["judge", "revise", "skip", "undo"])
def test_a_double_click_from_two_threads_is_one_act(store, act):
    for _ in range(10):
        queue = fill(store, 2)
        ticket = store.claim(queue, "ann").ticket
        if act in ("revise", "undo"):
            store.judge(ticket, "ann", Opinion("0"))
        call = {
            "judge": (store.judge, ticket, "ann", Opinion("0")), "revise": (store.revise, ticket, "ann", Opinion("1")),
            "skip": (store.skip, ticket, "ann"), "undo": (store.undo, queue, "ann"),
        }[act]  # fmt: skip
        at_once(call, call)
        said = [e["kind"] for e in store.events(queue=queue)]
        assert said.count({"judge": "first", "revise": "final"}.get(act, act)) == 1, said


def test_a_lease_that_goes_over_in_the_very_moment_of_a_verdict(store, clock):
    """Somebody judges while another takes the item whose lease ran out: one of the two has it, and both know."""
    for _ in range(15):
        queue = fill(store, 1)
        old = store.claim(queue, "ann")
        clock.now += 61
        ann, bob = at_once((store.judge, old.ticket, "ann", Opinion("0")), (store.claim, queue, "bob"))
        ann_has_it = not isinstance(ann, LabelError)
        assert ann_has_it == (bob is None)
        assert [v.annotator for v in store.labels(queue)] == (["ann"] if ann_has_it else [])
        if bob:
            assert store.judge(bob.ticket, "bob", Opinion("1")).label.final == "1"


def test_what_is_skipped_comes_back_last_and_goes_to_others_at_once(store):
    queue = fill(store, 3)
    skipped = store.claim(queue, "ann")
    store.skip(skipped.ticket, "ann")
    assert store.claim(queue, "bob").item.position == skipped.item.position
    store.release("")
    seen = []
    for _ in range(2):
        claim = store.claim(queue, "ann")
        seen.append(claim.item.position)
        store.judge(claim.ticket, "ann", Opinion("0"))
    assert seen == [1, 2] and store.claim(queue, "ann") is None  # bob has it
    again = LabelStore(store.url, lease=60, clock=lambda: store.clock() + 100)
    assert again.claim(queue, "ann").item.position == 0
    again.close()


def test_undoing_a_skip(store):
    queue = fill(store, 3)
    store.skip(store.claim(queue, "ann").ticket, "ann")
    assert store.undo(queue, "ann").item.position == 0
    assert store.claim(queue, "ann").item.position == 0


@pytest.mark.parametrize("verdict", ["2", "-1", "left", "", "<script>", "0 "])
def test_what_is_no_verdict_is_refused(store, verdict):
    claim = store.claim(fill(store), "ann")
    with pytest.raises(LabelError):
        store.judge(claim.ticket, "ann", Opinion(verdict))
    with pytest.raises(LabelError):
        store.judge(claim.ticket, "ann", Opinion("0", ("no such",)))
    with pytest.raises(LabelError):
        store.judge(claim.ticket, "ann", Opinion("0", (), "x" * 5000))
    with pytest.raises(LabelError):
        store.judge(claim.ticket, "bob", Opinion("0"))
    assert [e["kind"] for e in store.events()] == ["given"]


def test_names_are_proved_by_a_secret(store):
    secret = store.enter("  Ann   Lee ")
    assert store.who(secret) == "Ann Lee"
    for wrong in ("", "x" * 30, "\ud800" * 30, None, 3, secret[:-1], ["x"]):
        assert store.who(wrong) is None
    store.enter("Änn")
    for taken in ("Ann Lee", "ann lee", "änn"):
        with pytest.raises(LabelError, match="taken"):
            store.enter(taken)
    for bad in ("", " ", "x" * 41, "<b>", "a\x00b", "../etc"):
        with pytest.raises(LabelError):
            store.enter(bad)


def test_sides_are_shuffled_by_person_and_stay_as_they_were(store):
    queue = fill(store, 40)
    found = list(store.items(queue).values())
    by_person = {n: [shown_order(n, i) for i in found] for n in ("ann", "bob")}
    assert by_person["ann"] == [shown_order("ann", i) for i in found] != by_person["bob"]
    first = sum(order[0] == 0 for orders in by_person.values() for order in orders)
    assert 20 < first < 60


def test_many_threads_write_at_once(store):
    queue, errors = fill(store, 60, overlap=2), []

    def work(name):
        try:
            while claim := store.claim(queue, name):
                store.judge(claim.ticket, name, Opinion("1"))
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=work, args=(f"p{i}",)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    labels = store.labels(queue)
    assert len(labels) == 120 == len({(v.position, v.annotator) for v in labels})
    assert len({e["id"] for e in store.events()}) == len(store.events())


def test_a_locked_database_is_said_and_loses_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("core.labels.database.WAIT", 0.2)
    store = LabelStore(f"sqlite:///{tmp_path / 'l.sqlite'}")
    claim = store.claim(fill(store), "ann")
    other = sqlite3.connect(tmp_path / "l.sqlite")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(LabelError, match="NOT saved: please try again"):
        store.judge(claim.ticket, "ann", Opinion("0"))
    other.rollback()
    store.judge(claim.ticket, "ann", Opinion("0"))
    assert len(store.labels(claim.item.queue)) == 1


def test_a_full_disk_is_said_and_loses_nothing(tmp_path):
    store = LabelStore(f"sqlite:///{tmp_path / 'l.sqlite'}")
    claim = store.claim(fill(store), "ann")
    with store.db._writer.connect() as db:  # SQLite's own limit stands in for the disk's
        pages = db.exec_driver_sql("PRAGMA page_count").scalar()
    store.db._writer.dispose()
    sa.event.listen(store.db._writer, "connect", lambda c, r: c.execute(f"PRAGMA max_page_count={pages}"))
    with pytest.raises(LabelError, match="full"):
        for _ in range(200):
            store.judge(claim.ticket, "ann", Opinion("0", (), "x" * 4000))
            claim = store.undo(claim.item.queue, "ann")
    store.close()
    again = LabelStore(store.url)
    assert [e["seq"] for e in again.events()] == list(range(1, len(again.events()) + 1))
    claim = again.claim(claim.item.queue, "ann")
    again.judge(claim.ticket, "ann", Opinion("1"))


def test_a_store_that_cannot_be_opened_says_so(tmp_path):
    (tmp_path / "l.sqlite").write_bytes(b"this is no database" * 100)
    with pytest.raises(LabelError, match="cannot be opened"):
        LabelStore(f"sqlite:///{tmp_path / 'l.sqlite'}")
    with pytest.raises(LabelError, match="cannot be opened"):
        LabelStore("postgresql+psycopg://nobody@/none?host=/nowhere")


KILLED = """
import sys
from core.labels.store import LabelStore
from core.labels.records import Opinion
store = LabelStore(sys.argv[1])
while claim := store.claim(sys.argv[2], sys.argv[3]):
    store.judge(claim.ticket, sys.argv[3], Opinion("0"))
    print(claim.item.position, flush=True)  # the acknowledgement
"""


def test_what_was_acknowledged_survives_kill_9(store):
    queue, said = fill(store, 400), []
    rng = random.Random(0)
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, store.url, queue, "ann"], stdout=subprocess.PIPE, text=True
        )
        said.append(int(process.stdout.readline()))
        time.sleep(rng.random() * 0.15)
        process.kill()
        said += [int(line) for line in process.stdout.read().splitlines() if line.strip()]
    labels = store.labels(queue)
    assert len(said) == len(set(said)) and set(said) <= {v.position for v in labels}
    assert len(labels) - len(said) <= 3  # written, but killed before it was said
    while claim := store.claim(queue, "ann"):
        store.judge(claim.ticket, "ann", Opinion("0"))
    assert len(store.labels(queue)) == 400


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["claim", "judge", "revise", "skip", "undo", "wait", "release", "back in time"]),
        st.sampled_from(["ann", "bob", "cy"]),
        st.sampled_from(["0", "1", "tie"]),
    ),
    max_size=40,
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS, overlap=st.integers(1, 2))
def test_whatever_people_do_the_books_are_right(tmp_path_factory, steps, overlap):
    clock = Clock()
    store = LabelStore(f"sqlite:///{tmp_path_factory.mktemp('s') / 'l.sqlite'}", lease=60, clock=clock)
    queue, hands, present = fill(store, 3, overlap), {}, {}
    for kind, who, verdict in steps:
        try:
            if kind == "claim" and (claim := store.claim(queue, who, who)):
                hands[who] = claim
            elif kind == "judge" and who in hands:
                label = store.judge(hands[who].ticket, who, Opinion(verdict)).label
                place = (hands[who].item.position, who)
                present.setdefault(place, verdict)
                assert label.final == present[place]
            elif kind == "revise" and who in hands:
                present_before = dict(present)
                store.revise(hands[who].ticket, who, Opinion(verdict))
                assert (hands[who].item.position, who) in present_before
                present[(hands[who].item.position, who)] = verdict
            elif kind == "skip" and who in hands:
                store.skip(hands[who].ticket, who)
            elif kind == "undo":
                before = {v.position for v in store.labels(queue) if v.annotator == who}
                claim = store.undo(queue, who)
                gone = before - {v.position for v in store.labels(queue) if v.annotator == who}
                assert len(gone) <= 1
                for position in gone:
                    del present[(position, who)]
                if claim:
                    hands[who] = claim
        except LabelError:
            pass
        if kind == "wait":
            clock.now += 61
        if kind == "release":
            store.release(who)
        if kind == "back in time":
            clock.now -= 500
        assert {(v.position, v.annotator): v.final for v in store.labels(queue)} == present
        with store.db.reading() as db:
            done = db.execute(sa.select(slots.c.position, slots.c.annotator).where(slots.c.done)).all()
            count = db.execute(sa.select(sa.func.count()).select_from(events)).scalar()
        assert sorted(map(tuple, done)) == sorted(present)
        assert all(sum(p == q for q, _ in present) <= overlap for p, _ in present)
        assert count == len(store.events())
    store.close()
