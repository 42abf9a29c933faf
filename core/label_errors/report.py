"""A report of likely label errors as Markdown, ready to be posted where the data set is discussed.

Texts of the data stand in fences longer than any run of backticks in them; names and sentences are escaped. Nothing that
a data set, a run or an annotator holds becomes markup, a link or a mention.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from core.label_errors.issue import LabelIssue
from core.label_errors.words import reason_words
from core.records import Condition, letter
from core.runs.run import Run

PROMPT, RESPONSE = 600, 1500  # characters shown
TIERS = ("contradict another row", "are repeated rows or ids", "have nothing against them but the judges")
HOW = (
    "Rows whose labels contradict each other come first, then repeated rows and ids, then all others. Inside each, rows "
    "are ordered by an estimate of how likely the label is wrong: a logistic regression of the labels on the judges' "
    "margins, fitted on other rows than those it is used on. It is an estimate by models, not a finding: a label is "
    "only wrong when somebody who looks at the picture says so."
)
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]"
)  # controls, and those that turn text around
COLUMNS = ("row", "key", "id", "subgroup", "prompt", "responses", "stored", "preferred")


def report(
    runs: Sequence[Run], found: Sequence[LabelIssue], most: int, confirmed: Mapping[int, str] | None = None
) -> str:
    """The first `most` of `found`, as `core.label_errors.ranking.label_issues(runs)` gave them. confirmed: row -> what people said."""
    used = [r for r in runs if r.manifest.condition is not Condition.SHUFFLED]
    shown = found[:most]
    rows = used[0].rows([s.row for s in shown], COLUMNS)
    parts = [_head(used, found, len(shown), confirmed)]
    for number, issue in enumerate(shown, 1):
        parts.append(_section(number, issue, rows[issue.row], (confirmed or {}).get(issue.row)))
    return "\n\n".join(parts) + "\n"


def _head(
    used: Sequence[Run], found: Sequence[LabelIssue], shown: int, confirmed: Mapping[int, str] | None
) -> str:
    m = used[0].manifest
    lines = [
        f"# Likely label errors in {plain(m.title)}",
        "",
        f"- Data: {code(m.benchmark)}, source {code(m.source)}, revision {code(m.data_revision or 'unknown')}, "
        f"data hash {code(str(m.stats.get('data_hash', 'unknown')))}",
        f"- Labelled comparisons: {len(found):,}; the first {shown:,} are shown",
    ]
    lines += [f"  - {sum(s.tier == i for s in found):,} {words}" for i, words in enumerate(TIERS)]
    if confirmed is not None:
        lines.append(f"- Looked at by people: {sum(s.row in confirmed for s in found):,}")
    lines.append("- Judges:")
    lines += [
        f"  - {plain(_judge(r))}, weights {code(r.manifest.judge.fingerprint or 'none')}, code {code(r.manifest.code or 'unknown')}"
        for r in used
    ]
    lines += [f"  - {line}" for run in used for line in _left_out(run)]
    return "\n".join([*lines, "", HOW])


def _section(number: int, issue: LabelIssue, row: dict[str, Any], people: str | None) -> str:
    wrong = "unknown" if issue.wrong is None else "over 99%" if issue.wrong > 0.99 else f"{issue.wrong:.0%}"
    preferred = row["preferred"]
    lines = [
        f"## {number}. Row {issue.row}",
        "",
        f"- id {code(row['id'])}, content key {code(row['key'])}"
        + (f", subgroup {code(row['subgroup'])}" if row["subgroup"] else ""),
        f"- The label prefers response {letter(preferred)}{_place(row['stored'], preferred)}; estimated to be wrong: {wrong}",
    ]
    lines += [f"- {plain(reason_words(reason))}" for reason in issue.reasons]
    if people is not None:
        lines.append(f"- **People:** {plain(people)}")
    lines += ["", "Prompt:", "", fence(row["prompt"], PROMPT)]
    for i, text in enumerate(row["responses"]):
        label = ", preferred by the label" if i == preferred else ""
        lines += ["", f"Response {letter(i)}{label}:", "", fence(text, RESPONSE)]
    return "\n".join(lines)


def _place(stored: Sequence[int] | None, preferred: int) -> str:
    return f" (number {stored[preferred] + 1} in the file)" if stored else ""


def plain(text: str) -> str:
    """One line in which nothing is markup, a link or a mention."""
    line = " ".join(_UNSEEN.sub("", text).split())
    line = re.sub(r"([\\`*_\[\]#|~$!])", r"\\\1", line)
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("@", "&#64;")
    return re.sub(r"(?i)\b(www)\.", r"\1\\.", line.replace("://", r"\://"))


def code(text: str) -> str:
    """One line as inline code."""
    line = " ".join(_UNSEEN.sub("", text).split()) or "(empty)"
    ticks = "`" * (_longest(line) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{ticks}{pad}{line}{pad}{ticks}"


def fence(text: str, most: int) -> str:
    """The text, cut after `most` characters, in a fence that it cannot close."""
    text = _UNSEEN.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    more = f"\n… ({len(text) - most:,} more characters)" if len(text) > most else ""
    ticks = "`" * max(3, _longest(text) + 1)
    return f"{ticks}text\n{text[:most]}{more}\n{ticks}"


def _longest(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)


def _left_out(run: Run) -> list[str]:
    """What a run has no say in."""
    name = plain(_judge(run))
    if run.manifest.judge.kind == "rule":
        return [f"{name} is a rule over the texts: it takes no part in the estimates and accuses no label"]
    if run.manifest.condition is Condition.BLANK:
        return []
    measured = [o for o in run.table(["ood"])["ood"].to_pylist() if o is not None]
    if not any(measured):
        return []
    return [
        f"{sum(measured):,} of {len(measured):,} images are out of distribution for {name}: what it says of those rows is left out"
    ]


def _judge(run: Run) -> str:
    m = run.manifest
    return m.judge.name + ("" if m.condition is Condition.AS_GIVEN else f" ({m.condition})")
