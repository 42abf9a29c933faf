"""Read rightly or refuse: the shared-prefix reading of every supported backbone against the model's own forward."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from checkpoints import qwen, tiled
from PIL import Image

from core.model.backbones import SUPPORTED, WHY_NOT, load_vlm, open_processor
from core.model.processor import encode_prefix, encode_response, pad_responses
from core.model.readers import reader_of
from core.model.tiles import PROCESSORS
from core.model.value_head import HeadedReward


def noise(seed, size):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype="uint8"))


@pytest.mark.parametrize("kind", SUPPORTED)
def test_states_equal_the_models_own(kind, tmp_path):
    folder = (tiled if kind in PROCESSORS else qwen)(tmp_path / kind, kind)
    model = load_vlm(folder, kind, "cpu", "float32")
    processor = open_processor(folder, kind)
    reader = reader_of(model, torch.nn.Identity())
    images, prompts = (
        [noise(0, (120, 90)), noise(1, (60, 150))],
        ["How many?", "What is there, and where does it stand?"],
    )
    texts = [["One star.", "Two."], ["A circle left of a square.", "Nothing at all, it seems to me."]]
    inputs = encode_prefix(processor, images, prompts)
    ids, mask = pad_responses(processor, [[encode_response(processor, t) for t in row] for row in texts])
    with torch.no_grad():
        reading = reader.read(**inputs)
        states = reader.response_states(reading, model.get_input_embeddings()(ids), mask)
        for b, image in enumerate(images):
            prefix = inputs["input_ids"][b][inputs["attention_mask"][b].bool()]
            pixels = {k: v for k, v in processor.pictures([image]).items() if k in processor.model_keys}
            for n in range(2):
                whole = torch.cat([prefix, ids[b, n][mask[b, n].bool()]])[None]
                if "mm_token_type_ids" in processor.model_keys:
                    pixels["mm_token_type_ids"] = (whole == model.config.image_token_id).int()
                own = model.model(
                    input_ids=whole, attention_mask=torch.ones_like(whole), use_cache=False, **pixels
                ).last_hidden_state[0]  # fmt: skip
                r = int(mask[b, n].sum())
                scale = float(own.abs().max())
                assert float((states[b, n, :r] - own[-r:]).abs().max()) < 1e-5 * scale
                assert (
                    float((reading.states[b, -len(prefix) :] - own[: len(prefix)]).abs().max()) < 1e-5 * scale
                )


def test_features_added_in_later_layers_are_not_dropped(tmp_path):
    """Read by input embeddings alone, Qwen3-VL gives other states than its own: the comparison above would show it."""
    folder = qwen(tmp_path / "m", "qwen3_vl")
    model, processor = load_vlm(folder, "m", "cpu", "float32"), open_processor(folder, "m")
    inputs = encode_prefix(processor, [noise(0, (120, 90))], ["How many?"])
    with torch.no_grad():
        right = reader_of(model, torch.nn.Identity()).read(**inputs).states
        wrong = HeadedReward(model.model, torch.nn.Identity()).read(**inputs).states
    assert float((right - wrong).abs().max()) > 0.05 * float(right.abs().max())


def test_a_wrapped_model_computes_what_it_computed_before(tmp_path):
    model = load_vlm(qwen(tmp_path / "m"), "m", "cpu", "float32")
    before = copy.deepcopy(SimpleNamespace(a=model.model.language_model.config._attn_implementation))
    ids = torch.arange(20)[None]
    with torch.no_grad():
        own = model.model(input_ids=ids).last_hidden_state
        HeadedReward(model.model, torch.nn.Identity())
        assert torch.equal(model.model(input_ids=ids).last_hidden_state, own)
    assert model.model.language_model.config._attn_implementation == before.a == "sdpa"


def test_no_kind_is_both_supported_and_refused():
    assert not set(SUPPORTED) & set(WHY_NOT)
