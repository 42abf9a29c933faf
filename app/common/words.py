"""Verdicts and warnings in plain words."""

from __future__ import annotations

from core.labels.records import Queue
from core.records import Comparison, JudgeCard, Judgement, OODScore, letter
from core.taxonomy import DIMENSIONS

BOXES = 4  # responses that a page has room for
TIE = 5e-3  # rewards nearer than this are called a tie on the page


def verdict(comparison: Comparison, judgement: Judgement, a: int, b: int) -> str:
    """One sentence about the pair a, b."""
    if comparison.responses[a].strip() == comparison.responses[b].strip():
        return f"A tie: {letter(a)} and {letter(b)} are the same text."
    margin = judgement.margin(a, b)
    if abs(margin) < TIE:
        return f"A tie: the model sees no difference between {letter(a)} and {letter(b)}."
    winner, loser = (a, b) if margin > 0 else (b, a)
    parts = sorted(judgement.contributions(winner, loser).items(), key=lambda item: -item[1])
    if not parts:
        return f"{letter(loser)} lost by {abs(margin):.2f}."
    return f"{letter(loser)} lost by {abs(margin):.2f}, {_because(judgement, parts, abs(margin))}."


def _because(judgement: Judgement, parts: list[tuple[int, float]], margin: float) -> str:
    (top, value), (second, next_value) = parts[0], parts[1] if len(parts) > 1 else (0, 0.0)
    dimension = judgement.dimensions[top]
    share = value / margin
    if share > 1.15:
        return (
            f"all of it on {dimension.name}: it {dimension.fault}. "
            f"{judgement.dimensions[parts[-1][0]].name} spoke for it, but not enough"
        )
    if share >= 0.8:
        return f"almost all of it on {dimension.name}: it {dimension.fault}"
    if share >= 0.5:
        return f"mostly on {dimension.name}: it {dimension.fault}"
    del next_value
    return f"on {dimension.name} and {judgement.dimensions[second].name} together"


def reward_line(judgement: Judgement) -> str:
    best = judgement.ranking[0]
    return "  ·  ".join(
        f"{letter(i)} {judgement.rewards[i]:+.2f}{' ◂ best' if i == best else ''}"
        for i in range(len(judgement.rewards))
    )


def warning(ood: OODScore | None) -> str | None:
    """Said when a picture lies outside the embedded model's world."""
    if ood is None or not ood.outside:
        return None
    return (
        "This picture is outside the world this model knows, so what follows is not to be believed. The embedded "
        "model has only ever seen drawings of its own scene world; load a real checkpoint with --model to judge "
        f"photographs. (Unfamiliarity {ood.score:.1f}, threshold {ood.threshold:.1f}. {ood.about})"
    )


def about(card: JudgeCard) -> str:
    """What the model is and is not, as Markdown."""
    size = (card.parameters or 0) / 1e6
    size_words = f"{size:.1f} million" if size < 1000 else f"{size / 1000:.1f} billion"
    lines = [
        f"**{card.name}** · {size_words} parameters · backbone `{card.backbone}` · {card.device}, {card.dtype}",
    ]
    if card.trained_on:
        lines.append(f"Trained on: {card.trained_on}.")
    if card.embedded:
        lines.append(
            "It is small, real and narrow: the same classes as a 7B checkpoint, trained on shapes, charts, tables, "
            "signs, bottles and arrow diagrams that this project draws. It knows nothing else. On anything else its "
            "numbers mean nothing, and the page says so."
        )
    if card.dimensions == DIMENSIONS:
        lines.append(
            f"The {len(DIMENSIONS)} dimensions are this project's own list: the paper behind VL-MDR (arXiv 2604.05445) "
            "does not publish its names."
        )
    elif card.dimensions:
        lines.append(f"It scores {len(card.dimensions)} dimensions, which its checkpoint names.")
    return "\n\n".join(lines)


def queue_title(queue: Queue) -> str:
    """A queue in a menu."""
    return f"{queue.about['name']} ({queue.size:,}, {queue.about['order']})"
