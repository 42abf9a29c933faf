"""A checkpoint is tried out once before anybody waits for it: its numbers are numbers, and it can read a picture and a text."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from PIL import Image

from core.model.processor import RewardProcessor, _around_response, _prefix, encode_prefix, encode_response
from core.records import RecordError

SECONDS = 20.0  # for a chat template
PIXELS = 1 << 26  # that a picture may be scaled to
Result = TypeVar("Result")


class TrialError(ValueError):
    """What is wrong, as the rest of a sentence."""


def try_out(model: Any, processor: RewardProcessor) -> None:
    """Raises TrialError."""
    _check_weights(model)
    _check_pictures(processor)
    within(SECONDS, lambda: _check_template(processor))
    try:
        inputs = encode_prefix(processor, [Image.new("RGB", (64, 48), (200, 90, 30))], ["What is it?"]).to(
            model.device
        )
        encode_response(processor, "A square.")
        with torch.inference_mode():
            model.read(**inputs)
    except TrialError:
        raise
    except (Exception, MemoryError) as error:
        said = (str(error).strip().splitlines() or [""])[0][:200]
        raise TrialError(
            f"reading a small picture and a question ends in an error ({type(error).__name__}: {said})."
        ) from error


def _check_weights(model: Any) -> None:
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise TrialError(
                f"its weights hold values that are not numbers, the first in {name}. Train or convert it again."
            )


def _check_pictures(processor: RewardProcessor) -> None:
    p = processor.image_processor
    for name, least, most in (("patch_size", 1, 256), ("merge_size", 1, 32), ("temporal_patch_size", 1, 32)):
        value = getattr(p, name, None)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise TrialError(
                f"{name} of its image processor is {str(value)[:40]!r}, not a number from {least} to {most}."
            )
    size = dict(p.size) if p.size is not None else {}  # transformers' own table is iterated as pairs
    for name, value in [
        *size.items(),
        ("min_pixels", getattr(p, "min_pixels", None)),
        ("max_pixels", getattr(p, "max_pixels", None)),
    ]:
        if value is not None and (not isinstance(value, int | float) or not 0 < value <= PIXELS):
            raise TrialError(
                f"{name} of its image processor is {str(value)[:40]!r}: pictures of at most {PIXELS:,} pixels are read."
            )
    for name in ("image_mean", "image_std", "rescale_factor"):
        given = getattr(p, name, None)
        values = given if isinstance(given, list | tuple) else [] if given is None else [given]
        numbers = [v for v in values if isinstance(v, int | float) and math.isfinite(v)]
        if len(numbers) < len(values) or (name == "image_std" and 0 in numbers):
            raise TrialError(
                f"{name} of its image processor holds something that cannot be used as a number."
            )


def _check_template(processor: RewardProcessor) -> None:
    if not processor.tokenizer.is_fast:
        raise TrialError("it has no tokenizer.json: a fast tokenizer is needed to say which word is where.")
    try:
        prefix = _prefix(processor, "Zebra?")
        _around_response(processor)
    except RecordError as error:
        raise TrialError("its chat template opens the assistant's turn otherwise than it writes a finished one, so where a "
                         "response begins cannot be told.") from error  # fmt: skip
    except Exception as error:
        raise TrialError(f"its chat template cannot be used ({type(error).__name__}).") from error
    if prefix.count(processor.image_token) != 1 or "Zebra?" not in prefix:
        raise TrialError("its chat template leaves out the picture or the question.")


def within(seconds: float, work: Callable[[], Result]) -> Result:
    """What `work` gives or raises. Raises TrialError where it takes longer; it is then left behind."""
    out: list[Any] = []

    def run() -> None:
        try:
            out.append((work(), None))
        except BaseException as error:
            out.append((None, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if not out:
        raise TrialError(f"its chat template takes longer than {seconds:g} seconds.")
    value, error = out[0]
    if error is not None:
        raise error
    return value
