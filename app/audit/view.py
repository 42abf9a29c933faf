"""The Audit page's rows: mark, reason, and the arithmetic behind them. Pure functions from the library's audits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pandas as pd
from markupsafe import Markup

from app.common.html import NOTHING, html
from core.benchmarks import BENCHMARKS
from core.benchmarks.audit import SIGNS, Audit, Mark
from core.benchmarks.pasted import MACRO, OVERALL, PLUS
from core.benchmarks.published import Published
from core.benchmarks.readings import INFERRED, NEAR, Fit, decimals, fewest_unscored, passes_by_chance

Audited = tuple[Published, Audit]
CLASSES = {Mark.ADDS_UP: "yes", Mark.PARTLY: "partly", Mark.DOES_NOT: "no", Mark.UNCHECKED: "open"}
SORTED_BY = {
    "published": "as published", "mark": "what does not add up first", "name": "by model", "overall": "highest overall first",
    "off": "furthest off first",
}  # fmt: skip
WORST = (Mark.DOES_NOT, Mark.PARTLY, Mark.UNCHECKED, Mark.ADDS_UP)


def off(audited: Audited) -> float:
    """How many points the overall or the macro is off; -1 where nothing can be said."""
    _, found = audited
    gaps = [f.overall_gap for f in (found.said,) if f] + [m.gap for m in (found.macro,) if m]
    return max(gaps, default=-1.0)


def ordered(rows: Sequence[Audited], sort: str) -> list[Audited]:
    """sort: one of SORTED_BY."""
    keys = {
        "mark": lambda r: WORST.index(r[1].mark), "name": lambda r: r[0].name.casefold(),
        "overall": lambda r: -float(r[0].overall or -1), "off": lambda r: -off(r),
    }  # fmt: skip
    return sorted(rows, key=keys[sort]) if sort in keys else list(rows)


def tally_html(rows: Sequence[Audited]) -> Markup:
    """The page's headline."""
    n = Counter(found.mark for _, found in rows)
    return html(
        """
        <p class="tally-line">{{ total }} published rows: <b class="mark yes">{{ yes }} add up</b>, <b class="mark partly">{{ partly }} partly</b>,
        <b class="mark no">{{ no }} do not</b>.</p>
        """,
        total=len(rows), yes=n[Mark.ADDS_UP], partly=n[Mark.PARTLY], no=n[Mark.DOES_NOT],
    )  # fmt: skip


def mark_choices(rows: Sequence[Audited]) -> list[tuple[str, str]]:
    n = Counter(found.mark for _, found in rows)
    return [(f"all ({len(rows)})", "all"), *((f"{SIGNS[m]} {m} ({n[m]})", m.value) for m in Mark if n[m])]


def rows_html(rows: Sequence[Audited], opened: str = "", said: str = "") -> Markup:
    """One folded line a row. opened: the key of the row that is unfolded. said: a sentence above them."""
    if not rows:
        said = "No row of this benchmark has this mark."
    return html(
        """
        {%- if said %}<p role="status">{{ said }}</p>{% endif %}
        <div class="audit-head" aria-hidden="true"><span>mark</span><span>model</span><span>benchmark</span><span>overall</span><span>why</span></div>
        {%- for row, found in rows %}
        <details class="audit-row" id="row-{{ row.key }}" data-row="{{ row.key }}"{% if row.key == opened %} open{% endif %}>
        <summary><span class="mark {{ classes[found.mark] }}"><span aria-hidden="true">{{ signs[found.mark] }}</span> {{ found.mark }}</span>
        <span class="model">{{ row.name }}</span><span class="of">{{ titles[row.benchmark] }}</span>
        <span class="overall"><span class="only-narrow">overall </span>{{ row.overall or "not given" }}</span><span class="why">{{ found.reason }}</span></summary>
        {{ arithmetic(row, found) }}</details>
        {%- endfor %}
        """,
        rows=rows, opened=opened, said=said, classes=CLASSES, signs=SIGNS, titles={n: b.title for n, b in BENCHMARKS.items()}, arithmetic=arithmetic_html,
    )  # fmt: skip


