"""What a chat or a feed shows of a link: title, description and a picture, in the head of the page that the link leads to.

The picture is drawn when somebody asks for it, one at a time, and the last KEPT are remembered. What it shows stands in files
of this server: nothing is judged for it. Behind a login there is no more to see than the name of this program.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from markupsafe import Markup
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.common.html import html
from app.common.shared import Shared

PATH = "/preview.jpg"
KEPT = 64  # pictures
MOST_BYTES = 300_000  # of one of them
WAITING = 16  # that may wait for theirs; others are told to come back
WIDTH, HEIGHT = 1200, 630  # as chats and feeds crop them
QUERY = 3000  # characters that are looked at
DESCRIBED = 200  # characters
OLD = re.compile(rb"""\s*<meta\s+(?:property=["']og:|name=["']twitter:)[^>]*>""")
NAME = "Rewardscope"
ABOUT = "Why did the reward model prefer this response? Dimensions, words and pixels, checked against the model itself."


@dataclass(frozen=True)
class Preview:
    """query: of the picture, canonical: the same picture has one address. draw: gives it as JPEG."""

    title: str
    description: str
    alt: str
    query: Mapping[str, str]
    draw: Callable[[], bytes]


Finder = Callable[
    [Mapping[str, str]], Preview | None
]  # from a page's query; None where there is nothing to show


class Previews:
    """Around Gradio's app. find: looks up what the front page shows for a query; must not judge anything."""

    def __init__(self, app: ASGIApp, find: Finder | None = None) -> None:
        self.app, self.find = app, find
        self.drawn: Shared[bytes] = Shared(KEPT)
        self.one, self.waiting = asyncio.Lock(), 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            return await self.app(scope, receive, send)
        if scope["path"] == PATH:
            return await self._picture(scope, send)
        start: Message = {}
        parts: list[bytes] = []

        async def changed(message: Message) -> None:
            if message["type"] == "http.response.start":
                kind = dict(message["headers"]).get(b"content-type", b"")
                if kind.startswith(b"text/html") and not scope["path"].startswith("/gradio_api/"):
                    start.update(message)
                    return
            elif start:
                parts.append(message.get("body", b""))
                if message.get("more_body"):
                    return
                text = b"".join(parts)
                text = with_tags(text, await self._tags(scope)) if text else text
                length = str(len(text)).encode()
                headers = [(k, length if k == b"content-length" and text else v) for k, v in start["headers"]]
                await send({**start, "headers": headers})
                start.clear()
                message = {"type": "http.response.body", "body": text}
            await send(message)

        await self.app(scope, receive, changed)

    async def _found(self, scope: Scope) -> Preview | None:
        if self.find is None:
            return None
        query = dict(parse_qsl(scope["query_string"][:QUERY].decode("latin-1"), keep_blank_values=True))
        return await asyncio.to_thread(self.find, query)

    async def _tags(self, scope: Scope) -> Markup:
        return tags(await self._found(scope) if scope["path"] == "/" else None, base(scope))

    async def _picture(self, scope: Scope, send: Send) -> None:
        found = await self._found(scope)
        if found is None:
            return await _answer(send, 404, b"There is no preview of this.")
        key = urlencode(found.query)
        data = self.drawn.known(key)
        if data is None:
            if self.waiting >= WAITING:
                return await _answer(send, 503, b"Too many previews at once: try again in a minute.")
            self.waiting += 1
            try:
                async with self.one:
                    data = await asyncio.to_thread(self.drawn.get, key, found.draw)
            finally:
                self.waiting -= 1
        await _answer(send, 200, data, b"image/jpeg", scope["method"] == "HEAD")


async def _answer(
    send: Send, status: int, body: bytes, kind: bytes = b"text/plain; charset=utf-8", bare: bool = False
) -> None:
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    if status == 200:
        headers.append((b"cache-control", b"public, max-age=3600"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if bare else body})


def base(scope: Scope) -> str:
    """Under which address the page was asked for; its host is one that this server answers to (app.common.server)."""
    headers = dict(scope["headers"])
    host = headers.get(b"host", b"").decode("latin-1")
    secure = bool(os.environ.get("SPACE_HOST")) or headers.get(b"x-forwarded-proto", b"") == b"https"
    return f"{'https' if secure else scope.get('scheme', 'http')}://{host}{scope.get('root_path', '')}"


def tags(found: Preview | None, address: str) -> Markup:
    """For a page's head."""
    return html(
        """
        <meta property="og:type" content="website"><meta property="og:site_name" content="{{ name }}">
        <meta property="og:title" content="{{ title }}"><meta property="og:description" content="{{ description }}">
        <meta name="description" content="{{ description }}">
        {%- if image %}<meta property="og:image" content="{{ image }}"><meta property="og:image:type" content="image/jpeg">
        <meta property="og:image:width" content="{{ w }}"><meta property="og:image:height" content="{{ h }}">
        <meta property="og:image:alt" content="{{ alt }}"><meta name="twitter:card" content="summary_large_image">
        {%- else %}<meta name="twitter:card" content="summary">{% endif %}
        """,
        name=NAME, title=found.title if found else NAME, description=_cut(found.description) if found else ABOUT,
        image=f"{address}{PATH}?{urlencode(found.query)}" if found else "", alt=found.alt if found else "", w=WIDTH, h=HEIGHT,
    )  # fmt: skip


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= DESCRIBED else text[: DESCRIBED - 1] + "…"


def with_tags(page: bytes, ours: Markup) -> bytes:
    """The page with our tags in place of Gradio's."""
    top, end, rest = page.partition(b"</head>")
    return OLD.sub(b"", top) + str(ours).encode() + end + rest if end else page
