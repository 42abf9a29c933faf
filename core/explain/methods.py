"""Methods: how a target is attributed to features. Each is a short function whose docstring is the help text.

A method gets the forward to call, the masked forward that it stands for (a function of presences z (B, U)), how many steps
to take and how many points fit into one batch, and returns one number per feature (U,). Captum supplies the algorithms. It is imported where it is used: it brings
Matplotlib along, a second of every start.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.explain.refine import EVALUATIONS, refine, wave
from core.explain.targets import Target
from core.judges.protocols import DecomposesHead, MaskedForward
from core.records import RecordError

if TYPE_CHECKING:  # which methods there are, a page asks before anything is loaded
    import torch
    from torch import Tensor

    from core.judges.features import Features

    Forward = Callable[[Tensor], Tensor]
WINDOW = 2  # regions along each side of an occluding window


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Draws as after this seed; whoever else draws random numbers in this process finds them as they were."""
    import torch

    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


@dataclass(frozen=True)
class Method:
    """steps: how many it takes unless told (0: it takes none). complete: whether its attributions must add up to
    the difference between input and baseline. gradient: whether it needs a backward pass. points: how many model
    evaluations it needs for so many features and steps. head: whether it needs a head that can be decomposed by token.
    timed: whether it can stop at any time with what it has; its steps are then the evaluations that it made.
    wave: how many evaluations it can be given at a time, where that is not all of them."""

    name: str
    run: Callable[[Forward, MaskedForward, int, int], Tensor]
    steps: int
    complete: bool
    gradient: bool
    points: Callable[[Features, int], int]
    head: bool = False
    timed: bool = False
    wave: Callable[[Features], int] | None = None

    @property
    def help(self) -> str:
        return inspect.getdoc(self.run) or ""


def gradient(forward: Forward, masked: MaskedForward, steps: int, batch: int) -> Tensor:
    """One backward pass: how strongly the result reacts to each word and region, times how far it is from the
    baseline. Instant, good for a first look; it is not complete: its values need not add up."""
    from captum.attr import InputXGradient

    del steps, batch
    return InputXGradient(forward).attribute(masked.ones().requires_grad_())[0].detach()


def integrated_gradients(forward: Forward, masked: MaskedForward, steps: int, batch: int) -> Tensor:
    """Walks from the baseline to the input in small steps and adds up the gradients on the way (Sundararajan et
    al. 2017). The attributions add up to the difference that is explained, but for the convergence delta."""
    import torch
    from captum.attr import IntegratedGradients

    z = masked.ones()
    return IntegratedGradients(forward).attribute(
        z, baselines=torch.zeros_like(z), n_steps=steps, internal_batch_size=batch, method="gausslegendre"
    )[0].detach()  # fmt: skip


def ablation(forward: Forward, masked: MaskedForward, steps: int, batch: int) -> Tensor:
    """Replaces each word and each region by its baseline, one at a time, and reads how far the result falls. What
    it says of a single unit is true by construction; it does not see units that stand in for each other."""
    from captum.attr import FeatureAblation

    del steps
    return FeatureAblation(forward).attribute(masked.ones(), baselines=0.0, perturbations_per_eval=batch)[0]


def occlusion(forward: Forward, masked: MaskedForward, steps: int, batch: int) -> Tensor:
    """Slides a grey window of 2 x 2 regions over the picture and a gap of one over the words, and averages what
    each position cost (Zeiler and Fergus 2014). Sees things that lie across the border of two regions."""
    import torch
    from captum.attr import Occlusion

    del steps
    features, z = masked.features, masked.ones()
    text, picture = z[:, : features.text_count], z[:, features.regions].view(1, *features.grid)

    def joined(text: Tensor, picture: Tensor) -> Tensor:
        return forward(torch.cat([text, picture.flatten(1)], dim=1))

    window = tuple(min(WINDOW, side) for side in features.grid)
    found = Occlusion(joined).attribute(
        (text, picture), sliding_window_shapes=((1,), window), strides=(1, 1), baselines=(0.0, 0.0),
        perturbations_per_eval=batch,
    )  # fmt: skip
    return torch.cat([found[0].flatten(), found[1].flatten()])


def shapley(forward: Forward, masked: MaskedForward, steps: int, batch: int) -> Tensor:
    """Puts words and regions in one after another, in many random orders, and averages what each added (Strumbelj
    and Kononenko 2010). Shares credit fairly among units that act together; slow. Adds up exactly."""
    from captum.attr import ShapleyValueSampling

    with seeded(0, masked.ones().device):
        return ShapleyValueSampling(forward).attribute(
            masked.ones(), baselines=0.0, n_samples=steps, perturbations_per_eval=batch
        )[0]  # fmt: skip


def decomposition(forward: Forward, masked: MaskedForward, steps: int, batch: int) -> Tensor:
    """Takes one term of this head apart: each score is what the end of the response is worth less the token surprisal
    penalty of each word, so each word's share of that term is exact. Regions come from ablation. It is not evidence about
    the model: the embedded model's penalties were trained on the answer key, and the map keeps its hit rate when the head
    is drawn at random. What the end of the response is worth is the unattributed remainder."""
    import torch
    from captum.attr import FeatureAblation

    del steps
    if not isinstance(masked, DecomposesHead) or not isinstance(masked.target, Target):
        raise RecordError(
            "The exact head decomposition needs a head with token surprisal, and one of the named targets."
        )
    features = masked.features
    sign = (-1.0, 0.0 if masked.target.kind == "reward" else 1.0)  # a penalty of b speaks for a
    penalties, weights = masked.token_penalties()
    doubts = (penalties * masked.target.shares(weights)).sum(-1)
    out = torch.zeros(features.count, device=doubts.device)
    for n in (0, 1):
        at = features.response[n]
        out.index_add_(0, at[at >= 0], sign[n] * doubts[n][at >= 0])
    z = masked.ones()
    whole = torch.zeros_like(z).index_fill_(1, torch.arange(features.text_count, device=z.device), 1.0)

    def regions(picture: Tensor) -> Tensor:
        return forward(torch.cat([whole[:, : features.text_count].expand(len(picture), -1), picture], dim=1))

    out[features.regions] = FeatureAblation(regions).attribute(
        z[:, features.regions], baselines=0.0, perturbations_per_eval=batch
    )[0]  # fmt: skip
    return out


ALIASES = {"account": "decomposition"}  # what release 0.1 called it
METHODS: dict[str, Method] = {
    "gradient": Method("Gradient × input", gradient, 0, False, True, lambda u, n: 1),
    "integrated_gradients": Method("Integrated gradients", integrated_gradients, 32, True, True, lambda u, n: n),
    "ablation": Method("Ablation", ablation, 0, False, False, lambda u, n: u.count + 1),
    "occlusion": Method(
        "Occlusion", occlusion, 0, False, False,
        lambda u, n: u.text_count + max(1, u.grid[0] - 1) * max(1, u.grid[1] - 1) + 1,
    ),
    "shapley": Method("Shapley sampling", shapley, 25, True, False, lambda u, n: n * u.count + 1),
    "refine": Method("Coarse to fine", refine, EVALUATIONS, False, True, lambda u, n: n, timed=True, wave=wave),
    "decomposition": Method(
        "Exact head decomposition", decomposition, 0, False, False, lambda u, n: u.grid[0] * u.grid[1] + 1, head=True
    ),
}  # fmt: skip
