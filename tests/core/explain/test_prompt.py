"""The prompt's own words are found in whatever a chat template writes around them."""

import copy
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from plain import judge_of, noise
from transformers import AutoConfig, BatchFeature

from core.explain import METHODS, explain
from core.judges.inputs import build_inputs
from core.model import VLMDR, VLMDRConfig
from core.model.processor import encode_prefix, prompt_positions
from core.records import Comparison, RecordError

QWEN = """{% for message in messages %}{% if loop.first and message['role'] != 'system' %}<|im_start|>system
You are a helpful assistant.<|im_end|>
{% endif %}<|im_start|>{{ message['role'] }}
{% for content in message['content'] %}{% if content['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ content['text'] }}{% endif %}{% endfor %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
LLAVA = (
    "{% for message in messages %}{% if message['role'] != 'system' %}{{ message['role'].upper() + ': '}}{% endif %}"
    "{# Render all images first #}{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}"
    "{{ '<image>\n' }}{% endfor %}{# Render all text next #}{% if message['role'] != 'assistant' %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}{{ content['text'] + ' '}}{% endfor %}"
    "{% else %}{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{% generation %}{{ content['text'] + ' '}}{% endgeneration %}{% endfor %}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
PICTURE_LAST = "{% for m in messages %}[{{ m.role }}] {% for c in m.content | reverse %}{% if c.type == 'image' %} <|image_pad|>{% else %}{{ c.text | trim }}{% endif %}{% endfor %}<|im_end|>{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"  # noqa: E501
PROMPT = st.one_of(
    st.sampled_from(["How many stars are there?", "USER: ASSISTANT:", "<image>", "assistant", "<|im_end|> x", "你好", " . "]),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30),
)  # fmt: skip


def with_template(processor, template, image_token="<|image_pad|>"):
    tokenizer = copy.deepcopy(processor.tokenizer)
    tokenizer.add_tokens([image_token], special_tokens=True)
    tokenizer.image_token = image_token
    return type(processor)(processor.image_processor, tokenizer, chat_template=template)


@pytest.fixture(scope="module")
def processors(processor):
    return {
        "embedded": processor,
        "qwen": with_template(processor, QWEN),
        "llava": with_template(processor, LLAVA, "<image>"),
        "picture last": with_template(processor, PICTURE_LAST),
    }


@pytest.mark.parametrize("name", ["embedded", "qwen", "llava", "picture last"])
@settings(max_examples=60, deadline=None)
@given(prompt=PROMPT)
def test_the_marked_tokens_spell_the_prompt_and_the_others_the_template(processors, name, prompt):
    processor = processors[name]
    inputs = encode_prefix(processor, [Image.new("RGB", (112, 112))], [prompt])
    marked = prompt_positions(processor, inputs, prompt)
    ids = inputs["input_ids"][0]
    said = prompt.strip()
    for token in processor.control_tokens:
        said = said.replace(token, token.replace("|", "¦") if "|" in token else "‹" + token[1:])
    assert processor.tokenizer.decode(ids[marked]).strip() == said
    at = marked.nonzero().flatten()
    assert torch.equal(at, torch.arange(at[0], at[-1] + 1))  # one run
    assert not (ids[marked] == processor.image_token_id).any()
    # The rest is what the template writes around any other prompt, but for a blank that a token may share with it.
    other = encode_prefix(processor, [Image.new("RGB", (112, 112))], ["W"])
    rest = other["input_ids"][0][~prompt_positions(processor, other, "W")]
    plain = lambda t: re.sub(r"\s", "", processor.tokenizer.decode(t))  # noqa: E731
    assert plain(ids[~marked]) == plain(rest)


def test_a_template_that_drops_the_prompt_is_refused(processor):
    dropping = with_template(processor, "{% for m in messages %}<|image_pad|>{% endfor %}")
    inputs = encode_prefix(dropping, [Image.new("RGB", (112, 112))], ["x"])
    with pytest.raises(RecordError, match="chat template does not show the prompt"):
        prompt_positions(dropping, inputs, "x")


class ClipEyes:
    """Any picture as 28 x 28 pixels, four visual tokens, and no grid."""

    merge_size = 1

    def __call__(self, images, return_tensors):
        small = [torch.tensor(list(i.resize((28, 28)).tobytes())).view(28, 28, 3) for i in images]
        return BatchFeature({"pixel_values": torch.stack(small).permute(0, 3, 1, 2) / 255.0})


@pytest.fixture(scope="module")
def llava_judge(processors):
    processor = copy.copy(processors["llava"])
    processor.image_processor = ClipEyes()
    processor.replace_image_token = lambda inputs, i: "<image>" * 4
    vlm = AutoConfig.for_model(
        "llava",
        text_config={
            "model_type": "llama", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
            "num_key_value_heads": 2, "vocab_size": len(processor.tokenizer),
        },
        vision_config={
            "model_type": "clip_vision_model", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
            "num_attention_heads": 2, "image_size": 28, "patch_size": 14,
        },
        image_token_index=processor.image_token_id, vision_feature_layer=-1,
    )  # fmt: skip
    torch.manual_seed(0)
    model = VLMDR(VLMDRConfig(vlm_config=vlm, gate_size=8, score_size=4)).eval()
    return judge_of(model, processor, "llava")


def test_a_llava_model_is_judged_and_explained_with_its_own_template(llava_judge):
    texts = ("There are 3 stars.", "I count 2 stars.")
    c = Comparison("c", noise(0), "How many stars are there?", texts)
    inputs = build_inputs(llava_judge.model, llava_judge.processor, c.load_image(), c.prompt, texts)
    assert (inputs.layout.rows, inputs.layout.columns) == (2, 2) and int(inputs.at_image.sum()) == 4
    assert int(inputs.at_prompt.sum()) >= 6 and not (inputs.at_image & inputs.at_prompt).any()
    judged = llava_judge.judge(c)
    for method in METHODS:
        e = explain(llava_judge, c, judged, method=method, steps=16)
        assert e.target_value == pytest.approx(judged.margin(0, 1), abs=1e-5)
        if e.convergence_delta is not None:
            assert abs(e.convergence_delta) < 1e-3
            total = sum(map(sum, e.token_values)) + sum(map(sum, e.patch_values)) + e.prompt_value
            whole = e.target_value - e.baseline_value
            assert total == pytest.approx(whole + e.convergence_delta, abs=1e-6)
