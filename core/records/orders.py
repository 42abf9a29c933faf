"""Which response the answers of a judge that writes prefer in each order, and whether it is the same one in both."""

from __future__ import annotations

from collections.abc import Sequence

from core.records.judgement import Vote


def side(votes: Sequence[Vote]) -> int | None:
    """The response that the answers of one order prefer: by their log-odds where all that decide have them, else by count;
    None where they do not decide."""
    decided = [v for v in votes if v.choice is not None or v.log_odds is not None]
    if not decided:
        return None
    if all(v.log_odds is not None for v in decided):
        total = sum(v.log_odds or 0.0 for v in decided)
    else:
        total = sum((v.choice == v.order[0]) - (v.choice == v.order[1]) for v in decided)
    return votes[0].order[0] if total > 0 else votes[0].order[1] if total < 0 else None


def sides(votes: Sequence[Vote], a: int, b: int) -> tuple[int | None, int | None]:
    """Which of the two is preferred with a shown first, and with b shown first."""
    first, second = ([v for v in votes if v.order == order] for order in ((a, b), (b, a)))
    return side(first), side(second)


def decided_pairs(votes: Sequence[Vote]) -> list[tuple[int, int]]:
    """(winner as shown in order i < j, winner in the other order) of each pair that decides in both."""
    pairs = sorted({(min(v.order), max(v.order)) for v in votes if len(v.order) == 2})
    found = [sides(votes, i, j) for i, j in pairs]
    return [(x, y) for x, y in found if x is not None and y is not None]


def depends_on_order(votes: Sequence[Vote]) -> bool | None:
    """Of one record: whether some pair's winner is another one in the other order. None where no pair decides in both."""
    found = decided_pairs(votes)
    return None if not found else any(x != y for x, y in found)
