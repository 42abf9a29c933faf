"""Who is labelling: a Hugging Face account on a Space, a login of `--auth`, or a name chosen on the page.

Every handler that writes a label asks `Identity.annotator` first. What the browser says of itself is never believed: an
account comes from the signed session cookie, a login from the server's own tokens, a name from a secret that only the
browser that took the name has.
"""

from __future__ import annotations

import os
import time
from typing import Any

import gradio as gr
from gradio.utils import get_space
from markupsafe import Markup

from app.common.html import html
from app.common.turns import in_turn
from core.labels.records import LabelError
from core.labels.store import LabelStore

PRIVATE: dict[str, Any] = {"api_visibility": "private", "queue": False}
OAUTH = ("OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET", "OAUTH_SCOPES", "OPENID_PROVIDER_URL")


def kind_of_sign_in(auth: bool) -> str:
    """ "login" with --auth, "account" on a Space whose README enables OAuth, else "name"."""
    if auth:
        return "login"
    return "account" if get_space() and all(os.environ.get(n) for n in OAUTH) else "name"


class Identity:
    """The part of a page where people say who they are."""

    def __init__(self, store: LabelStore, kind: str) -> None:
        self.store, self.kind = store, kind

    def build(self) -> None:
        # The key and secret are fixed so that a name outlives a restart of the server.
        self.secret = gr.BrowserState("", storage_key="rewardscope-name", secret="rewardscope")
        with gr.Column(visible=False, elem_id="door") as self.box:
            with gr.Row(visible=self.kind == "name"):
                self.name = gr.Textbox(
                    label="Your name on this server", max_lines=1, elem_id="name", scale=3,
                    info="It stands beside your labels. This browser remembers it; there is no password.",
                )  # fmt: skip
                self.enter = gr.Button("Enter", variant="primary", elem_id="enter", scale=1)
            self.message = gr.HTML(elem_id="door-message", visible=False)
            if self.kind == "account":
                gr.Markdown("Sign in to label: your account's name stands beside your labels.")
                gr.LoginButton(elem_id="sign-in")

    def connect(self, then: Any, inputs: list[Any], outputs: list[Any]) -> None:
        """`then` shows the page to whoever has come in."""
        for event in (self.enter.click, self.name.submit):
            event(self.on_enter, [self.name], [self.message, self.secret], **PRIVATE).success(
                then, inputs, outputs, **PRIVATE
            )

    async def on_enter(self, name: str) -> tuple:
        try:
            if self.kind != "name":
                raise LabelError("Names are not chosen on this server: sign in.")
            secret = await in_turn(lambda: self.store.enter(str(name or "")))
            return gr.HTML("", visible=False), secret
        except LabelError as error:
            return gr.HTML(refusal(error), visible=True), gr.skip()

    def known(self, request: gr.Request, secret: object) -> str | None:
        """Who this is; None for a stranger."""
        if self.kind == "login":
            return f"login:{request.username}" if request.username else None
        if self.kind == "account":
            return _account(request)
        return self.store.who(secret)

    def annotator(self, request: gr.Request, secret: object) -> str:
        """Raises gr.Error for a stranger."""
        who = self.known(request, secret)
        if who is None:
            raise gr.Error("Sign in first: labels carry a name. Nothing was written.", title="Not signed in")
        return who


def refusal(error: Exception) -> Markup:
    """What is refused, in words, where the page shows it."""
    said = error.message if isinstance(error, gr.Error) else error
    return html('<p class="refused" role="alert">{{ said }}</p>', said=said)


def _account(request: gr.Request) -> str | None:
    """The account in the session cookie, which gradio's OAuth signs (gradio.oauth)."""
    session = getattr(request, "session", None) or getattr(request.request, "session", None) or {}
    info = session.get("oauth_info") or {}
    name = (info.get("userinfo") or {}).get("preferred_username")
    if not name or (info.get("expires_at") or 0) < time.time():
        return None
    return f"hf:{name}"
