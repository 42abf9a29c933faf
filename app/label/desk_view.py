"""One item of a queue as HTML: first blind, then with what was hidden."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from markupsafe import Markup

from app.common.html import html, joined, signed
from app.common.item_view import LONGEST, contributions_html, critique_html, differences
from app.common.label_words import reason_words, sides, verdict_words
from core.labels.records import Claim, Item, Label
from core.records import Judgement, plain


def item_html(claim: Claim) -> Markup:
    """Prompt and responses. Texts are made fit for UTF-8 here: what the store holds is left as it came."""
    item, names = claim.item, sides(len(claim.shown))
    texts = [plain(item.responses[i]) for i in claim.shown]
    marked = list(differences(*texts)) if len(texts) == 2 else [t[:LONGEST] for t in texts]
    return html(
        """
        <div class="desk-item"><p class="prompt" dir="auto" tabindex="0">{{ prompt }}</p><div class="sides">
        {%- for name, text, whole in sides %}
        <section class="side" tabindex="0" aria-label="{{ name }} response"><h3>{{ name }}</h3><p dir="auto">{{ text }}</p>
        {%- if whole|length > longest %}<p class="small">cut at {{ longest|f(",") }} characters</p>{% endif %}</section>
        {%- endfor %}</div></div>
        """,
        prompt=plain(item.prompt)[:LONGEST], longest=LONGEST,
        sides=list(zip(names, marked, texts, strict=True)),
    )  # fmt: skip


def picture_html(picture: bytes | None) -> Markup:
    if picture is None:
        return html('<p class="small no-picture">This record has no picture here.</p>')
    kind = "webp" if picture[8:12] == b"WEBP" else "jpeg" if picture[:2] == b"\xff\xd8" else "png"
    return html(
        """
        <button type="button" id="zoom" class="zoom" aria-expanded="false" aria-label="Zoom the picture (Z)">
        <img src="data:image/{{ kind }};base64,{{ data }}" alt="The picture that both responses are about"></button>
        """,
        kind=kind, data=base64.b64encode(picture).decode(),
    )  # fmt: skip


def reveal_html(claim: Claim, label: Label) -> Markup:
    """What was hidden: the old label, what each judge said with its contributions, and why the item is in the queue."""
    item, shown = claim.item, claim.shown
    return html(
        """
        <div class="reveal" role="status"><p><b>You said {{ first }}{% if final != first %}, then {{ final }}{% endif %}.</b>
        The label says <b>{{ old }}</b>. Change your mind with the same buttons, or go on.</p>{{ judges }}
        {%- if why %}<p class="small">Why this item is here:</p><ul class="small">{% for w in why %}<li>{{ w }}</li>{% endfor %}</ul>{% endif %}
        <p class="small">row {{ item.row }} · {{ id }} · {{ subgroup }}</p></div>
        """,
        first=verdict_words(label.first, shown), final=verdict_words(label.final, shown), item=item,
        old="none" if item.preferred is None else verdict_words(str(item.preferred), shown),
        # The first judge is the model that the queue is about; the others are said in a line each.
        judges=joined(_judge(item, plain(j), shown, n == 0) for n, j in enumerate(item.judged)),
        why=[plain(reason_words(r, shown)) for r in item.evidence.get("reasons", ())],
        id=plain(item.id), subgroup=plain(item.subgroup),
    )  # fmt: skip


def _judge(item: Item, row: Mapping[str, Any], shown: Sequence[int], whole: bool) -> Markup:
    """row: what the judge said, as the queue keeps it."""
    judgement = _as_shown(Judgement.from_row({"comparison_id": item.key, **row}), shown)
    name, names = row.get("judge_name") or judgement.judge, sides(len(shown))
    if any(math.isnan(r) for r in judgement.rewards):
        return html('<p class="said"><b>{{ name }}</b> gave no number.</p>', name=name) + critique_html(
            judgement, names
        )
    a, b = judgement.ranking[:2]
    return html(
        """
        <div class="said"><p><b>{{ name }}</b>
        {%- if margin == 0 %} rates them alike{% else %} prefers <b>{{ names[a] }}</b> by {{ margin|f(".2f") }}{% endif %} ({{ rewards }})</p>
        {{- contributions }}{{ critique }}</div>
        """,
        name=name, names=names, a=a, margin=judgement.margin(a, b),
        rewards=" · ".join(f"{n} {signed(r)}" for n, r in zip(names, judgement.rewards, strict=True)),
        contributions=contributions_html(judgement, a, b, names) if whole else "", critique=critique_html(judgement, names),
    )  # fmt: skip


def _as_shown(judgement: Judgement, shown: Sequence[int]) -> Judgement:
    """The judgement with its responses in the order of the screen."""
    place = {index: n for n, index in enumerate(shown)}
    votes = tuple(
        replace(
            v,
            order=tuple(place[i] for i in v.order),
            choice=place.get(v.choice) if v.choice is not None else None,
        )
        for v in judgement.votes
    )
    return replace(
        judgement,
        rewards=tuple(judgement.rewards[i] for i in shown),
        scores=tuple(judgement.scores[i] for i in shown) if judgement.scores else (),
        choice=place.get(judgement.choice) if judgement.choice is not None else None,
        votes=votes,
    )


def tally_html(who: str, done: int, total: int, mine: int, seconds: Sequence[float], streak: int) -> Markup:
    """Progress, time per item and streak of this sitting, in one quiet line."""
    return html(
        """
        <p class="tally small"><progress max="{{ total }}" value="{{ done }}" aria-label="progress of the queue"></progress>
        {{ done|f(",") }} of {{ total|f(",") }} ({{ share|f(".0f") }} %) · {{ mine|f(",") }} by you, {{ who }}
        {%- if pace is not none %} · {{ pace|f(".1f") }} s per item{% endif %}{% if streak > 1 %} · {{ streak }} in a row{% endif %}</p>
        """,
        total=total, done=done, share=100 * done / total if total else 0, mine=mine, who=who, streak=streak,
        pace=sorted(seconds)[len(seconds) // 2] if seconds else None,
    )  # fmt: skip
