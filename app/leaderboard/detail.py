"""One run in detail: its numbers with their denominators, what was read, and how it differs from another run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup

from app.common import words
from app.common.html import NOTHING, html
from core.records import Condition
from core.runs import leaderboard
from core.runs.criteria import Criteria
from core.runs.metrics import Rate
from core.runs.run import Run
from core.runs.stats import Provenance
from core.runs.verifiability import Verifiability
from core.runs.votes import Share

TIES = {
    "wrong": "a tie counts as wrong (strict)", "half": "a tie counts half", "dropped": "ties excluded",
    "coin": "random tie-breaking (seed 123)",
}  # fmt: skip


def detail_html(chosen: Run, e: leaderboard.Entry, ties: str) -> Markup:
    o = e.reports[0].overall
    return html(
        """
        {%- if outside %}<div class="warning" role="alert">{{ outside }}</div>{% endif %}
        <p><b>{{ name }}</b>: {{ overall }}, {{ ties }}.
        {%- if plus %} Acc+ {{ (100 * plus.value)|f(".2f") }} ({{ plus.points|f("g") }}/{{ plus.n }}).{% endif %}</p>
        <p class="small">Rows: {{ counts }}. Text-only baselines on the same labels: {{ controls }}.</p>
        <div class="wide"><table class="contributions"><thead><tr><th>grouping</th><th>groups</th><th>macro</th></tr></thead><tbody>
        {%- for r, groups, macro in rows %}<tr><td>{{ r.grouping }}</td><td>{{ groups }}</td><td>{{ macro }}</td></tr>{% endfor %}
        </tbody></table></div>
        <p class="small">Data: {{ m.source }} {{ m.data_revision }}, hash {{ m.stats.get("data_hash", "") }};
        images {{ m.condition }}{% if m.blank %} ({{ m.blank }}){% endif %}; weights {{ m.judge.fingerprint or "none" }}; code {{ m.code }}.
        Dimensions: accuracy on {{ means }}.</p>
        """,
        name=chosen.name, m=chosen.manifest, outside=None if chosen.manifest.condition is Condition.BLANK else words.outside_share(*e.outside), ties=TIES[ties], means=e.by_dimension_means,
        overall=(
            f"overall {100 * o.value:.2f} % ({o.points:g}/{o.n}; 95 %: {100 * o.low:.1f} to {100 * o.high:.1f})"
            if o.n else "nothing was scored"
        ),
        plus=e.plus if e.plus and e.plus.n else None,
        counts=", ".join(f"{n:,} {name}" for name, n in o.counts.items() if n),
        controls=", ".join(f"{n} {100 * r.value:.1f}" for n, r in e.controls.items() if r.n),
        rows=[(r, _groups(r.groups), f"{100 * r.macro:.2f}" if r.macro is not None else r.refused) for r in e.reports],
    )  # fmt: skip


def verifiable_html(found: Verifiability | None) -> Markup:
    """Rule, model and hybrid on the same rows, by whether a rule can check them."""
    if found is None:
        return NOTHING
    return html(
        """
        <h2>By what a rule can check</h2>
        <div class="wide"><table class="contributions"><thead><tr><th>judge</th>
        {%- for part, n in rows.items() %}<th>{{ part }} ({{ n|f(",") }} rows)</th>{% endfor %}</tr></thead><tbody>
        {%- for name, rates in table.items() %}<tr><td>{{ name }}</td>
        {%- for part in rows %}<td>{{ said(rates[part]) }}</td>{% endfor %}</tr>{% endfor %}
        </tbody></table></div>
        <p class="small">Which rows a rule is sure of is read off the run “{{ rules }}”; rules are deterministic. In per cent, with 95 % intervals.</p>
        """,
        rows=found.rows, table=found.table, rules=found.rules,
        said=lambda r: f"{100 * r.value:.1f} [{100 * r.low:.1f}, {100 * r.high:.1f}]" if r.n else "no rows",
    )  # fmt: skip


def criteria_html(criteria: Sequence[Criteria]) -> Markup:
    """Several labels an item: what holds of all of them together."""
    if not criteria:
        return NOTHING
    return html(
        """
        <div class="wide"><table class="contributions" id="criteria"><thead><tr><th>split</th><th>right on all criteria of an item (PAcc)</th>
        <th>trade-off sensitivity (TOS)</th><th>conflict matching rate (CMR)</th><th>mean of the criteria</th></tr></thead><tbody>
        {%- for c in criteria %}<tr><td>{{ c.split }}</td><td>{{ share(c.pacc) }}</td><td>{{ share(c.tos) }}</td><td>{{ share(c.cmr) }}</td>
        <td>{{ (100 * c.macro)|f(".2f") }}</td></tr>{% endfor %}</tbody></table></div>
        {%- for c in criteria if c.left_out %}<p class="small">{{ c.split }}: {{ c.left_out|f(",") }} items left out, because a row of theirs was not judged or has no label.</p>{% endfor %}
        """,
        criteria=criteria,
        share=_share,
    )


def voting_html(votes: leaderboard.Voting | None) -> Markup:
    """Order effects, answers without a verdict, and majorities of K answers by the official rule."""
    if votes is None:
        return NOTHING
    return html(
        """
        <p>Order consistency {{ share(o.consistent) }} of pairs decided in both orders. Position preference: the response shown first is preferred
        in {{ share(o.first) }} of answers.
        {%- if o.undecided %} Answers without a verdict: {% for reason, n in o.undecided.items() %}{{ n|f(",") }} {{ reason }}{{ "" if loop.last else ", " }}{% endfor %}, of {{ o.answers|f(",") }}.{% endif %}</p>
        <div class="wide"><table class="contributions" id="votes"><thead><tr><th>K</th><th>accuracy</th><th>macro</th><th>right</th><th>wrong</th><th>without a verdict</th><th>split</th></tr></thead><tbody>
        {%- for at in curve %}<tr><td>{{ at.k }}</td><td>{% if at.overall.n %}{{ (100 * at.overall.value)|f(".2f") }} ({{ at.overall.points|f("g") }}/{{ at.overall.n }}){% endif %}</td>
        <td>{{ "" if at.macro is none else (100 * at.macro)|f(".2f") }}</td>{% for n in at.counts.values() %}<td>{{ n|f(",") }}</td>{% endfor %}</tr>{% endfor %}
        </tbody></table></div>
        <p class="small">Majorities as in VL-RewardBench's script: rows without a verdict and split rows are excluded.</p>
        """,
        o=votes.order, curve=votes.curve, share=_share,
    )  # fmt: skip


def _share(s: Share) -> str:
    return (
        f"{100 * s.value:.2f} % ({s.k:,}/{s.n:,}; 95 %: {100 * s.low:.1f} to {100 * s.high:.1f})"
        if s.n
        else "not measured"
    )


ROLES = {"prompt": "question"}


def provenance_html(provenance: dict[str, Any]) -> Markup:
    """What was understood of the run's data, and which rows were left out and why."""
    if not provenance:
        return NOTHING
    p = Provenance.model_validate(provenance)
    return html(
        """
        <details class="small" id="provenance" style="overflow-wrap: anywhere"><summary>How the data were read{% if p.format %}: {{ p.format }}{% endif %}</summary><ul>
        <li>Source: {{ p.source }}{% if p.revision %}, revision {{ p.revision }}{% endif %}</li>
        {%- for role, column in p.columns.items() %}<li>{{ roles.get(role, role)|capitalize }}: column {{ column }}</li>{% endfor %}
        {%- for decision in p.decisions %}<li>{{ decision }}</li>{% endfor %}
        {%- for note, n in p.notes.items() %}<li>{{ n|f(",") }} row{{ "" if n == 1 else "s" }}: {{ note }}</li>{% endfor %}
        {%- for line in p.left_out %}<li>Not judged: {{ line }}</li>{% endfor %}
        {%- for line in p.judged_all_the_same %}<li>Judged without a picture: {{ line }}</li>{% endfor %}
        </ul></details>
        """,
        p=p,
        roles=ROLES,
    )


