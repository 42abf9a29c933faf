"""The rules of the desk without a page, in SQLite and PostgreSQL, against a plain account of who did what."""

from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.labels.records import LabelError
from core.labels.session import AnnotationSession, Typed
from core.labels.store import LabelStore
from tests.core.labels.test_labels import Clock, at_once, fill, item

NOTHING = Typed()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(database, clock):
    store = LabelStore(database, lease=60, clock=clock)
    yield store
    store.close()


def session(store, who="ann", tab=None):
    return AnnotationSession(store, who, who if tab is None else tab, timer=store.clock)


def place(state, choice):
    """The place on the screen of a response of the record."""
    return str(state.claim.shown.index(choice))


@contextmanager
def transactions(store):
    """How many transactions begin meanwhile, and how many of them are committed."""
    seen = {"begin": 0, "commit": 0}
    counted = []
    for engine in {store.db._reader, store.db._writer}:
        for name in seen:

            def count(connection, name=name):
                seen[name] += 1

            sa.event.listen(engine, name, count)
            counted.append((engine, name, count))
    yield seen
    for engine, name, count in counted:
        sa.event.remove(engine, name, count)


def test_every_act_is_one_transaction(store):
    queue, other = fill(store, 6), fill(store, 2)
    ann = session(store)
    state, ahead = None, None

    def one(act):
        with transactions(store) as seen:
            out = act()
        assert seen == {"begin": 1, "commit": 1}
        return out

    state = one(lambda: ann.open(queue))
    state = one(lambda: ann.verdict(state, "0", Typed(("counting",), "n")))
    state = one(lambda: ann.verdict(state, "tie", Typed(("counting",), "n")))
    ahead = one(lambda: ann.ahead(state))
    state = one(
        lambda: ann.next(state, Typed((), "another note"), ahead)
    )  # Enter: keeps, confirms and moves on
    assert state.claim.ticket == ahead.ticket
    state = one(lambda: ann.skip(state))
    state = one(lambda: ann.back(state, NOTHING))
    state = one(lambda: ann.next(state, NOTHING))
    state = one(lambda: ann.undo(state))
    state = one(lambda: ann.choose(state, other, NOTHING))
    one(ann.leave)


def test_the_queue_asked_for_comes_first_then_the_one_worked_on_then_the_newest(store, clock):
    ann = session(store)
    assert ann.open() is None
    old = fill(store)
    clock.now += 1
    new = fill(store)
    assert ann.open().queue.id == new and ann.open("no such").queue.id == new
    state = ann.open(old)
    assert state.queue.id == old and state.claim is not None and state.progress.total == 5
    assert session(store, tab="later").open().queue.id == old
    assert session(store, "bob").open().queue.id == new


def test_next_needs_a_verdict_and_keeps_what_was_typed_after_it(store):
    queue = fill(store)
    ann = session(store)
    state = ann.open(queue)
    with pytest.raises(LabelError, match="verdict first"):
        ann.next(state, NOTHING)
    state = ann.verdict(state, place(state, 1), Typed(("counting",), "a"))
    assert (state.label.first, state.label.note, state.streak, len(state.seconds)) == ("1", "a", 1, 1)
    after = ann.next(state, Typed(("counting", "text"), "b"))
    (label,) = store.labels(queue)
    assert (label.dimensions, label.note, label.first_dimensions) == (
        ("counting", "text"),
        "b",
        ("counting",),
    )
    assert after.claim.item.position == 1 and after.label is None
    assert [e["kind"] for e in store.events()] == ["given", "first", "final", "given"]


def test_the_place_on_the_screen_becomes_the_index_of_the_record(store):
    queue = store.add_queue({"name": "q"}, [item(i, tuple("abcdefg")) for i in range(8)], []).id
    ann = session(store)
    state = ann.open(queue)
    for n in range(7):
        state = ann.verdict(state, str(n), NOTHING)
        assert state.label.first == str(state.claim.shown[n])
        state = ann.next(state, NOTHING)
    with pytest.raises(LabelError, match="does not have such a response"):
        ann.verdict(state, "7", NOTHING)
    state = ann.verdict(state, place(state, 6), NOTHING)
    assert state.label.final == "6" and len(store.labels(queue)) == 8


