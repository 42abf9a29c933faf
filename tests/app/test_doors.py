"""Who is answered, who comes in, and what a browser may run: the server as it stands behind a raw socket and in Chromium."""

import http.client
import urllib.parse

import pytest

from app.common.server import Guesses, Hosts, Logins, script_hashes
from core.runs.library import BUNDLED
from tests.app.conftest import started

PAGES = ("", "leaderboard", "audit", "failures", "explanations", "label", "queues")
EVIL = "https://evil.example"


def ask(url, method="GET", path="/", body=None, **headers):
    """Status, headers and body of a request that nothing tidies up; `_` in a header's name stands for `-`."""
    place = urllib.parse.urlparse(url)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=30)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    headers.setdefault("host", place.netloc)
    if body is not None:
        headers.setdefault("content_length", str(len(body)))
    for name, value in headers.items():
        for one in value if isinstance(value, list) else [value]:
            connection.putheader(name.replace("_", "-"), one)
    connection.endheaders(body)
    answer = connection.getresponse()
    try:
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    """A replay with --auth. Gives its address."""
    folder = tmp_path_factory.mktemp("closed")
    (folder / "people").write_text("anna:right horse\nbob:other\n")
    with started(folder, "--replay", str(BUNDLED), "--auth", str(folder / "people"), "--allow-host", "desk.example.org") as (url, _):  # fmt: skip
        yield url


def log_in(url, name="anna", password="right horse", **headers):
    body = urllib.parse.urlencode({"username": name, "password": password}).encode()
    status, given, text = ask(
        url, "POST", "/login", body, content_type="application/x-www-form-urlencoded", **headers
    )
    cookie = "; ".join(c.split(";")[0] for c in given.get_all("set-cookie") or ())
    return status, cookie, text


# -- hosts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "10.1.2.3", "", "a b", "[::1", "x@localhost", "localhost/..", "localhost:99999", ["localhost", "evil.example"]],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/", "/gradio_api/info", "/static/img/logo.svg"])
def test_an_unknown_host_is_not_answered(closed, host, path):
    status, _, body = ask(closed, path=path, host=host)
    assert status in (400, 403) and b"gradio_config" not in body


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:7860", "127.0.0.1", "[::1]:99", "desk.example.org", "desk.example.org:444"])  # fmt: skip
def test_a_known_host_is(closed, host):
    assert ask(closed, host=host)[0] == 200


def test_the_name_of_a_space_is_known(monkeypatch):
    from app.common.server import given_hosts

    monkeypatch.setenv("SPACE_HOST", "me-scope.hf.space, scope.example.org")
    hosts = given_hosts([], None)
    assert hosts.known("me-scope.hf.space", "10.0.0.1") and hosts.known("scope.example.org", "10.0.0.1")
    assert hosts.known("10.0.0.1:7860", "10.0.0.1") and not hosts.known("10.0.0.2", "10.0.0.1")
    assert not hosts.known("other.hf.space", "10.0.0.1")


# -- origins -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("origin", [EVIL, "null", "http://localhost:1", "https://desk.example.org.evil.example", "http://127.0.0.1", "file://", "desk.example.org", "https://desk.example.org:444"])  # fmt: skip
@pytest.mark.parametrize("method,path", [("POST", "/gradio_api/run/predict"), ("OPTIONS", "/gradio_api/queue/join"), ("GET", "/config"), ("POST", "/gradio_api/mcp/"), ("GET", "/logout")])  # fmt: skip
def test_another_pages_request_is_refused(closed, origin, method, path):
    _, cookie, _ = log_in(closed)
    body = b"{}" if method == "POST" else None
    status, headers, text = ask(
        closed, method, path, body, origin=origin, cookie=cookie, host="desk.example.org",
        content_type="application/json", access_control_request_method="POST",
    )  # fmt: skip
    assert status == 403 and "access-control-allow-origin" not in headers and b"components" not in text


def test_behind_a_proxy_its_own_page_is_answered_and_stays_logged_in(closed):
    _, cookie, _ = log_in(closed)
    for host, origin in (
        ("desk.example.org", "https://desk.example.org"),
        ("127.0.0.1:7860", "https://desk.example.org"),
    ):
        status, _, body = ask(closed, "GET", "/config", origin=origin, cookie=cookie, host=host)
        assert status == 200 and b"components" in body
    # What another page can do without an Origin: neither a picture nor a link logs out.
    elsewhere = {"cookie": cookie, "sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"}
    assert ask(closed, path="/logout", **elsewhere)[0] == 403
    assert ask(closed, path="/gradio_api/info", **{**elsewhere, "sec_fetch_mode": "no-cors"})[0] == 403
    assert ask(closed, path="/failures", **elsewhere)[0] == 200
    assert ask(closed, path="/config", cookie=cookie)[0] == 200


def test_mcp_and_api_of_an_open_server_are_for_its_own_pages_and_for_programs(server):
    hello = b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-03-26","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}'
    both = {"content_type": "application/json", "accept": "application/json, text/event-stream"}
    assert ask(server, "POST", "/gradio_api/mcp/", hello, **both)[0] == 200
    assert ask(server, "POST", "/gradio_api/mcp/", hello, origin=EVIL, **both)[0] == 403
    assert ask(server, "POST", "/gradio_api/mcp/", hello, host="rebound.example", **both)[0] == 403
    assert ask(server, "POST", "/gradio_api/run/predict", b"{}", origin=EVIL, **both)[0] == 403


