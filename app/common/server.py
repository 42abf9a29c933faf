"""The doors of the server, before any page: which hosts and origins are answered, who comes in, what a browser may run.

`doors(...)` gives what `launch` takes. Three layers of plain ASGI stand around Gradio's app:

Doors (outermost)     refuses unknown hosts, requests that another web page makes, and with --auth everything but the login
                      page to whoever is not logged in.
Policy                sends the headers that tell a browser what this page may do. It lies inside Gradio's compression, as
                      each page's own scripts are marked with a number used once.
Previews (innermost)  puts into the page's head what a chat shows of a link, and draws the picture (app.common.previews).
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import os
import re
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from fastapi import HTTPException
from starlette.middleware import Middleware

from app.common import styles
from app.common.previews import Finder, Previews

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGI = Callable[[Scope, Receive, Send], Awaitable[None]]

HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::([0-9]{1,5}))?", re.IGNORECASE)
FREE = ("/static/", "/assets/", "/svelte/", "/pwa_icon")  # what the login page is made of
FREE_PATHS = {
    "/", "/login", "/login/", "/logout", "/robots.txt", "/favicon.ico", "/manifest.json", "/theme.css",
    "/gradio_api/theme.css", "/gradio_api/startup-events", "/gradio_api/login_check", "/gradio_api/login_check/",
}  # fmt: skip
# Threads of events. Any number but Gradio's default gives them a pool of their own, so that pages are served while all wait.
THREADS = 32
SMALL = 1000  # bytes of a page that are not worth packing
FOR_EVER = b"public, max-age=31536000, immutable"  # files whose name changes with their content


class Hosts:
    """The names under which this server answers. allowed: those that its owner gave, as NAME or NAME:PORT."""

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self.allowed = {name: port for name, port in map(_split, allowed) if name}

    def known(self, host: str, local: str) -> bool:
        """local: the address at which the request came in: no foreign name leads there."""
        name, _ = _split(host)
        return bool(name) and (name in self.allowed or name == local or _loopback(name))

    def same(self, origin: str, host: str) -> bool:
        """Whether a page of this origin is one of this server's."""
        try:
            given = urlsplit(origin)
            name, port = (given.hostname or "").lower(), given.port
        except ValueError:
            return False
        standard = {"http": 80, "https": 443}.get(given.scheme)
        if standard is None or not name:
            return False
        port = port or standard
        own, own_port = _split(host)
        if (name, port) == (own, own_port or standard):
            return True
        # Behind a proxy that puts its own address for the name: as far as the owner named it.
        return name in self.allowed and port == (self.allowed[name] or standard)


def _split(host: str) -> tuple[str, int | None]:
    found = HOST.fullmatch(host.strip())
    if not found or int(found[2] or 0) > 65535:
        return "", None
    return found[1].strip("[]").rstrip(".").lower(), int(found[2]) if found[2] else None


def _loopback(name: str) -> bool:
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


def given_hosts(allowed: Sequence[str], host: str | None) -> Hosts:
    """From --allow-host, --host and, on a Space, its own name."""
    space = os.environ.get("SPACE_HOST", "").split(",")
    return Hosts([*allowed, *(name.strip() for name in space), *([host] if host else [])])


