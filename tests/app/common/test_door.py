"""Who may write a label: the server asks in every handler, whatever the browser says of itself."""

import base64
import hashlib
import json
import os
import sys
import time
from pathlib import Path

import httpx
import itsdangerous
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))
from desk_client import Annotator, Page, Refused

from app.common.label_words import reason_words
from core.labels import queues
from core.labels.records import Opinion
from core.labels.store import LabelStore
from core.runs.library import BUNDLED
from core.runs.run import open_run
from tests.app.conftest import started

SECRET = "the Space's own"
OAUTH = {
    "SYSTEM": "spaces", "SPACE_ID": "someone/space", "OAUTH_CLIENT_ID": "id", "OAUTH_CLIENT_SECRET": SECRET, "OAUTH_SCOPES": "openid profile",
    "OPENID_PROVIDER_URL": "https://provider.invalid",
}  # fmt: skip


def a_store(folder):
    store = LabelStore(f"sqlite:///{folder / 'labels.sqlite'}")
    made = queues.from_runs(
        store, {"scene/vl-mdr": open_run(BUNDLED / "scene" / "vl-mdr")}, name="q", by="t", most=60
    )
    return store, made.id


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    folder = tmp_path_factory.mktemp("named")
    store, queue = a_store(folder)
    with started(folder, "--replay", str(folder)) as (url, _):
        yield url, store, queue


def test_a_stranger_can_write_nothing(named):
    url, store, _ = named
    ann = Annotator(url, "Ann")
    ann.open()
    before = len(store.events())
    for secret in ("", "x" * 43, ann.secret[:-1] + "?", None, {"a": 1}, 7):
        ann.secret, kept = secret, ann.secret
        for act in (
            lambda: ann.judge("0"),
            lambda: ann.next(),
            lambda: ann.call(ann.moves["undo"], ann.secret),
        ):
            with pytest.raises((Refused, AssertionError)):
                act()
        ann.secret = kept
    assert len(store.events()) == before
    row = ann.judge("0")
    assert store.events()[-1]["annotator"] == "Ann" and isinstance(row, int)


def test_one_person_cannot_write_on_anothers_item(named):
    url, store, queue = named
    ann, bob = Annotator(url, "Ann 2"), Annotator(url, "Bob 2")
    ann.open()
    bob.open()
    bob.secret, bobs = ann.secret, bob.secret  # a session that holds Bob's item, with Ann's name
    with pytest.raises(Refused):
        bob.judge("0")
    bob.secret = bobs
    bob.judge("0")
    assert [v.annotator for v in store.labels(queue)].count("Bob 2") == 1
    assert "Ann 2" not in {v.annotator for v in store.labels(queue)}


@pytest.mark.parametrize(
    "dimensions, note",
    [
        (["no such"], ""),
        (["__proto__"], ""),
        ([["counting"]], ""),
        ([], "x" * 100_000),
        ("counting", ""),
        ([-1, 10**30], ""),
    ],
)
def test_forged_choices_are_refused(named, dimensions, note):
    url, store, _ = named
    someone = Annotator(url, f"Forger {hash(str((dimensions, note)))}")
    someone.open()
    before = [e for e in store.events() if e["kind"] == "first"]
    event = someone.verdicts["0"]
    with pytest.raises(Refused):
        someone.call(event, someone.secret, dimensions, note)
    assert [e for e in store.events() if e["kind"] == "first"] == before


def test_a_forged_queue_is_refused(named):
    url, _, _ = named
    someone = Annotator(url, "Queue forger")
    change = someone.find("label", "queue", "input")
    for queue in ("../../etc/passwd", "' OR 1=1", "", None, 10**30, ["a"]):
        with pytest.raises(Refused):
            someone.call(change, someone.secret, queue, [], "")


def test_before_the_verdict_nothing_says_what_model_and_label_think(named):
    url, store, queue = named
    blind = Annotator(url, "Blind")
    answer = json.dumps(blind.call(blind.load, blind.secret))
    held = [e for e in store.events() if e["kind"] == "given"][-1]
    item = store.items(queue)[held["position"]]
    assert item.prompt.split(".")[0] in answer
    for hidden in (
        item.judged[0]["judge"],
        reason_words(item.evidence["reasons"][0], range(len(item.responses)))[:30],
        item.id,
        item.key,
        "preferred",
        "margin",
    ):
        assert hidden not in answer, hidden
    # ... nor the order of the sides: it is the person's own, and both orders occur
    orders = {tuple(e["detail"]["shown"]) for e in store.events() if e["kind"] == "first"}
    assert orders <= {(0, 1), (1, 0)}