# -- logins --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method,path",
    [("GET", "/openapi.json"), ("GET", "/gradio_api/openapi.json"), ("POST", "/gradio_api/cancel"), ("POST", "/gradio_api/reset"), ("GET", "/gradio_api/app_id"),
     ("POST", "/gradio_api/mcp/"), ("GET", "/gradio_api/mcp/schema"), ("GET", "/gradio_api/mcp/sse"), ("GET", "/config"), ("GET", "/gradio_api/info"),
     ("POST", "/gradio_api/upload"), ("GET", "/gradio_api/heartbeat/x"), ("GET", "/docs"), ("GET", "/gradio_api/token"), ("GET", "//openapi.json"),
     ("GET", "/static/../openapi.json"), ("GET", "/gradio_api/file=/etc/passwd"), ("GET", "/monitoring/x"),
     ("GET", "/thumbnail?run=scene/vl-mdr&row=127")],
)  # fmt: skip
def test_with_auth_everything_but_the_login_page_is_closed(closed, method, path):
    assert ask(closed, method, path, b"{}" if method == "POST" else None)[0] in (401, 403, 404)
    assert ask(closed, method, path, b"{}" if method == "POST" else None, cookie="access-token-x=y")[0] != 200


def test_whoever_logs_in_comes_in_and_the_login_page_needs_nothing_else(closed):
    status, _, page = ask(closed)
    assert status == 200 and b"auth_required" in page
    status, cookie, _ = log_in(closed)
    assert status == 200
    assert ask(closed, path="/openapi.json", cookie=cookie)[0] in (200, 404)
    status, _, page = ask(closed, cookie=cookie)
    assert status == 200 and b"auth_required" not in page and b'"username":"anna"' in page


def test_wrong_passwords_are_slowed_down(tmp_path):
    (tmp_path / "people").write_text("anna:right horse\n")
    with started(tmp_path, "--replay", str(BUNDLED), "--auth", str(tmp_path / "people")) as (url, _):
        said = [log_in(url, password=f"guess {n}")[0] for n in range(30)]
        assert said == [400] * 10 + [429] * 20
        assert (
            log_in(url)[0] == 429
        )  # the right one has to wait as well, or it could be told from the wrong ones


def test_a_guess_may_be_made_again_when_its_window_is_over():
    now = [0.0]
    guesses = Guesses(3, 60, lambda: now[0])
    for _ in range(3):
        assert guesses.wait("a") == 0
        guesses.wrong("a")
        now[0] += 10
    assert guesses.wait("a") == 30 and guesses.wait("b") == 0
    now[0] = 60
    assert guesses.wait("a") == 0
    for n in range(20_000):
        guesses.wrong(str(n))
    assert len(guesses.seen) == Guesses.REMEMBERED


def test_a_name_is_guessed_slowly_from_many_addresses_too():
    from fastapi import HTTPException

    logins = Logins([("anna", "x"), ("bob", "y")])
    assert logins("anna", "x") and not logins("anna", "y") and not logins("anna", "ü\ud800")
    with pytest.raises(HTTPException, match="429"):
        for _ in range(101):
            logins("anna", "wrong")
    assert logins("bob", "y")


def test_an_origin_is_compared_whole():
    hosts = Hosts(["desk.example.org", "lab.example.org:8443"])
    assert hosts.same("https://a.b", "a.b") and hosts.same("https://a.b", "a.b:443") and hosts.same("http://a.b:80", "A.b")  # fmt: skip
    assert not hosts.same("https://a.b", "a.b:80") and not hosts.same("http://a.b:7860", "a.b:7861")
    assert hosts.same("https://lab.example.org:8443", "10.0.0.1") and not hosts.same("https://lab.example.org", "10.0.0.1")  # fmt: skip
    assert not hosts.same("https://[", "a") and not hosts.same("https://a:b", "a") and not hosts.same("", "")


# -- what a browser may run ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/failures", "/static/img/logo.svg", "/gradio_api/info", "/gradio_api/file=/etc/passwd", "/nowhere"])  # fmt: skip
def test_every_answer_tells_the_browser_what_it_may_do(server, path):
    headers = ask(server, path=path)[1]
    rules = headers["content-security-policy"]
    assert "unsafe-inline" not in rules.split("style-src")[0] and "frame-ancestors 'self'" in rules
    assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "same-origin"
    assert headers["x-frame-options"] == "SAMEORIGIN"


def test_the_mark_of_a_pages_own_scripts_is_used_once(server):
    first, second = (ask(server)[1]["content-security-policy"] for _ in range(2))
    assert "'nonce-" in first and first != second


def test_a_space_may_be_embedded_by_hugging_face_alone(monkeypatch):
    from app.common.server import policy

    monkeypatch.setenv("SPACE_ID", "me/scope")
    assert "frame-ancestors 'self' https://huggingface.co https://*.hf.space" in policy("n", script_hashes("<script>1</script>"))  # fmt: skip


@pytest.mark.parametrize("name", PAGES)
def test_every_page_runs_under_its_policy(browser, server, name):
    context = browser.new_context()
    page = context.new_page()
    page.add_init_script(
        "window.violations = []; addEventListener('securitypolicyviolation', e => "
        "window.violations.push(e.violatedDirective + ' ' + e.blockedURI + ' ' + e.sourceFile + ' ' + e.sample))"
    )
    said = []
    page.on("console", lambda m: said.append(m.text))
    page.goto(server + name)
    page.wait_for_function("document.querySelectorAll('h1').length > 0", timeout=90_000)
    page.wait_for_timeout(6000)
    assert page.evaluate("window.violations") == []
    assert not [s for s in said if "Content Security Policy" in s]
    # A handler inside a tag is not run: the policy stands behind the templates.
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.pwned = 1\">')")
    page.wait_for_timeout(300)
    assert page.evaluate("window.pwned") is None
    assert page.evaluate("window.violations.length") > 0
    context.close()