class Doors:
    def __init__(self, app: ASGI, hosts: Hosts, gradio: Any, guesses: Guesses | None) -> None:
        self.app, self.hosts, self.gradio, self.guesses = app, hosts, gradio, guesses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        refused = self._refused(scope)
        if refused is None:
            return await self.app(scope, receive, self._watched(scope, send))
        if scope["type"] == "websocket":
            return await send({"type": "websocket.close", "code": 1008})
        status, text, more = refused
        body = text.encode()
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode()),
                   (b"x-content-type-options", b"nosniff"), *more]  # fmt: skip
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _refused(self, scope: Scope) -> tuple[int, str, list[tuple[bytes, bytes]]] | None:
        given: dict[bytes, list[str]] = {}
        for key, value in scope["headers"]:
            given.setdefault(key.lower(), []).append(value.decode("latin-1"))
        local = (scope.get("server") or ("",))[0] or ""
        hosts = given.get(b"host", [])
        if len(hosts) != 1 or not self.hosts.known(hosts[0], local):
            return 403, (
                f"This server does not answer to the name {_shown(hosts)}. Whoever runs it can add the name: "
                "python app.py --allow-host NAME."
            ), []  # fmt: skip
        for origin in given.get(b"origin", []):
            if not self.hosts.same(origin, hosts[0]):
                return 403, f"A page of {_shown([origin])} may not use this server.", []
        if _from_elsewhere(scope, given):
            return 403, "Another web page may link to this server's pages, and nothing else.", []
        if self._closed(scope, given):
            return 401, "Log in first.", []
        if self.guesses and _is_login(scope) and (wait := self.guesses.wait(_client(scope))):
            return _too_many(wait)
        return None

    def _closed(self, scope: Scope, given: dict[bytes, list[str]]) -> bool:
        """Whether this is for people who are logged in, and this is nobody of them."""
        if self.gradio.auth is None:
            return False
        path = scope["path"]
        pages = {f"/{page[0]}" for page in self.gradio.get_blocks().pages}
        if path in FREE_PATHS or path.startswith(FREE) or path.rstrip("/") in pages:
            return False
        names = {f"access-token-{self.gradio.cookie_id}", f"access-token-unsecure-{self.gradio.cookie_id}"}
        for line in given.get(b"cookie", []):
            for pair in line.split(";"):
                name, _, value = pair.strip().partition("=")
                if name in names and self.gradio.tokens.get(value):
                    return False
        return True

    def _watched(self, scope: Scope, send: Send) -> Send:
        """Counts logins that fail."""
        guesses = self.guesses
        if guesses is None or not _is_login(scope):
            return send

        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 400:
                guesses.wrong(_client(scope))
            await send(message)

        return watch


def _shown(values: Sequence[str]) -> str:
    return f"'{values[0][:80]}'" if values else "''"


def _is_login(scope: Scope) -> bool:
    return scope["type"] == "http" and scope["method"] == "POST" and scope["path"].rstrip("/") == "/login"


def _client(scope: Scope) -> str:
    return (scope.get("client") or ("",))[0] or ""


def _from_elsewhere(scope: Scope, given: dict[bytes, list[str]]) -> bool:
    """What a browser says of a request that carries no Origin. A link to a page is welcome, and a frame around it."""
    if given.get(b"sec-fetch-site", [""])[0] not in ("cross-site", "same-site"):
        return False
    path = scope["path"]
    link = scope.get("method") in ("GET", "HEAD") and given.get(b"sec-fetch-mode", [""])[0] == "navigate"
    return not link or path.rstrip("/") == "/logout" or path.startswith("/gradio_api")


def _too_many(wait: float) -> tuple[int, str, list[tuple[bytes, bytes]]]:
    seconds = max(1, round(wait))
    return 429, f"Too many wrong passwords: wait {seconds} seconds and try again.", [
        (b"retry-after", str(seconds).encode())
    ]  # fmt: skip


