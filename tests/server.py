"""A real HTTP server on this machine that behaves as badly as a test says."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Behaviour = Callable[["Handler", dict[str, Any], int], None]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server.seen.append(("GET", self.path, dict(self.headers), None))
        if self.server.models is None:
            self.send(404, "text/html", b"<html>nothing here</html>")
        elif isinstance(self.server.models, bytes):
            self.send(200, "text/html", self.server.models)
        elif self.server.key and self.headers.get("Authorization") != f"Bearer {self.server.key}":
            self.json(401, {"error": {"message": f"wrong key {self.headers.get('Authorization')}"}})
        else:
            self.json(
                200,
                {
                    "object": "list",
                    "data": [
                        {"id": m, "object": "model", "created": 0, "owned_by": "x"}
                        for m in self.server.models
                    ],
                },
            )

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.guard:
            number = self.server.asked
            self.server.asked += 1
            self.server.now += 1
            self.server.most = max(self.server.most, self.server.now)
        self.server.seen.append(("POST", self.path, dict(self.headers), body))
        try:
            self.server.behave(self, body, number)
        except (BrokenPipeError, ConnectionResetError):
            pass
        finally:
            with self.server.guard:
                self.server.now -= 1

    def send(self, status: int, kind: str, data: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def json(self, status: int, value: Any, **headers: str) -> None:
        self.send(status, "application/json", json.dumps(value).encode(), **headers)

    def say(
        self, text: str | None, reason: str = "stop", tokens: Any = None, refusal: str | None = None
    ) -> None:
        self.json(200, {
            "id": "x", "object": "chat.completion", "created": 0, "model": "m",
            "choices": [{"index": 0, "finish_reason": reason, "message": {"role": "assistant", "content": text, "refusal": refusal},
                         "logprobs": {"content": tokens} if tokens else None}],
        })  # fmt: skip


def token(text: str, logprob: float, **others: float) -> dict[str, Any]:
    """others: alternatives by their text."""
    listed = [{"token": t, "logprob": v, "bytes": None} for t, v in {text: logprob, **others}.items()]
    return {"token": text, "logprob": logprob, "bytes": None, "top_logprobs": listed}


@contextmanager
def serving(behave: Behaviour, models: Any = ("judge-7b",), key: str = ""):
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.behave, server.models, server.key, server.seen = behave, models, key, []
    server.guard, server.asked, server.now, server.most = threading.Lock(), 0, 0, 0
    server.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def text_of(body: dict[str, Any]) -> str:
    return next(part["text"] for part in body["messages"][-1]["content"] if part["type"] == "text")


def drip(handler: Handler, seconds: float) -> None:
    """Says that much will come, and lets a byte fall now and then."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.05)
