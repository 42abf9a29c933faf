"""One record of a run as HTML: picture, responses side by side with their differences marked, and who said what."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup, escape
from PIL import Image

from app.common import heat, words
from app.common.html import NOTHING, html, joined
from app.common.region_map import shrink
from core.records import Comparison, Condition, ImageAblation, ImageUse, Judgement, letter
from core.runs.browse import Similar
from core.taxonomy import DIMENSIONS

LONGEST = 20_000  # characters of a response on the page
FOLDED = 600  # characters from which a critique is folded
IMAGE_USE = {
    ImageUse.USES: "uses the image",
    ImageUse.PARTLY: "partly uses the image",
    ImageUse.IGNORES: "ignores the image",
}
DIFFED = 4_000  # words beyond which the differences are not looked for


def differences(a: str, b: str) -> tuple[Markup, Markup]:
    """Both texts as HTML, the words that the other does not have marked."""
    pieces = [re.findall(r"\s+|\w+|[^\w\s]", t[:LONGEST]) for t in (a, b)]
    if max(map(len, pieces)) > DIFFED:
        return escape(a[:LONGEST]), escape(b[:LONGEST])
    out: tuple[list[Markup], list[Markup]] = ([], [])
    for tag, i0, i1, j0, j1 in difflib.SequenceMatcher(
        None, pieces[0], pieces[1], autojunk=False
    ).get_opcodes():
        for side, run in ((0, pieces[0][i0:i1]), (1, pieces[1][j0:j1])):
            text = "".join(run)
            marked = tag != "equal" and text.strip()
            out[side].append(html("<mark>{{ text }}</mark>", text=text) if marked else escape(text))
    return joined(out[0]), joined(out[1])


def item_html(
    stored: dict[str, Any], picture: Image.Image | None, judged: list[tuple[str, dict[str, Any], Judgement | None]],
    ablated: ImageAblation | None = None,
) -> Markup:  # fmt: skip
    """stored: the row; judged: (judge's name, its stored row, its judgement) of one or two runs."""
    if not stored["responses"]:
        return problem_html(stored["problem"] or "This row cannot be read.")
    shown = (
        heat.img(shrink(picture), "The picture of this record")
        if picture
        else html('<p class="small">This run holds no picture of this record.</p>')
    )
    return html(
        """
        {{ problem }}<div class="item"><div class="item-picture">{{ shown }}</div><div class="item-text">
        <p class="small">row {{ s["row"] }} · {{ s["id"] }} · {{ s["subgroup"] }}
        {%- if decisive %} · decided by {{ decisive }}{% endif %}</p>
        <p class="prompt" dir="auto">{{ prompt }}</p>
        {{ responses }}{{ verdicts }}{{ image_ablation }}</div></div>
        """,
        problem=problem_html(stored["problem"]), shown=shown, s=stored, decisive=_decisive(stored),
        prompt=stored["prompt"][:LONGEST], responses=_responses(stored),
        verdicts=joined(_said(name, row, judgement) for name, row, judgement in judged),
        image_ablation=image_ablation_html(ablated),
    )  # fmt: skip


def problem_html(text: str) -> Markup:
    return html('<div class="warning" role="alert">{{ text }}</div>', text=text) if text else NOTHING


def image_ablation_html(ablated: ImageAblation | None) -> Markup:
    """How far the margin rests on the picture; nothing where that is not known."""
    if ablated is None:
        return NOTHING
    return html(
        """
        <p class="image-ablation"><span class="badge">{{ badge }}</span> margin with the image {{ r.given|signed }},
        with a blank one{% if r.blank %} ({{ r.blank }}){% endif %} {{ r.without|signed }}
        {%- if r.other is not none %}, with a shuffled one {{ r.other|signed }}{% endif %}</p>
        """,
        r=ablated,
        badge=IMAGE_USE[ablated.use],
    )


def _decisive(stored: dict[str, Any]) -> str:
    """What the data say decides, not a judge."""
    return {d.key: d.name for d in DIMENSIONS}.get(stored["decisive"], "")


def _responses(stored: dict[str, Any]) -> Markup:
    texts = stored["responses"]
    marked = list(differences(*texts)) if len(texts) == 2 else [escape(t[:LONGEST]) for t in texts]
    return html(
        """
        <div class="sides">{% for text in marked %}{% set i = loop.index0 %}
        <div class="side"><b>{{ letter(i) }}</b>
        {%- if i == preferred %} <span class="badge">preferred by the label</span>{% endif %}
        <p dir="auto">{{ text }}</p>
        {%- if texts[i]|length > longest -%}<p class="small">cut at {{ longest|f(",") }} characters</p>{% endif %}</div>
        {%- endfor %}</div>
        """,
        marked=marked, texts=texts, preferred=stored["preferred"], letter=letter, longest=LONGEST,
    )  # fmt: skip


def _said(name: str, row: dict[str, Any], judgement: Judgement | None) -> Markup:
    if not row["rewards"]:
        return html(
            '<p class="said"><b>{{ name }}</b> did not judge this row. {{ problem }}</p>',
            name=name,
            problem=row["problem"],
        )
    return html(
        """
        {%- if warning %}<div class="warning" role="alert">{{ warning }}</div>{% endif %}
        <div class="said"><p><b>{{ name }}</b>: {{ row["outcome"] }}
        {%- if orders %} <span class="badge">{{ orders }}</span>{% endif %}
        {%- if row["margin"] is not none %}, margin of the preferred one {{ row["margin"]|signed }}{% endif %} ({{ rewards }})</p>
        {%- if sentence %}<p>{{ sentence }}</p>{% endif %}{{ contributions }}{{ critique }}</div>
        """,
        warning=words.warning(judgement.ood) if judgement and judgement.condition is not Condition.BLANK else None, sentence=_sentence(row, judgement),
        orders=words.orders(judgement, *sorted(_pair(judgement, row))) if judgement and len(row["responses"]) > 1 else "",
        name=name, row=row, rewards=" · ".join(f"{letter(i)} {r:+.2f}" for i, r in enumerate(row["rewards"])),
        contributions=_contributions(judgement, row) if judgement else NOTHING, critique=critique_html(judgement),
    )  # fmt: skip


def _sentence(row: dict[str, Any], judgement: Judgement | None) -> str:
    """What the judge says of the response that the label prefers and the best other one."""
    if judgement is None or len(row["responses"]) < 2 or any(math.isnan(r) for r in judgement.rewards):
        return ""
    a, b = _pair(judgement, row)
    record = Comparison(
        judgement.comparison_id, None, row["prompt"], tuple(row["responses"]), row["preferred"]
    )
    return words.verdict(record, judgement, *sorted((a, b)))


def _pair(judgement: Judgement, row: dict[str, Any]) -> tuple[int, int]:
    """The preferred response (without a label the judge's favourite) and the best other one."""
    a = row["preferred"] if row["preferred"] is not None else judgement.ranking[0]
    return a, max((r, i) for i, r in enumerate(judgement.rewards) if i != a)[1]


def _contributions(judgement: Judgement, row: dict[str, Any]) -> Markup:
    return contributions_html(judgement, *_pair(judgement, row))


def contributions_html(judgement: Judgement, a: int, b: int, names: Sequence[str] | None = None) -> Markup:
    """The selected dimensions: gate, weight, scores, and what each adds to the margin of a over b. names: of the
    responses; letters by default."""
    if not judgement.selected:
        return NOTHING
    return html(
        """
        <table class="contributions"><thead><tr><th>dimension</th><th>gate</th><th>weight</th>
        {%- for name in names %}<th>score {{ name }}</th>{% endfor %}
        <th>adds to {{ names[a] }} − {{ names[b] }}</th></tr></thead><tbody>
        {%- for d, v in parts %}
        <tr><td>{{ j.dimensions[d].name }}</td><td>{{ j.relevance[d]|f(".2f") }}</td><td>{{ j.weights[d]|f(".2f") }}</td>
        {%- for s in j.scores %}<td>{{ s[d]|signed }}</td>{% endfor %}
        <td class="{{ "for" if v > 0 else "against" }}">{{ v|signed }}</td></tr>
        {%- endfor %}</tbody></table>
        """,
        j=judgement, a=a, b=b, names=names or [letter(i) for i in range(len(judgement.rewards))],
        parts=sorted(judgement.contributions(a, b).items(), key=lambda kv: kv[1]),
    )  # fmt: skip


def critique_html(judgement: Judgement | None, names: Sequence[str] | None = None) -> Markup:
    """What a judge that writes said, folded where it is long; its votes with the order that each was shown."""
    if judgement is None or not (judgement.critique or judgement.votes):
        return NOTHING
    said = html('<p class="critique" dir="auto">{{ text }}</p>', text=judgement.critique[:LONGEST])
    if len(judgement.critique) > FOLDED:
        said = html(
            '<details class="critique"><summary>Critique ({{ n|f(",") }} characters)</summary>{{ said }}</details>',
            n=len(judgement.critique),
            said=said,
        )
    return (said if judgement.critique else NOTHING) + _votes(judgement, names)


def _votes(judgement: Judgement, names: Sequence[str] | None) -> Markup:
    if not judgement.votes:
        return NOTHING
    names = names or [letter(i) for i in range(len(judgement.rewards))]
    rows = [
        {
            "shown": ", ".join(names[i] for i in vote.order),
            "chosen": "no answer could be read" if vote.choice is None else f"for {names[vote.choice]}",
            "odds": "" if vote.log_odds is None else f"{vote.log_odds:+.2f}",
            "text": vote.text[:LONGEST],
        }
        for vote in judgement.votes
    ]
    return html(
        """
        <details class="votes"><summary>{{ rows|length }} {{ "vote" if rows|length == 1 else "votes" }}</summary>
        <div class="wide"><table class="contributions"><thead><tr><th>shown as</th><th>verdict</th><th>log-odds</th><th>text</th></tr></thead>
        <tbody>{% for r in rows %}
        <tr><td>{{ r.shown }}</td><td>{{ r.chosen }}</td><td>{{ r.odds }}</td>
        <td dir="auto"><div class="vote">{{ r.text }}</div></td></tr>
        {%- endfor %}</tbody></table></div></details>
        """,
        rows=rows,
    )


def similar_html(found: Similar | None, run_name: str) -> Markup:
    if found is None or not found.rows:
        return NOTHING
    return html(
        """
        <p class="similar">Similar errors (nearest contribution vectors): {% for row, distance, query in rows -%}
        <a href="failures?{{ query }}" title="distance {{ distance|f(".2f") }}">{{ row }}</a>{{ "." if loop.last else " " }}
        {%- endfor %}<br>
        On the {{ r.n }} records with the same selected dimensions this judge is right {{ (100 * r.value)|f(".1f") }} % of the time
        (95 %: {{ (100 * r.low)|f(".1f") }} to {{ (100 * r.high)|f(".1f") }}).</p>
        """,
        rows=[(row, distance, urlencode({"run": run_name, "row": row})) for row, distance in found.rows],
        r=found.same_dimensions,
    )


def inspect_link(run_name: str, row: int) -> Markup:
    return html(
        '<a class="inspect-link" href="./?{{ query }}">Open in Inspect, with everything filled in</a>',
        query=urlencode({"run": run_name, "row": row}),
    )
