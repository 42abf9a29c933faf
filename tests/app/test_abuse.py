"""What a hostile visitor may try: no byte from outside the app's own data folder, and no way to take the app down."""

import ast
import http.client
import io
import itertools
import json
import os
import socket
import struct
import sys
import threading
import time
import urllib.parse
import zlib
from pathlib import Path

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from desk_client import Page, Refused

from app.common.html import notice

ROOT = Path(__file__).parents[2]
CANARY = "canary-5f2c7e"  # stands in every file that must not be read


@pytest.fixture(scope="module")
def canaries(tmp_path_factory):
    """Files outside the app's data folder, and what each would give away."""
    outside = tmp_path_factory.mktemp("outside") / "secret.txt"
    outside.write_text(CANARY)
    dotfile = outside.parent / ".env"
    dotfile.write_text(f"TOKEN={CANARY}")
    labels = next(iter(sorted(outside.parents[1].glob("app*/labels.sqlite"))), None)
    found = {
        str(outside): CANARY, str(dotfile): CANARY, "/etc/passwd": "root:x:0", "/proc/self/environ": "PATH=",
        "/proc/self/cmdline": "app.py", str(ROOT / "app.py"): "Builds the interface", str(ROOT / ".git" / "HEAD"): "ref: refs",
        str(ROOT / "assets" / "held_out.json"): "decisive_selected", str(ROOT / "requirements.txt"): "torch==",
    }  # fmt: skip
    return {**found, **({str(labels): "SQLite format 3"} if labels else {})}


DOORS = (
    "/gradio_api/file=", "/file=", "/gradio_api/file/", "/gradio_api/stream/", "/static/", "/assets/",
    "/custom_component/image/client/component/", "/theme.css/", "/?view=", "/label?queue=",
)  # fmt: skip
SPELLINGS = {
    "plain": lambda p: p,
    "encoded": lambda p: urllib.parse.quote(p, safe=""),
    "encoded twice": lambda p: urllib.parse.quote(urllib.parse.quote(p, safe=""), safe=""),
    "climbing": lambda p: "../" * 12 + p.lstrip("/"),
    "climbing encoded": lambda p: "%2e%2e%2f" * 12 + p.lstrip("/"),
    "climbing from a real folder": lambda p: "tmp/gradio/" + "../" * 12 + p.lstrip("/"),
    "doubled": lambda p: "....//" * 12 + p.lstrip("/"),
    "backslashes": lambda p: ("..\\" * 12 + p.lstrip("/")).replace("/", "\\"),
    "file url": lambda p: "file://" + p,
    "with a null": lambda p: p + "%00.png",
    "upper case": lambda p: p.upper(),
    "slashes": lambda p: "//" + p,
    "dots": lambda p: p.replace("/", "/./"),
}


def raw_get(url, target):
    """A GET that nothing tidies up on its way. Gives status and body."""
    place = urllib.parse.urlparse(url)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=10)
    try:
        connection.putrequest("GET", target, skip_host=True)
        connection.putheader("Host", place.netloc)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read(2_000_000)
    except (http.client.HTTPException, OSError, ValueError) as error:
        return 0, repr(error).encode()
    finally:
        connection.close()


def test_no_file_outside_can_be_read_by_any_spelling(server, canaries):
    tried = 0
    for door, (path, betrays), (name, spell) in itertools.product(DOORS, canaries.items(), SPELLINGS.items()):
        target = (door + spell(path)).replace(" ", "%20")
        status, body = raw_get(server, target)
        tried += 1
        assert betrays.encode() not in body, (name, target, status)
    assert tried >= 1000
    assert httpx.get(server).status_code == 200


def test_no_event_takes_a_file_that_was_not_uploaded(server, canaries):
    page = Page(server)
    files = [
        i
        for i, kind in page.kinds.items()
        if kind in ("image", "file", "uploadbutton", "imageeditor", "gallery")
    ]
    tried = 0
    with httpx.Client(timeout=60) as client:
        for event in page.events:
            if not event["backend_fn"] or not set(event["inputs"]) & set(files):
                continue
            for path, betrays in canaries.items():
                for form in ("data", "list", "url", "background"):
                    data = [_forged(path, form) if i in files else None for i in event["inputs"]]
                    body = {"data": data, "fn_index": event["id"], "session_hash": f"forger{tried}"}
                    answer = client.post(f"{server}gradio_api/run/predict", json=body)
                    tried += 1
                    assert betrays not in answer.text, (event["id"], form, path)
                    assert answer.status_code != 200 or path not in answer.text
    assert tried >= 100


