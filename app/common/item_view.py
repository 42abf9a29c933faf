"""Parts of a record as HTML that several pages show: differences of two texts, contributions, critiques, image ablation."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from markupsafe import Markup, escape

from app.common.html import NOTHING, html, joined, signed
from core.records import ImageAblation, ImageUse, Judgement, letter

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
        <td class="{{ "" if v|signed == 0|signed else "for" if v > 0 else "against" }}">{{ v|signed }}</td></tr>
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
            "odds": "" if vote.log_odds is None else signed(vote.log_odds),
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
