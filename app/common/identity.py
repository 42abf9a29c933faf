"""Who is labelling: a Hugging Face account on a Space, a login of `--auth`, or a name chosen on the page.

Every handler that writes a label asks `Identity.annotator` first. What the browser says of itself is never believed: an
account comes from the signed session cookie, a login from the server's own tokens, a name from a secret that only the
browser that took the name has. By its recovery phrase a name is taken up again on another browser (app/common/recovery.py).
"""

from __future__ import annotations

import os
import time
from typing import Any

import gradio as gr
from gradio.utils import get_space
from markupsafe import Markup

from app.common.html import html
from app.common.recovery import Recovery
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

    def __init__(self, store: LabelStore, kind: str, recovery: Recovery) -> None:
        self.store, self.kind, self.recovery = store, kind, recovery

    def build(self) -> None:
        # The key and secret are fixed so that a name outlives a restart of the server.
        self.secret = gr.BrowserState("", storage_key="rewardscope-name", secret="rewardscope")
        with gr.Column(visible=False, elem_id="door") as self.box:
            with gr.Row(visible=self.kind == "name"):
                self.name = gr.Textbox(
                    label="Your name on this server", max_lines=1, elem_id="name", scale=3,
                    info="Shown with your labels. This browser remembers it; there is no password.",
                )  # fmt: skip
                self.enter = gr.Button("Enter", variant="primary", elem_id="enter", scale=1)
            self.message = gr.HTML(elem_id="door-message", visible=False)
            with gr.Row(visible=self.kind == "name"):
                self.phrase = gr.Textbox(
                    label="Used this name on another browser? Its recovery phrase", max_lines=1, elem_id="phrase", scale=3,
                    info="The six words that were shown when the name was taken.",
                )  # fmt: skip
                self.again = gr.Button("Take my name up again", elem_id="recover", scale=1)
            if self.kind == "account":
                gr.Markdown("Sign in to label: your account's name stands beside your labels.")
                gr.LoginButton(elem_id="sign-in")
        with gr.Column(visible=False, elem_id="new-phrase") as self.card:
            self.told = gr.HTML()
            self.kept = gr.Button("I have written it down", size="sm", elem_id="phrase-kept")

    def build_renewal(self) -> None:
        """Where a page offers a new phrase to whoever is in, as to the names of release 0.1, which have none."""
        self.renew = gr.Button(
            "New recovery phrase", size="sm", elem_id="renew-phrase", visible=False, scale=0, min_width=200
        )
        self.renew.click(self.on_renew, [self.secret], [self.card, self.told], **PRIVATE)

    def renewal(self, who: str | None) -> gr.Button:
        return gr.Button(visible=who is not None and self.kind == "name")

    def connect(self, then: Any, inputs: list[Any], outputs: list[Any]) -> None:
        """`then` shows the page to whoever has come in."""
        for event in (self.enter.click, self.name.submit):
            event(
                self.on_enter, [self.name], [self.message, self.secret, self.card, self.told], **PRIVATE
            ).success(then, inputs, outputs, **PRIVATE)
        for event in (self.again.click, self.phrase.submit):
            event(
                self.on_recover, [self.name, self.phrase], [self.message, self.secret, self.phrase], **PRIVATE
            ).success(then, inputs, outputs, **PRIVATE)
        gone = "() => [{__type__: 'update', visible: false}, '']"
        self.kept.click(None, None, [self.card, self.told], js=gone, **PRIVATE)

    async def on_enter(self, name: str) -> tuple:
        try:
            self._only_names()
            secret = await in_turn(lambda: self.store.enter(str(name or "")))
        except LabelError as error:
            return gr.HTML(refusal(error), visible=True), gr.skip(), gr.skip(), gr.skip()
        return gr.HTML("", visible=False), secret, *await self._new_phrase(secret)

    async def on_recover(self, name: str, phrase: str, request: gr.Request) -> tuple:
        address = request.client.host if request.client else ""
        try:
            self._only_names()
            secret = await in_turn(lambda: self.recovery.recover(str(name or ""), phrase, address))
        except LabelError as error:
            return gr.HTML(refusal(error), visible=True), gr.skip(), gr.skip()
        return gr.HTML("", visible=False), secret, ""

    async def on_renew(self, secret: object) -> tuple:
        return await self._new_phrase(secret)

    async def _new_phrase(self, secret: object) -> tuple:
        """The card that tells a new phrase. A name that is taken stays taken where no phrase could be made."""

        def made() -> Markup:
            self._only_names()
            who = self.store.who(secret)
            if who is None:
                raise LabelError("Enter a name first.")
            return phrase_html(who, self.store.new_phrase(who))

        try:
            return gr.Column(visible=True), await in_turn(made)
        except LabelError as error:
            return gr.Column(visible=True), refusal(error)

    def _only_names(self) -> None:
        if self.kind != "name":
            raise LabelError("Names are not chosen on this server: sign in.")

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


def phrase_html(name: str, phrase: str) -> Markup:
    return html(
        """
        <div class="phrase" role="status"><p><b>Your recovery phrase, {{ name }}:</b> <code>{{ phrase }}</code></p>
        <p class="small">Write it down: it is shown this once, and only a hash of it is kept. With it you take your name up again on
        another browser, or in this one once its data are cleared. It takes the place of any phrase you had before.</p></div>
        """,
        name=name,
        phrase=phrase,
    )


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
