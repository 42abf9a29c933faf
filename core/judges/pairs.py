"""From answers about pairs, in both orders, to one reward a response.

The margin of a pair is the mean over both orders of the log-odds that the judge gives the one against the other. Where it
gives none, the log-odds of its votes stand in: log (k + 1/2) - log (n - k + 1/2). With more than two responses every
pair is asked, and a response's reward is the mean of its margins against all (its own, 0, among them).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from core.records import Vote


def pair_margin(votes: Sequence[Vote], i: int, j: int) -> float:
    """For i against j; NaN where no answer decides. Exactly minus that of j against i."""
    orders = [[v for v in votes if v.order == order] for order in ((i, j), (j, i))]
    given = [[v.log_odds for v in answers if v.log_odds is not None] for answers in orders]
    if all(given):
        ahead, behind = (fmean(values) for values in given)
        return (ahead - behind) / 2
    counted = [_of_votes(answers) for answers in orders]
    signed = [value if n == 0 else -value for n, value in enumerate(counted) if value is not None]
    if not signed:
        return math.nan
    return signed[0] if len(signed) == 1 else (signed[0] + signed[1]) / 2


def _of_votes(answers: Sequence[Vote]) -> float | None:
    """Log-odds of the votes for the response shown first, in one order."""
    first = sum(v.choice == v.order[0] for v in answers)
    second = sum(v.choice == v.order[1] for v in answers)
    return math.log(first + 0.5) - math.log(second + 0.5) if first + second else None


def rewards_of(n: int, votes: Sequence[Vote]) -> tuple[float, ...]:
    """(n,) rewards, all NaN where no pair was decided. Of two responses they are half the margin and minus that. Sums are
    exactly rounded, so that the order in which responses stand changes nothing."""
    margins = {(i, j): pair_margin(votes, i, j) for i in range(n) for j in range(i + 1, n)}
    if all(map(math.isnan, margins.values())):
        return (math.nan,) * n
    known = {pair: m for pair, m in margins.items() if not math.isnan(m)}
    return tuple(
        math.fsum(
            [m for (i, _), m in known.items() if i == k] + [-m for (_, j), m in known.items() if j == k]
        )
        / n
        for k in range(n)
    )


def chosen(rewards: Sequence[float]) -> int | None:
    """The response with the highest reward; None on a tie or without rewards."""
    if not rewards or any(map(math.isnan, rewards)):
        return None
    best = max(rewards)
    return None if list(rewards).count(best) > 1 else list(rewards).index(best)


def shown_critique(votes: Sequence[Vote], choice: int | None) -> str:
    """The text to show: the first one that decides as the judge did in the end, else the first one there is."""
    agreeing = [v.text for v in votes if v.text and v.choice is not None and v.choice == choice]
    return next(iter(agreeing or [v.text for v in votes if v.text]), "")