def _groups(groups: dict[str, Rate]) -> str:
    if len(groups) >= 9:
        return f"{len(groups)} groups"
    return ", ".join(f"{g} {100 * v.value:.2f} ({v.points:g}/{v.n})" for g, v in groups.items() if v.n)


def findings_html(found: dict[str, Any], name: str) -> Markup:
    """What the data checks found, each with links to its rows."""
    if not found:
        return NOTHING
    return html(
        """
        <div class="small findings"><b>Data checks</b>
        {%- for kind, of_kind in found.items() %}
        <details><summary>{{ kind }}: {{ of_kind["count"]|f(",") }}</summary><ul>
        {%- for rows, detail in of_kind["first"][:10] %}
        <li>rows {% for r in rows[:6] %}<a href="failures?{{ query(r) }}">{{ r }}</a>{{ "" if loop.last else " " }}{% endfor %}: {{ detail }}</li>
        {%- endfor %}
        {%- if of_kind["count"] > 10 %}<li>and {{ (of_kind["count"] - 10)|f(",") }} more</li>{% endif %}</ul></details>
        {%- endfor %}</div>
        """,
        found=found,
        query=lambda row: urlencode({"run": name, "outcome": "everything", "row": row}),
    )


def paired_html(a: Run, b: Run) -> Markup:
    p = leaderboard.paired(a, b)
    if not p.n:
        return html('<p class="small">The two runs have no judged record in common.</p>')
    return html(
        """
        <p>Against {{ name }} on {{ p.n|f(",") }} common records: difference {{ (100 * p.difference)|signed }} points
        (95 %: {{ (100 * p.low)|signed }} to {{ (100 * p.high)|signed }}); only the first right {{ p.only_a|f(",") }}, only the second {{ p.only_b|f(",") }},
        both {{ p.both_right|f(",") }}, neither {{ p.both_wrong|f(",") }}; McNemar's exact test p = {{ p.p_value|f(".2g") }}.</p>
        """,
        name=b.name,
        p=p,
    )
