"""Pictures in tiles: the inputs are those of transformers' own processors, and every token's place is where it looks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from checkpoints import official_processor, tiled
from PIL import Image

from core.judges.masked import regions_of
from core.model.backbones import load_vlm, open_processor
from core.model.processor import encode_prefix
from core.model.readers import reader_of
from core.model.tiles import PROCESSORS

SIZES = [(120, 90), (70, 300), (50, 50), (200, 57), (300, 280)]
KINDS = list(PROCESSORS)


def noise(seed, size):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype="uint8"))


@pytest.fixture(scope="module", params=KINDS)
def loaded(request, tmp_path_factory):
    folder = tiled(tmp_path_factory.mktemp("m") / "m", request.param)
    return request.param, load_vlm(folder, "m", "cpu", "float32"), open_processor(folder, "m"), folder


def test_inputs_are_those_of_the_official_processor(loaded):
    kind, _, processor, folder = loaded
    own = official_processor(kind, folder)
    asked = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "How many?"}]}]
    text = processor.tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
    for i, size in enumerate(SIZES):
        image = noise(i, size)
        ours, theirs = encode_prefix(processor, [image], ["How many?"]), own(images=image, text=text, return_tensors="pt")  # fmt: skip
        n = ours["input_ids"].shape[1]
        assert torch.equal(ours["input_ids"], theirs["input_ids"][:, :n])
        rest = processor.tokenizer.decode(theirs["input_ids"][0, n:])
        assert (
            not rest.strip()
        )  # LLaVA-OneVision's template writes the turn's first newline once more before a response
        assert torch.equal(ours["pixel_values"], theirs["pixel_values"])


def test_a_changed_corner_changes_the_tokens_that_look_there(loaded):
    _, model, processor, _ = loaded
    reader = reader_of(model, torch.nn.Identity())
    with torch.no_grad():
        # Eyes without attention: what a patch gives then depends on nothing but its own pixels.
        for name, parameter in model.model.vision_tower.named_parameters():
            if "attn" in name or "attention" in name:
                parameter.zero_()
    for seed, size in enumerate([(112, 112), (224, 112), (56, 168), (50, 50)]):
        image = noise(seed, size)
        for x, y in ((0, 0), (1, 0), (0, 1), (1, 1)):
            w, h = size[0] // 4, size[1] // 4
            other = image.copy()
            other.paste((0, 255, 0), (x * (size[0] - w), y * (size[1] - h), x * (size[0] - w) + w, y * (size[1] - h) + h))  # fmt: skip
            found = []
            for picture in (image, other):
                inputs = processor.pictures([picture])
                vision = {k: v for k, v in inputs.items() if k != "pixel_values"}
                with torch.no_grad():
                    found.append(reader.image_features(inputs["pixel_values"], **vision)[0])
            layout = processor.layout(inputs, 0, len(found[0]))
            assert layout.cells.shape == (len(found[0]),) and int(layout.cells.max()) < layout.rows * layout.columns  # fmt: skip
            grid, region = regions_of(layout, 2)  # quarters of the picture
            assert grid == (2, 2)
            moved = (found[0] - found[1]).norm(dim=-1)
            here = moved[region == 2 * y + x].sum()
            assert here > 0.9 * moved.sum(), (size, x, y)
            assert float(moved[region == -1].sum()) == 0  # ends of rows show nothing


def test_the_largest_picture_can_be_set(loaded):
    kind, model, processor, folder = loaded
    small, picture = open_processor(folder, "m", max_pixels=56 * 112), noise(0, (300, 280))
    fewer, more = (encode_prefix(p, [picture], ["x"]) for p in (small, processor))
    assert fewer["input_ids"].shape[1] < more["input_ids"].shape[1]
    with torch.no_grad():
        reader_of(model, torch.nn.Identity()).read(**fewer)  # as many features as places, still
    if kind == "llava_onevision":
        assert int(fewer["image_sizes"].prod()) <= 56 * 112
    else:
        assert int(fewer["tiles"].prod()) <= 2


def test_pictures_of_one_batch_do_not_mix(loaded):
    _, model, processor, _ = loaded
    reader = reader_of(model, torch.nn.Identity())
    images, prompts = [noise(i, s) for i, s in enumerate(SIZES)], ["a", "What?", "b", "Where is it?", "c"]
    both = encode_prefix(processor, images, prompts)
    with torch.no_grad():
        states = reader.read(**both).states
        for i, (image, prompt) in enumerate(zip(images, prompts, strict=True)):
            alone = reader.read(**encode_prefix(processor, [image], [prompt])).states[0]
            assert torch.allclose(states[i, -len(alone) :], alone, atol=1e-4 * float(alone.abs().max()))
