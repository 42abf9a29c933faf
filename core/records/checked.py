"""The forms that a bundle's record must have before anything is made of it: types, sizes, finite numbers, lengths that fit.

Whoever opens a file of somebody else's gets either records that every page can draw, or one sentence.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationError, model_validator
from pydantic.types import StringConstraints

LARGEST = 1e9  # of any number
MOST = 1024  # dimensions, rows and columns of a map, units of a removal
RESPONSES = 64
MOST_TARGETS = 64  # explanations beside the first
MOST_STEPS = 4096  # whoever verifies a bundle takes as many

Number = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-LARGEST, le=LARGEST)]
Whole = Annotated[int, Field(strict=True, ge=0, le=1 << 50)]
Index = Annotated[int, Field(strict=True, ge=0, lt=MOST)]
Name = Annotated[str, StringConstraints(strict=True, max_length=1000)]
Text = Annotated[str, StringConstraints(strict=True, max_length=2_000_000)]
Vector = Annotated[list[Number], Field(max_length=MOST)]


class FormError(ValueError):
    """What is wrong, as the end of a sentence."""


class _Form(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)


class ComparisonForm(_Form):
    id: Name
    prompt: Text
    responses: Annotated[list[Text], Field(min_length=2, max_length=RESPONSES)]
    preferred: Index | None
    benchmark: Name
    category: Name


class VoteForm(_Form):
    order: Annotated[list[Index], Field(max_length=RESPONSES)]
    text: Text
    choice: Index | None = None
    log_odds: Number | None = None
    problem: Name = ""


class OODForm(_Form):
    score: Number
    threshold: Number
    outside: StrictBool
    about: Name = ""


class DimensionForm(_Form):
    key: Name
    name: Name = ""
    capability: Name = ""
    description: Name = ""
    fault: Name = ""


class JudgementForm(_Form):
    comparison_id: Name
    judge: Name
    rewards: Annotated[list[Number], Field(min_length=2, max_length=RESPONSES)]
    gate_logits: Vector = []
    relevance: Vector = []
    selected: Annotated[list[Index], Field(max_length=MOST)] = []
    weights: Vector = []
    scores: Annotated[list[Vector], Field(max_length=RESPONSES)] = []
    seconds: Number = 0.0
    weight_logits: Vector = []
    dimensions: Annotated[list[DimensionForm | Name], Field(max_length=MOST)] = []
    condition: Name = "as given"
    critique: Text = ""
    choice: Index | None = None
    votes: Annotated[list[VoteForm], Field(max_length=MOST)] = []
    ood: OODForm | None = None

    @model_validator(mode="after")
    def fits(self) -> JudgementForm:
        n, d = len(self.rewards), len(self.weights)
        for name in ("gate_logits", "relevance", "weight_logits"):
            if len(getattr(self, name)) not in (0, d):
                raise ValueError(f"{name} has another length than weights")
        if self.weight_logits and not self.gate_logits:
            raise ValueError("weight_logits stand there without gate_logits")
        if self.selected and (not self.scores or not self.relevance):
            raise ValueError("dimensions are selected that have no scores or no relevance")
        if len(set(self.selected)) != len(self.selected):
            raise ValueError("a dimension is selected twice")
        if self.choice is not None and self.choice >= n:
            raise ValueError("choice is not one of the responses")
        for vote in self.votes:
            if any(i >= n for i in (*vote.order, vote.choice or 0)):
                raise ValueError("a vote is for none of the responses")
        return self


Token = tuple[Text, Whole, Whole]


class DeletionCheckForm(_Form):
    names: Annotated[list[Name], Field(max_length=100_000)]
    before: Number
    after: Number
    random: Number


class FaithfulnessForm(_Form):
    words: DeletionCheckForm | None
    regions: DeletionCheckForm | None
    critique: DeletionCheckForm | None = None


class ExplanationForm(_Form):
    comparison_id: Name
    target: Name
    method: Name
    baseline: Name
    steps: Annotated[int, Field(strict=True, ge=0, le=MOST_STEPS)]
    tokens: Annotated[list[list[Token]], Field(min_length=2, max_length=2)]
    token_values: Annotated[list[list[Number]], Field(min_length=2, max_length=2)]
    patch_values: Annotated[list[Vector], Field(max_length=MOST)]
    prompt_value: Number
    other_value: Number
    target_value: Number
    baseline_value: Number
    convergence_delta: Number | None
    seconds: Number
    dtype: Name
    level: Literal["word", "sentence"] = "word"
    scope: Literal["joint", "responses"] = "joint"
    peak_memory: Whole | None = None
    points: Whole = 1
    faithfulness: FaithfulnessForm | None = None
    pair: tuple[Index, Index] = (0, 1)
    target_key: Name = "margin"
    method_key: Name = ""
    critique_tokens: Annotated[list[Token], Field(max_length=MOST)] = []
    critique_values: Vector = []
    unanswered: Whole = 0

    @model_validator(mode="after")
    def fits(self) -> ExplanationForm:
        if len(self.critique_tokens) != len(self.critique_values):
            raise ValueError("there are not as many critique_values as critique_tokens")
        if [len(t) for t in self.tokens] != [len(v) for v in self.token_values]:
            raise ValueError("there are not as many token_values as tokens")
        lengths = {len(row) for row in self.patch_values}
        if len(lengths) > 1 or 0 in lengths:
            raise ValueError("the rows of patch_values are empty or differ in length")
        if self.pair[0] == self.pair[1]:
            raise ValueError("pair names one response twice")
        return self


class ImageAblationForm(_Form):
    given: Number
    without: Number
    other: Number | None
    blank: Name = ""


class FamiliarityForm(_Form):
    """Of release 0.1: what is `ood` now."""

    score: Number
    threshold: Number
    unfamiliar: StrictBool
    about: Name = ""


class RecordForm(_Form):
    comparison: ComparisonForm
    judgement: JudgementForm
    explanation: ExplanationForm
    image_ablation: ImageAblationForm | None = None
    familiarity: FamiliarityForm | None = None
    more: Annotated[list[ExplanationForm], Field(max_length=MOST_TARGETS)] = []

    @model_validator(mode="after")
    def belongs_together(self) -> RecordForm:
        c, j = self.comparison, self.judgement
        n = len(c.responses)
        if len(j.rewards) != n:
            raise ValueError("there are not as many rewards as responses")
        for e in (self.explanation, *self.more):
            if max(e.pair) >= n:
                raise ValueError("pair is not two of the responses")
            if not j.comparison_id == e.comparison_id == c.id:
                raise ValueError("judgement and explanation belong to another comparison")
            for tokens, i in zip(e.tokens, e.pair, strict=True):
                if any(not start <= end <= len(c.responses[i]) for _, start, end in tokens):
                    raise ValueError("a token lies outside its response")
            self._check_critique(e)
        return self

    def _check_critique(self, e: ExplanationForm) -> None:
        kind, _, key = e.target_key.partition(":")
        votes = self.judgement.votes
        if kind == "critique" and not (
            key.isascii() and key.isdecimal() and len(key) < 6 and int(key) < len(votes)
        ):
            raise ValueError("an explanation is of a critique that is not among the votes")
        if e.critique_tokens:
            if kind != "critique":
                raise ValueError("critique_tokens stand there without a critique")
            if any(not start <= end <= len(votes[int(key)].text) for _, start, end in e.critique_tokens):
                raise ValueError("a sentence lies outside its critique")


def checked_record(record: object) -> dict[str, Any]:
    """The record's known fields, every one of its form. Raises FormError."""
    try:
        return RecordForm.model_validate(record).model_dump(exclude_unset=True)
    except ValidationError as error:
        raise FormError(first_problem(error)) from error
    except RecursionError as error:
        raise FormError("it is nested too deeply") from error


def first_problem(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(p)[:40] for p in found["loc"][:6]) or "the record"
    return f"{place}: {found['msg'].removeprefix('Value error, ')}"
