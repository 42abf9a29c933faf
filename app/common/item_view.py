"""One record of a run as HTML: picture, responses side by side with their differences marked, and who said what.

All text is escaped here.
"""

from __future__ import annotations

import difflib
import html
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from PIL import Image

from app.common import heat
from core.records import Judgement, Reliance, letter
from core.runs.browse import Similar
from core.taxonomy import DIMENSIONS

LONGEST = 20_000  # characters of a response on the page
FOLDED = 600  # characters from which a critique is folded
DIFFED = 4_000  # words beyond which the differences are not looked for


def differences(a: str, b: str) -> tuple[str, str]:
    """Both texts as HTML, the words that the other does not have marked."""
    pieces = [re.findall(r"\s+|\w+|[^\w\s]", t[:LONGEST]) for t in (a, b)]
    if max(map(len, pieces)) > DIFFED:
        return html.escape(a[:LONGEST]), html.escape(b[:LONGEST])
    out: tuple[list[str], list[str]] = ([], [])
    for tag, i0, i1, j0, j1 in difflib.SequenceMatcher(
        None, pieces[0], pieces[1], autojunk=False
    ).get_opcodes():
        for side, words in ((0, pieces[0][i0:i1]), (1, pieces[1][j0:j1])):
            text = html.escape("".join(words))
            out[side].append(f"<mark>{text}</mark>" if tag != "equal" and text.strip() else text)
    return "".join(out[0]), "".join(out[1])


def item_html(
    stored: dict[str, Any], picture: Image.Image | None, judged: list[tuple[str, dict[str, Any], Judgement | None]],
    relies: Reliance | None = None,
) -> str:  # fmt: skip
    """stored: the row; judged: (judge's name, its stored row, its judgement) of one or two runs."""
    if not stored["responses"]:
        return f'<div class="warning" role="alert">{html.escape(stored["problem"] or "This row cannot be read.")}</div>'
    problem = (
        f'<div class="warning" role="alert">{html.escape(stored["problem"])}</div>'
        if stored["problem"]
        else ""
    )
    shown = (
        heat.img(heat.shrink(picture), "The picture of this record")
        if picture
        else '<p class="small">This run holds no picture of this record.</p>'
    )
    verdicts = "".join(_said(name, row, judgement) for name, row, judgement in judged)
    return (
        f'{problem}<div class="item"><div class="item-picture">{shown}</div><div class="item-text">'
        f'<p class="small">row {stored["row"]} · {html.escape(stored["id"])} · {html.escape(stored["subgroup"])}'
        f"{_decisive(stored)}</p>"
        f'<p class="prompt" dir="auto">{html.escape(stored["prompt"][:LONGEST])}</p>{_responses(stored)}{verdicts}{reliance_html(relies)}</div></div>'
    )


def reliance_html(relies: Reliance | None) -> str:
    """How far the margin rests on the picture; nothing where that is not known."""
    if relies is None:
        return ""
    other = f", with another picture {relies.other:+.2f}" if relies.other is not None else ""
    return (
        f'<p class="reliance"><span class="badge">{html.escape(relies.badge)}</span> margin with the picture '
        f"{relies.given:+.2f}, without it {relies.without:+.2f}{other}</p>"
    )


def _decisive(stored: dict[str, Any]) -> str:
    names = {d.key: d.name for d in DIMENSIONS}  # what the data say, not a judge
    return f" · decided by {html.escape(names[stored['decisive']])}" if stored["decisive"] in names else ""


def _responses(stored: dict[str, Any]) -> str:
    texts = stored["responses"]
    marked = list(differences(*texts)) if len(texts) == 2 else [html.escape(t[:LONGEST]) for t in texts]
    out = []
    for i, text in enumerate(marked):
        label = ' <span class="badge">preferred by the label</span>' if i == stored["preferred"] else ""
        cut = f'<p class="small">cut at {LONGEST:,} characters</p>' if len(texts[i]) > LONGEST else ""
        out.append(f'<div class="side"><b>{letter(i)}</b>{label}<p dir="auto">{text}</p>{cut}</div>')
    return f'<div class="sides">{"".join(out)}</div>'


