"""A person at the label desk without a browser: the requests that the page sends, for stress and abuse scripts."""

from __future__ import annotations

import json
import re
import secrets
from typing import Any

import httpx


class Refused(Exception):
    """What the page would show as an error."""


class Page:
    """Calls handlers by the element that triggers them, in one session, as the page's own script does."""

    def __init__(self, url: str, client: httpx.Client | None = None) -> None:
        self.url, self.client, self.session = (
            url.rstrip("/"),
            client or httpx.Client(timeout=60),
            secrets.token_hex(8),
        )
        config = self.client.get(f"{self.url}/config").json()
        self.names = {c["id"]: c["props"].get("elem_id") for c in config["components"]}
        self.kinds = {c["id"]: c["type"] for c in config["components"]}
        self.pages = {i: page for page, layout in config["page"].items() for i in layout["components"]}
        self.events = config["dependencies"]

    def find(self, page: str, element: str | None, event: str, kind: str | None = None) -> dict[str, Any]:
        for found in (e for e in self.events if e["backend_fn"]):
            for target, name in found["targets"]:
                on_page = self.pages.get((found["outputs"] or found["inputs"] or [target])[0]) == page
                of_kind = kind is None or self.kinds.get(target) == kind
                if (
                    name == event
                    and on_page
                    and of_kind
                    and (element is None or self.names.get(target) == element)
                ):
                    return found
        raise LookupError(f"no {event} of {element} on {page}")

    def then(self, event: dict[str, Any]) -> dict[str, Any]:
        """What runs after an event."""
        return next(e for e in self.events if e["trigger_after"] == event["id"])

    def call(self, event: dict[str, Any], *data: Any) -> list[Any]:
        """data: the values of the inputs that are no State, in order."""
        values = iter(data)
        inputs = [None if self.kinds[i] == "state" else next(values) for i in event["inputs"]]
        body = {"data": inputs, "fn_index": event["id"], "session_hash": self.session}
        answer = self.client.post(f"{self.url}/gradio_api/run/predict", json=body)
        if answer.status_code != 200:
            raise Refused(answer.text[:500])
        data = answer.json()["data"]
        if said := re.search(r'class="refused"[^>]*>(.*?)<', str(data)):
            raise Refused(said[1])
        return data

    def ask(self, event: dict[str, Any], *data: Any) -> list[Any] | None:
        """The same as the page does it: events that wait in the queue wait. None where the queue is full."""
        if event["queue"] is False:
            return self.call(event, *data)
        values = iter(data)
        inputs = [None if self.kinds[i] == "state" else next(values) for i in event["inputs"]]
        body = {"data": inputs, "fn_index": event["id"], "session_hash": self.session}
        joined = self.client.post(f"{self.url}/gradio_api/queue/join", json=body)
        if "queue is full" in joined.text.lower():
            return None
        joined.raise_for_status()
        with self.client.stream(
            "GET", f"{self.url}/gradio_api/queue/data", params={"session_hash": self.session}
        ) as stream:
            for line in stream.iter_lines():
                if '"process_completed"' in line:
                    said = json.loads(line.removeprefix("data:"))
                    if not said["success"]:
                        raise Refused(str(said["output"])[:300])
                    return said["output"]["data"]
        raise Refused("the stream ended without an answer")


class Annotator(Page):
    """One person in one tab."""

    def __init__(self, url: str, name: str, secret: str = "") -> None:
        super().__init__(url)
        self.secret = secret or self.call(self.find("label", "enter", "click"), name)[1]
        self.load = self.find("label", None, "load")
        self.moves = {n: self.find("label", n, "click") for n in ("next-item", "skip", "undo", "back")}
        self.verdicts = {
            v: self.find("label", f"verdict-{v}", "click") for v in ("0", "1", "tie", "bad", "unsure")
        }

    def open(self) -> str:
        """The item's HTML."""
        return self.call(self.load, self.secret)[5]

    def judge(self, verdict: str, dimensions: Any = (), note: Any = "") -> int:
        """The row that the reveal names: the acknowledgement."""
        reveal = self.call(self.verdicts[verdict], self.secret, list(dimensions), note)[4]
        found = re.search(r"row (\d+) ·", str(reveal))
        assert found, reveal
        return int(found[1])

    def next(self) -> str:
        """The next item's HTML, and the one after it claimed ahead."""
        shown = self.call(self.moves["next-item"], self.secret, [], "")[3]
        self.call(self.then(self.moves["next-item"]), self.secret)
        return str(shown)
