"""What a model made of the last pictures it saw: a judgement, its map, the check of the map and the controls ask for the
same two or three, and the vision tower is a large part of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from PIL import Image
from torch import Tensor

from core.images import image_hash
from core.judges.kept import Kept

KEPT = 256 << 20  # bytes of features
NOT_VISION = ("input_ids", "attention_mask", "mm_token_type_ids")


class Pictures:
    """Features of one picture at a time, by its content. Use it under the lock of the judge whose model it is."""

    def __init__(self, model: Any, kept: int = KEPT) -> None:
        self.model = model
        self._found: Kept[list[Tensor]] = Kept(kept)

    def of(self, image: Image.Image, encoded: Callable[[], Mapping[str, Any]]) -> list[Tensor]:
        """As `Reader.image_features` gives them. encoded: gives what the processor made of this picture alone; called only
        where the model has to look."""
        key = image_hash(image)
        found = self._found.get(key)
        return self._found.put(key, look(self.model, encoded())) if found is None else found


def look(model: Any, inputs: Mapping[str, Any]) -> list[Tensor]:
    """The vision tower on whatever pictures there are in what the processor gave."""
    vision = {k: v for k, v in inputs.items() if k not in NOT_VISION}
    found: list[Tensor] = model.image_features(vision.pop("pixel_values"), **vision)
    return found