def _said(name: str, row: dict[str, Any], judgement: Judgement | None) -> str:
    if not row["rewards"]:
        return f'<p class="said"><b>{html.escape(name)}</b> did not judge this row. {html.escape(row["problem"])}</p>'
    rewards = " · ".join(f"{letter(i)} {r:+.2f}" for i, r in enumerate(row["rewards"]))
    margin = f", margin of the preferred one {row['margin']:+.2f}" if row["margin"] is not None else ""
    text = f"<b>{html.escape(name)}</b>: {html.escape(row['outcome'])}{margin} ({rewards})"
    return f'<div class="said"><p>{text}</p>{_ledger(judgement, row) if judgement else ""}{critique_html(judgement)}</div>'


def _ledger(judgement: Judgement, row: dict[str, Any]) -> str:
    a = row["preferred"] if row["preferred"] is not None else judgement.ranking[0]
    return ledger(judgement, a, max((r, i) for i, r in enumerate(judgement.rewards) if i != a)[1])


def ledger(judgement: Judgement, a: int, b: int, names: Sequence[str] | None = None) -> str:
    """The selected dimensions: gate, weight, scores, and what each adds to the margin of a over b. names: of the
    responses; letters by default."""
    names = names or [letter(i) for i in range(len(judgement.rewards))]
    if not judgement.selected:
        return ""
    parts = judgement.contributions(a, b)
    head = "".join(f"<th>score {html.escape(names[i])}</th>" for i in range(len(judgement.rewards)))
    body = "".join(
        f"<tr><td>{html.escape(judgement.dimensions[d].name)}</td><td>{judgement.relevance[d]:.2f}</td><td>{judgement.weights[d]:.2f}</td>"
        + "".join(f"<td>{s[d]:+.2f}</td>" for s in judgement.scores)
        + f'<td class="{"for" if v > 0 else "against"}">{v:+.2f}</td></tr>'
        for d, v in sorted(parts.items(), key=lambda kv: kv[1])
    )
    return (
        f'<table class="ledger"><thead><tr><th>dimension</th><th>gate</th><th>weight</th>{head}'
        f"<th>adds to {html.escape(names[a])} − {html.escape(names[b])}</th></tr></thead><tbody>{body}</tbody></table>"
    )


def critique_html(judgement: Judgement | None) -> str:
    """What a judge that writes said, folded where it is long; its votes with the order that each was shown."""
    if judgement is None or not (judgement.critique or judgement.votes):
        return ""
    text = html.escape(judgement.critique[:LONGEST])
    said = f'<p class="critique" dir="auto">{text}</p>'
    if len(judgement.critique) > FOLDED:
        said = f'<details class="critique"><summary>Critique ({len(judgement.critique):,} characters)</summary>{said}</details>'
    return (said if judgement.critique else "") + _votes(judgement)


def _votes(judgement: Judgement) -> str:
    if not judgement.votes:
        return ""
    rows = []
    for vote in judgement.votes:
        chosen = "no answer could be read" if vote.choice is None else f"for {letter(vote.choice)}"
        odds = "" if vote.log_odds is None else f"{vote.log_odds:+.2f}"
        shown = " ".join(letter(i) for i in vote.order)
        text = html.escape(vote.text[:LONGEST])
        rows.append(
            f"<tr><td>{shown}</td><td>{chosen}</td><td>{odds}</td><td dir='auto'><div class='vote'>{text}</div></td></tr>"
        )
    count = len(judgement.votes)
    return (
        f'<details class="votes"><summary>{count} {"vote" if count == 1 else "votes"}</summary><div class="wide"><table '
        'class="ledger"><thead><tr><th>shown as</th><th>verdict</th><th>log-odds</th><th>text</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div></details>"
    )


def similar_html(found: Similar | None, run_name: str) -> str:
    if found is None or not found.rows:
        return ""
    links = " ".join(
        f'<a href="failures?{urlencode({"run": run_name, "row": row})}" title="distance {distance:.2f}">{row}</a>'
        for row, distance in found.rows
    )
    r = found.same_dimensions
    return (
        f'<p class="similar">This loss looks like these {len(found.rows)} (nearest contributions first): {links}.<br>'
        f"On the {r.n} records with the same selected dimensions this judge is right {100 * r.value:.1f} % of the time "
        f"(95 %: {100 * r.low:.1f} to {100 * r.high:.1f}).</p>"
    )


def inspect_link(run_name: str, row: int) -> str:
    query = urlencode({"run": run_name, "row": row})
    return f'<a class="inspect-link" href="./?{query}">Open in Inspect, with everything filled in</a>'