def test_a_page_loaded_anew_gives_the_same_item_back(named):
    url, store, _ = named
    me = Annotator(url, "Reloader")
    first = me.open()
    again = Annotator(url, "Reloader", me.secret)
    assert again.open() == first


def test_only_people_with_a_login_come_in(tmp_path):
    (tmp_path / "logins").write_text("# team\nann:secret one\nbob:two\n")
    store, queue = a_store(tmp_path)
    with started(tmp_path, "--replay", str(tmp_path), "--auth", str(tmp_path / "logins")) as (url, _):
        assert httpx.get(f"{url}config").status_code == 401
        with httpx.Client(timeout=30) as client:
            assert client.post(f"{url}login", data={"username": "ann", "password": "two"}).status_code == 400
            assert (
                client.post(f"{url}login", data={"username": "ann", "password": "secret one"}).status_code
                == 200
            )
            page = Page(url, client)
            page.call(page.find("label", None, "load"), "")
            page.call(page.find("label", "verdict-0", "click"), "", [], "")
        assert [v.annotator for v in store.labels(queue)] == ["login:ann"]


def cookie(secret, name, expires):
    session = {"oauth_info": {"userinfo": {"preferred_username": name, "name": name, "profile": "", "picture": ""}, "expires_at": expires}}  # fmt: skip
    signer = itsdangerous.TimestampSigner(hashlib.sha256(f"{secret}-v4".encode()).hexdigest())
    return signer.sign(base64.b64encode(json.dumps(session).encode())).decode()


def test_on_a_space_the_account_is_that_of_the_signed_cookie(tmp_path):
    store, queue = a_store(tmp_path)
    late = time.time() + 3600
    with started(tmp_path, "--replay", str(tmp_path), env={**os.environ, **OAUTH}) as (url, _):
        for value in (
            None,
            cookie("forged", "eve", late),
            cookie(SECRET, "old", time.time() - 10),
            "nonsense",
        ):
            page = Page(
                url, httpx.Client(timeout=30, headers={"cookie": f"session={value}"} if value else {})
            )
            page.call(page.find("label", None, "load"), "")
            with pytest.raises(Refused):
                page.call(page.find("label", "verdict-0", "click"), "", [], "")
        page = Page(
            url, httpx.Client(timeout=30, headers={"cookie": f"session={cookie(SECRET, 'alice', late)}"})
        )
        page.call(page.find("label", None, "load"), "")
        page.call(page.find("label", "verdict-0", "click"), "", [], "")
    assert [v.annotator for v in store.labels(queue)] == ["hf:alice"]


def test_a_store_on_a_space_says_that_it_passes(tmp_path):
    with started(tmp_path, "--replay", str(tmp_path), env={**os.environ, "SPACE_ID": "someone/space"}) as (
        url,
        _,
    ):
        assert "only until this Space restarts" in httpx.get(f"{url}config").text


def test_a_queue_of_any_name_breaks_no_page(named):
    url, _, _ = named
    maker = Page(url)
    secret = maker.call(maker.find("queues", "enter", "click"), "Namer")[1]
    make = maker.find("queues", "make-queue", "click")
    for name in ("\ud800", "\x00\u202e<b>", "x" * 10_000):
        data = [secret, ["scene/vl-mdr"], None, "own", "random", None, name, 2, 1, 0]
        body = {"data": data, "fn_index": make["id"], "session_hash": "namer"}
        text = json.dumps(body)  # \ud800 as an escape, as a browser may send it
        httpx.post(
            f"{url}gradio_api/run/predict",
            content=text,
            headers={"content-type": "application/json"},
            timeout=60,
        )
    for path in ("label", "queues"):
        page = Page(url)
        load = page.find(path, None, "load")
        assert page.call(load, secret)


def test_names_of_annotators_are_not_for_strangers(named):
    url, store, queue = named
    for who in ("Pat Secret", "Sam Secret"):
        claim = store.claim(queue, who)
        store.judge(claim.ticket, who, Opinion("0"))
    page = Page(url)
    load = page.find("queues", None, "load")
    assert "Secret" not in json.dumps(page.call(load, "")) and "made by" not in json.dumps(
        page.call(load, "")
    )
    for kind in ("jsonl", "events", "report"):
        get = page.find("queues", f"get-{kind}", "click")
        with pytest.raises(Refused):
            page.call(get, "", queue)