def _forged(path, form):
    data = {"path": path, "meta": {"_type": "gradio.FileData"}, "orig_name": "a.png", "size": 10}
    if form == "url":
        data["url"] = f"/gradio_api/file={path}"
    if form == "background":
        return {"background": data, "layers": [data], "composite": data}
    return [data] if form == "list" else data


@pytest.mark.parametrize(
    "address",
    [
        "http://169.254.169.254/latest",
        "http://127.0.0.1:22/",
        "http://localhost/",
        "file:///etc/passwd",
        "gopher://127.0.0.1",
    ],
)
def test_the_server_fetches_nothing_for_a_visitor(server, address):
    for target in (f"/gradio_api/file={address}", f"/gradio_api/proxy={address}", f"/proxy={address}"):
        status, body = raw_get(server, target)
        assert status in (0, 307, 400, 401, 403, 404, 405, 422), (target, status)
        assert b"root:x" not in body and b"SSH-" not in body


def test_a_decompression_bomb_is_refused_in_plain_words(server):
    """A PNG of a few kilobytes that would be 100,000 x 100,000 pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    bomb = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 100_000))
        + chunk(b"IEND", b"")
    )
    with httpx.Client(timeout=60) as client:
        (path,) = client.post(
            f"{server}gradio_api/upload", files={"files": ("b.png", bomb, "image/png")}
        ).json()
        page = Page(server, client)
        judge = page.find("", "judge", "click")
        picture = {"path": path, "meta": {"_type": "gradio.FileData"}, "orig_name": "b.png"}
        said = queued(client, server, judge["id"], [None, None, picture, "What?", "a", "b", "", ""])
        assert "megapixels are opened" in said and "Traceback" not in said


def queued(client, server, fn_index, data, session="bomb"):
    """What the page hears of an event that waits in the queue."""
    body = {"data": data, "fn_index": fn_index, "session_hash": session}
    answer = client.post(f"{server}gradio_api/queue/join", json=body)
    if answer.status_code != 200:
        return answer.text
    with client.stream("GET", f"{server}gradio_api/queue/data", params={"session_hash": session}) as stream:
        for line in stream.iter_lines():
            if "process_completed" in line:
                return line
    return ""


def test_a_huge_upload_is_refused(server):
    answer = httpx.post(
        f"{server}gradio_api/upload", files={"files": ("h.png", b"\0" * (21 << 20))}, timeout=60
    )
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "name",
    [
        "../../../../tmp/evil.png",
        "..\\..\\evil.png",
        "/etc/cron.d/evil",
        "a\x00b.png",
        "x" * 5000,
        ".bashrc",
        "<img src=x onerror=alert(1)>.png",
    ],
)
def test_an_uploads_name_never_leads_out_of_its_folder(server, name):
    answer = httpx.post(f"{server}gradio_api/upload", files={"files": (name, io.BytesIO(b"x"))}, timeout=30)
    if answer.status_code == 200:
        path = Path(answer.json()[0])
        assert path.resolve().is_relative_to(
            Path(os.environ.get("GRADIO_TEMP_DIR", path.parents[1])).resolve()
        )
        assert ".." not in path.parts and "<" not in str(path)


@pytest.mark.parametrize(
    "value",
    [
        999_999,
        -5,
        1e308,
        [10**30, -1],
        {"index": [999_999, -5], "row_value": ["<script>"]},
        "<script>alert(1)</script>",
        None,
    ],
)
def test_forged_selections_do_no_harm(server, value):
    page = Page(server)
    for event in page.events:
        if any(name == "select" for _, name in event["targets"]):
            body = {"data": [None] * len(event["inputs"]), "fn_index": event["id"], "session_hash": "selector",
                    "event_data": value if isinstance(value, dict) else {"index": value, "row_value": value, "value": value}}  # fmt: skip
            answer = httpx.post(f"{server}gradio_api/run/predict", json=body, timeout=60)
            assert "Traceback" not in answer.text and "<script>" not in answer.text
    assert httpx.get(server).status_code == 200


def test_nonsense_for_every_event_is_answered(server):
    """Every listener of every page, called with values of the wrong kind."""
    page = Page(server)
    for event in page.events:
        if not event["backend_fn"]:
            continue
        for wrong in ({"a": [1]}, "\ud800<svg onload=alert(1)>"):
            body = json.dumps(
                {"data": [wrong] * len(event["inputs"]), "fn_index": event["id"], "session_hash": "nonsense"}
            )
            answer = httpx.post(f"{server}gradio_api/run/predict", content=body, headers={"content-type": "application/json"}, timeout=120)  # fmt: skip
            assert answer.status_code < 600 and "Traceback" not in answer.text
    assert httpx.get(server).status_code == 200


def test_slow_clients_do_not_stop_others(server):
    place = urllib.parse.urlparse(server)
    half_open = []
    for _ in range(200):
        connection = socket.create_connection((place.hostname, place.port), timeout=10)
        connection.sendall(
            b"POST /gradio_api/run/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n{"
        )
        half_open.append(connection)
    try:
        started = time.perf_counter()
        assert httpx.get(server, timeout=10).status_code == 200
        assert time.perf_counter() - started < 5
    finally:
        for connection in half_open:
            connection.close()


def test_a_thousand_jobs_fill_the_queue_and_it_says_so(server):
    page = Page(server)
    judge = page.find("", "judge", "click")["id"]
    answers = []

    def join(n):
        body = {"data": [None, "", "", "", "", ""], "fn_index": judge, "session_hash": f"crowd{n}"}
        with httpx.Client(timeout=60) as client:
            answers.extend(client.post(f"{server}gradio_api/queue/join", json=body) for _ in range(50))

    crowd = [threading.Thread(target=join, args=(n,)) for n in range(20)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    refused = [a for a in answers if a.status_code != 200]
    assert len(answers) == 1000
    assert all("queue is full" in a.text.lower() for a in refused)
    assert httpx.get(server, timeout=20).status_code == 200


def test_events_of_the_desk_refuse_strangers_one_and_all(server):
    page = Page(server)
    for event in page.events:
        secret_first = event["inputs"] and page.kinds[event["inputs"][0]] == "browserstate"
        writes = any(name == "click" for _, name in event["targets"])
        if event["backend_fn"] and secret_first and writes:
            with pytest.raises(Refused):
                page.call(
                    event, *["x" * 43] + [None] * sum(page.kinds[i] != "state" for i in event["inputs"][1:])
                )


HOSTILE = (
    "<img src=x onerror=\"document.title='owned'\">",
    "\"><script>document.title='owned'</script>",
    "' onmouseover='document.title=`owned`' x='",
    "{{7*7}} ${document.title='owned'} {%raw%} &lt;b&gt; <!-- <svg/onload=document.title='owned'>",
)


@pytest.mark.browser
def test_hostile_texts_in_cards_hints_menus_and_the_path_do_nothing(browser, server):
    """Judged, pointed at, struck, replaced, taken back and forgotten: what a person typed is text everywhere."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    broken = []
    page.on("pageerror", lambda e: broken.append(str(e)))
    page.goto(server)
    page.locator("#contributions .strip-row").first.wait_for(timeout=60_000)
    title, scripts = page.title(), page.locator("script").count()
    for field, text in zip(
        ("prompt", "response-a", "response-b"), (HOSTILE[0], HOSTILE[1], " ".join(HOSTILE)), strict=True
    ):
        page.locator(f"#said-{field} [data-edit]").click()
        page.locator(f"#{field} textarea").fill(text)
    page.locator("#judge").click()
    page.locator("#said-response-b .word", has_text="onerror").first.wait_for(timeout=60_000)
    page.locator("#said-response-b .word[data-unit]").first.wait_for(timeout=60_000)
    page.locator("#said-response-b .word", has_text="onerror").first.hover()
    assert "onerror" in page.locator("#hint").inner_text()
    page.locator("#said-response-b .word", has_text="onerror").first.click()
    page.locator(".word-menu input").fill(HOSTILE[0])
    page.keyboard.press("Enter")
    page.locator("#path li").nth(2).wait_for(timeout=60_000)
    assert "onerror" in page.locator("#path").inner_text()
    page.locator("#flip").click()
    page.wait_for_timeout(1500)
    page.locator("#said-response-a [data-edit]").click()
    page.locator("#response-a textarea").fill(" ")
    page.locator("#judge").click()
    page.locator(".problem").wait_for(timeout=60_000)
    assert page.title() == title and page.locator("script").count() == scripts and not broken
    inside = "#answer :is(script, iframe, object, embed, [onerror], [onload], [onmouseover], img[src='x'], svg[onload])"
    assert page.locator(inside).count() == 0
    assert "49" not in page.locator("#said-response-b .card-text").inner_text()
    page.close()


