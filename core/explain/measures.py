"""How good is an explanation, measured without an answer key; and what the same measures give without any model.

Infidelity and sensitivity after Yeh et al. 2019 (Captum's), both over the presences z of words and regions; how well the
attributions of a set of features predict what removing it does. Attributions are differences from the baseline (z = 0) to
the input (z = 1), so what they predict for a removed set is their plain sum.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from core.explain import memory
from core.explain.explanation import Prepared
from core.explain.faithfulness import most_at_once, regions, words
from core.explain.methods import seeded
from core.judges.features import Features
from core.judges.protocols import MaskedForward
from core.records import RecordError

SETS = 50  # random sets of features
RADIUS, SAMPLES = 0.02, 10  # of the ball of presences, and draws from it


def random_sets(features: Features, count: int = SETS, seed: int = 0) -> Tensor:
    """(count, U) 1 for what is removed: between one and half of the words and regions; the prompt stays."""
    rng = random.Random(seed)
    among = words(features) + regions(features)
    out = torch.zeros(count, features.count)
    for row in out:
        row[rng.sample(among, rng.randint(1, max(1, len(among) // 2)))] = 1
    return out


def changes(forward: MaskedForward, sets: Tensor) -> Tensor:
    """(N,) how far the target falls when each set is replaced by the baseline."""
    z = torch.cat([forward.ones(), 1 - sets.to(forward.model.device)])
    found = memory.evaluate(forward, z, most_at_once(forward, len(z))).double().cpu()
    return found[0] - found[1:]


def correlation(values: Tensor, sets: Tensor, fell: Tensor) -> float:
    """Pearson correlation of predicted and true change over the sets; 0 where either does not vary. fell: `changes`."""
    predicted = sets.double() @ values.double().cpu()
    if float(predicted.std()) == 0 or float(fell.std()) == 0:
        return 0.0
    return float(torch.corrcoef(torch.stack([predicted, fell.double()]))[0, 1])


def infidelity(forward: MaskedForward, values: Tensor, sets: Tensor, scaled: bool = False) -> float:
    """Mean squared difference of predicted and true change over the sets, in the target's unit squared.

    scaled: after the attributions are multiplied by the one number that fits best, so that only their pattern counts.
    """
    from captum.metrics import infidelity as of_captum

    one = forward.ones()
    sets = sets.to(one)
    batch = min(most_at_once(forward, len(sets)), len(sets))

    def measured(batch: int) -> float:
        drawn = iter(sets)

        def perturb(z: Tensor) -> tuple[Tensor, Tensor]:
            gone = torch.stack([next(drawn) for _ in z])
            return gone, z - gone

        found = of_captum(
            forward, perturb, one, values.to(one)[None], n_perturb_samples=len(sets),
            max_examples_per_batch=batch, normalize=scaled,
        )  # fmt: skip
        return float(found)

    return memory.with_halving(measured, batch)


def unexplained(forward: MaskedForward, values: Tensor, sets: Tensor, fell: Tensor) -> float:
    """Infidelity at the best scale as a share of the mean squared change: 0 says all, 1 no more than saying nothing."""
    whole = float((fell**2).mean())
    return max(0.0, infidelity(forward, values, sets, scaled=True)) / whole if whole else 0.0


def sensitivity_max(ready: Prepared, radius: float = RADIUS, samples: int = SAMPLES, seed: int = 0) -> float:
    """The largest relative change of the attributions when every presence moves by up to `radius`. Under the judge's lock.

    Raises RecordError for a method that reads the head of the input as given, so that nothing moves it.
    """
    from captum.metrics import sensitivity_max as of_captum

    if ready.method.head:
        raise RecordError(
            f"'{ready.method.name}' reads the head at the input as given, so presences cannot move it."
        )

    def explained(z: tuple[Tensor, ...]) -> tuple[Tensor]:
        # A tuple in and a tuple out: of a bare tensor Captum takes each row for an input of its own.
        return (torch.stack([_attributed_at(ready, at) for at in z[0]]),)

    with seeded(seed, ready.forward.model.device):
        found = of_captum(
            explained, ready.forward.ones(), perturb_radius=radius, n_perturb_samples=samples,
            max_examples_per_batch=1,
        )  # fmt: skip
    return float(found)


def _attributed_at(ready: Prepared, at: Tensor) -> Tensor:
    """(U,) the method at presences `at` (U,) in place of 1: it walks from the same baseline to another input."""

    def forward(z: Tensor) -> Tensor:
        return ready.forward(z * at)

    return memory.with_halving(
        lambda batch: ready.method.run(forward, ready.forward, ready.steps, batch), ready.plan.batch
    )


# -- baselines that need no model ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Baseline:
    """A pseudo-method. run(features, image, loser, seed) -> (U,) the more the stronger, whoever it speaks for. loser: which
    of the two responses lost, 0 or 1. words, regions: what it says anything about."""

    name: str
    run: Callable[[Features, Image.Image, int, int], Tensor]
    words: bool = False
    regions: bool = False


def text_difference(features: Features, image: Image.Image, loser: int, seed: int) -> Tensor:
    """1 for the words of the losing response that the winning one lacks."""
    del image, seed
    of_winner = {_bare(word) for word, _, _ in features.texts[1 - loser]}
    out = torch.zeros(features.count)
    for u, (word, _, _) in enumerate(features.texts[loser], start=features.of_text(loser).start):
        out[u] = float(_bare(word) not in of_winner)
    return out


def last_word(features: Features, image: Image.Image, loser: int, seed: int) -> Tensor:
    """1 for the last word of the losing response."""
    del image, seed
    out = torch.zeros(features.count)
    if features.texts[loser]:
        out[features.of_text(loser).stop - 1] = 1
    return out


def middle_region(features: Features, image: Image.Image, loser: int, seed: int) -> Tensor:
    """The nearer to the middle of the picture, the stronger."""
    del image, loser, seed
    rows, columns = features.grid
    y = (torch.arange(rows) + 0.5) / rows - 0.5
    x = (torch.arange(columns) + 0.5) / columns - 0.5
    out = torch.zeros(features.count)
    out[features.regions] = (1 - (y[:, None] ** 2 + x[None] ** 2).sqrt()).flatten()
    return out


def most_contrast(features: Features, image: Image.Image, loser: int, seed: int) -> Tensor:
    """Standard deviation of the grey values in each region."""
    del loser, seed
    grey = np.asarray(image.convert("L"), dtype=float)
    rows, columns = features.grid
    across = [
        np.array_split(row, min(columns, grey.shape[1]), axis=1)
        for row in np.array_split(grey, min(rows, grey.shape[0]), axis=0)
    ]
    found = torch.zeros(rows, columns)
    for r, row in enumerate(across):
        for c, part in enumerate(row):
            found[r, c] = float(part.std())
    out = torch.zeros(features.count)
    out[features.regions] = found.flatten()
    return out


def by_chance(features: Features, image: Image.Image, loser: int, seed: int) -> Tensor:
    """Numbers between 0 and 1 at random."""
    del image, loser
    return torch.rand(features.count, generator=torch.Generator().manual_seed(seed))


BASELINES = (
    Baseline("words the winner lacks (no model)", text_difference, words=True),
    Baseline("last word (no model)", last_word, words=True),
    Baseline("middle region (no model)", middle_region, regions=True),
    Baseline("most contrast (no model)", most_contrast, regions=True),
    Baseline("random (no model)", by_chance, words=True, regions=True),
)


def _bare(word: str) -> str:
    return re.sub(r"\W", "", word).casefold() or word
