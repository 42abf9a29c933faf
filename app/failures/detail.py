"""The detail beside the wall: one record with its picture, prompt and responses, its label, and what one to three judges say of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup, escape
from PIL import Image

from app.common import figures, heat, words
from app.common.charts import FIRST, QUIET, RESPONSES, SECOND, Row, Rows
from app.common.html import NOTHING, html, signed
from app.common.item_view import (
    IMAGE_USE,
    LONGEST,
    contributions_html,
    critique_html,
    differences,
    problem_html,
)
from app.common.region_map import shrink
from core.judges.said import of_row
from core.records import Comparison, Condition, ImageAblation, JudgeCard, Judgement, letter
from core.runs.said import stated_by
from core.taxonomy import DIMENSIONS

KINDS = {
    "gated": "gated: weight × score over dimensions", "scalar": "scalar: one reward each", "generative": "reasoning: writes, then decides",
    "remote": "reasoning, over the network", "hybrid": "hybrid: rules and a model", "rule": "a rule",
}  # fmt: skip


@dataclass(frozen=True)
class Opinion:
    """What one run holds of the record. stored: its row, None where the run has no such record. judgement: None where it was not
    judged."""

    name: str
    card: JudgeCard
    stored: dict[str, Any] | None
    judgement: Judgement | None

    @property
    def favourite(self) -> int | None:
        """The response with the highest reward; None on a tie and without rewards."""
        rewards = self.judgement.rewards if self.judgement else ()
        if not rewards or any(map(math.isnan, rewards)) or rewards.count(max(rewards)) > 1:
            return None
        return rewards.index(max(rewards))


def item_html(
    stored: dict[str, Any], picture: Image.Image | None, opinions: list[Opinion], ablated: ImageAblation | None, link: Markup = NOTHING
) -> Markup:  # fmt: skip
    """stored: the row of the run that is looked through, whose opinion is the first. link: to the record elsewhere."""
    if not stored["responses"]:
        return problem_html(stored["problem"] or "This row cannot be read.")
    shown = (
        heat.img(shrink(picture), "The picture of this record")
        if picture
        else html('<p class="small">This run holds no picture of this record.</p>')
    )
    return html(
        """
        {{ problem }}<article class="item" aria-label="Row {{ s["row"] }}"><div class="item-head"><p class="small">row {{ s["row"] }} · {{ s["subgroup"] }}
        {%- if decisive %} · decided by {{ decisive }}{% endif %} · {{ s["id"] }}</p>{{ link }}</div>
        <div class="item-record"><div class="item-picture">{{ shown }}</div><div class="item-text">
        <p class="prompt" dir="auto">{{ prompt }}</p>{{ responses }}</div></div>
        <div class="judges judges-{{ said|length }}">{% for one in said %}{{ one }}{% endfor %}</div>{{ ablation }}</article>
        """,
        problem=problem_html(stored["problem"]), shown=shown, s=stored, decisive=_decisive(stored), link=link,
        prompt=stored["prompt"][:LONGEST], responses=_responses(stored, opinions),
        said=[said_html(o) for o in opinions], ablation=ablation_html(ablated),
    )  # fmt: skip


def _decisive(stored: dict[str, Any]) -> str:
    """What the data say decides, not a judge."""
    return {d.key: d.name for d in DIMENSIONS}.get(stored["decisive"], "")


def _responses(stored: dict[str, Any], opinions: list[Opinion]) -> Markup:
    texts = stored["responses"]
    marked = list(differences(*texts)) if len(texts) == 2 else [escape(t[:LONGEST]) for t in texts]
    alone = len(opinions) == 1
    liked = [
        [("judge's choice" if alone else f"{o.name}'s choice") for o in opinions if o.favourite == i]
        for i in range(len(texts))
    ]
    return html(
        """
        <div class="sides">{% for text in marked %}{% set i = loop.index0 %}
        <div class="side{{ " labelled" if i == preferred }}"><b>{{ letter(i) }}</b>
        {%- if i == preferred %} <span class="badge label">preferred by the label</span>{% endif %}
        {%- for name in liked[i] %} <span class="badge{{ "" if i == preferred or preferred is none else " differs" }}">{{ name }}</span>{% endfor %}
        <p dir="auto">{{ text }}</p>
        {%- if texts[i]|length > longest -%}<p class="small">cut at {{ longest|f(",") }} characters</p>{% endif %}</div>
        {%- endfor %}</div>
        {%- if preferred is none %}<p class="small">This record has no label.</p>{% endif %}
        """,
        marked=marked, texts=texts, preferred=stored["preferred"], letter=letter, longest=LONGEST, liked=liked,
    )  # fmt: skip


def said_html(opinion: Opinion) -> Markup:
    """One judge: its verdict, its sentence, and what it rests on."""
    row, judgement = opinion.stored, opinion.judgement
    if row is None or not row["rewards"] or judgement is None:
        why = "has no such record" if row is None else "did not judge this row"
        return html(
            '<section class="said"><h3>{{ name }}</h3><p>{{ name }} {{ why }}. {{ problem }}</p></section>',
            name=opinion.name, why=why, problem=row["problem"] if row else "",
        )  # fmt: skip
    pair = _pair(judgement, row)
    orders = words.orders(judgement, *sorted(pair)) if len(row["responses"]) > 1 else ""
    return html(
        """
        <section class="said"><h3>{{ name }} <span class="small">{{ kind }}</span></h3>
        {%- if warning %}<div class="warning" role="alert">{{ warning }}</div>{% endif %}
        <p><span class="badge {{ row["outcome"] }}">{{ row["outcome"] }}</span>
        {%- if orders %} <span class="badge">{{ orders }}</span>{% endif %}
        {%- if parted %} <span class="badge differs">{{ parted }}</span>{% endif %}
        {%- if row["margin"] is not none %} margin of the preferred one {{ row["margin"]|signed }}{% endif %} ({{ rewards }})</p>
        {%- if sentence %}<p>{{ sentence }}</p>{% endif %}{{ basis }}{{ critique }}</section>
        """,
        warning=words.warning(judgement.ood) if judgement.condition is not Condition.BLANK else None,
        name=opinion.name, kind=KINDS.get(opinion.card.kind, ""), row=row, orders=orders, parted=_parted(opinion),
        rewards=" · ".join(f"{letter(i)} {signed(r)}" for i, r in enumerate(row["rewards"])),
        sentence=_sentence(row, judgement), basis=_basis(judgement, pair), critique=critique_html(judgement),
    )  # fmt: skip


def _basis(judgement: Judgement, pair: tuple[int, int]) -> Markup:
    """What the verdict is made of: contributions of dimensions as bars, their numbers folded; else the rewards."""
    if not judgement.selected:
        return NOTHING if judgement.votes or judgement.critique else _rewards(judgement)
    return html(
        '{{ bars }}<details><summary>Gates, weights and scores</summary><div class="wide">{{ table }}</div></details>',
        bars=figures.waterfall(judgement, *pair).html(), table=contributions_html(judgement, *pair),
    )  # fmt: skip


def _rewards(judgement: Judgement) -> Markup:
    if any(map(math.isnan, judgement.rewards)):
        return NOTHING
    rows = [
        Row(f"Response {letter(i)}", r, 0.0, signed(r), RESPONSES[i % len(RESPONSES)])
        for i, r in enumerate(judgement.rewards)
    ]
    return Rows(tuple(rows), "reward").html()


def _parted(opinion: Opinion) -> str:
    """Of a judge whose written answers state another choice than its rewards: both."""
    if opinion.judgement is None or opinion.stored is None:
        return ""
    thought = of_row(opinion.stored).said if opinion.card.embedded else None  # its thoughts have a known form
    stated = stated_by(opinion.judgement.votes) if thought is None else thought
    if stated is None or opinion.favourite is None or stated == opinion.favourite:
        return ""
    return f"says {letter(stated)}, decides {letter(opinion.favourite)}"


def _sentence(row: dict[str, Any], judgement: Judgement) -> str:
    """What the judge says of the response that the label prefers and the best other one."""
    if len(row["responses"]) < 2 or any(math.isnan(r) for r in judgement.rewards):
        return ""
    record = Comparison(
        judgement.comparison_id, None, row["prompt"], tuple(row["responses"]), row["preferred"]
    )
    return words.verdict(record, judgement, *sorted(_pair(judgement, row)))


def _pair(judgement: Judgement, row: dict[str, Any]) -> tuple[int, int]:
    """The preferred response (without a label the judge's favourite) and the best other one."""
    a = row["preferred"] if row["preferred"] is not None else judgement.ranking[0]
    return a, max((r, i) for i, r in enumerate(judgement.rewards) if i != a)[1]


def ablation_html(ablated: ImageAblation | None) -> Markup:
    """How far the margin rests on the picture, as bars; nothing where that is not known."""
    if ablated is None:
        return NOTHING
    values = [("with its image", ablated.given), ("with a blank image", ablated.without)]
    values += [("with a shuffled image", ablated.other)] if ablated.other is not None else []
    rows = [
        Row(name, v, 0.0, signed(v), QUIET if n else FIRST if v >= 0 else SECOND)
        for n, (name, v) in enumerate(values)
    ]
    return html(
        """
        <section class="image-ablation-bars"><h3>Image ablation <span class="badge">{{ badge }}</span></h3>{{ bars }}
        {%- if blank %}<p class="small">Blank: {{ blank }}.</p>{% endif %}</section>
        """,
        badge=IMAGE_USE[ablated.use], bars=Rows(tuple(rows), "margin of the preferred response").html(), blank=ablated.blank,
    )  # fmt: skip


def inspect_link(run_name: str, row: int) -> Markup:
    return html(
        '<a class="inspect-link" href="./?{{ query }}">Open in Inspect</a>',
        query=urlencode({"run": run_name, "row": row}),
    )