@pytest.mark.parametrize(
    "value", ["erase:" + "g" * 256, "erase:ff", "<script>:" + "f" * 256, "erase:" + "0" * 256, "blur", ":", "erase:" + "f" * 10**6, 5, ["erase"], {"a": 1}]
)  # fmt: skip
def test_a_forged_mask_is_a_sentence(server, value):
    with httpx.Client(timeout=60) as client:
        page = Page(server, client)
        painted = page.find("", "heat", "select")
        judge = page.find("", "judge", "click")
        picture = {
            "path": next(iter(_uploaded(client, server))),
            "meta": {"_type": "gradio.FileData"},
            "orig_name": "a.png",
        }
        session = f"painter{abs(hash(str(value)))}"
        queued(client, server, judge["id"], [None, None, picture, "How many?", "1", "2", "", ""], session)
        body = {
            "data": [None],
            "fn_index": painted["id"],
            "session_hash": session,
            "event_data": {"index": 0, "value": value},
        }
        answer = client.post(f"{server}gradio_api/run/predict", json=body)
        assert "Traceback" not in answer.text and "<script>" not in answer.text and len(answer.text) < 100_000


def _uploaded(client, server):
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (64, 64), (200, 30, 30)).save(out, "PNG")
    return client.post(
        f"{server}gradio_api/upload", files={"files": ("a.png", out.getvalue(), "image/png")}
    ).json()