def test_dimensions_are_those_of_the_queue(store):
    own = [{"key": "tone", "name": "Tone"}, {"key": "law", "name": "Law"}]
    queue = store.add_queue({"name": "q", "dimensions": own}, [item(0), item(1)], []).id
    ann = session(store)
    state = ann.open(queue)
    assert state.queue.dimensions == {"tone": "Tone", "law": "Law"}
    with pytest.raises(LabelError, match="does not have such a dimension"):
        ann.verdict(state, "0", Typed(("counting",)))
    assert ann.verdict(state, "0", Typed(("law", "tone"))).label.dimensions == ("tone", "law")
    for wrong in ([{"key": ""}], [{"key": "a"}, {"key": "a"}], [{"name": "A"}], ["a"]):
        with pytest.raises(LabelError, match="a key of their own"):
            store.add_queue({"name": "q", "dimensions": wrong}, [item(0)], [])


def test_back_and_forward_walk_through_what_was_said_and_lose_no_place(store):
    queue = fill(store, 6)
    ann = session(store)
    state = ann.open(queue)
    with pytest.raises(LabelError, match="nothing before"):
        ann.back(state, NOTHING)
    for _ in range(3):
        state = ann.next(ann.verdict(state, "0", NOTHING), NOTHING)
    here = state.claim.ticket
    seen = []
    for _ in range(3):
        state = ann.back(state, NOTHING)
        seen.append(state.claim.item.position)
    assert seen == [2, 1, 0]
    with pytest.raises(LabelError, match="nothing before"):
        ann.back(state, NOTHING)
    for position in (1, 2):
        state = ann.next(state, NOTHING)
        assert state.claim.item.position == position
    assert ann.next(state, NOTHING).claim.ticket == here


def test_two_undone_items_and_the_one_left_come_again_in_their_order(store):
    queue = fill(store, 6)
    ann = session(store)
    state = ann.open(queue)
    for _ in range(3):
        state = ann.next(ann.verdict(state, "0", NOTHING), NOTHING)
    state = ann.undo(ann.undo(state))
    assert state.claim.item.position == 1 and state.claim.seen and state.label is None and state.streak == 1
    order = []
    for _ in range(4):
        order.append(state.claim.item.position)
        state = ann.next(ann.verdict(state, "1", NOTHING), NOTHING)
    assert order == [1, 2, 3, 4]
    assert {v.position: v.blind for v in store.labels(queue)} == {
        0: True,
        1: False,
        2: False,
        3: True,
        4: True,
    }


def test_a_note_typed_after_a_change_of_mind_changes_the_note_alone(store):
    queue = fill(store)
    ann = session(store)
    state = ann.verdict(ann.verdict(ann.open(queue), place(ann.open(queue), 0), NOTHING), "tie", NOTHING)
    ann.next(state, Typed((), "why"))
    (label,) = store.labels(queue)
    assert (label.first, label.final, label.note) == ("0", "tie", "why")


def test_a_skipped_item_goes_to_others_and_comes_back_last(store):
    queue = fill(store, 3)
    ann, bob = session(store), session(store, "bob")
    state = ann.skip(ann.open(queue))
    assert state.claim.item.position == 1 and state.streak == 0
    assert [e["kind"] for e in store.events()].count("skip") == 1
    order = [state.claim.item.position]
    while state.claim:
        state = ann.next(ann.verdict(state, "0", NOTHING), NOTHING)
        order += [state.claim.item.position] if state.claim else []
    assert order == [1, 2, 0] and bob.open(queue).claim is None
    other = fill(store, 2)
    ann.skip(ann.open(other))
    assert bob.open(other).claim.item.position == 0
    with pytest.raises(LabelError, match="your verdict already"):
        ann.skip(ann.verdict(ann.open(other), "0", NOTHING))


def test_an_undo_pressed_twice_takes_one_verdict_back(store):
    queue = fill(store)
    ann = session(store)
    state = ann.open(queue)
    for _ in range(3):
        state = ann.next(ann.verdict(state, "0", NOTHING), NOTHING)
    done = at_once((ann.undo, state), (ann.undo, state))
    assert sum(isinstance(d, LabelError) for d in done) == 1
    assert [v.position for v in store.labels(queue)] == [0, 1]