def arithmetic_html(row: Published, found: Audit) -> Markup:
    """What stands behind a verdict: every printed number beside what it would have to be."""
    said = found.said
    return html(
        """
        <div class="arithmetic">{% if found.sentences|length > 1 %}<p>{{ found.sentences[1:]|join(" ") }}</p>{% endif %}
        {%- if said %}
        <table class="contributions stacked"><caption>Each column over the groups of: {{ said.grouping }} ({{ "/".join(sizes) }} questions{{ ", partly inferred" if said.inferred }})</caption>
        <thead><tr><th scope="col">column</th><th scope="col">printed</th>{% if said.swapped %}<th scope="col">read as</th>{% endif %}<th scope="col">questions</th>
        <th scope="col">right answers that print so</th><th scope="col">a random number passes</th></tr></thead><tbody>
        {%- for c in columns %}<tr><th scope="row">{{ c.name }}</th><td data-label="printed">{{ c.printed }}</td>{% if said.swapped %}<td data-label="read as">{{ c.read_as }}</td>{% endif %}<td data-label="questions">{{ c.n }}</td>
        <td data-label="right answers that print so">{{ c.counts }}</td><td data-label="a random number passes">{{ c.chance }}</td></tr>{% endfor %}</tbody></table>
        <table class="contributions stacked"><caption>Overall, printed {{ row.overall }}</caption>
        <thead><tr><th scope="col">reading</th><th scope="col">columns allow</th><th scope="col">off by</th></tr></thead><tbody>
        {%- for r in readings %}<tr><th scope="row">{{ r.name }}</th><td data-label="columns allow">{{ r.allowed }}</td><td data-label="off by">{{ r.off }}</td></tr>{% endfor %}</tbody></table>
        {%- endif %}
        {%- if found.macro %}<p>Macro, printed {{ row.macro }}: the mean of the printed columns is {{ span(found.macro.allowed) }};
        {{ "it fits" if not found.macro.gap else "off by %.2f points" % found.macro.gap }}.</p>{% endif %}
        {%- if row.plus %}<p>Acc+, printed {{ row.plus }}.</p>{% endif %}
        {%- if unscored %}<p>{{ unscored }}</p>{% endif %}
        <p class="small">{% if row.link %}Source: <a href="{{ row.link }}" rel="noopener noreferrer">{{ row.source }}</a> ·
        <a class="permalink" href="audit?row={{ row.key }}">Link to this row</a>{% else %}Source: {{ row.source }}{% endif %}</p></div>
        """,
        row=row, found=found, said=said, span=_span, sizes=[str(n) for n in said.sizes.values()] if said else [],
        columns=_columns(row, said) if said else [], readings=_readings(found), unscored=_unscored(row, said),
    )  # fmt: skip


def _columns(row: Published, fit: Fit) -> list[dict[str, str]]:
    return [
        {
            "name": column, "printed": row.columns[column], "read_as": group, "n": f"{fit.sizes[group]:,}",
            "counts": _counts(fit.counts[group], fit.sizes[group]),
            "chance": f"{passes_by_chance(decimals(row.columns[column]), fit.sizes[group]):.0%} of the time",
        }
        for column, group in fit.read_as.items()
    ]  # fmt: skip


def _counts(counts: tuple[int, ...], n: int) -> str:
    if not counts:
        return "none"
    return f"{counts[0]}/{n}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]} of {n}"


def _readings(found: Audit) -> list[dict[str, str]]:
    """Every reading with the columns as printed, and the one spoken of."""
    shown = [f for f in found.fits if not f.swapped or f is found.said]
    return [
        {
            "name": f"{f.grouping}, {'/'.join(map(str, f.sizes.values()))}{', columns swapped' if f.swapped else ''}"
            if f.average == "micro" else f"plain mean of the columns ({f.grouping})",
            "allowed": _span(f.allowed), "off": "fits" if not f.overall_gap else f"{f.overall_gap:.2f} points",
        }
        for f in shown
    ]  # fmt: skip


def _span(ends: tuple[float, float]) -> str:
    low, high = (f"{v:.3f}" for v in ends)
    return low if low == high else f"{low} to {high}"


def _unscored(row: Published, fit: Fit | None) -> str:
    """Only where the overall does not fit: what leaving rows out would explain."""
    if fit is None or not fit.overall_gap or row.benchmark in INFERRED:
        return ""
    fewest, total = fewest_unscored(row, fit), sum(fit.sizes.values())
    if fewest is None:
        return "No number of unscored rows explains the overall."
    if fewest == 0:
        return "Within what rounding leaves open the overall fits; only whole counts of all rows do not."
    return f"Where unscored rows were left out, the columns and the overall agree only if at least {fewest:,} of {total:,} rows were."


