"""Verdicts and warnings in plain words."""

from __future__ import annotations

import re
from collections.abc import Sequence

from app.common.html import signed
from core.labels.records import Queue
from core.records import Comparison, JudgeCard, Judgement, OODScore, letter
from core.records.headline import TIE, Headline, Kind, Share, headline
from core.records.orders import sides
from core.records.what_if import Flip
from core.taxonomy import DIMENSIONS, Dimension

BOXES = 4  # responses that a page has room for

# How the model rates the response {x} that lost on a dimension of the default taxonomy. Its opinion: never told as a fact.
RATED = {
    "object": "it rates the thing that {x} names as wrong",
    "colour": "it rates {x}'s colour as wrong",
    "size": "it rates {x}'s size as wrong",
    "counting": "it rates {x}'s number as wrong",
    "position": "it rates the place that {x} gives as wrong",
    "relation": "it rates how {x} relates the two things as wrong",
    "text": "it rates the words that {x} reads as wrong",
    "chart": "it rates what {x} reads off the chart as wrong",
    "table": "it rates what {x} reads off the table as wrong",
    "existence": "it rates something that {x} mentions as not there",
    "completeness": "it rates {x} as leaving something out",
    "abstention": "it rates {x} as wrong about whether the question can be answered",
    "arithmetic": "it rates {x}'s calculation as wrong",
    "comparison": "it rates {x}'s comparison as wrong",
    "path": "it rates how {x} follows the arrows as wrong",
    "format": "it rates the form of {x} as not what was asked for",
    "relevance": "it rates {x} as off the topic",
    "conciseness": "it rates {x} as padded",
    "fluency": "it rates {x}'s English as broken",
    "respect": "it rates {x}'s tone as rude",
    "harm": "it rates {x}'s advice on a danger as wrong",
}


def verdict(comparison: Comparison, judgement: Judgement, a: int, b: int) -> str:
    """What the model says of the pair a, b, and whether a known label agrees."""
    said = headline(comparison, judgement, a, b)
    x, y = letter(said.winner), letter(said.loser)
    if said.kind is Kind.SAME_TEXT:
        return f"A tie: {x} and {y} are the same text."
    if said.kind is Kind.UNDECIDED:
        label = f" The label prefers {letter(said.label)}." if said.label is not None else ""
        return f"The model gave no verdict: {judgement.why_undecided}.{label}"
    if said.kind is Kind.TIE:
        return f"A tie: the model rates {x} and {y} alike.{_label(said)}"
    return f"The model prefers {x} ({_percent(said.probability)}).{_because(judgement, said)}{_label(said)}"


def _percent(probability: float) -> str:
    """Never 100 %: the model is never certain."""
    return f"{probability:.0%}" if probability < 0.995 else "over 99%"


def _because(judgement: Judgement, said: Headline) -> str:
    if said.leading is None:
        return ""
    name = judgement.dimensions[said.leading].name
    how = _rated(judgement.dimensions[said.leading], letter(said.loser))
    if said.share is Share.SPREAD and said.second is not None:
        return f" The gap is mostly {name} and {judgement.dimensions[said.second].name} together."
    if said.share is Share.MORE:
        against = judgement.dimensions[said.against].name if said.against is not None else ""
        but = f"; {against} speaks for {letter(said.loser)}, but not enough" if against else ""
        return f" More than all of the gap is {name}: {how}{but}."
    return f" {'Nearly all' if said.share is Share.NEARLY_ALL else 'Most'} of the gap is {name}: {how}."


def _rated(dimension: Dimension, loser: str) -> str:
    known = dimension in DIMENSIONS and RATED.get(dimension.key)
    return known.format(x=loser) if known else f"it scores {loser} lower there"


def _label(said: Headline) -> str:
    if said.label is None:
        return ""
    if said.agrees:
        return f" The label prefers {letter(said.label)} too."
    return f" The label prefers {letter(said.label)}; the model is wrong here."


def orders(judgement: Judgement, a: int, b: int) -> str:
    """Of a judge that writes: which of the two wins in each order; "" where it was not asked in both."""
    asked = {v.order for v in judgement.votes}
    if not {(a, b), (b, a)} <= asked:
        return ""
    first, second = sides(judgement.votes, a, b)
    if first is not None and second is not None:
        return (
            f"{letter(first)} wins in both orders" if first == second else "the answer depends on the order"
        )
    decided = first if first is not None else second
    if decided is None:
        return "no verdict in either order"
    return f"{letter(decided)} wins in one order, no verdict in the other"


def reward_line(judgement: Judgement) -> str:
    first, second = (judgement.rewards[i] for i in judgement.ranking[:2])
    best = judgement.ranking[0] if first - second >= TIE else None
    return "  ·  ".join(
        f"{letter(i)} {signed(judgement.rewards[i])}{' ◂ best' if i == best else ''}"
        for i in range(len(judgement.rewards))
    )


def warning(ood: OODScore | None) -> str | None:
    """Said where a picture is out of distribution for the embedded model."""
    if ood is None or not ood.outside:
        return None
    return (
        "Out-of-distribution image: this demo model only knows drawings of its own scene world. Do not trust the result; "
        f"load a real checkpoint with --model to judge photographs. (Score {ood.score:.1f}, threshold {ood.threshold:.1f}."
        f"{' ' + ood.about if ood.about else ''})"
    )