def test_a_double_click_on_next_moves_one_item_on(store):
    queue = fill(store)
    for who in ("ann", "bob"):
        one = session(store, who)
        state = one.verdict(one.open(queue), "0", NOTHING)
        a, b = at_once((one.next, state, NOTHING), (one.next, state, NOTHING))
        assert a.claim.ticket == b.claim.ticket
    assert [e["kind"] for e in store.events()].count("final") == 2


def test_an_expired_lease_is_said_and_the_desk_goes_on(store, clock):
    queue = fill(store, 2)
    ann, bob = session(store), session(store, "bob")
    state = ann.open(queue)
    clock.now += 61
    assert bob.open(queue).claim.item.position == 0
    with pytest.raises(
        LabelError, match="lease on this item expired and it was assigned to another annotator"
    ):
        ann.verdict(state, "0", Typed((), "late"))
    (late,) = [e for e in store.events() if e["kind"] == "late"]
    assert late["detail"]["note"] == "late" and store.labels(queue) == []
    state = ann.skip(state)
    assert state.claim.item.position == 1


def test_a_verdict_taken_back_in_another_tab_is_noticed_and_the_desk_goes_on(store):
    queue = fill(store, 3)
    one, two = session(store, tab="one"), session(store, tab="two")
    here = one.verdict(one.open(queue), "0", NOTHING)
    there = two.undo(two.open(queue))
    assert there.claim.item.position == 0
    with pytest.raises(LabelError, match="no verdict on this item"):
        one.verdict(here, "1", NOTHING)
    here = one.next(here, Typed((), "typed for nothing"))
    assert "taken back" in here.notice and store.labels(queue) == []
    assert here.claim.item.position == 0  # in hand since the undo
    assert one.verdict(here, "1", NOTHING).notice == ""


def test_a_closed_tab_frees_its_items_soon_and_another_queue_does_too(store, clock):
    queue, other = fill(store, 1), fill(store, 1)
    ann, bob = session(store), session(store, "bob")
    state = ann.open(queue)
    state = ann.choose(state, other, NOTHING)
    assert state.queue.id == other and bob.open(queue).claim is None
    clock.now += 61
    assert bob.open(queue).claim is not None
    with pytest.raises(LabelError, match="not in this store"):
        ann.choose(state, "../x", NOTHING)
    for act in (ann.next, ann.back):
        with pytest.raises(LabelError, match="load the page again"):
            act(None, NOTHING)
    for act in (ann.skip, ann.undo):
        with pytest.raises(LabelError, match="load the page again"):
            act(None)


def test_at_the_end_next_looks_again_and_back_still_leads_back(store, clock):
    queue = fill(store, 2)
    ann, bob = session(store), session(store, "bob")
    bob.open(queue)
    state = ann.next(ann.verdict(ann.open(queue), "0", NOTHING), NOTHING)
    assert state.claim is None and state.progress.held == 1
    assert ann.next(state, NOTHING).claim is None
    assert ann.back(state, NOTHING).claim.item.position == 1
    clock.now += 61
    assert ann.next(state, NOTHING).claim.item.position == 0


# -- random walks --------------------------------------------------------------------------------------------


class Account:
    """What one annotator has said, told without a database: the labels in the order in which they were first given."""

    def __init__(self):
        self.order: list[int] = []
        self.said: dict[int, list] = {}  # position -> [first, final, note]

    def labels(self):
        return {p: tuple(v) for p, v in self.said.items()}


ACTS = st.lists(
    st.tuples(
        st.sampled_from(
            ["verdict"] * 4
            + ["next"] * 4
            + ["back"] * 2
            + ["undo", "undo", "skip", "wait", "reload", "clock back"]
        ),
        st.sampled_from(["ann", "bob"]),
        st.sampled_from(["0", "1", "tie", "bad"]),
        st.sampled_from(["", "note", "other"]),
    ),
    max_size=40,
)


