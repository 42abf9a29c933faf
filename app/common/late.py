"""The embedded judge, which loads after the pages are up. Torch and transformers take longer to load than everything else
together, and the gallery, runs and labels need neither."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future
from importlib import import_module
from threading import Lock, Thread
from typing import Any

from core.judges.embedded import embedded_card
from core.judges.protocols import Explainable, MaskedForward
from core.records import Comparison, Judgement, RecordError

log = logging.getLogger(__name__)
NEEDED = ("core.explain.explanation", "core.explain.counterfactual", "captum.attr")  # by the first judgement


class LateJudge:
    """What pages ask of a judge (who it is, what it can do) is known at once. `loaded` waits for the rest.

    lock, model: those of the loaded judge are the ones in use; these only say that there will be such.
    """

    decomposes_head = rewords = True

    def __init__(self, load: Callable[[], Explainable]) -> None:
        """Raises CheckpointError where the weights are not there."""
        self.card = embedded_card()
        self.lock, self.model = Lock(), None
        self._load, self._judge = load, Future[Explainable]()

    def start(self) -> None:
        Thread(target=self._run, name="loads the judge", daemon=True).start()

    def _run(self) -> None:
        try:
            judge = self._load()
            for name in NEEDED:
                import_module(name)
            self.card = judge.card
            self._judge.set_result(judge)
        except BaseException as error:
            log.exception("The embedded judge cannot be loaded.")
            self._judge.set_exception(error)

    def loaded(self) -> Explainable:
        """The judge itself, once it is there. Raises RecordError where it cannot be loaded."""
        try:
            return self._judge.result()
        except Exception as error:
            raise RecordError(f"The model could not be loaded, so nothing can be judged: {error}") from error

    def judge(self, comparison: Comparison) -> Judgement:
        return self.loaded().judge(comparison)

    def judge_batch(self, comparisons: list[Comparison]) -> list[Judgement]:
        return self.loaded().judge_batch(comparisons)

    def masked(self, *args: Any, **kwargs: Any) -> MaskedForward:
        return self.loaded().masked(*args, **kwargs)


def loaded(judge: Any) -> Any:
    """The judge that a task is given."""
    return judge.loaded() if isinstance(judge, LateJudge) else judge
