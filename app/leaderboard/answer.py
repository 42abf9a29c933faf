"""The Leaderboard's first screen: which judge is best on what, and whether the difference is more than chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from app.common.html import NOTHING, html, signed
from core.runs.best import Best
from core.runs.metrics import Paired, Rate
from core.runs.run import Run
from core.runs.shared import Shared


def share(r: Rate) -> str:
    return f"{100 * r.value:.1f}\u00a0%"


def interval(r: Rate) -> str:
    return f"{100 * r.low:.1f} to {100 * r.high:.1f}"


def points(p: Paired) -> str:
    """The difference with its interval, in points."""
    return f"{signed(100 * p.difference, 1)} ({signed(100 * p.low, 1)} to {signed(100 * p.high, 1)})"


def _unsigned(difference: float) -> str:
    """In points; a minus where there is one, never in front of nothing."""
    return signed(100 * difference, 1).removeprefix("+")


def chance(p_value: float) -> str:
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.2g}"


def answer_html(found: Sequence[Best], shared: Shared | None, names: Mapping[str, str]) -> Markup:
    """One sentence. names: what the judges are called."""
    if not found or shared is None:
        return html(
            "<p>No judge has judged this yet{% if runs %}, only {{ runs }}{% endif %}.</p>",
            runs=", ".join(names.values()),
        )
    b = found[0]
    return html(
        """
        <p class="verdict">{% if b.second %}Best overall: {% elif b.firsts|length == 1 %}Only one judge: {% else %}Equally good: {% endif %}{{ first }}</p>
        <p>{{ share(b.first_rate) }} right of {{ b.n|f(",") }} records (95 %: {{ interval(b.first_rate) }}){{ ", equally often" if b.firsts|length > 1 }}.
        {%- if b.second %} Of the {{ judges }} judges on these same records the next, {{ second }}, is {{ behind }} points behind
        (95 %: {{ low }} to {{ high }}): <b>{{ "more than chance" if b.real else "chance could give as much" }}</b>, {{ p }} by McNemar's exact test.{% endif %}</p>
        {%- if left_out %}<p class="small">Not compared, as they judged other or fewer records: {{ left_out }}.</p>{% endif %}
        """,
        b=b, first=_listed(b, names), second=names.get(b.second, ""), p=chance(b.p_value), share=share, interval=interval, judges=len(shared.runs),
        behind=_unsigned(b.paired.difference) if b.paired else "", low=_unsigned(b.paired.low) if b.paired else "",
        high=_unsigned(b.paired.high) if b.paired else "", left_out=", ".join(r.name for r in shared.left_out.values()),
    )  # fmt: skip


def best_html(found: Sequence[Best], names: Mapping[str, str]) -> Markup:
    """The same for every group."""
    if len(found) < 2 or all(b.paired is None for b in found):
        return NOTHING
    return html(
        """
        <h2>Best on what</h2>
        <table class="contributions stacked" id="best-table"><thead><tr><th scope="col">on</th><th scope="col">best</th><th scope="col">right, 95 %</th><th scope="col">next</th>
        <th scope="col">right</th><th scope="col">difference in points, 95 %</th><th scope="col">more than chance?</th></tr></thead><tbody>
        {%- for b in found[1:] %}<tr><th scope="row">{{ b.what }} <span class="small">({{ b.n|f(",") }})</span></th>
<td class="head" data-label="best"><b>{{ listed(b, names) }}</b></td><td class="number tail" data-label="right, 95 %">{{ share(b.first_rate) }} ({{ interval(b.first_rate) }})</td>
        {%- if b.paired %}<td class="head" data-label="next">{{ names[b.second] }}</td><td class="number tail" data-label="right">{{ share(b.second_rate) }}</td>
        <td class="number" data-label="difference">{{ points(b.paired) }}</td><td class="number" data-label="more than chance?">{{ "yes" if b.real else "no" }}, {{ chance(b.p_value) }}</td>
        {%- else %}<td data-label="next">none: all are alike</td><td class="gone"></td><td class="gone"></td><td class="gone"></td>{% endif %}</tr>
        {%- endfor %}</tbody></table>
        <p class="small">All on the same records; a tie counts as wrong. Differences are paired (McNemar's exact test), corrected for the number of groups by
        Holm's method; each interval stands by itself. “No” means that chance could give as much, not that the judges are alike.</p>
        """,
        found=found, names=names, share=share, interval=interval, points=points, chance=chance, listed=_listed,
    )  # fmt: skip


def _listed(b: Best, names: Mapping[str, str]) -> str:
    return " and ".join(
        [", ".join(names[n] for n in b.firsts[:-1]), names[b.firsts[-1]]]
        if len(b.firsts) > 1
        else [names[b.first]]
    )


def names_of(runs: Mapping[str, Run]) -> dict[str, str]:
    """Two runs of the same name are told apart by their folder."""
    said = [r.name for r in runs.values()]
    return {n: r.name if said.count(r.name) == 1 else f"{r.name} ({n})" for n, r in runs.items()}
