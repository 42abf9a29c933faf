"""One item of a queue as HTML: first blind, then with what was hidden. All text is escaped here."""

from __future__ import annotations

import base64
import html
import math
import re
from collections.abc import Sequence
from dataclasses import replace

from app.common.item_view import LONGEST, differences, ledger
from core.labels.records import UNDECIDED, Claim, Item, Label
from core.records import Judgement, letter, plain

WORDS = {"tie": "a tie", "bad": "both bad", "unsure": "cannot tell"}
PAIR = ("Left", "Right")
MORE = ("First", "Second", "Third", "Fourth")


def sides(responses: int) -> Sequence[str]:
    return PAIR if responses == 2 else MORE[:responses]


def said(verdict: str, shown: Sequence[int]) -> str:
    """A verdict in the words of the screen."""
    if verdict in UNDECIDED:
        return WORDS[verdict]
    return sides(len(shown))[list(shown).index(int(verdict))]


def item_html(claim: Claim, picture: bytes | None) -> str:
    """Texts are made fit for UTF-8 here: what the store holds is left as it came."""
    item, names = claim.item, sides(len(claim.shown))
    texts = [item.responses[i] for i in claim.shown]
    marked = list(differences(*texts)) if len(texts) == 2 else [html.escape(t[:LONGEST]) for t in texts]
    columns = "".join(
        f'<section class="side" tabindex="0" aria-label="{name} response"><h3>{name}</h3><p dir="auto">{text}</p>{_cut(full)}</section>'
        for name, text, full in zip(names, marked, texts, strict=True)
    )
    return plain(
        f'<div class="desk-item">{_picture(picture)}'
        f'<p class="prompt" dir="auto" tabindex="0">{html.escape(item.prompt[:LONGEST])}</p><div class="sides">{columns}</div></div>'
    )


def _cut(text: str) -> str:
    return f'<p class="small">cut at {LONGEST:,} characters</p>' if len(text) > LONGEST else ""


def _picture(picture: bytes | None) -> str:
    if picture is None:
        return '<p class="small no-picture">This record has no picture here.</p>'
    kind = "webp" if picture[8:12] == b"WEBP" else "jpeg" if picture[:2] == b"\xff\xd8" else "png"
    data = base64.b64encode(picture).decode()
    return (
        '<button type="button" id="zoom" class="zoom" aria-expanded="false" aria-label="Zoom the picture (Z)">'
        f'<img src="data:image/{kind};base64,{data}" alt="The picture that both responses are about"></button>'
    )


def reveal_html(claim: Claim, label: Label) -> str:
    """What was hidden: the old label, what each judge said with its ledger, and why the item is in the queue."""
    item, shown = claim.item, claim.shown
    old = "none" if item.preferred is None else said(str(item.preferred), shown)
    first = html.escape(said(label.first, shown))
    changed = f", then {html.escape(said(label.final, shown))}" if label.final != label.first else ""
    # The first judge is the model that the queue is about; the others are said in a line each.
    judges = "".join(_judge(item, j, shown, n == 0) for n, j in enumerate(item.judged))
    why = "".join(f"<li>{html.escape(_of_screen(r, shown))}</li>" for r in item.evidence.get("reasons", ()))
    why = f'<p class="small">Why this item is here:</p><ul class="small">{why}</ul>' if why else ""
    return plain(
        f'<div class="reveal" role="status"><p><b>You said {first}{changed}.</b> The label says <b>{html.escape(old)}</b>. '
        f"Change your mind with the same buttons, or go on.</p>{judges}{why}"
        f'<p class="small">row {item.row} · {html.escape(item.id)} · {html.escape(item.subgroup)}</p></div>'
    )


def _of_screen(reason: str, shown: Sequence[int]) -> str:
    """A reason of core.label_errors.ranking, which names responses by the record's letters, in the words of the screen."""
    names = {letter(i): name for i, name in zip(shown, sides(len(shown)), strict=True)}
    return re.sub(r"\bresponse ([A-D])\b", lambda m: f"the {names.get(m[1], m[1])} response", reason)


def _judge(item: Item, row: dict, shown: Sequence[int], whole: bool) -> str:
    known = {k: v for k, v in row.items() if k != "revision"}
    judgement = _as_shown(Judgement.from_row({"comparison_id": item.key, **known}), shown)
    names = sides(len(shown))
    rewards = " · ".join(f"{n} {r:+.2f}" for n, r in zip(names, judgement.rewards, strict=True))
    if any(math.isnan(r) for r in judgement.rewards):
        return f'<p class="said"><b>{html.escape(judgement.judge)}</b> gave no number.</p>'
    a, b = judgement.ranking[:2]
    tie = judgement.margin(a, b) == 0
    verdict = "sees no difference" if tie else f"prefers <b>{names[a]}</b> by {judgement.margin(a, b):.2f}"
    return (
        f'<div class="said"><p><b>{html.escape(judgement.judge)}</b> {verdict} ({rewards})</p>'
        f"{ledger(judgement, a, b, names) if whole else ''}</div>"
    )


def _as_shown(judgement: Judgement, shown: Sequence[int]) -> Judgement:
    """The judgement with its responses in the order of the screen."""
    scores = tuple(judgement.scores[i] for i in shown) if judgement.scores else ()
    return replace(judgement, rewards=tuple(judgement.rewards[i] for i in shown), scores=scores)


def tally_html(who: str, done: int, total: int, mine: int, seconds: Sequence[float], streak: int) -> str:
    """Progress, time per item and streak of this sitting, in one quiet line."""
    share = 100 * done / total if total else 0
    pace = f" · {sorted(seconds)[len(seconds) // 2]:.1f} s per item" if seconds else ""
    row = f" · {streak} in a row" if streak > 1 else ""
    return (
        f'<p class="tally small"><progress max="{total}" value="{done}" aria-label="progress of the queue"></progress> '
        f"{done:,} of {total:,} ({share:.0f} %) · {mine:,} by you, {html.escape(who)}{pace}{row}</p>"
    )
