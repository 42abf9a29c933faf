"""What came of a queue as HTML: agreement, changed minds, people against judges, wrong labels, judges scored again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from app.common.html import NOTHING, html
from core.label_analysis.agreement import (
    AgainstJudge,
    Agreement,
    Changes,
    DimensionAgreement,
    ErrorRate,
    Summary,
)
from core.label_analysis.coefficients import Coefficient, Share
from core.label_analysis.corrections import Rescored
from core.labels.queues import NAMES
from core.labels.records import Progress, Queue
from core.runs.metrics import Rate


def queue_html(queue: Queue, progress: Progress, people: int, known: bool, neutral: str) -> Markup:
    """known: whether the reader is somebody; names are not for strangers. neutral: what annotators see it called."""
    a = queue.about
    return html(
        """
        <h2>{{ a["name"] }}</h2><p>{{ size|f(",") }} items
        {%- if overlap > 1 %}, {{ overlap }} opinions on each{% endif %}, {{ order }}.
        {{ p.done|f(",") }} of {{ p.total|f(",") }} verdicts given by {{ people|f(",") }} {{ "person" if people == 1 else "people" }}.
        <a class="inspect-link" href="label?queue={{ id|urlencode }}">Label it</a></p>
        <p class="small">{{ data }}{% if known %} · made by {{ a["by"] }}{% endif %} · annotators see it as “{{ neutral }}”</p>
        """,
        a=a, size=queue.size, overlap=queue.overlap, order=NAMES.get(a["order"], a["order"]), p=progress, people=people,
        id=queue.id, known=known, neutral=neutral, data=" · ".join(str(x) for x in (a["title"], a["source"], f"data {a['data_hash']}") if x),
    )  # fmt: skip


def results_html(summary: Summary, errors: ErrorRate, queue: Queue, known: bool) -> Markup:
    return (
        _errors(errors, queue.about["order"]) + _changes(summary.changes) + _judges(summary.judges)
        + _agreement(summary.first, summary.final, known) + _dimensions(summary.dimensions, queue.dimensions)
    )  # fmt: skip


def _errors(e: ErrorRate, order: str) -> Markup:
    fair = (
        html(
            "The queue is a random sample, so this estimates the share among all labels of the data on which people prefer one response; "
            "it leans to the easy ones while items are skipped or still open."
        )
        if order == "random"
        else html(
            "The queue is not a random sample: this says how well it finds wrong labels, <b>not</b> how many the data has."
        )
    )
    return html(
        """
        <h3>Are the labels wrong?</h3><p>By blind first verdicts people prefer another response than the label on {{ blind }};
        by final ones on {{ wrong }}. {{ fair }}</p>
        <p class="small">Besides: {{ e.tie }} ties, {{ e.bad }} both bad, {{ e.unsure }} cannot tell, {{ e.disputed }} disputed.</p>
        """,
        blind=share_words(e.blind),
        wrong=share_words(e.wrong),
        fair=fair,
        e=e,
    )


def _changes(c: Changes) -> Markup:
    return html(
        """
        <h3>Did the reveal change minds?</h3><p>On {{ changed }}: {{ c.to_judge }} toward the judge, {{ c.to_label }} toward the old label,
        {{ c.to_both }} toward both, {{ c.to_neither }} elsewhere.</p>
        """,
        changed=share_words(c.changed),
        c=c,
    )


def _judges(judges: Sequence[AgainstJudge]) -> Markup:
    if not judges:
        return NOTHING
    rows = [(j.judge, share_words(j.agree), coefficient_words(j.kappa), _selected(j)) for j in judges]
    head = ("judge", "agrees with blind verdicts", "Cohen's κ", "had selected what people named")
    return html("<h3>People against judges</h3>") + _table(head, rows)


def _selected(judge: AgainstJudge) -> str:
    named = sum(s.n for s in judge.dimensions.values())
    hit = sum(s.k for s in judge.dimensions.values())
    return f"{hit} of {named} dimensions" if named else "no dimension named"


def _agreement(first: Agreement, final: Agreement, known: bool) -> Markup:
    rows = [
        (name, coefficient_words(a.alpha), coefficient_words(a.fleiss))
        for name, a in (("blind first verdicts", first), ("final verdicts", final))
    ]
    out = _table(("all annotators", "Krippendorff's α", "Fleiss' κ"), rows)
    if first.pairs and known:
        pairs = [(f"{a} and {b}", coefficient_words(c)) for (a, b), c in list(first.pairs.items())[:100]]
        out += _table(("two annotators, blind", "Cohen's κ"), pairs)
    return html("<h3>Do people agree with each other?</h3>") + out


def _dimensions(found: Sequence[DimensionAgreement], names: Mapping[str, str]) -> Markup:
    rows = [
        (names.get(d.key, d.key), share_words(d.ticked), coefficient_words(d.alpha))
        for d in found
        if d.ticked.k
    ]
    table = _table(("dimension", "named", "Krippendorff's α"), rows)
    return html("<h3>Which dimensions decided?</h3>") + table if rows else NOTHING


def rescored_html(found: Sequence[Rescored]) -> Markup:
    """Each judge under the old and under the corrected labels."""
    if not found:
        return html('<p class="small">The runs of this queue are not on this server any more.</p>')
    rows = [
        (r.judge, rate_words(r.before), rate_words(r.after), f"{r.changed:,}", f"{r.dropped:,}")
        for r in found
    ]
    return html(
        """
        <h3>The benchmark under the corrected labels</h3>{{ table }}
        <p class="small">Rows that nobody looked at keep their label; a tie of the judge counts as wrong. A row is dropped where people
        have no preference, cannot tell or disagree.</p>
        """,
        table=_table(("judge", "old labels", "corrected labels", "labels turned", "rows dropped"), rows),
    )


def share_words(s: Share) -> str:
    if s.value is None or s.low is None or s.high is None:
        return "none yet"
    return f"{100 * s.value:.1f} % ({s.k:,} of {s.n:,}; 95 %: {100 * s.low:.1f} to {100 * s.high:.1f})"


def coefficient_words(c: Coefficient) -> str:
    if c.value is None:
        return c.reason
    span = f" (95 %: {c.low:.2f} to {c.high:.2f})" if c.low is not None and c.high is not None else ""
    return f"{c.value:.2f}{span}, {c.items:,} items"


def rate_words(r: Rate) -> str:
    return (
        f"{100 * r.value:.1f} % of {r.n:,} ({100 * r.low:.1f} to {100 * r.high:.1f})"
        if r.n
        else "nothing scored"
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    return html(
        """
        <div class="wide" tabindex="0"><table class="contributions"><thead><tr>{% for name in head %}<th>{{ name }}</th>{% endfor %}</tr></thead>
        <tbody>{% for row in rows %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>{% endfor %}</tbody></table></div>
        """,
        head=head,
        rows=rows,
    )
