"""What a judge is, and what some judges can also do: asked with isinstance, never by name.

A new kind of judge is one class with a `card`, `judge` and `judge_batch`; whatever else it can do, it says by having the
methods of a protocol below. The runner, explanations and pages ask for exactly these.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from PIL import Image

from core.records import Comparison, JudgeCard, Judgement, OODScore

if TYPE_CHECKING:
    from torch import Tensor

    from core.judges.features import Features, Outputs, TargetFunction
    from core.model.need import Pass


@runtime_checkable
class Judge(Protocol):
    """card: who it is. Both methods raise ImageError or RecordError with a sentence for what they refuse."""

    card: JudgeCard

    def judge(self, comparison: Comparison) -> Judgement: ...

    def judge_batch(self, comparisons: list[Comparison]) -> list[Judgement]: ...


@runtime_checkable
class Prepares(Protocol):
    """Splits `judge_batch` in two, so that the runner decodes and encodes the next batch in another thread."""

    def prepare(self, comparisons: list[Comparison]) -> Any:
        """Everything that needs no model. Raises ImageError or RecordError."""
        ...

    def judge_prepared(self, prepared: Any) -> list[Judgement]: ...


@runtime_checkable
class KnowsItsWorld(Protocol):
    """Can say how far a picture lies from what it was trained on."""

    def out_of_distribution(self, image: Image.Image) -> OODScore | None:
        """None where this checkpoint brings no measure of it."""
        ...


@runtime_checkable
class Writes(Protocol):
    """Writes a critique before it decides: its judgements carry votes. votes: answers in each order, 0 for the verdict at once."""

    votes: int

    def critique(self, comparison: Comparison, votes: int = 1) -> Judgement:
        """votes: answers to draw. Judgement.votes holds each of them, Judgement.critique the one that is shown."""
        ...


class Cost(Protocol):
    def sentence(self) -> str: ...


@runtime_checkable
class Estimates(Protocol):
    """Asks somebody else, at a price: says before a run what it will ask for."""

    def estimate(self, comparisons: Sequence[Comparison], rows: int) -> Cost:
        """For `rows` comparisons like these."""
        ...


@runtime_checkable
class MaskedForward(Protocol):
    """A target as a function of how much of each feature is there: presences z (B, U) -> (B,), differentiable in z.

    U features: words (or sentences) of response a and b, the prompt, regions of the picture (a feature mask, in Captum's
    words); 1 as given, 0 the baseline in its place. All methods of core/explain know a judge only through this.

    model: for its sizes and device. positions: decoder positions of one whole point; computed: those that are run for each
    point, in these passes (core.explain.memory).
    """

    model: Any
    features: Features
    target: TargetFunction
    baseline: str

    @property
    def positions(self) -> int: ...

    @property
    def computed(self) -> int: ...

    @property
    def passes(self) -> Sequence[Pass]: ...

    def __call__(self, z: Tensor) -> Tensor: ...

    def outputs(self, z: Tensor) -> Outputs:
        """What the target is computed from."""
        ...

    def ones(self) -> Tensor:
        """(1, U): everything as given."""
        ...


@runtime_checkable
class Rewords(MaskedForward, Protocol):
    """Can also try other words: image and prompt are read once for all of them. And other pictures of the same size."""

    processor: Any
    inputs: Any
    scope: str

    def outputs_with(self, pictures: Sequence[Image.Image], z: Tensor) -> Outputs:
        """Of points z (B, U), each with a picture of its own in place of the record's."""
        ...

    def response_slope(self) -> Tensor:
        """(2, R, H) gradient of the target with respect to the embeddings of the response tokens."""
        ...

    def rewards_of(self, texts: Sequence[str]) -> Tensor:
        """(N,) rewards of other responses."""
        ...

    def word_tokens(self) -> tuple[list[str], Tensor]:
        """Tokens that are whole words, and their embeddings (V, H)."""
        ...


@runtime_checkable
class DecomposesHead(Protocol):
    """A masked forward whose head takes something off each score for every response token."""

    def token_penalties(self) -> tuple[Tensor, Tensor]:
        """(2, R, D) what each response token takes from each score, and (D,) the weights of the scores in a reward."""
        ...


@runtime_checkable
class AsksAgain(MaskedForward, Protocol):
    """A masked forward that asks a judge anew for each point: at a price, and without gradients. unanswered: points so far on
    which there was no verdict; they count as unmoved."""

    at_once: int
    unanswered: int

    def estimate(self, points: int) -> Cost:
        """Of so many points."""
        ...


@runtime_checkable
class Explainable(Protocol):
    """Can be explained: gives its target as a function of presences (core/explain).

    lock: held while the model is used. decomposes_head: whether its masked forwards are DecomposesHead; rewords: whether
    they are Rewords.
    """

    card: JudgeCard
    lock: Lock
    decomposes_head: bool
    rewords: bool

    def judge(self, comparison: Comparison) -> Judgement: ...

    def judge_batch(self, comparisons: list[Comparison]) -> list[Judgement]: ...

    def masked(
        self,
        comparison: Comparison,
        judgement: Judgement,
        a: int,
        b: int,
        target: TargetFunction,
        level: str,
        scope: str,
        most_regions: int = 16,
    ) -> MaskedForward:
        """level: "word" or "sentence". scope: "joint" or "responses". most_regions: of the longer side of the region grid.
        Call under the lock. Raises RecordError or ImageError."""
        ...


@runtime_checkable
class Differentiable(Explainable, Protocol):
    """Its masked forwards have gradients. model: for its device and dtype."""

    model: Any
