"""What came of a queue as HTML: agreement, changed minds, people against judges, wrong labels, judges scored again."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

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
from core.labels.queues import ORDERS
from core.labels.records import Progress, Queue
from core.runs.metrics import Rate


def queue_html(queue: Queue, progress: Progress, people: int, known: bool) -> str:
    """known: whether the reader is somebody; names are not for strangers."""
    a = queue.about
    opinions = f", {queue.overlap} opinions on each" if queue.overlap > 1 else ""
    data = " · ".join(html.escape(str(x)) for x in (a["title"], a["source"], f"data {a['data_hash']}") if x)
    by = f" · made by {html.escape(a['by'])}" if known else ""
    return (
        f"<h2>{html.escape(a['name'])}</h2><p>{queue.size:,} items{opinions}, {html.escape(ORDERS.get(a['order'], a['order']))}. "
        f"{progress.done:,} of {progress.total:,} verdicts given by {people:,} {'person' if people == 1 else 'people'}. "
        f'<a class="inspect-link" href="label?queue={html.escape(queue.id)}">Label it</a></p>'
        f'<p class="small">{data}{by}</p>'
    )


def results_html(summary: Summary, errors: ErrorRate, queue: Queue, known: bool) -> str:
    return (
        _errors(errors, queue.about["order"]) + _changes(summary.changes) + _judges(summary.judges)
        + _agreement(summary.first, summary.final, known) + _dimensions(summary.dimensions, queue.dimensions)
    )  # fmt: skip


def _errors(e: ErrorRate, order: str) -> str:
    fair = (
        "The queue is a random sample, so this estimates the share among all labels of the data on which people prefer one response; "
        "it leans to the easy ones while items are skipped or still open."
        if order == "random"
        else "The queue is not a random sample: this says how well it finds wrong labels, <b>not</b> how many the data has."
    )
    rest = f"Besides: {e.tie} ties, {e.bad} both bad, {e.unsure} cannot tell, {e.disputed} disputed."
    return (
        f"<h3>Are the labels wrong?</h3><p>By blind first verdicts people prefer another response than the label on {share_words(e.blind)}; "
        f'by final ones on {share_words(e.wrong)}. {fair}</p><p class="small">{rest}</p>'
    )


def _changes(c: Changes) -> str:
    where = f"{c.to_judge} toward the judge, {c.to_label} toward the old label, {c.to_both} toward both, {c.to_neither} elsewhere"
    return f"<h3>Did the reveal change minds?</h3><p>On {share_words(c.changed)}: {where}.</p>"


def _judges(judges: Sequence[AgainstJudge]) -> str:
    if not judges:
        return ""
    rows = "".join(
        f"<tr><td>{html.escape(j.judge)}</td><td>{share_words(j.agree)}</td><td>{coefficient_words(j.kappa)}</td>"
        f"<td>{_selected(j)}</td></tr>"
        for j in judges
    )
    head = "<tr><th>judge</th><th>agrees with blind verdicts</th><th>Cohen's κ</th><th>had selected what people named</th></tr>"
    return f"<h3>People against judges</h3>{_table(head, rows)}"


def _selected(judge: AgainstJudge) -> str:
    named = sum(s.n for s in judge.dimensions.values())
    hit = sum(s.k for s in judge.dimensions.values())
    return f"{hit} of {named} dimensions" if named else "no dimension named"


def _agreement(first: Agreement, final: Agreement, known: bool) -> str:
    rows = ""
    for name, a in (("blind first verdicts", first), ("final verdicts", final)):
        rows += f"<tr><td>{name}</td><td>{coefficient_words(a.alpha)}</td><td>{coefficient_words(a.fleiss)}</td></tr>"
    out = _table("<tr><th>all annotators</th><th>Krippendorff's α</th><th>Fleiss' κ</th></tr>", rows)
    if first.pairs and known:
        pairs = "".join(
            f"<tr><td>{html.escape(a)} and {html.escape(b)}</td><td>{coefficient_words(c)}</td></tr>"
            for (a, b), c in list(first.pairs.items())[:100]
        )
        out += _table("<tr><th>two annotators, blind</th><th>Cohen's κ</th></tr>", pairs)
    return f"<h3>Do people agree with each other?</h3>{out}"


def _dimensions(found: Sequence[DimensionAgreement], names: Mapping[str, str]) -> str:
    rows = "".join(
        f"<tr><td>{html.escape(names[d.key])}</td><td>{share_words(d.ticked)}</td><td>{coefficient_words(d.alpha)}</td></tr>"
        for d in found if d.ticked.k
    )  # fmt: skip
    head = "<tr><th>dimension</th><th>named</th><th>Krippendorff's α</th></tr>"
    return f"<h3>Which dimensions decided?</h3>{_table(head, rows)}" if rows else ""


def rescored_html(found: Sequence[Rescored]) -> str:
    """Each judge under the old and under the corrected labels."""
    if not found:
        return '<p class="small">The runs of this queue are not on this server any more.</p>'
    rows = "".join(
        f"<tr><td>{html.escape(r.judge)}</td><td>{rate_words(r.before)}</td><td>{rate_words(r.after)}</td>"
        f"<td>{r.changed:,}</td><td>{r.dropped:,}</td></tr>"
        for r in found
    )
    head = "<tr><th>judge</th><th>old labels</th><th>corrected labels</th><th>labels turned</th><th>rows dropped</th></tr>"
    return (
        f"<h3>The benchmark under the corrected labels</h3>{_table(head, rows)}"
        '<p class="small">Rows that nobody looked at keep their label; a tie of the judge counts as wrong. A row is dropped where people '
        "have no preference, cannot tell or disagree.</p>"
    )


def share_words(s: Share) -> str:
    if s.value is None or s.low is None or s.high is None:
        return "none yet"
    return f"{100 * s.value:.1f} % ({s.k:,} of {s.n:,}; 95 %: {100 * s.low:.1f} to {100 * s.high:.1f})"


def coefficient_words(c: Coefficient) -> str:
    if c.value is None:
        return html.escape(c.reason)
    span = f" (95 %: {c.low:.2f} to {c.high:.2f})" if c.low is not None and c.high is not None else ""
    return f"{c.value:.2f}{span}, {c.items:,} items"


def rate_words(r: Rate) -> str:
    return (
        f"{100 * r.value:.1f} % of {r.n:,} ({100 * r.low:.1f} to {100 * r.high:.1f})"
        if r.n
        else "nothing scored"
    )


def _table(head: str, rows: str) -> str:
    return f'<div class="wide" tabindex="0"><table class="ledger"><thead>{head}</thead><tbody>{rows}</tbody></table></div>'
