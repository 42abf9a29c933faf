"""What a chat shows of a link, on a page of our own and from an app around which it stands."""

import asyncio
import io
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from PIL import Image

from app.common import previews
from app.common.export import Exported
from app.common.previews import HEIGHT, KEPT, MOST_BYTES, PATH, WAITING, WIDTH, Preview, Previews
from app.inspect.gallery import by_id, gallery
from app.inspect.gallery_results import stored_for
from app.inspect.preview import Finder, preview
from core.judges.embedded import embedded_card
from core.records import Comparison
from core.runs.library import BUNDLED, Library
from tests.app.common.test_export import CARD, EVIL
from tests.app.common.test_figures import judgement
from tests.app.common.test_heat import explanation

PAGE = (
    b'<html><head><meta charset="utf-8"><meta property="og:title" content="Gradio" />\n<meta name="twitter:image" content="" />'
    b"<title>x</title></head><body>hello</body></html>"
)


async def page_app(scope, receive, send):
    kind = b"text/html; charset=utf-8" if scope["path"] != "/data" else b"application/json"
    headers = [(b"content-type", kind), (b"content-length", str(len(PAGE)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": PAGE[:40], "more_body": True})
    await send({"type": "http.response.body", "body": PAGE[40:]})


async def asked(app, path="/", query=b"", method="GET", **headers):
    sent = []

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "method": method, "path": path, "query_string": query, "scheme": "http", "root_path": "",
        "headers": [(b"host", b"desk.example.org"), *((k.encode(), v.encode()) for k, v in headers.items())],
    }  # fmt: skip
    await app(scope, None, send)
    body = b"".join(m.get("body", b"") for m in sent[1:])
    given = dict(sent[0]["headers"])
    if method == "GET":
        assert int(given[b"content-length"]) == len(body)
    return sent[0]["status"], given, body


def run(awaitable):
    """In a thread of its own: browsers of other tests leave a loop running in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, awaitable).result()


def get(app, *args, **more):
    return run(asked(app, *args, **more))


class Metas(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.found, self.tags = {}, []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        d = dict(attrs)
        if tag == "meta" and (name := d.get("property") or d.get("name")):
            assert name not in self.found, f"{name} twice"
            self.found[name] = d["content"]


class Judge:
    card = embedded_card()


@pytest.fixture(scope="module")
def find():
    return Finder(Judge.card, lambda: stored_for(Judge()), Library([BUNDLED]))


def test_gradios_own_tags_give_way_and_the_page_stays(find):
    status, _, body = get(Previews(page_app, find), query=b"example=count")
    found = Metas(body.decode())
    assert (
        status == 200 and b"hello" in body and b'content="Gradio"' not in body and b"<title>x</title>" in body
    )
    assert found.found["og:title"].startswith("The model prefers")
    assert by_id("count").comparison.prompt in found.found["og:description"]
    assert found.found["og:image"] == f"http://desk.example.org{PATH}?example=count"
    assert found.found["twitter:card"] == "summary_large_image"


def test_other_pages_other_kinds_and_a_closed_server_say_only_its_name(find):
    for app, path in ((Previews(page_app, find), "/failures"), (Previews(page_app, None), "/")):
        found = Metas(get(app, path, b"example=count")[2].decode()).found
        assert found["og:title"] == "Rewardscope" and "og:image" not in found
    assert get(Previews(page_app, None), PATH, b"example=count")[0] == 404
    assert get(Previews(page_app, find), "/data")[2] == PAGE
    assert get(Previews(page_app, find), method="HEAD")[0] == 200


def test_every_example_has_a_picture_of_its_verdict(find):
    app = Previews(page_app, find)
    for e in gallery():
        status, given, body = get(app, PATH, f"example={e.id}".encode())
        image = Image.open(io.BytesIO(body))
        assert status == 200 and given[b"content-type"] == b"image/jpeg" and image.size == (WIDTH, HEIGHT)
        assert len(body) <= MOST_BYTES
    assert get(app, PATH, b"example=count", method="HEAD")[2] == b""


def test_a_runs_record_is_previewed_as_the_run_judged_it(find):
    name = next(iter(find.library.runs()))
    shown = find({"run": "scene/vl-mdr", "row": "127"})
    assert (
        name
        and shown
        and "the model is wrong here" in shown.title
        and shown.query == {"run": "scene/vl-mdr", "row": "127"}
    )
    assert Image.open(io.BytesIO(shown.draw())).size == (WIDTH, HEIGHT)


@pytest.mark.parametrize(
    "query",
    [
        {"example": "../../etc/passwd"}, {"example": "none"}, {"run": "x", "row": "1"}, {"run": "scene/vl-mdr", "row": "99999999"},
        {"view": "0" * 16}, {"example": "count", "a": "own"}, {"example": "count", "edits": "AAAA"}, {"run": EVIL, "row": EVIL},
    ],
)  # fmt: skip
def test_whatever_would_have_to_be_judged_or_is_not_there_has_none(find, query):
    found = find(query)
    assert found is None or found.query == {"example": gallery()[0].id}  # what such an address opens


def hostile():
    c = Comparison("c", Image.new("RGB", (9, 400), "red"), EVIL * 9, (EVIL, EVIL))
    dims = tuple(replace(d, name=EVIL) for d in judgement().dimensions)
    return Exported(c, replace(judgement(), dimensions=dims), explanation(), (0, 1), CARD)


def test_hostile_texts_do_nothing_in_tags_or_pictures():
    shown = preview(hostile(), {"example": '"><script>alert(1)</script>'})
    body = get(Previews(page_app, lambda query: shown))[2].decode()
    found = Metas(body)
    assert (
        "script" not in found.tags
        and "img" not in found.tags
        and len(found.found["og:description"]) <= previews.DESCRIBED
    )
    assert "<script" not in body and body.count("</head>") == 1
    assert len(shown.draw()) <= MOST_BYTES


def test_a_header_cannot_change_more_than_the_host_it_was_asked_under(find):
    body = get(
        Previews(page_app, find), **{"x-forwarded-proto": "https", "x-forwarded-host": "evil.example"}
    )[2].decode()
    assert Metas(body).found["og:image"].startswith(f"https://desk.example.org{PATH}") and "evil" not in body


def test_pictures_are_drawn_once_one_at_a_time_and_not_without_end():
    drawn, at_once, most = [], 0, 0
    lock = threading.Lock()

    def draw(key):
        def run():
            nonlocal at_once, most
            with lock:
                at_once += 1
                most = max(most, at_once)
            drawn.append(key)
            threading.Event().wait(0.02)
            with lock:
                at_once -= 1
            return b"jpeg"

        return run

    app = Previews(page_app, lambda q: Preview("t", "d", "a", {"n": q["n"]}, draw(q["n"])))

    async def storm():
        return await asyncio.gather(*(asked(app, PATH, f"n={i % 40}".encode()) for i in range(80)))

    statuses = [s for s, _, _ in run(storm())]
    assert (
        most == 1
        and set(statuses) == {200, 503}
        and statuses.count(503) >= 40
        and len(drawn) == len(set(drawn)) <= WAITING
    )
    assert app.waiting == 0 and app.drawn.size == KEPT
