"""First looks at comparisons: stored with the app, seen before, or computed once for all who ask at the same time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from PIL import Image

from app.common import lane
from app.common.shared import Shared
from app.common.tasks import FirstLook, checked_look, first_explained, first_look
from core.judges.protocols import Explainable
from core.records import Comparison, Explanation, Judgement

KEPT = 128


class Looks:
    """One judge's first looks by the comparison's id, which must be its content's hash (`views.comparison_of`).

    stored: those that came with the app. Of others the last KEPT are held, in memory only.
    """

    def __init__(self, judge: Explainable, stored: Mapping[str, FirstLook] | None = None) -> None:
        self.judge, self.stored = judge, stored or {}
        self._shared: Shared[FirstLook] = Shared(KEPT)
        self._maps: Shared[Explanation | None] = Shared(KEPT)

    def known(self, comparison: Comparison) -> FirstLook | None:
        """What can be shown without the model."""
        return self.stored.get(comparison.id) or self._shared.known(comparison.id)

    def of(self, comparison: Comparison, other: Image.Image) -> FirstLook:
        """Raises what judging and explaining raise. What a judge did not decide is asked again the next time."""
        return self._kept(comparison, lambda: lane.run_on_model(first_look, self.judge, comparison, other))

    def map_of(
        self, comparison: Comparison, judgement: Judgement, pair: tuple[int, int], cancelled: Callable[[], bool]
    ) -> Explanation | None:  # fmt: skip
        """The first map without its check. Raises what explaining raises, Cancelled too."""
        return self._maps.get(
            (comparison.id, pair),
            lambda: lane.run_on_model(
                first_explained, self.judge, comparison, judgement, pair, check=False, watch={"cancelled": cancelled}
            ),
        )  # fmt: skip

    def checked(
        self, comparison: Comparison, judgement: Judgement, explanation: Explanation | None, other: Image.Image
    ) -> FirstLook:  # fmt: skip
        """The whole look, from what was shown of it before."""
        return self._kept(
            comparison,
            lambda: lane.run_on_model(checked_look, self.judge, comparison, judgement, explanation, other),
        )

    def _kept(self, comparison: Comparison, compute: Callable[[], FirstLook]) -> FirstLook:
        look = self.stored.get(comparison.id) or self._shared.get(comparison.id, compute)
        if any(map(math.isnan, look.judgement.rewards)):
            self._shared.forget(comparison.id)
        return look
