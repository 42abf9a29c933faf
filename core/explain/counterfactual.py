"""What would have happened otherwise: edits of the input, each judged again by the whole model.

An explanation by attribution is a guess about such edits; these are the edits themselves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

import torch
from PIL import Image, ImageFilter
from torch import Tensor

from core.explain.inputs import build_inputs
from core.explain.problem import Problem, make_units
from core.explain.targets import Target
from core.judges.conditions import BLANK, GREY, blank_image
from core.judges.vlmdr import VLMDRJudge
from core.records import Comparison, Explanation, Judgement, Reliance, letter

Box = tuple[float, float, float, float]  # left, top, right, bottom as fractions of the picture
How = Literal["erase", "blur"]
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


def effects(judge: VLMDRJudge, judgement: Judgement, a: int, b: int, edits: list[Edit]) -> list[Effect]:
    """Judges every edit. An edit that cannot be judged raises what the judge raises."""
    before = judgement.margin(a, b)
    out = []
    for edit, after in zip(edits, judge.judge_batch([e.comparison for e in edits]), strict=True):
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
    image = comparison.load_image()
    if how == "erase":
        other = Image.new("RGB", image.size, GREY)
    else:
        other = image.filter(ImageFilter.GaussianBlur(max(image.size) / 10))
    edited = Image.composite(other, image, mask)
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
    explanation: Explanation,
    other: Image.Image | None,
) -> list[Edit]:
    """The strip that every item gets. other: another record's picture."""
    loser = judgement.loser(a, b)
    box, name = strongest_region(explanation)
    which, value = max(
        (((n, i), v) for n in (0, 1) for i, v in enumerate(explanation.token_values[n])),
        key=lambda x: abs(x[1]),
    )
    del value
    _, start, end = explanation.tokens[which[0]][which[1]]
    edits = [
        no_image(comparison),
        Edit("another picture", with_image(comparison, other)) if other else None,
        change_region(comparison, box, "erase", name),
        change_region(comparison, box, "blur", name),
        delete_span(comparison, (a, b)[which[0]], start, end),
        shorten(comparison, loser),
        pad(comparison, loser),
        swap(comparison, a, b),
    ]
    return [e for e in edits if e is not None]


# -- would it have won? --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Suggestion:
    """One word of a response changed. margin: of a over b afterwards. text: the whole edited response."""

    old: str
    new: str
    text: str
    margin: float
    flips: bool


def suggest(
    judge: VLMDRJudge, comparison: Comparison, judgement: Judgement, a: int, b: int, explanation: Explanation
) -> list[Suggestion]:
    """Single-word edits of the losing response, best first: found by the gradient at the words that the explanation
    marks (HotFlip, Ebrahimi et al. 2018), then verified by judging each edited response."""
    loser = judgement.loser(a, b)
    side, text = (0 if loser == a else 1), comparison.responses[loser]
    edits = _candidates(judge, comparison, judgement, (a, b), side, explanation)
    if not edits:
        return []
    found = effects(judge, judgement, a, b, [Edit("", with_text(comparison, loser, t)) for _, _, t in edits])
    ranked = sorted(
        zip(edits, found, strict=True), key=lambda x: x[1].change * (1 if side == 0 else -1), reverse=True
    )
    return [
        Suggestion(old, new, edited, effect.after, effect.flips)
        for (old, new, edited), effect in ranked
        if edited != text and effect.change * (1 if side == 0 else -1) > 0
    ]


def _candidates(
    judge: VLMDRJudge, comparison: Comparison, judgement: Judgement, pair: tuple[int, int], side: int,
    explanation: Explanation,
) -> list[tuple[str, str, str]]:  # fmt: skip
    """(old word, new word, edited response): for each marked one-token word, the words that the gradient prefers."""
    texts = (comparison.responses[pair[0]], comparison.responses[pair[1]])
    text = texts[side]
    with judge.lock:
        inputs = build_inputs(judge, comparison.load_image(), comparison.prompt, texts)
        problem = Problem(
            judge, inputs, make_units(inputs, texts, "word", 1), judgement, Target("margin"), "responses"
        )
        slope = _slope(problem)[side]
    speaks_for_loser = 1.0 if side == 0 else -1.0
    vocabulary, embeddings = _word_tokens(judge)
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
        at = [t for t, (s, e) in enumerate(inputs.responses[side].spans) if s < end and start < e and e > s]
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


def _slope(problem: Problem) -> Tensor:
    """(2, R, H) gradient of the target with respect to the response embeddings."""
    i = problem.inputs
    embeds = i.response.detach().clone().requires_grad_()
    reading = problem._read_once()
    with torch.enable_grad():
        scores = problem.model.score_embeds(reading, embeds, i.response_mask).float()
        value = problem.target(reading, problem.active, scores).sum()
        (slope,) = torch.autograd.grad(value, embeds)
    return slope[0]


def _word_tokens(judge: VLMDRJudge) -> tuple[list[str], Tensor]:
    """Tokens that are whole words, and their embeddings (V, H). Digits and lower-case words with a leading space."""
    tokenizer = judge.processor.tokenizer
    vocabulary = tokenizer.get_vocab()
    words = {
        i: (piece[1:] if piece.startswith("Ġ") else piece)
        for piece, i in vocabulary.items()
        if re.fullmatch(r"Ġ[a-z]{2,}|Ġ?[A-Z]|Ġ?[0-9]", piece)
    }
    ids = sorted(words)
    weight = judge.model.backbone.get_input_embeddings().weight.detach()
    return [words[i] for i in ids], weight[torch.tensor(ids, device=weight.device)]


# -- does it look? -------------------------------------------------------------------------------------------


def reliance(
    judge: VLMDRJudge, comparison: Comparison, judgement: Judgement, a: int, b: int, other: Image.Image | None
) -> Reliance:
    edits = [no_image(comparison)] + ([Edit("", with_image(comparison, other))] if other else [])
    found = effects(judge, judgement, a, b, edits)
    return Reliance(judgement.margin(a, b), found[0].after, found[1].after if other else None, BLANK)


# -- which region, for which dimension -----------------------------------------------------------------------


@torch.no_grad()
def region_by_dimension(
    judge: VLMDRJudge, comparison: Comparison, judgement: Judgement, a: int, b: int, most_regions: int = 8
) -> tuple[tuple[int, int], dict[int, list[float]]]:
    """The region grid, and per selected dimension what each region contributes: how far the dimension's weighted
    contribution to the margin falls when the region is replaced by the baseline. (rows, columns), {d: [values]}."""
    texts = (comparison.responses[a], comparison.responses[b])
    with judge.lock:
        inputs = build_inputs(judge, comparison.load_image(), comparison.prompt, texts)
        units = make_units(inputs, texts, "word", most_regions)
        problem = Problem(judge, inputs, units, judgement, Target("margin"), "joint")
        n = units.grid[0] * units.grid[1]
        z = problem.ones().repeat(n + 1, 1)
        z[torch.arange(1, n + 1), units.text_count + torch.arange(n)] = 0
        parts = torch.cat([_contributions(problem, rows) for rows in z.split(32)]).cpu()
    fall = parts[:1] - parts[1:]
    return units.grid, {d: fall[:, d].tolist() for d in judgement.selected}


def _contributions(problem: Problem, z: Tensor) -> Tensor:
    """(B, D) weight * (score a - score b) at presences z."""
    reading, scores = problem.run(z)
    logits = reading.weight_logits.float().masked_fill(~problem.active, float("-inf"))
    return logits.softmax(-1) * (scores[:, 0] - scores[:, 1])