def unknown_words(found: Sequence[str], most: int = 6) -> str | None:
    """Said where a text holds words that the embedded model was never shown (core.model.vocabulary)."""
    if not found:
        return None
    named = ", ".join(f"“{w[:30]}”" for w in found[:most])
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return (
        f"Words that this demo model has never seen: {named}{more}. It only knows the sentences of its own scene world: do "
        "not trust what it makes of others."
    )


def outside_share(outside: int, measured: int) -> str | None:
    """Of a run: how many of its pictures its judge was not made for."""
    if not outside:
        return None
    return (
        f"{outside:,} of {measured:,} images are out of distribution for this judge, which only knows drawings of its own "
        "scene world: its results on them mean nothing."
    )


KINDS = {
    "scalar": "It gives each response one reward; the margin is their difference.",
    "generative": "It is asked in words which of two responses is better, in both orders. Its rewards are plus and minus half the mean "
    "log-odds of its verdict, or of its votes where those cannot be read.",
    "remote": "It is asked in words which of two responses is better, in both orders, over the network: nothing is known of it but "
    "what it answers. Its rewards are plus and minus half the mean log-odds of its verdict where the server gives them, else of its "
    "votes.",
}  # what is said of a judge's kind


def markdown(text: str) -> str:
    """A text of somebody else's in Markdown: nothing in it is read as formatting."""
    return re.sub(r"([\\`*_{}\[\]()#+!|<>~-])", r"\\\1", text)


def facts(card: JudgeCard) -> list[str]:
    """Size, backbone, device and number type, as far as they are known."""
    size = (card.parameters or 0) / 1e6
    known = [
        f"{size:.1f} million parameters" if size < 1000 else f"{size / 1000:.1f} billion parameters",
        f"backbone {card.backbone}",
        ", ".join(filter(None, (card.device, card.dtype))),
    ]
    return [
        fact
        for fact, there in zip(known, (size, card.backbone, card.device or card.dtype), strict=True)
        if there
    ]


def about(card: JudgeCard) -> str:
    """What the model is and is not, as Markdown."""
    lines = [" · ".join([f"**{markdown(card.name)}**", *map(markdown, facts(card))])]
    if card.about:
        lines.append(markdown(card.about[:1].upper() + card.about[1:].rstrip(".") + "."))
    if card.kind in KINDS:
        lines.append(KINDS[card.kind])
    if card.trained_on:
        lines.append(f"Trained on: {card.trained_on}.")
    if card.embedded:
        lines.append(
            "It is small, real and narrow: the same classes as a 7B checkpoint, trained on shapes, charts, tables, "
            "signs, bottles and arrow diagrams that this project draws. It knows nothing else, and on anything else its "
            "numbers mean nothing. "
            + (
                "The page warns of nearly all photographs and of words that the model has never seen; it does not warn of "
                "known words in sentences of another kind, nor of drawings moved by a few pixels, and both cost it 10 to 30 "
                "points of accuracy."
                if card.kind == "gated"
                else "With this judge the page does not warn of such pictures."
            )
        )
    if card.dimensions == DIMENSIONS:
        lines.append(
            f"The {len(DIMENSIONS)} dimensions are this project's own list: the paper behind VL-MDR (arXiv 2604.05445) "
            "does not publish its names."
        )
    elif card.kind == "hybrid":
        lines.append(
            f"Its rewards are the plain sum of {', '.join(d.name.lower() for d in card.dimensions)}; words and "
            "regions move the model's part alone. The length penalty is this project's own "
            "reading of arXiv 2510.05283, which does not publish its formula."
        )
    elif card.dimensions:
        lines.append(f"It scores {len(card.dimensions)} dimensions, which its checkpoint names.")
    return "\n\n".join(lines)


def flip_words(judgement: Judgement, flip: Flip) -> str:
    """The gate change that turns a verdict."""
    if flip.dimension is None:
        return f"k = {flip.gate.k} instead of {len(judgement.selected)}"
    name = judgement.dimensions[flip.dimension].name
    if flip.kind == "weight":
        times = f"{flip.factor:.2g} times as much" if flip.factor > 1 else f"{1 / flip.factor:.2g} times less"
        return f"weight of {name} {times}"
    return (
        f"{name} switched on"
        if flip.kind == "on"
        else f"{name} switched off (the next most relevant takes its place)"
    )


def plan_words(points: int, batch: int, size: int, asked: str = "") -> str:
    """What an explanation will cost. size: bytes of one batch. asked: of a judge that is asked again, in a sentence."""
    if asked:
        return f"{points:,} changed inputs, each asked in both orders. At most {asked}"
    return f"{points:,} evaluations, {batch} at a time, about {size / 2**20:,.0f} MiB"


def verified_words(same_model: bool, holds: bool, worst: str, difference: float) -> str:
    """Whether a bundle computed again agrees with itself. worst: where it differs most, and by how much."""
    if holds:
        return (
            f"Verified: judged and explained again, everything agrees (largest difference {difference:.1e})."
        )
    if not same_model:
        return (
            "Not the same model: the bundle was made with other weights, so its numbers need not agree "
            f"(largest difference {difference:.3g}, in {worst})."
        )
    return f"Does NOT hold: the same weights give other numbers (largest difference {difference:.3g}, in {worst})."


def queue_title(queue: Queue) -> str:
    """A queue in the menu of whoever makes queues; annotators see app.common.label_words.neutral_title."""
    return f"{queue.about['name']} ({queue.size:,})"