@pytest.mark.parametrize(
    "query",
    [
        "example=%22%3E%3Cscript%3Ealert(1)%3C/script%3E", "target=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&example=count",
        "run=../../../etc/passwd&row=1", "run=%00&row=1", "view=../../etc/passwd", "edits=" + "A" * 2900, "a=" + "%F0%9F%92%A9" * 900,
        "example=count&" + "&".join(f"x{i}=%3Cscript%3E" for i in range(300)), "%ff%fe=%ff", "example=count%0d%0aset-cookie:%20x=1",
    ],
)  # fmt: skip
def test_a_hostile_address_does_nothing_in_the_head_of_the_page_or_to_its_preview(server, query):
    status, body = raw_get(server, f"/?{query}")
    head = body.partition(b"</head>")[0]
    assert status == 200 and b"<script>alert" not in body and b"root:x" not in body
    # Every script is the page's own: marked by the server with this answer's number.
    assert head.count(b"<script") == head.count(b"<script nonce=") and head.count(b'property="og:title"') == 1
    status, body = raw_get(server, f"/preview.jpg?{query}")
    assert status in (200, 404) and len(body) < 300_000 and (status == 404 or body.startswith(b"\xff\xd8"))


def test_previews_are_no_way_to_keep_the_server_busy(server):
    """Hundreds at once, all of different records: some are drawn, the others are told to come back, and pages still come."""
    answers = []

    def ask(row):
        answers.append(raw_get(server, f"/preview.jpg?run=scene/vl-mdr&row={row}")[0])

    threads = [threading.Thread(target=ask, args=(row,)) for row in range(60)]
    for thread in threads:
        thread.start()
    assert httpx.get(server, timeout=30).status_code == 200
    for thread in threads:
        thread.join(60)
    assert set(answers) <= {200, 404, 503, 0} and 200 in answers


def test_no_text_from_elsewhere_stands_in_a_notice():
    """Gradio shows what gr.Error, gr.Warning and gr.Info are given as HTML: each is given a constant, or goes through `notice`."""
    raw = []
    for path in sorted((ROOT / "app").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("gr.Error", "gr.Warning", "gr.Info"):
                said = node.args[0]
                sound = isinstance(said, ast.Constant) or ast.unparse(said).startswith("notice(")
                if not sound and path.name != "api.py":  # what programs are told is no page
                    raw.append(f"{path.name}:{node.lineno}: {ast.unparse(said)}")
    assert not raw and notice("<img src=x onerror=alert(1)> 'a'") == "&lt;img src=x onerror=alert(1)&gt; 'a'"
