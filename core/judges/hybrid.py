"""Rules where they know, a model where they do not: the hybrid, multi-aspect reward of HARMO (arXiv 2510.05283).

A reward is the plain sum of its aspects, so that what each adds to a margin adds up exactly:

rule          +RULE for a response that a rule is sure is right, -RULE for one that it is sure is wrong
model         what the model under it says, on the scale of log-odds (Bradley and Terry: the difference of two rewards is the
              log-odds that the one is better), less the mean over the responses that it counts for
instructions  the share of the prompt's constraints that are kept, where the answer itself was checked
length        our reading of the generalised length penalty (core.judges.aspects)

A rule first checks the answer against what the data knows; where no rule is sure of any answer, the constraints of the prompt
are the rule, and then they are no aspect of their own. RULE is half the log-odds of a confidence of 0.999.

Two forms. "plain" is the paper's: the rule's word alone where a rule is sure of the response, the model's elsewhere.
"normalised" is HERO's (arXiv 2510.07242): the model also orders responses of the same verifier class (sure right, unknown,
sure wrong), scaled into [-INSIDE, INSIDE], which is too little to carry one over into the next class, whatever the model
says and whatever the other aspects add. Where all responses are of one class there is nothing to overturn, and the
model's word counts as it is.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from threading import Lock
from typing import Any

from core.judges.aspects import P_MAX, instruction_adherence, length_penalty, word, words
from core.judges.features import TargetFunction
from core.judges.hybrid_forward import HybridForward
from core.judges.pairs import chosen
from core.judges.protocols import Differentiable, Judge, MaskedForward
from core.judges.verifiers.check import Check
from core.judges.verifiers.constraints import adherence
from core.records import Comparison, JudgeCard, Judgement, Known, letter, signed
from core.taxonomy import Dimension

RULE = math.log(0.999 / 0.001) / 2
INSIDE = RULE / 4  # classes stay RULE / 2 apart, more than 1 (instructions) and P_MAX (length) together
assert RULE - 2 * INSIDE > 1 + P_MAX
FORMS = ("normalised", "plain")
ALWAYS = 20.0  # the gate logit of an aspect that applies: a rule's gate is open or shut

ASPECTS = (
    Dimension("rule", "Rule", "Hybrid", "What a rule is sure of: the answer is right, or it is wrong."),
    Dimension(
        "model", "Model", "Hybrid", "What the model under it says, where no rule is sure or within one class."
    ),
    Dimension(
        "instructions", "Instructions", "Hybrid", "The share of the prompt's constraints that are kept."
    ),
    Dimension(
        "length",
        "Length",
        "Hybrid",
        "Less for a wrong answer that is much shorter than the right ones (our reading).",
    ),
)
KEYS = tuple(a.key for a in ASPECTS)


@dataclass(frozen=True)
class Rules:
    """What rules say of a comparison's responses, before any model. words: the sure ones, of the answer or (about_form) of
    the constraints. aspects: per name one number a response, where it applies."""

    words: tuple[Check | None, ...]
    about_form: bool
    aspects: dict[str, list[float]]

    @property
    def classes(self) -> tuple[int, ...]:
        """1 sure right, -1 sure wrong, 0 unknown."""
        return tuple(0 if w is None else 1 if w.right else -1 for w in self.words)


def rules_of(comparison: Comparison) -> Rules:
    prompt, responses = comparison.prompt, comparison.responses
    said = tuple(word(prompt, r, comparison.known or Known()) for r in responses)
    aspects: dict[str, list[float]] = {}
    if any(said):
        shares = instruction_adherence([prompt] * len(responses), responses)
        if all(s is not None for s in shares):
            aspects["instructions"] = [s or 0.0 for s in shares]
        right = [None if s is None else s.right for s in said]
        penalties = length_penalty([words(r) for r in responses], right)
        if any(p is not None for p in penalties) and False in right:
            aspects["length"] = [p or 0.0 for p in penalties]
        return Rules(said, False, aspects)
    form = tuple(adherence(prompt, r) for r in responses)
    return Rules(tuple(f if f and f.sure else None for f in form), True, aspects)


class HybridJudge:
    """base: any judge, or None for the rules alone. form: one of FORMS."""

    def __init__(self, base: Judge | None, form: str = "normalised") -> None:
        if form not in FORMS:
            raise ValueError(f"form is '{form}', not one of {', '.join(FORMS)}")
        self.base, self.form = base, form
        self.card = card_over(base.card if base else None, form)
        self.lock = Lock()

    def judge(self, comparison: Comparison) -> Judgement:
        """Raises ImageError or RecordError where the model does."""
        return self.judge_batch([comparison])[0]

    def judge_batch(self, comparisons: list[Comparison]) -> list[Judgement]:
        started = time.perf_counter()
        rules = [rules_of(c) for c in comparisons]
        asked = [i for i, r in enumerate(rules) if self._needs_model(r)]
        said: dict[int, Judgement] = {}
        if self.base and asked:
            with self.lock:
                said = dict(zip(asked, self.base.judge_batch([comparisons[i] for i in asked]), strict=True))
        out = [
            self._joined(c, r, said.get(i)) for i, (c, r) in enumerate(zip(comparisons, rules, strict=True))
        ]
        seconds = (time.perf_counter() - started) / max(len(out), 1)
        return [replace(j, seconds=seconds) for j in out]

    def _needs_model(self, rules: Rules) -> bool:
        """In the plain form the model is not asked about what rules have settled; between responses that they rate alike it is."""
        return self.form == "normalised" or 0 in rules.classes or len(set(rules.classes)) == 1

    def _joined(self, comparison: Comparison, rules: Rules, said: Judgement | None) -> Judgement:
        n = len(comparison.responses)
        columns = {k: [0.0] * n for k in KEYS} | rules.aspects
        applies = set(rules.aspects)
        if any(rules.classes):
            applies.add("rule")
            columns["rule"] = [RULE * c for c in rules.classes]
        undecided = said is not None and any(map(math.isnan, said.rewards))
        if said is not None and not undecided:
            applies.add("model")
            columns["model"] = model_part(said.rewards, rules.classes, self.form)
        selected = tuple(i for i, k in enumerate(KEYS) if k in applies)
        scores = tuple(tuple(columns[k][i] for k in KEYS) for i in range(n))
        rewards = tuple(math.fsum(row) for row in scores)
        if undecided and len(set(rules.classes)) == 1:  # nobody has decided
            rewards = (math.nan,) * n
        gate = tuple(ALWAYS if k in applies else -ALWAYS for k in KEYS)
        return Judgement(
            comparison.id, self.card.id, rewards, gate_logits=gate,
            relevance=tuple(1 / (1 + math.exp(-g)) for g in gate), selected=selected,
            weights=tuple(float(k in applies) for k in KEYS), scores=scores, dimensions=ASPECTS,
            critique=in_words(rules, columns, applies, said), choice=chosen(rewards),
            votes=said.votes if said else (), ood=said.ood if said else None,
        )  # fmt: skip


class ExplainableHybrid(HybridJudge):
    """Over a judge that can be explained. Words and regions move the model's part alone (hybrid_forward.py)."""

    decomposes_head = rewords = False

    def __init__(self, base: Differentiable, form: str = "normalised") -> None:
        super().__init__(base, form)
        self.explained = base
        self.model: Any = base.model

    def masked(
        self, comparison: Comparison, judgement: Judgement, a: int, b: int, target: TargetFunction, level: str, scope: str,
        most_regions: int = 16,
    ) -> MaskedForward:  # fmt: skip
        own = self.explained.judge(
            comparison
        )  # with its own dimensions and votes, which its forward holds fixed
        inner = self.explained.masked(comparison, own, a, b, target, level, scope, most_regions)
        slopes = model_slopes(own.rewards, rules_of(comparison).classes, self.form)
        return HybridForward(
            inner, target, [slopes[a], slopes[b]], [judgement.rewards[a], judgement.rewards[b]]
        )


