"""Verdicts and warnings in plain words."""

from __future__ import annotations

from core.labels.records import Queue
from core.records import Comparison, Familiarity, Judgement
from core.taxonomy import DIMENSIONS

LETTERS = "ABCD"
TIE = 5e-3  # rewards nearer than this are called a tie on the page


def verdict(comparison: Comparison, judgement: Judgement, a: int, b: int) -> str:
    """One sentence about the pair a, b."""
    if comparison.responses[a].strip() == comparison.responses[b].strip():
        return f"A tie: {LETTERS[a]} and {LETTERS[b]} are the same text."
    margin = judgement.margin(a, b)
    if abs(margin) < TIE:
        return f"A tie: the model sees no difference between {LETTERS[a]} and {LETTERS[b]}."
    winner, loser = (a, b) if margin > 0 else (b, a)
    parts = sorted(judgement.contributions(winner, loser).items(), key=lambda item: -item[1])
    return f"{LETTERS[loser]} lost by {abs(margin):.2f}, {_because(parts, abs(margin))}."


def _because(parts: list[tuple[int, float]], margin: float) -> str:
    (top, value), (second, next_value) = parts[0], parts[1] if len(parts) > 1 else (0, 0.0)
    dimension = DIMENSIONS[top]
    share = value / margin
    if share > 1.15:
        return (
            f"all of it on {dimension.name}: it {dimension.fault}. "
            f"{DIMENSIONS[parts[-1][0]].name} spoke for it, but not enough"
        )
    if share >= 0.8:
        return f"almost all of it on {dimension.name}: it {dimension.fault}"
    if share >= 0.5:
        return f"mostly on {dimension.name}: it {dimension.fault}"
    del next_value
    return f"on {dimension.name} and {DIMENSIONS[second].name} together"


def reward_line(judgement: Judgement) -> str:
    best = judgement.ranking[0]
    return "  ·  ".join(
        f"{LETTERS[i]} {judgement.rewards[i]:+.2f}{' ◂ best' if i == best else ''}"
        for i in range(len(judgement.rewards))
    )


def warning(familiarity: Familiarity | None) -> str | None:
    """Said when a picture lies outside the embedded model's world."""
    if familiarity is None or not familiarity.unfamiliar:
        return None
    return (
        "This picture is outside the world this model knows, so what follows is not to be believed. The embedded "
        "model has only ever seen drawings of its own scene world; load a real checkpoint with --model to judge "
        f"photographs. (Unfamiliarity {familiarity.score:.1f}, threshold {familiarity.threshold:.1f}. {familiarity.about})"
    )


def about(info: dict) -> str:
    """What the model is and is not, as Markdown."""
    size = info["parameters"] / 1e6
    size_words = f"{size:.1f} million" if size < 1000 else f"{size / 1000:.1f} billion"
    lines = [
        f"**{info['name']}** · {size_words} parameters · backbone `{info['backbone']}` · {info['device']}, {info['dtype']}",
    ]
    if info.get("trained_on"):
        lines.append(f"Trained on: {info['trained_on']}.")
    if info.get("embedded"):
        lines.append(
            "It is small, real and narrow: the same classes as a 7B checkpoint, trained on shapes, charts, tables, "
            "signs, bottles and arrow diagrams that this project draws. It knows nothing else. On anything else its "
            "numbers mean nothing, and the page says so."
        )
    lines.append(
        "The 21 dimensions are this project's own list: the paper behind VL-MDR (arXiv 2604.05445) does not publish its names."
    )
    return "\n\n".join(lines)


def queue_title(queue: Queue) -> str:
    """A queue in a menu."""
    return f"{queue.about['name']} ({queue.size:,}, {queue.about['order']})"
