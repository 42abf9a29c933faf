"""Models that cut a picture into tiles: LLaVA-OneVision and InternVL as transformers has them.

How a picture is cut and resized is done by transformers' own PIL image processors, and how many tokens it becomes by
transformers' own rule; its processor classes need torchvision for video, and are not used.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from transformers import BatchFeature
from transformers.image_processing_utils import select_best_resolution
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import (
    GotOcr2ImageProcessorPil,
    get_optimal_tiled_canvas,
)
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import (
    LlavaOnevisionImageProcessorPil,
)
from transformers.models.llava_onevision.processing_llava_onevision import LlavaOnevisionProcessor

from core.model.processor import Layout, RewardProcessor
from core.model.value_head import HeadedReward


class OneVisionProcessor(RewardProcessor):
    """The whole picture as one square tile, then itself in tiles without their padding, a token after each row (anyres)."""

    named, token = "image_token", "<image>"
    model_keys = ("pixel_values", "image_sizes", "batch_num_images")
    several = False  # of several pictures the model takes the whole ones only
    image_processor_class = LlavaOnevisionImageProcessorPil

    def __init__(
        self, image_processor: Any, tokenizer: Any, config: Any, max_pixels: int | None = None
    ) -> None:
        super().__init__(image_processor, tokenizer)
        vision = config.vision_config
        self.side = vision.image_size // vision.patch_size
        self.vision_aspect_ratio = config.vision_aspect_ratio
        # The model sorts the tokens by its own list of sizes.
        image_processor.image_grid_pinpoints = [list(size) for size in config.image_grid_pinpoints]
        self.max_pixels = max_pixels

    @property
    def limit(self) -> str:
        tile = self.image_processor.size["height"]
        most = f", of at most {self.max_pixels:,} pixels" if self.max_pixels else ""
        return f"pictures in the space of up to {self.vision_aspect_ratio.removeprefix('anyres_max_')} tiles of {tile} x {tile}{most}"

    _get_unpadded_features: Any = LlavaOnevisionProcessor._get_unpadded_features

    def pictures(self, images: list[Image.Image]) -> BatchFeature:
        return super().pictures([smaller(image, self.max_pixels) for image in images])

    def replace_image_token(self, image_inputs: Any, image_idx: int, **_: Any) -> str:
        rows, columns = self._tiled(image_inputs, image_idx)
        return self.image_token * (self.side**2 + rows * (columns + 1))

    def layout(self, inputs: Any, i: int, tokens: int) -> Layout:
        fine = _shrunk(*self._tiled(inputs, i), self.side)
        ends = torch.full((len(fine), 1), -1)  # the token after each row shows nothing
        whole = torch.arange(self.side**2)
        return Layout(self.side, self.side, torch.cat([whole, torch.cat([fine, ends], dim=1).flatten()]))

    def _tiled(self, inputs: Any, i: int) -> tuple[int, int]:
        """Rows and columns of tokens of the picture in tiles, after its padding is taken off."""
        height, width = (int(v) for v in inputs["image_sizes"][i])
        tile = inputs["pixel_values"].shape[-1]
        best = select_best_resolution((height, width), self.image_processor.image_grid_pinpoints)
        shown, rows = self._get_unpadded_features(
            height, width, self.side, self.side, best[0] // tile, best[1] // tile
        )
        return rows, shown // rows


class InternVLProcessor(RewardProcessor):
    """The picture in square tiles, then the whole as one more. inputs hold `tiles`: (pictures, 2) rows and columns."""

    named, token = "context_image_token", "<IMG_CONTEXT>"
    model_keys = ("pixel_values",)
    several = False  # its tiles are counted for one
    image_processor_class = GotOcr2ImageProcessorPil

    def __init__(
        self, image_processor: Any, tokenizer: Any, config: Any, max_pixels: int | None = None
    ) -> None:
        super().__init__(image_processor, tokenizer)
        self.around = tuple(
            getattr(tokenizer, n, None) or t
            for n, t in (("start_image_token", "<img>"), ("end_image_token", "</img>"))
        )
        vision = config.vision_config
        self.side = int(vision.image_size[0] // vision.patch_size[0] * config.downsample_ratio)
        image_processor.crop_to_patches = True  # as its processor class does, whatever the file says
        if max_pixels is not None:
            size = image_processor.size
            image_processor.max_patches = max(
                1, min(image_processor.max_patches, max_pixels // (size["height"] * size["width"]))
            )

    def pictures(self, images: list[Image.Image]) -> BatchFeature:
        p = self.image_processor
        inputs = super().pictures(images)
        del inputs["num_patches"]
        tile, least, most = (
            (p.size["height"], p.size["width"]),
            min(p.min_patches, p.max_patches),
            p.max_patches,
        )
        cut = [get_optimal_tiled_canvas((image.height, image.width), tile, least, most) for image in images]
        return BatchFeature({**inputs, "tiles": torch.tensor([(rows, columns) for columns, rows in cut])})

    @property
    def limit(self) -> str:
        p = self.image_processor
        return f"pictures in up to {p.max_patches} tiles of {p.size['height']} x {p.size['width']}"

    def replace_image_token(self, image_inputs: Any, image_idx: int, **_: Any) -> str:
        many = self.side**2 * count(image_inputs["tiles"])[image_idx]
        return f"{self.around[0]}{self.image_token * many}{self.around[1]}"

    def layout(self, inputs: Any, i: int, tokens: int) -> Layout:
        rows, columns = (int(v) for v in inputs["tiles"][i])
        whole = torch.arange(self.side**2)
        if rows * columns == 1:
            return Layout(self.side, self.side, whole)
        fine = _shrunk(rows * self.side, columns * self.side, self.side)
        by_tile = fine.view(rows, self.side, columns, self.side).transpose(1, 2).flatten()
        return Layout(self.side, self.side, torch.cat([by_tile, whole]))


class InternVLReward(HeadedReward):
    """The reader of InternVL: its tiles are the batch, and belong to pictures."""

    def image_features(self, pixel_values: Tensor, **vision: Any) -> list[Tensor]:
        found = super().image_features(pixel_values)
        tiles = torch.stack(found).split(count(vision["tiles"]))
        return [of_picture.flatten(0, 1) for of_picture in tiles]


def count(tiles: Tensor) -> list[int]:
    """Tiles of each picture: where there are several, the whole picture is one more."""
    return [int(n) + (int(n) > 1) for n in tiles.prod(-1)]


def smaller(image: Image.Image, max_pixels: int | None) -> Image.Image:
    """The picture with at most so many pixels, in its own proportions."""
    if max_pixels is None or image.width * image.height <= max_pixels:
        return image
    scale = math.sqrt(max_pixels / (image.width * image.height))
    size = max(1, int(image.width * scale)), max(1, int(image.height * scale))
    return image.resize(size, Image.Resampling.BICUBIC)


def _shrunk(rows: int, columns: int, side: int) -> Tensor:
    """(rows, columns): the cell of a side x side grid over the picture in which the middle of each of its cells lies."""
    y = ((torch.arange(rows) + 0.5) / rows * side).long()
    x = ((torch.arange(columns) + 0.5) / columns * side).long()
    return y[:, None] * side + x[None]


PROCESSORS: dict[str, type[OneVisionProcessor | InternVLProcessor]] = {
    "llava_onevision": OneVisionProcessor,
    "internvl": InternVLProcessor,
}
