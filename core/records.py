"""The three records that everything passes around: Comparison, Judgement, Explanation.

All are frozen. Numbers are plain Python or numpy, never tensors, so that records can be pickled, stored
and shown without torch.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from core.images import ImageError, open_image

ImageSource = str | Path | bytes | Image.Image


class RecordError(ValueError):
    """A record that cannot be judged; the message is a sentence for the person who made it."""


MAX_RESPONSES = 4


@dataclass(frozen=True)
class Truth:
    """What the scene world knows about a Comparison and no human benchmark does.

    relevant: keys of the dimensions that matter for image and prompt.
    spoilt: per response, the key of the dimension on which it is worse, or None.
    wrong_spans: per response, (start, end) character spans of the wrong words.
    evidence: boxes (left, top, right, bottom) that prove it, as fractions of width and height.
    """

    relevant: tuple[str, ...]
    spoilt: tuple[str | None, ...]
    wrong_spans: tuple[tuple[tuple[int, int], ...], ...]
    evidence: tuple[tuple[float, float, float, float], ...]

    @property
    def decisive(self) -> str | None:
        """The dimension that decides between the first spoilt response and the right one."""
        return next((d for d in self.spoilt if d), None)


@dataclass(frozen=True)
class Comparison:
    """One question to a judge: an image, a prompt, two to four responses, and which is preferred.

    image is None where a benchmark's row lacks it: such a record can be read, but not judged.
    """

    id: str
    image: ImageSource | None
    prompt: str
    responses: tuple[str, ...]
    preferred: int | None = None
    benchmark: str = "user"
    category: str = ""
    truth: Truth | None = None

    def __post_init__(self) -> None:
        if len(self.responses) < 2:
            raise RecordError("There is only one response: a comparison needs at least two.")
        if len(self.responses) > MAX_RESPONSES:
            raise RecordError(
                f"There are {len(self.responses)} responses: at most {MAX_RESPONSES} are compared."
            )
        if not self.prompt.strip():
            raise RecordError("The prompt is empty: write the question that the responses answer.")
        for i, response in enumerate(self.responses):
            if not response.strip():
                raise RecordError(f"Response {'ABCD'[i]} is empty.")
        if self.preferred is not None and not 0 <= self.preferred < len(self.responses):
            raise RecordError(
                f"The preferred response is number {self.preferred}, but there is no such response."
            )

    def load_image(self) -> Image.Image:
        """The decoded RGB image. Raises core.images.ImageError with a readable sentence."""
        if self.image is None:
            raise ImageError("This record has no picture.")
        return open_image(self.image)


def frozen(value: Any) -> Any:
    """Lists, as JSON and Parquet give them back, made tuples again at every depth."""
    return tuple(frozen(v) for v in value) if isinstance(value, list | tuple) else value


@dataclass(frozen=True)
class Judgement:
    """One judge's answer to one Comparison. N responses, 21 dimensions.

    rewards: (N,). gate_logits, relevance: (21,) before and after the sigmoid. selected: the k active
    dimensions by falling relevance. weights: (21,), zero outside `selected`, summing to 1.
    scores: (N, 21). weight_logits: (21,), before the softmax over `selected`. A judge that has no dimensions leaves
    all but rewards empty.
    """

    comparison_id: str
    judge: str
    rewards: tuple[float, ...]
    gate_logits: tuple[float, ...] = ()
    relevance: tuple[float, ...] = ()
    selected: tuple[int, ...] = ()
    weights: tuple[float, ...] = ()
    scores: tuple[tuple[float, ...], ...] = ()
    seconds: float = 0.0
    notes: dict[str, Any] = field(default_factory=dict)
    weight_logits: tuple[float, ...] = ()

    @property
    def ranking(self) -> tuple[int, ...]:
        """Response indices from best to worst; equal rewards keep their order."""
        return tuple(sorted(range(len(self.rewards)), key=lambda i: -self.rewards[i]))

    def margin(self, a: int, b: int) -> float:
        """reward_a - reward_b."""
        return self.rewards[a] - self.rewards[b]

    def loser(self, a: int, b: int) -> int:
        """Which of the two lost; b where they tie."""
        return b if self.margin(a, b) >= 0 else a

    def contributions(self, a: int, b: int) -> dict[int, float]:
        """Per selected dimension, weight * (score_a - score_b). Their sum is the margin (VL-MDR, section 3)."""
        return {d: self.weights[d] * (self.scores[a][d] - self.scores[b][d]) for d in self.selected}

    def to_row(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Judgement:
        return cls(**{k: frozen(v) for k, v in row.items()})


@dataclass(frozen=True)
class Removal:
    """What became of a target when the units an explanation marks most were replaced by the baseline.

    names: the units. before, after: the target. random: how far as many random units move it, on average.
    """

    names: tuple[str, ...]
    before: float
    after: float
    random: float


@dataclass(frozen=True)
class Faithfulness:
    """Whether an explanation is true of the model: words and regions apart, None where there are none."""

    words: Removal | None
    regions: Removal | None


@dataclass(frozen=True)
class Explanation:
    """Attributions of one Judgement toward one target.

    target: readable name ("margin A - B", "Counting, A - B").
    tokens: per response, (text, start, end) with character offsets into the response.
    token_values: per response, one number per token. patch_values: rows x columns of the visual grid.
    prompt_value, other_value: what fell on the prompt and on the chat template's own tokens.
    completeness_error: sum of all attributions - (target(input) - target(baseline)); None where the method
    promises no completeness (then it is no error of the method). steps: forward/backward passes on the path, or
    random orders; 0 where the method takes none. points: model evaluations. level: what a token is, "word" or "sentence". scope: "joint", or
    "responses" where image and prompt were left as they are. peak_memory: bytes, None where not measured.
    pair, target_key, method_key: what `explain` was asked for.
    """

    comparison_id: str
    target: str
    method: str
    baseline: str
    steps: int
    tokens: tuple[tuple[tuple[str, int, int], ...], ...]
    token_values: tuple[tuple[float, ...], ...]
    patch_values: tuple[tuple[float, ...], ...]
    prompt_value: float
    other_value: float
    target_value: float
    baseline_value: float
    completeness_error: float | None
    seconds: float
    dtype: str
    level: str = "word"
    scope: str = "joint"
    peak_memory: int | None = None
    points: int = 1
    faithfulness: Faithfulness | None = None
    pair: tuple[int, int] = (0, 1)
    target_key: str = "margin"
    method_key: str = ""


@dataclass(frozen=True)
class Reliance:
    """Margins of a over b with the picture, with plain grey in its place, and with another record's (or None)."""

    given: float
    without: float
    other: float | None

    @property
    def share(self) -> float:
        """How much of the margin is gone without the picture: 1 all of it (or more), 0 none."""
        return min(1.0, max(0.0, 1 - self.without / self.given)) if self.given else 0.0

    @property
    def badge(self) -> str:
        if self.given * self.without <= 0:
            return "decided by the picture"
        if self.share >= 0.5:
            return "leans on the picture"
        return "would say the same without looking"


@dataclass(frozen=True)
class Familiarity:
    """score: distance to the third nearest training picture, in standard deviations. unfamiliar: score > threshold."""

    score: float
    threshold: float
    unfamiliar: bool
    about: str


def plain(value: Any) -> Any:
    """The same with every text fit for UTF-8, at any depth: halves of a surrogate pair are joined where both stand
    side by side, and become U+FFFD where one stands alone."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {plain(k): plain(v) for k, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, list | tuple) else value


def content_hash(*parts: str | bytes) -> str:
    """sha256 over length-prefixed parts, first 16 hex digits: the same content gives the same id."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:16]


def to_json(record: Judgement | Explanation) -> str:
    return json.dumps(asdict(record), ensure_ascii=False)
