"""Why a judge answered so, and whether that is true."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum

from core.records.judgement import Judgement

PASSES, WEAKLY = 3.0, 1.2  # times the random move, from which a deletion check is passed, and weakly passed
NO_INFLUENCE = 0.05  # a move of the target below which nothing depends on what was removed


class Passed(StrEnum):
    """How a deletion check ended."""

    PASSES = "passes"
    WEAKLY = "weakly passes"
    FAILS = "fails"
    NO_INFLUENCE = "no influence"


@dataclass(frozen=True)
class DeletionCheck:
    """What became of a target when the words or regions that an explanation marks most were replaced by the baseline.

    names: what was replaced. before, after: the target. random: how far as many random ones move it, on average.
    """

    names: tuple[str, ...]
    before: float
    after: float
    random: float

    @property
    def times(self) -> float:
        """How many times further the target fell toward the other side (what is marked speaks for its sign) than random
        features move it. Below 0 where it rose."""
        fell = (self.before - self.after) * (1 if self.before >= 0 else -1)
        return fell / max(self.random, 1e-9)

    @property
    def passed(self) -> Passed:
        flips = self.before * self.after < 0
        if abs(self.after - self.before) < NO_INFLUENCE and self.random < NO_INFLUENCE and not flips:
            return Passed.NO_INFLUENCE
        if self.times >= PASSES:
            return Passed.PASSES
        return Passed.WEAKLY if self.times >= WEAKLY else Passed.FAILS


@dataclass(frozen=True)
class Faithfulness:
    """Whether an explanation is true of the model: words, regions and sentences of the critique apart, None where there
    are none."""

    words: DeletionCheck | None
    regions: DeletionCheck | None
    critique: DeletionCheck | None = None


@dataclass(frozen=True)
class Explanation:
    """Attributions of one Judgement toward one target.

    target: readable name ("margin A - B", "Counting, A - B").
    tokens: per response, (text, start, end) with character offsets into the response.
    token_values: per response, one number per token. patch_values: rows x columns of the visual grid.
    prompt_value, other_value: what fell on the prompt and on the chat template's own tokens.
    convergence_delta: sum of all attributions - (target(input) - target(baseline)); None where the method
    promises no completeness (then it is no error of the method). steps: forward/backward passes on the path, or
    random orders; 0 where the method takes none. points: model evaluations. level: what a token is, "word" or "sentence". scope: "joint", or
    "responses" where image and prompt were left as they are. peak_memory: bytes, None where not measured.
    pair, target_key, method_key: what `explain` was asked for. critique_tokens: sentences of the critique that is held fixed,
    with character offsets into its vote's text, and critique_values: one number each. unanswered: of a judge that is asked
    again, changed inputs on which it gave no verdict; they count as unmoved.
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
    convergence_delta: float | None
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
    critique_tokens: tuple[tuple[str, int, int], ...] = ()
    critique_values: tuple[float, ...] = ()
    unanswered: int = 0


UNMOVED = 0.1  # of the margin: a smaller move says that the picture does not matter


class ImageUse(StrEnum):
    USES = "uses"
    PARTLY = "partly"
    IGNORES = "ignores"


@dataclass(frozen=True)
class ImageAblation:
    """Margins of a over b with the picture, with a blank one in its place, and with another record's (or None).

    blank: what stood for a blank picture (core.judges.conditions.BLANK).
    """

    given: float
    without: float
    other: float | None
    blank: str = ""

    @property
    def share(self) -> float:
        """How much of the margin is gone without the picture: 1 all of it (or more), 0 none."""
        return min(1.0, max(0.0, 1 - self.without / self.given)) if self.given else 0.0

    @property
    def use(self) -> ImageUse:
        """Uses: the verdict turns or is lost without the picture. Ignores: the margin moves by less than a tenth."""
        if self.given * self.without <= 0:
            return ImageUse.USES
        moved = abs(self.given - self.without) / abs(self.given)
        return ImageUse.IGNORES if moved < UNMOVED else ImageUse.PARTLY


def to_json(record: Judgement | Explanation) -> str:
    return json.dumps(asdict(record), ensure_ascii=False)