class Walk:
    """Applies acts to sessions, keeps the plain account beside, and compares after each."""

    def __init__(self, store, clock, queue):
        self.store, self.clock, self.queue = store, clock, queue
        self.desks = {w: session(store, w) for w in ("ann", "bob")}
        self.states = {w: None for w in self.desks}
        self.ahead = {w: None for w in self.desks}
        self.books = {w: Account() for w in self.desks}
        self.acts = {
            w: [] for w in self.desks
        }  # (kind, position): what undo without a verdict on the screen takes back

    def step(self, kind, who, choice, note):
        if kind in ("wait", "clock back"):
            self.clock.now += 61 if kind == "wait" else -500
            return
        desk, state, book, acts = self.desks[who], self.states[who], self.books[who], self.acts[who]
        if state is None or kind == "reload":
            self.states[who] = desk.open(self.queue)
            return
        position = state.claim.item.position if state.claim else None
        typed = Typed((), note)
        before = len(self.store.events())
        try:
            if kind == "verdict":
                new = desk.verdict(state, choice, typed)
                verdict = choice if not choice.isdecimal() else str(state.claim.shown[int(choice)])
                if position in book.said:
                    book.said[position][1:] = [verdict, note]
                else:
                    book.said[position] = [verdict, verdict, note]
                    book.order.append(position)
                    acts.append(("first", position))
            elif kind == "next":
                new = desk.next(state, typed, self.ahead[who])
                if position is not None:
                    book.said[position][2] = note
                if position in book.order[:-1]:
                    assert new.claim.item.position == book.order[book.order.index(position) + 1]
            elif kind == "back":
                new = desk.back(state, typed)
                if position in book.said:
                    book.said[position][2] = note
                known = book.order[: book.order.index(position)] if position in book.order else book.order
                assert new.claim.item.position == known[-1]
            elif kind == "skip":
                new = desk.skip(state, self.ahead[who])
                if any(e["kind"] == "skip" for e in self.store.events()[before:]):
                    acts.append(("skip", position))
            else:
                new = desk.undo(state)
                taken = ("first", position) if position in book.said else acts[-1]
                acts.remove(taken)
                assert new.claim.item.position == taken[1] and new.label is None
                if taken[0] == "first":
                    del book.said[taken[1]]
                    book.order.remove(taken[1])
        except LabelError as error:
            late = [e["kind"] for e in self.store.events()[before:]]
            assert late in ([], ["late"]) and str(error).endswith((".", "again."))
            return
        self.states[who] = new
        if kind in ("next", "skip"):
            self.ahead[who] = desk.ahead(new)

    def check(self):
        for who, book in self.books.items():
            mine = {
                v.position: (v.first, v.final, v.note)
                for v in self.store.labels(self.queue)
                if v.annotator == who
            }
            assert mine == book.labels()  # nothing lost, nothing twice
            state = self.states[who]
            if state and state.claim:
                told = book.said.get(state.claim.item.position)
                assert (state.label is None) == (told is None)
                assert told is None or (state.label.first, state.label.final, state.label.note) == tuple(told)
            if state:
                assert (state.last is None) == (not self.acts[who]) and state.streak >= 0
        done = sum(len(b.said) for b in self.books.values())
        progress = self.store.progress(self.queue)
        assert progress.done == done
        ids = [e["id"] for e in self.store.events()]
        assert len(ids) == len(set(ids))


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(acts=ACTS, overlap=st.integers(1, 2))
def test_whatever_annotators_do_nothing_is_lost_and_nothing_is_there_twice(tmp_path_factory, acts, overlap):
    clock = Clock()
    store = LabelStore(f"sqlite:///{tmp_path_factory.mktemp('w') / 'l.sqlite'}", lease=60, clock=clock)
    walk = Walk(store, clock, fill(store, 4, overlap))
    for act in acts:
        walk.step(*act)
        walk.check()
    store.close()


def test_random_walks_in_either_database(store, clock):
    import random

    rng = random.Random(7)
    for n in range(2):
        walk = Walk(store, clock, fill(store, 5, 1 + n % 2))
        for _ in range(40):
            kind = rng.choice(
                ["verdict"] * 4 + ["next"] * 4 + ["back"] * 2 + ["undo", "skip", "wait", "reload"]
            )
            walk.step(
                kind, rng.choice(["ann", "bob"]), rng.choice(["0", "1", "tie"]), rng.choice(["", "note"])
            )
            walk.check()