def model_part(rewards: Sequence[float], classes: Sequence[int], form: str) -> list[float]:
    """What a model's rewards add, a number a response. classes: 1, 0, -1 as in Rules.

    One class: the rewards less their mean. Several: in the plain form those of unknown responses less their mean and 0 for
    the others; in the normalised form each class for itself, its lowest at -INSIDE and its highest at INSIDE, 0 where all
    of it are alike.
    """
    if len(set(classes)) == 1:
        mean = fmean(rewards)
        return [r - mean for r in rewards]
    out = [0.0] * len(rewards)
    for kind in sorted(set(classes)):
        members = [i for i, c in enumerate(classes) if c == kind]
        values = [rewards[i] for i in members]
        if form == "plain":
            if kind == 0:
                for i in members:
                    out[i] = rewards[i] - fmean(values)
            continue
        low, high = min(values), max(values)
        for i in members:
            if high > low:
                out[i] = INSIDE * (2 * min(max((rewards[i] - low) / (high - low), 0.0), 1.0) - 1)
    return out


def model_slopes(rewards: Sequence[float], classes: Sequence[int], form: str) -> list[float]:
    """How `model_part` of each response moves with its reward, the scale of its class held fixed."""
    if len(set(classes)) == 1:
        return [1.0] * len(rewards)
    if form == "plain":
        alone = classes.count(0) == 1
        return [float(c == 0 and not alone) for c in classes]
    spans = {k: [r for r, c in zip(rewards, classes, strict=True) if c == k] for k in set(classes)}
    width = {k: max(v) - min(v) for k, v in spans.items()}
    return [2 * INSIDE / width[c] if width[c] > 0 else 0.0 for c in classes]


def in_words(rules: Rules, columns: dict[str, list[float]], applies: set[str], said: Judgement | None) -> str:
    """A line a response: which part says what."""
    lines = []
    for i, check in enumerate(rules.words):
        parts = []
        if check:
            parts.append(f"rule: {check.why}, sure")
        elif "rule" in applies:
            parts.append("rule: not sure")
        if "model" in applies:
            parts.append(f"model: {signed(columns['model'][i])}")
        elif said is not None:
            parts.append(f"model: no verdict ({said.why_undecided})")
        parts += [f"{k}: {signed(columns[k][i])}" for k in ("instructions", "length") if k in applies]
        lines.append(f"{letter(i)} · {' · '.join(parts) or 'no rule applies'}")
    return "\n".join(lines)


def card_over(base: JudgeCard | None, form: str) -> JudgeCard:
    if base is None:
        return JudgeCard(
            "rules", "rules alone", "rule", about="A rule's word where one is sure, nothing elsewhere.", reads_images=False,
            dimensions=ASPECTS,
        )  # fmt: skip
    how = (
        "a rule's word where one is sure, the model's elsewhere" if form == "plain"
        else "rules first; the model decides where they do not, and within one verifier class"
    )  # fmt: skip
    return replace(
        base, id=f"hybrid-{form}-{base.id}"[:200], name=f"Hybrid ({form}) over {base.name}", kind="hybrid",
        about=f"{how[0].upper()}{how[1:]}. {base.about}".strip(), embedded=False, top_k=None, dimensions=ASPECTS,
    )  # fmt: skip


def hybrid_over(base: Judge, form: str = "normalised") -> HybridJudge:
    return ExplainableHybrid(base, form) if isinstance(base, Differentiable) else HybridJudge(base, form)
