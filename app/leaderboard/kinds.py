"""The kinds of judges side by side on the same records: what accuracy costs, and what of a judgement one can look at."""

from __future__ import annotations

import math
from collections.abc import Mapping

from markupsafe import Markup

from app.common.html import html, signed
from app.leaderboard.answer import chance, interval, points, share
from core.runs.paradigms import Member, Paradigms

KINDS = {
    "rule": "rules", "scalar": "scalar", "gated": "gated dimensions", "hybrid": "hybrid: rules, then a model", "generative": "reasoning",
    "remote": "reasoning, over the network",
}  # fmt: skip
EXPLAINS = {
    "rule": "the rule that decided, and what it found in the answer; nothing where no rule is sure",
    "scalar": "words and regions that move its one reward; not why",
    "gated": "which dimensions applied, what each adds to the margin, and the words and regions behind each",
    "hybrid": "whether a rule or the model decided, and what each adds to the margin",
    "generative": "its written reason, which need not be what decided; its answer in both orders",
    "remote": "its written reason, which need not be what decided; its answer in both orders",
}


def kinds_html(found: Paradigms | None, names: Mapping[str, str]) -> Markup:
    if found is None:
        return html(
            "<p>There are not two kinds of judges that judged the same records of this benchmark.</p>"
        )
    return html(
        """
        <p>{{ n|f(",") }} records that all of these judged. Differences are to <b>{{ names[found.reference] }}</b>, which none is more accurate than, record by record.</p>
        <table class="contributions stacked" id="kinds-table"><thead><tr><th scope="col">kind</th><th scope="col">judge</th><th scope="col">right, 95 %</th><th scope="col">difference, 95 %</th>
        <th scope="col">calibration error</th><th scope="col">cost of a comparison</th><th scope="col">what it can explain</th></tr></thead><tbody>
        {%- for m in found.members %}<tr><th scope="row">{{ kinds[m.run.manifest.judge.kind] }}</th><td data-label="judge">{{ names[m.name] }}</td>
        <td data-label="right, 95 %">{{ accuracy(m) }}</td><td data-label="difference, 95 %">{{ difference(m) }}</td><td data-label="calibration error">{{ error(m) }}</td>
        <td data-label="cost">{{ cost(m) }}</td><td data-label="explains">{{ explains(m) }}</td></tr>{% endfor %}</tbody></table>
        {%- if left_out %}<p class="small">Not compared, as they judged other or fewer records: {{ left_out }}.</p>{% endif %}
        <p class="small">A tie counts as wrong. Difference: paired, with McNemar's exact test, not corrected for the number of judges. Calibration error: the expected
        calibration error of σ(|margin|) in ten bins, on the records with a margin that is not 0; its difference by a paired bootstrap on those that both decide. A margin
        that was not fitted to be a log-odds need not be calibrated. Cost: seconds of the run by its rows, on the machine it was made on, pictures and writing to disk
        included; too low for a run that was stopped and continued.</p>
        """,
        found=found, n=found.shared.n, names=names, kinds=KINDS, accuracy=_accuracy, difference=_difference, error=_error, cost=_cost,
        explains=_explains, left_out=", ".join(r.name for r in found.shared.left_out.values()),
    )  # fmt: skip


def _accuracy(m: Member) -> str:
    text = f"{share(m.accuracy)} ({interval(m.accuracy)})"
    decided = m.calibration
    if decided.n and decided.n < m.accuracy.n:
        text += f"; where it decides, {decided.n:,} records: {share(decided.accuracy)} ({interval(decided.accuracy)})"  # fmt: skip
    return text


def _difference(m: Member) -> str:
    return f"{points(m.paired)}, {chance(m.paired.p_value)}" if m.paired else "the reference"


def _error(m: Member) -> str:
    c = m.calibration
    if math.isnan(c.error):
        return "no margins"
    text = f"{c.error:.3f}" + (f" on {c.n:,}" if c.n < m.accuracy.n else "")
    if m.calibrated:
        d = m.calibrated
        text += f"; {signed(d.value, 3)} ({signed(d.low, 3)} to {signed(d.high, 3)})"
    return text


def _cost(m: Member) -> str:
    card = m.run.manifest.judge
    parts = [f"{1000 * m.seconds:,.0f} ms" if m.seconds is not None and m.seconds < 10 else f"{m.seconds:.1f} s"] if m.seconds is not None else []  # fmt: skip
    if m.answers:
        parts.append(f"{m.answers:.1f} texts written")
    if card.parameters:
        parts.append(f"{card.parameters / 1e6:,.1f} M parameters")
    if card.device:
        parts.append(f"on {card.device}")
    return ", ".join(parts) or "not kept"


def _explains(m: Member) -> str:
    text = EXPLAINS.get(m.run.manifest.judge.kind, "")
    if m.run.manifest.judge.kind == "gated":
        text += f" ({m.dimensions} dimensions)"
    if m.sure is not None:
        text += f" (a rule decides {100 * m.sure:.1f} % of the records)"
    if m.run.manifest.judge.kind in ("generative", "remote"):
        text += f" (a reason for {100 * m.critiques:.0f} % of the records)"
    return text
