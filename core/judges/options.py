"""What a person may say about a judge when it is opened; every judge takes from it what concerns it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """model: a folder, a hub id or an http(s) address; None is the embedded model.

    max_pixels: the largest picture that a model is shown, in pixels; None is the checkpoint's own limit. pooled: where a
    scalar head reads, "newline" (the last token of the chat template's turn, as training with Qwen's template does) or
    "turn-end" (the token that ends the turn, such as <|im_end|>). prompt: name of a prompt record or a file
    (core.judges.prompts). votes: answers drawn in each order; None is what the prompt says, 0 is the verdict without a
    critique. served: the model's name on a server. workers: requests under way at once. base: of an adapter that does not
    name one that can be had.
    """

    model: str | None = None
    revision: str | None = None
    device: str | None = None
    dtype: str | None = None
    max_pixels: int | None = None
    pooled: str = "newline"
    prompt: str | None = None
    votes: int | None = None
    served: str | None = None
    workers: int = 8
    base: str | None = None
