"""What the tests and the benchmark scripts of explanations share."""

import numpy as np
from captum.attr import IntegratedGradients
from PIL import Image

from core.judges.vlmdr import VLMDRJudge
from core.records import JudgeCard
from core.taxonomy import DIMENSIONS


def judge_of(model, processor, name="random", dimensions=DIMENSIONS):
    """A judge of weights that stand in no folder."""
    parameters = sum(p.numel() for p in model.parameters())
    card = JudgeCard(
        name, name, "gated", parameters=parameters, top_k=model.config.top_k, dimensions=dimensions
    )
    return VLMDRJudge(model, processor, card)


def noise(seed):
    """A picture of which nothing is known."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (112, 140, 3), dtype="uint8"))


def integrated_gradients(forward, steps, batch=None):
    """(2, R) Captum's integrated gradients over the response embeddings, reading image and prompt at every step."""
    i = forward.inputs

    def whole(response):
        n = len(response)
        positions = i.positions.expand(*i.positions.shape[:-2], n, -1)
        reading = forward.model.read_embeds(
            i.prefix.expand(n, -1, -1), i.mask.expand(n, -1), positions, i.at_image.expand(n, -1)
        )
        return forward.target(forward.score(reading, response, i.response_mask.expand(n, -1, -1)))

    found = IntegratedGradients(whole).attribute(
        i.response,
        baselines=i.response_base,
        n_steps=steps,
        internal_batch_size=batch,
        method="gausslegendre",
    )
    return found.sum(-1)[0].detach().float()
