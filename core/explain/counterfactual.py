"""What would have happened otherwise: edits of the input, each judged again by the whole model.

An explanation by attribution is a guess about such edits; these are the edits themselves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum

import torch
from PIL import Image
from torch import Tensor

from core.explain import memory
from core.explain.capabilities import can_explain, has_gate
from core.explain.edits import How, changed
from core.explain.targets import Target
from core.judges.conditions import BLANK, blank_image
from core.judges.protocols import Estimates, Explainable, Judge, Rewords, Writes
from core.records import Comparison, Explanation, ImageAblation, Judgement, RecordError, letter
from core.records.headline import TIE

Box = tuple[float, float, float, float]  # left, top, right, bottom as fractions of the picture
PADDING = " That is what the picture shows."
WORDS_TRIED, PER_WORD = 4, 12  # marked words, and replacements that are judged for each


@dataclass(frozen=True)
class Edit:
    """label: in words. comparison: the edited one. swapped: whether a and b have changed places."""

    label: str
    comparison: Comparison
    swapped: bool = False


@dataclass(frozen=True)
class Effect:
    """margin: of a over b before and after the edit."""

    label: str
    before: float
    after: float

    @property
    def change(self) -> float:
        return self.after - self.before

    @property
    def flips(self) -> bool:
        return self.before * self.after < 0


def effects(judge: Judge, judgement: Judgement, a: int, b: int, edits: list[Edit]) -> list[Effect]:
    """Judges every edit. An edit that cannot be judged raises what the judge raises."""
    before = judgement.margin(a, b)
    edited = [e.comparison for e in edits]

    def judged(batch: int) -> list[Judgement]:
        parts = (edited[i : i + batch] for i in range(0, len(edited), batch))
        return [found for part in parts for found in judge.judge_batch(part)]

    out = []
    for edit, after in zip(edits, memory.with_halving(judged, max(1, len(edits))), strict=True):
        margin = after.margin(b, a) if edit.swapped else after.margin(a, b)
        out.append(Effect(edit.label, before, margin))
    return out


# -- edits ---------------------------------------------------------------------------------------------------


def with_image(comparison: Comparison, image: Image.Image) -> Comparison:
    return replace(comparison, image=image)


def with_text(comparison: Comparison, n: int, text: str) -> Comparison:
    texts = list(comparison.responses)
    texts[n] = text
    return replace(comparison, responses=tuple(texts))


def no_image(comparison: Comparison) -> Edit:
    return Edit("picture removed (plain grey)", with_image(comparison, blank_image(comparison.load_image())))


def change_region(comparison: Comparison, box: Box, how: How, label: str) -> Edit:
    """Erases a part of the picture to grey, or blurs it beyond recognition."""
    w, h = comparison.load_image().size
    left, top = round(box[0] * w), round(box[1] * h)
    mask = Image.new("L", (w, h))
    mask.paste(255, (left, top, max(round(box[2] * w), left + 1), max(round(box[3] * h), top + 1)))
    return change_masked(comparison, mask, how, label)


def change_masked(comparison: Comparison, mask: Image.Image, how: How, label: str) -> Edit:
    """The same wherever `mask` (L, the picture's size) is white."""
    edited = changed(comparison.load_image(), mask, how)
    return Edit(f"{label} {'erased' if how == 'erase' else 'blurred'}", with_image(comparison, edited))


def swap(comparison: Comparison, a: int, b: int) -> Edit:
    texts = list(comparison.responses)
    texts[a], texts[b] = texts[b], texts[a]
    return Edit("responses swapped", replace(comparison, responses=tuple(texts)), swapped=True)


def pad(comparison: Comparison, n: int) -> Edit:
    return Edit(f"{letter(n)} padded", with_text(comparison, n, comparison.responses[n].rstrip() + PADDING))


def shorten(comparison: Comparison, n: int) -> Edit | None:
    words = comparison.responses[n].split()
    if len(words) < 2:
        return None
    half = " ".join(words[: (len(words) + 1) // 2])
    return Edit(f"{letter(n)} cut to its first half", with_text(comparison, n, half))


def delete_span(comparison: Comparison, n: int, start: int, end: int) -> Edit | None:
    text = comparison.responses[n]
    left = re.sub(r"\s+", " ", text[:start] + text[end:]).strip()
    if not left:
        return None
    return Edit(f"“{text[start:end]}” deleted from {letter(n)}", with_text(comparison, n, left))


def strongest_region(explanation: Explanation) -> tuple[Box, str]:
    """The region of largest absolute value as a box, and its name."""
    grid = explanation.patch_values
    rows, columns = len(grid), len(grid[0])
    _, r, c = max((abs(v), r, c) for r, row in enumerate(grid) for c, v in enumerate(row))
    return (c / columns, r / rows, (c + 1) / columns, (r + 1) / rows), f"row {r + 1}, column {c + 1}"


def standard_edits(
    comparison: Comparison,
    judgement: Judgement,
    a: int,
    b: int,
    explanation: Explanation | None,
    other: Image.Image | None,
) -> list[Edit]:
    """The strip that every item gets. explanation: without one nothing is known to be marked. other: another record's picture."""
    loser = judgement.loser(a, b)
    edits = [
        no_image(comparison),
        Edit("another picture", with_image(comparison, other)) if other else None,
        *(_marked(comparison, (a, b), explanation) if explanation else []),
        shorten(comparison, loser),
        pad(comparison, loser),
        swap(comparison, a, b),
    ]
    return [e for e in edits if e is not None]


def _marked(comparison: Comparison, pair: tuple[int, int], explanation: Explanation) -> list[Edit | None]:
    """Without the region and the word that an explanation marks most."""
    box, name = strongest_region(explanation)
    which, value = max(
        (((n, i), v) for n in (0, 1) for i, v in enumerate(explanation.token_values[n])),
        key=lambda x: abs(x[1]),
    )
    del value
    _, start, end = explanation.tokens[which[0]][which[1]]
    return [
        change_region(comparison, box, "erase", name),
        change_region(comparison, box, "blur", name),
        delete_span(comparison, pair[which[0]], start, end),
    ]


# -- would it have won? --------------------------------------------------------------------------------------


class Outcome(StrEnum):
    """What an edit of the losing response would have made of the verdict."""

    FLIPS = "flips"
    TIES = "ties"
    STAYS = "stays"


@dataclass(frozen=True)
class Suggestion:
    """One word of the losing response changed.

    text: the whole edited response. margin: of a over b afterwards. outcome: what became of the verdict. same_text: whether
    the two responses now read the same, which is why they tie.
    """

    old: str
    new: str
    text: str
    margin: float
    outcome: Outcome
    same_text: bool = False


def suggest(
    judge: Judge, comparison: Comparison, judgement: Judgement, a: int, b: int, explanation: Explanation
) -> list[Suggestion]:
    """Single-word edits of the losing response that bring it nearer to winning, best first: found by the gradient at the
    words that the explanation marks (HotFlip, Ebrahimi et al. 2018), then verified by the rewards of the edited responses.

    Image and prompt are read once for the gradient and for every edit. Empty for a judge that cannot do so.
    """
    if not can_explain(judge) or not judge.rewords:
        return []
    loser = judgement.loser(a, b)
    side, winner = (0, b) if loser == a else (1, a)
    with judge.lock:
        forward = judge.masked(comparison, judgement, a, b, Target("margin"), "word", "responses", 1)
        if not isinstance(forward, Rewords):
            return []
        edits = _candidates(forward, comparison.responses[loser], side, explanation)
        if not edits:
            return []
        texts = [text for _, _, text in edits]
        rewards = _rewards(forward, texts)
    before, speaks_for_loser = judgement.margin(a, b), 1 if side == 0 else -1
    out = []
    for (old, new, text), reward in zip(edits, rewards, strict=True):
        margin = speaks_for_loser * (reward - judgement.rewards[winner])
        same = text == comparison.responses[winner]
        if (margin - before) * speaks_for_loser > 0:
            margin = 0.0 if same else margin  # equal texts have equal rewards, but for rounding
            out.append(Suggestion(old, new, text, margin, _outcome(before, margin), same))
    return sorted(out, key=lambda s: s.margin * speaks_for_loser, reverse=True)


def _outcome(before: float, after: float) -> Outcome:
    if abs(after) < TIE:
        return Outcome.TIES
    return Outcome.FLIPS if before * after < 0 else Outcome.STAYS


def _rewards(forward: Rewords, texts: list[str]) -> list[float]:
    """Two responses take about as much as one point of a masked forward over the responses."""

    def scored(batch: int) -> list[float]:
        parts = (texts[i : i + batch] for i in range(0, len(texts), batch))
        return [reward for part in parts for reward in forward.rewards_of(part).tolist()]

    return memory.with_halving(scored, memory.most_at_once(forward, len(texts)))


def _candidates(
    forward: Rewords, text: str, side: int, explanation: Explanation
) -> list[tuple[str, str, str]]:
    """(old word, new word, edited response): for each marked one-token word, the words that the gradient prefers."""
    slope = memory.with_halving(lambda _: forward.response_slope(), 1)[side]
    speaks_for_loser = 1.0 if side == 0 else -1.0
    vocabulary, embeddings = forward.word_tokens()
    values = explanation.token_values[side]
    marked = sorted(range(len(values)), key=lambda i: -abs(values[i]))
    out: list[tuple[str, str, str]] = []
    tried = 0
    for i in marked:
        if tried == WORDS_TRIED:
            break
        _, start, end = explanation.tokens[side][i]
        core = re.search(r"\w+", text[start:end])
        if core is None:
            continue
        start, end = start + core.start(), start + core.end()
        spans = forward.inputs.responses[side].spans
        at = [t for t, (s, e) in enumerate(spans) if s < end and start < e and e > s]
        if len(at) != 1:
            continue
        tried += 1
        gain = embeddings @ (slope[at[0]] * speaks_for_loser)
        old = text[start:end]
        kind = [i for i in gain.argsort(descending=True).tolist() if vocabulary[i].isdigit() == old.isdigit()]
        for i in kind[: PER_WORD + 1]:  # a number for a number, a word for a word
            new = vocabulary[i] if old[:1].islower() or not old.isalpha() else vocabulary[i].capitalize()
            if new.lower() != old.lower():
                out.append((old, new, text[:start] + new + text[end:]))
    return out


# -- does it look? -------------------------------------------------------------------------------------------


def image_ablation(
    judge: Judge, comparison: Comparison, judgement: Judgement, a: int, b: int, other: Image.Image | None
) -> ImageAblation:
    edited = [no_image(comparison).comparison] + ([with_image(comparison, other)] if other else [])
    # Alone, a picture that was seen a moment ago is not looked at again; an answer that is written takes longer than that.
    at_once = isinstance(judge, Writes | Estimates)
    after = judge.judge_batch(edited) if at_once else [judge.judge(c) for c in edited]
    blank, *shuffled = (j.margin(a, b) for j in after)
    return ImageAblation(judgement.margin(a, b), blank, shuffled[0] if shuffled else None, BLANK)


# -- which region, for which dimension -----------------------------------------------------------------------


def region_by_dimension(
    judge: Explainable, comparison: Comparison, judgement: Judgement, a: int, b: int, most_regions: int = 8
) -> tuple[tuple[int, int], dict[int, list[float]]]:
    """The region grid, and per selected dimension what each region contributes: how far the dimension's weighted
    contribution to the margin falls when the region is replaced by the baseline. (rows, columns), {d: [values]}.
    Raises RecordError for a judge without dimensions."""
    if not has_gate(judge):
        raise RecordError(
            f"The judge '{judge.card.name}' has no dimensions to which a region could contribute."
        )
    with judge.lock:
        forward = judge.masked(comparison, judgement, a, b, Target("margin"), "word", "joint", most_regions)
        features = forward.features
        n = features.grid[0] * features.grid[1]
        z = forward.ones().repeat(n + 1, 1)
        z[torch.arange(1, n + 1), features.text_count + torch.arange(n)] = 0

        def contributions(z: Tensor) -> Tensor:
            """(B, D) weight * (score a - score b)"""
            found = forward.outputs(z)
            assert found.weights is not None and found.scores is not None
            return found.weights * (found.scores[:, 0] - found.scores[:, 1])

        parts = memory.evaluate(contributions, z, memory.most_at_once(forward, len(z))).cpu()
    fall = parts[:1] - parts[1:]
    return features.grid, {d: fall[:, d].tolist() for d in judgement.selected}
