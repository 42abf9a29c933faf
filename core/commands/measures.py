"""The measures of a run in a terminal: accuracy, criteria, votes, each with its denominator."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.runs.criteria import Criteria
    from core.runs.leaderboard import Voting
    from core.runs.run import Run
    from core.runs.votes import Share


def lines(run: Run) -> list[str]:
    """Empty where nothing was scored."""
    from core.runs import leaderboard

    entry = leaderboard.entry(run)
    found, first = entry.reports[0].overall, entry.reports[0]
    if not found.n:
        return []
    out = [
        f"accuracy {100 * found.value:.2f} % ({found.points:g}/{found.n}; 95 %: {100 * found.low:.1f} to {100 * found.high:.1f}), a tie counts as wrong"
    ]
    out += [
        f"  {name}: {100 * rate.value:.2f} % ({rate.points:g}/{rate.n})"
        for name, rate in first.groups.items()
        if rate.n
    ]
    if first.macro is not None and len(first.groups) > 1:
        out.append(f"  macro average {100 * first.macro:.2f} %")
    for criteria in entry.criteria:
        out += _criteria(criteria)
    if votes := leaderboard.voting(run):
        out += _voting(votes)
    return out


def _criteria(c: Criteria) -> list[str]:
    out = [
        f"{c.split}: right on all criteria of an item (PAcc) {_share(c.pacc)}",
        f"  trade-off sensitivity (TOS) {_share(c.tos)} of items with conflicting labels",
        f"  conflict matching rate (CMR) {_share(c.cmr)} of conflicting pairs of criteria",
    ]
    if c.left_out:
        out.append(f"  {c.left_out:,} items left out: a row of theirs was not judged or has no label")
    return out


def _voting(v: Voting) -> list[str]:
    out = [
        f"order consistency {_share(v.order.consistent)} of pairs decided in both orders",
        f"position preference: the response shown first is preferred {_share(v.order.first)} of answers",
    ]
    if v.order.undecided:
        why = ", ".join(f"{n:,} {reason}" for reason, n in sorted(v.order.undecided.items()))
        out.append(f"answers without a verdict: {why}, of {v.order.answers:,}")
    for at in v.curve:
        macro = f", macro average {100 * at.macro:.2f} %" if at.macro is not None else ""
        value = (
            f"{100 * at.overall.value:.2f} % ({at.overall.points:g}/{at.overall.n})"
            if at.overall.n
            else "nothing was scored"
        )
        counts = ", ".join(f"{n:,} {what}" for what, n in at.counts.items() if n)
        out.append(f"Voting@{at.k} {value}{macro}; rows: {counts}")
    return out


def _share(s: Share) -> str:
    return (
        f"{100 * s.value:.2f} % ({s.k:,}/{s.n:,}; 95 %: {100 * s.low:.1f} to {100 * s.high:.1f})"
        if s.n
        else "not measured (0)"
    )
