"""Many questions to a judge that writes, each answered several times: for difficulty, and for measuring."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image

from core.judges.generative import GenerativeJudge
from core.judges.side_by_side import written

Asked = tuple[Image.Image, str]  # the picture, and the prompt filled in


def sample(
    judge: GenerativeJudge, asked: Sequence[Asked], n: int, temperature: float, seed: int = 0
) -> list[list[tuple[str, bool]]]:
    """n answers to each question, side by side, as (text, finished). temperature 0: the greedy one, n times the same."""
    talks = [([image], judge.conversation(text)) for image, text in asked]
    with judge.lock, torch.inference_mode():
        return written(judge, talks, [1000 * seed + i for i in range(len(asked))], n, temperature)
