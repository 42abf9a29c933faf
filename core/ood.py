"""Does the embedded model know this kind of picture? A measured distance, not a guess from the file name.

Score: the Mahalanobis distance of the picture's visual tokens to those of the training split, averaged over
tokens (after Lee et al. 2018, arXiv 1807.03888, with one class). The threshold leaves a fixed share of
training-split pictures outside; false alarms and misses are measured on other pictures and stored beside it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from core.model.loading import EMBEDDED

FILE = "familiarity.safetensors"
FALSE_ALARMS = 0.01  # share of training-split pictures left outside the threshold


@dataclass(frozen=True)
class Familiarity:
    """score: mean squared Mahalanobis distance per dimension (1 is typical). unfamiliar: score > threshold."""

    score: float
    threshold: float
    unfamiliar: bool
    about: str


class FamiliarityModel:
    """Mean and whitening (H, H) of visual tokens, a threshold, and the measured error rates."""

    def __init__(self, mean: Tensor, whiten: Tensor, threshold: float, measured: dict[str, float]) -> None:
        self.mean, self.whiten, self.threshold, self.measured = mean, whiten, threshold, measured

    @classmethod
    def fit(cls, tokens: Iterable[Tensor], shrinkage: float = 1e-3) -> FamiliarityModel:
        """From the (tokens, H) features of training pictures."""
        pictures = [t.double() for t in tokens]
        rows = torch.cat(pictures)
        mean = rows.mean(0)
        covariance = (rows - mean).T @ (rows - mean) / (len(rows) - 1)
        covariance += shrinkage * covariance.diagonal().mean() * torch.eye(len(mean), dtype=rows.dtype)
        values, vectors = torch.linalg.eigh(covariance)
        model = cls(mean.float(), (vectors * values.rsqrt()).float(), 0.0, {})
        scores = torch.tensor([model.score(t.float()) for t in pictures])
        model.threshold = float(scores.quantile(1 - FALSE_ALARMS))
        return model

    def score(self, tokens: Tensor) -> float:
        white = (tokens.float().cpu() - self.mean) @ self.whiten
        return float(white.square().mean())

    def of(self, tokens: Tensor) -> Familiarity:
        score = self.score(tokens)
        return Familiarity(score, self.threshold, score > self.threshold, self.about())

    def about(self) -> str:
        if not self.measured:
            return "Error rates of this score have not been measured."
        return (
            f"Measured on pictures not used to set the threshold: it warns of {self.measured['false_alarms']:.1%} of "
            f"held-out scene-world pictures and misses {self.measured['misses']:.1%} of "
            f"{self.measured['real_images']:.0f} real photographs, screenshots and drawings."
        )

    def save(self, folder: Path) -> None:
        metadata = {"threshold": repr(self.threshold), "measured": json.dumps(self.measured)}
        tensors = {"mean": self.mean.contiguous(), "whiten": self.whiten.contiguous()}
        save_file(tensors, folder / FILE, metadata=metadata)

    @classmethod
    def load_for(cls, source: str | Path | None) -> FamiliarityModel | None:
        """The statistics beside a checkpoint folder (None: the embedded model), or None where there are none."""
        path = Path(source or EMBEDDED) / FILE
        if not path.is_file():
            return None
        with safe_open(path, "pt") as file:
            metadata = file.metadata()
            return cls(
                file.get_tensor("mean"),
                file.get_tensor("whiten"),
                float(metadata["threshold"]),
                json.loads(metadata["measured"]),
            )