def checked_html(rows: Sequence[Audited], notes: Sequence[str]) -> Markup:
    """Rows that somebody pasted, all unfolded where they are few."""
    if not rows:
        return NOTHING
    return html(
        """
        <div id="own-rows">{%- for row, found in rows %}
        <details class="audit-row"{% if rows|length < 4 %} open{% endif %}>
        <summary><span class="mark {{ classes[found.mark] }}"><span aria-hidden="true">{{ signs[found.mark] }}</span> {{ found.mark }}</span>
        <span class="model">{{ row.name }}</span><span class="of">{{ titles[row.benchmark] }}</span>
        <span class="overall"><span class="only-narrow">overall </span>{{ row.overall or "not given" }}</span><span class="why">{{ found.reason }}</span></summary>
        {{ arithmetic(row, found) }}</details>{%- endfor %}
        <ul class="small">{% for note in notes %}<li>{{ note }}</li>{% endfor %}</ul></div>
        """,
        rows=rows, notes=notes, classes=CLASSES, signs=SIGNS, titles={n: b.title for n, b in BENCHMARKS.items()}, arithmetic=arithmetic_html,
    )  # fmt: skip


def limits_html() -> Markup:
    """What the check can and cannot show."""
    return html(
        """
        <ul>
        <li><b>✔ adds up</b>: every column is a whole number of right answers out of its official number of questions, these sum to the printed
        overall, a printed macro is the mean of the columns, and Acc and Acc+ are whole counts too. Numbers may be rounded or cut off.</li>
        <li><b>~ partly</b>: some reading known here fits or comes within {{ near }} points, with a reservation, which the line names: other groups than the
        official ones, a plain mean for an overall, columns that fit only when swapped, sizes that are not printed, a last digit, or a number that is not a whole count.</li>
        <li><b>✖ does not add up</b>: the overall is more than {{ near }} points from every reading known here, or the macro is not the mean of the columns.</li>
        </ul>
        <p>It is arithmetic and nothing else: a row that adds up may still be wrong, and one that does not may come of an honest reason.</p><ul>
        <li>Numbers that are not whole counts arise where a script leaves unscored rows out, where several runs are averaged, where a tie counts half, or
        where another copy of the data was used (VL-RewardBench on the hub has been reported with 1,247 of its 1,250 rows). What leaving rows out would take is worked out in each row.</li>
        <li>Readings known here: VL-RewardBench as in its own script (183/749/318), as in R1-Reward's (484/448/318) and as in UnifiedReward's (631/301/318);
        MM-RLHF-RewardBench 42/37/34/32/25, 170 pairs, 46 questions; an overall over all questions or, where no macro is printed, as the mean of the columns.</li>
        <li>Multimodal RewardBench prints no sizes of safety and VQA. Those used here (1,004 and 1,202; 506 without toxicity) were inferred from the eight rows of its
        README, so it proves nothing that those eight fit, and every row of it is called “partly” at the most.</li>
        <li>Few decimals prove little: with one decimal and 749 questions every number is a whole count. How often a random number would pass stands beside each column.</li>
        <li>Swapped columns are looked for only where three columns are printed with two decimals.</li></ul>
        """,
        near=NEAR,
    )


def table(rows: Sequence[Audited]) -> pd.DataFrame:
    """One line a row, as the downloads hold it; numbers as printed."""
    groups = list(dict.fromkeys(g for row, _ in rows for g in row.columns))
    return pd.DataFrame(
        [
            {
                "benchmark": row.benchmark, "name": row.name, "mark": str(found.mark), "verdict": found.verdict,
                "comparable": found.comparable, "read as": found.said.grouping if found.said else "",
                "points off": round(off((row, found)), 4) if off((row, found)) >= 0 else None,
                **{g: row.columns.get(g, "") for g in groups}, OVERALL: row.overall or "", MACRO: row.macro or "", PLUS: row.plus or "",
                "source": row.source, "link": row.link, "key": row.key,
            }
            for row, found in rows
        ]
    )  # fmt: skip