class Guesses:
    """Counts wrong passwords by key: after `most` of them within `window` seconds the next has to wait."""

    REMEMBERED = 10_000  # keys; the oldest are forgotten

    def __init__(self, most: int, window: float = 300.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.most, self.window, self.clock = most, window, clock
        self.seen: OrderedDict[str, deque[float]] = OrderedDict()

    def wrong(self, key: str) -> None:
        times = self.seen.setdefault(key, deque(maxlen=self.most))
        times.append(self.clock())
        self.seen.move_to_end(key)
        while len(self.seen) > self.REMEMBERED:
            self.seen.popitem(last=False)

    def wait(self, key: str) -> float:
        """Seconds until the next try; 0 where it may be now."""
        times = self.seen.get(key)
        if not times or len(times) < self.most:
            return 0.0
        return max(0.0, times[0] + self.window - self.clock())


class Logins:
    """Whether a name and password are right, for Gradio. From many addresses at once a name may still be guessed only slowly."""

    def __init__(self, people: Sequence[tuple[str, str]]) -> None:
        self.people = [(name.encode(), password.encode()) for name, password in people]
        self.by_name = Guesses(most=100)

    def __call__(self, name: str, password: str) -> bool:
        if wait := self.by_name.wait(name):
            status, text, _ = _too_many(wait)
            raise HTTPException(status, text, {"Retry-After": str(max(1, round(wait)))})
        given = name.encode("utf-8", "replace"), password.encode("utf-8", "replace")
        right = [hmac.compare_digest(n, given[0]) & hmac.compare_digest(p, given[1]) for n, p in self.people]
        if not any(right):
            self.by_name.wrong(name)
        return any(right)


class Policy:
    """hashes: of the scripts that Gradio's own front end puts into the page (its `head`)."""

    def __init__(self, app: ASGI, hashes: Sequence[str] = ()) -> None:
        self.app, self.hashes = app, hashes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        if content := styles.file(scope["path"]):
            return await _sheet(scope, content, send)
        nonce = secrets.token_urlsafe(16)
        page: list[Message] = []  # the start of a page's answer, held back until its text is whole

        async def changed(message: Message) -> None:
            if message["type"] == "http.response.start":
                kind = dict(message["headers"]).get(b"content-type", b"")
                is_page = kind.startswith(b"text/html") and not scope["path"].startswith("/gradio_api/")
                rules = policy(nonce, self.hashes) if is_page else FILES
                message["headers"] = [*message["headers"], *_headers(rules)]
                if scope["path"].startswith("/assets/") and message["status"] == 200:
                    kept = [h for h in message["headers"] if h[0].lower() != b"cache-control"]
                    message["headers"] = [*kept, (b"cache-control", FOR_EVER)]
                if is_page:
                    message["parts"] = []
                    page.append(message)
                    return
            elif page and message["type"] == "http.response.body":
                # Gradio writes `<` in everything that is not its own as \u003c: only its own scripts begin so.
                page[0]["parts"].append(message.get("body", b""))
                if message.get("more_body"):
                    return
                start = page.pop()
                text = styles.with_links(b"".join(start.pop("parts"))).replace(
                    b"<script", f'<script nonce="{nonce}"'.encode()
                )
                if _gzip(scope) and len(text) > SMALL:  # Gradio's own compression knows files by their ending
                    text = gzip.compress(text, 5)
                    start["headers"] += [(b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding")]
                start["headers"] = [
                    (k, str(len(text)).encode() if k == b"content-length" and text else v) for k, v in start["headers"]
                ]  # fmt: skip
                await send(start)
                message = {"type": "http.response.body", "body": text}
            await send(message)

        await self.app(scope, receive, changed)


async def _sheet(scope: Scope, content: bytes, send: Send) -> None:
    headers = [(b"content-type", b"text/css; charset=utf-8"), (b"cache-control", FOR_EVER), *_headers(FILES)]
    if _gzip(scope):
        content = gzip.compress(content, 6)
        headers += [(b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding")]
    headers.append((b"content-length", str(len(content)).encode()))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def _gzip(scope: Scope) -> bool:
    given = b",".join(v for k, v in scope["headers"] if k.lower() == b"accept-encoding")
    return b"gzip" in given


def _around() -> str:
    """Who may show this page in a frame."""
    return "'self' https://huggingface.co https://*.hf.space" if os.environ.get("SPACE_ID") else "'self'"


def policy(nonce: str, hashes: Sequence[str]) -> str:
    """Gradio's events with `js` are functions made from text, which 'unsafe-eval' allows; a handler inside a tag, or a script
    that came with data, is not run."""
    marked = " ".join(f"'sha256-{h}'" for h in hashes)
    return (
        f"default-src 'self'; script-src 'self' 'nonce-{nonce}' {marked} 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; media-src 'self' data: blob:; worker-src 'self' blob:; "
        "connect-src 'self' data: blob:; frame-src 'self' data: blob:; object-src 'none'; base-uri 'self'; "
        f"form-action 'self'; frame-ancestors {_around()}"
    )


FILES = "default-src 'none'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'self'"


def _headers(rules: str) -> list[tuple[bytes, bytes]]:
    out = {
        "content-security-policy": rules,
        "x-content-type-options": "nosniff",
        "referrer-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
    }
    if not os.environ.get("SPACE_ID"):  # cannot name who may, as frame-ancestors can
        out["x-frame-options"] = "SAMEORIGIN"
    return [(k.encode(), v.encode()) for k, v in out.items()]


def script_hashes(head: str) -> list[str]:
    """Of every script in it, as a policy names them."""
    scripts = re.findall(r"<script[^>]*>(.*?)</script>", head, re.DOTALL)
    return [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts]


def doors(hosts: Hosts, head: str, logins: Logins | None, find: Finder | None = None) -> dict[str, Any]:
    """What `launch` takes besides. find: what links are previewed by; unused behind a login."""

    @asynccontextmanager
    async def closed(app: Any) -> AsyncIterator[None]:
        # Before the first request, around all that Gradio puts around itself.
        inner = app.middleware_stack
        assert inner is not None
        app.middleware_stack = Doors(inner, hosts, app, Guesses(most=10) if logins else None)
        yield

    return {
        "app_kwargs": {
            "middleware": [
                Middleware(Policy, hashes=script_hashes(head)),
                Middleware(Previews, find=None if logins else find),
            ],
            "lifespan": closed,
        },
        "max_threads": THREADS,
        "auth": logins,
    }
