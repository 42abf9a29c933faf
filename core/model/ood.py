"""Does the embedded model know this kind of picture? A measured distance, not a guess from the file name.

A picture is described by a few statistics of its pixels, at the size the model sees (how flat its colours are,
how sharp its edges), and by how far its visual tokens lie from those of the training split (Mahalanobis distance,
Lee et al. 2018, arXiv 1807.03888). The score is the distance of that description to its third nearest neighbour
among training pictures (Sun et al. 2022, arXiv 2204.06507). The tokens alone miss half of all photographs: a
small model maps what it has never seen onto what it knows.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from core.model.loading import EMBEDDED, CheckpointError
from core.model.processor import MAX_PIXELS
from core.records import OODScore

FILE = "ood.safetensors"
FALSE_ALARMS = 0.003  # share of training-split pictures left outside the threshold
NEIGHBOUR = 3


def pixel_statistics(image: Image.Image) -> Tensor:
    """(13,) flatness of colour, sharpness of edges, brightness, of an RGB image at the model's own size."""
    scale = (MAX_PIXELS / (image.width * image.height)) ** 0.5
    size = max(8, round(image.width * scale)), max(8, round(image.height * scale))
    small = image.convert("RGB").resize(size, Image.Resampling.BICUBIC)
    pixels = np.asarray(small, dtype=np.float32)
    lost = []  # what is lost by keeping so few colours
    for colours in (4, 8, 16):
        flat = small.quantize(colours, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        lost.append(np.log1p(np.abs(pixels - np.asarray(flat.convert("RGB"), dtype=np.float32)).mean()))
    # Channel by channel: an axis of three is numpy's slowest, and sorting rows takes longer than judging the picture.
    red, green, blue = (np.ascontiguousarray(pixels[..., i]) for i in range(3))
    coarse = np.asarray(small).astype(np.int32) >> 3
    counts = np.bincount((coarse[..., 0] << 10 | coarse[..., 1] << 5 | coarse[..., 2]).ravel())
    shares = np.sort(counts[counts > 0])[::-1] / counts.sum()
    grey = (red + green + blue) / np.float32(3)
    edge = np.hypot(np.diff(grey, axis=1)[:-1], np.diff(grey, axis=0)[:, :-1])
    colourful = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue) > 60
    return torch.tensor([
        *lost, shares[0], shares[:3].sum(), np.log(len(shares)),
        (edge < 1).mean(), ((edge >= 1) & (edge < 8)).mean(), (edge >= 32).mean(), np.log1p(edge.mean()),
        colourful.mean(), grey.mean() / 255, grey.std() / 255,
    ], dtype=torch.float32)  # fmt: skip


class OODModel:
    """Mean and whitening of visual tokens, the known descriptions, a threshold, and the measured error rates."""

    def __init__(
        self, tensors: dict[str, Tensor], threshold: float = 0.0, measured: dict[str, float] | None = None
    ) -> None:
        self.tensors, self.threshold, self.measured = tensors, threshold, measured or {}

    @classmethod
    def fit(cls, pictures: list[tuple[Image.Image, Tensor]], shrinkage: float = 1e-3) -> OODModel:
        """From training pictures and their (tokens, H) features. One half is remembered, the other sets the
        threshold, so that no picture is compared with itself."""
        rows = torch.cat([tokens.double() for _, tokens in pictures])
        mean = rows.mean(0)
        covariance = (rows - mean).T @ (rows - mean) / (len(rows) - 1)
        covariance += shrinkage * covariance.diagonal().mean() * torch.eye(len(mean), dtype=rows.dtype)
        values, vectors = torch.linalg.eigh(covariance)
        model = cls({"mean": mean.float(), "whiten": (vectors * values.rsqrt()).float()})
        described = torch.stack(
            [model.describe(pixel_statistics(image), tokens) for image, tokens in pictures]
        )
        known, others = described[::2], described[1::2]
        centre, spread = known.mean(0), known.std(0).clamp_min(1e-3)  # a statistic may be constant
        model.tensors |= {"centre": centre, "spread": spread, "known": (known - centre) / spread}
        scores = torch.tensor([model._distance(d) for d in others])
        model.threshold = float(scores.quantile(1 - FALSE_ALARMS))
        return model

    def describe(self, statistics: Tensor, tokens: Tensor) -> Tensor:
        """(14,) `pixel_statistics` and the log of the tokens' mean squared Mahalanobis distance per dimension."""
        white = (tokens.float().cpu() - self.tensors["mean"]) @ self.tensors["whiten"]
        return torch.cat([statistics, white.square().mean().log()[None]])

    def _distance(self, described: Tensor) -> float:
        point = (described - self.tensors["centre"]) / self.tensors["spread"]
        distances = (self.tensors["known"] - point).norm(dim=-1)
        return float(distances.kthvalue(NEIGHBOUR).values)

    def score(self, statistics: Tensor, tokens: Tensor) -> float:
        return self._distance(self.describe(statistics, tokens))

    def of(self, statistics: Tensor, tokens: Tensor) -> OODScore:
        """statistics: of the image's pixels. tokens: (T, H), what the decoder gets to see of it."""
        score = self.score(statistics, tokens)
        return OODScore(score, self.threshold, score > self.threshold, self.about())

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
        save_file({k: v.contiguous() for k, v in self.tensors.items()}, folder / FILE, metadata=metadata)

    @classmethod
    def load_for(cls, source: str | Path | None) -> OODModel | None:
        """The statistics beside a checkpoint folder (None: the embedded model), or None where there are none."""
        path = Path(source or EMBEDDED) / FILE
        if not path.is_file():
            return None
        try:
            with safe_open(path, "pt") as file:
                metadata = file.metadata() or {}
                tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118 (not a dict)
            found = cls(tensors, float(metadata["threshold"]), json.loads(metadata["measured"]))
            found.check()
        except Exception as error:  # safetensors has its own kinds
            raise CheckpointError(
                f"{path} is damaged ({type(error).__name__}): remove it, and pictures are judged without a word on whether they "
                "lie outside what the model knows."
            ) from error
        return found

    def check(self) -> None:
        """Raises ValueError or KeyError where a score could not be computed."""
        t = self.tensors
        length = len(t["centre"])
        if t["mean"].dim() != 1 or t["whiten"].dim() != 2 or len(t["whiten"]) != len(t["mean"]):
            raise ValueError("the whitening does not fit the mean")
        if t["spread"].shape != t["centre"].shape or t["known"].dim() != 2 or t["known"].shape[1] != length:
            raise ValueError("the known pictures do not fit the centre")
        if length != 14 or len(t["known"]) < NEIGHBOUR or not np.isfinite(self.threshold):
            raise ValueError("too little is known")
        if not all(bool(torch.isfinite(x).all()) for x in t.values()):
            raise ValueError("a tensor holds values that are not numbers")
        self.about()
