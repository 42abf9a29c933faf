"""The equalities VL-MDR promises, each against a separate plain computation."""

import pytest
import torch
from PIL import Image
from transformers import AutoConfig, AutoModel, Qwen2_5_VLConfig, Qwen2_5_VLModel

from core.model import VLMDR, VLMDRConfig
from core.model.head import RewardHead, select, weights_over
from core.model.processor import encode_prefix, encode_response, pad_responses

CASES = [
    ((112, 112), "How many stars?", ["Two.", "The number of stars is 3, as one can see.", "4"]),
    (
        (300, 120),
        "What does the sign say? Be polite. Keep it brief.",
        ["It says open park.", "no", "It reads old zoo now."],
    ),
    ((84, 140), "Can I drink this?", ["Yes, you can drink it.", "No!", "No, do not drink it. It is acid."]),
]


def picture(size, seed):
    torch.manual_seed(seed)
    return Image.fromarray((torch.rand(size[1], size[0], 3) * 255).byte().numpy())


def run(model, processor, cases):
    images = [picture(size, i) for i, (size, _, _) in cases]
    inputs = encode_prefix(processor, images, [p for _, (_, p, _) in cases])
    ids, mask = pad_responses(
        processor, [[encode_response(processor, r) for r in rs] for _, (_, _, rs) in cases]
    )
    with torch.no_grad():
        return model(**inputs, response_ids=ids, response_mask=mask)


def test_margin_is_the_sum_of_contributions(random_model, processor):
    out = run(random_model, processor, list(enumerate(CASES)))
    parts = out.weights[:, None] * (out.scores[:, 0:1] - out.scores[:, 1:2])
    assert torch.allclose(parts.sum(-1)[:, 0], out.rewards[:, 0] - out.rewards[:, 1], atol=1e-5)


def test_a_batch_with_shared_prefixes_equals_each_response_alone(random_model, processor):
    together = run(random_model, processor, list(enumerate(CASES))).scores
    for i, (size, prompt, responses) in enumerate(CASES):
        for n, response in enumerate(responses):
            alone = run(random_model, processor, [(i, (size, prompt, [response]))]).scores
            assert torch.allclose(together[i, n], alone[0, 0], atol=1e-4)


def plain_scores(model, states, ids, start):
    """The score by its formula: MLPs on the last state, less concern x softplus(threshold - agreement) per token."""
    head, embeddings = model.head, model.backbone.get_input_embeddings().weight
    doubt = torch.zeros(21)
    for t in range(start, len(ids)):
        agreement = sum(head.expect * states[t - 1] * embeddings[ids[t]])
        surprise = torch.log1p(torch.exp(head.threshold - agreement))
        doubt += torch.sigmoid(head.concern.weight @ states[t] + head.concern.bias) * surprise
    return head.scorers(states[-1]) - doubt


def test_sharing_equals_one_plain_pass_through_the_backbone(random_model, processor):
    """The independent truth: prefix and response as one sequence through Qwen2_5_VLModel's own forward."""
    for i, (size, prompt, responses) in enumerate(CASES):
        inputs = encode_prefix(processor, [picture(size, i)], [prompt])
        for n, response in enumerate(responses):
            ids = torch.cat(
                [inputs["input_ids"], torch.tensor([encode_response(processor, response).ids])], dim=1
            )
            random_model.backbone.rope_deltas = None
            with torch.no_grad():
                states = random_model.backbone(
                    input_ids=ids,
                    attention_mask=torch.ones_like(ids),
                    pixel_values=inputs["pixel_values"],
                    image_grid_thw=inputs["image_grid_thw"],
                    mm_token_type_ids=(ids == processor.image_token_id).int(),
                ).last_hidden_state
                start = inputs["input_ids"].shape[1]
                expected = plain_scores(random_model, states[0], ids[0], start)
            found = run(random_model, processor, list(enumerate(CASES))).scores[i, n]
            assert torch.allclose(found, expected, atol=1e-4)


def test_one_vision_pass_and_one_prompt_pass_serve_all_responses(random_model, processor):
    calls = {"vision": 0, "decoder": 0}
    hooks = [
        random_model.backbone.visual.register_forward_hook(
            lambda *_: calls.update(vision=calls["vision"] + 1)
        ),
        random_model.backbone.get_decoder().register_forward_hook(
            lambda *_: calls.update(decoder=calls["decoder"] + 1)
        ),
    ]
    run(random_model, processor, list(enumerate(CASES)))
    for hook in hooks:
        hook.remove()
    assert calls == {"vision": 1, "decoder": 2}  # one prefix pass, one pass over all responses


def test_the_gate_sees_the_picture_and_not_the_responses(random_model, processor):
    size, prompt, responses = CASES[0]
    a = run(random_model, processor, [(0, (size, prompt, responses))])
    b = run(random_model, processor, [(0, (size, prompt, ["Something else."] * 3))])
    c = run(random_model, processor, [(7, (size, prompt, responses))])
    assert torch.equal(a.relevance_logits, b.relevance_logits)
    assert torch.equal(a.weights, b.weights)
    assert (a.relevance_logits - c.relevance_logits).abs().max() > 1e-6


@pytest.mark.parametrize("k", [1, 2, 3, 7, 21])
def test_exactly_k_weights_that_sum_to_one(k):
    logits = torch.randn(5, 21)
    weights = weights_over(torch.randn(5, 21), select(logits, k))
    assert ((weights > 0).sum(-1) == k).all()
    assert torch.allclose(weights.sum(-1), torch.ones(5))


def test_the_head_of_a_7b_has_the_papers_size():
    with torch.device("meta"):
        config = VLMDRConfig()
        head = RewardHead(3584, 21, 3584 // 4, config.score_size)
        backbone = Qwen2_5_VLModel(
            Qwen2_5_VLConfig(
                text_config={
                    "model_type": "qwen2_5_vl_text", "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28,
                    "num_attention_heads": 28, "num_key_value_heads": 4, "vocab_size": 152064,
                },
                vision_config={
                    "depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "out_hidden_size": 3584,
                },
            )
        )  # fmt: skip
    size = sum(p.numel() for p in head.parameters())
    assert 17.8e6 < size < 17.95e6
    assert 0.0022 < size / sum(p.numel() for p in backbone.parameters()) < 0.0027


def test_a_checkpoint_survives_the_disk_as_safetensors(random_model, processor, tmp_path):
    random_model.save_pretrained(tmp_path)
    assert {p.suffix for p in tmp_path.iterdir()} == {".json", ".safetensors"}
    assert isinstance(AutoConfig.from_pretrained(tmp_path), VLMDRConfig)
    again = AutoModel.from_pretrained(tmp_path).eval()
    assert isinstance(again, VLMDR)
    cases = list(enumerate(CASES))
    assert torch.equal(run(random_model, processor, cases).rewards, run(again, processor, cases).rewards)


def test_another_backbone_fits_the_same_class(processor):
    """LLaVA: CLIP eyes, Llama decoder, plain 1-D positions."""
    token = processor.image_token_id
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
        image_token_index=token, vision_feature_layer=-1,
    )  # fmt: skip
    torch.manual_seed(0)
    model = VLMDR(VLMDRConfig(vlm_config=vlm, gate_size=8, score_size=4)).eval()
    ids = torch.tensor([[5, *[token] * 4, 6, 7], [5, *[token] * 4, 8, 9]])
    with torch.no_grad():
        out = model(
            ids, torch.ones_like(ids), torch.randn(2, 3, 28, 28), torch.randint(5, 50, (2, 2, 3)),
            torch.ones(2, 2, 3, dtype=torch.long),
        )  # fmt: skip
    assert out.rewards.shape == (2, 2)
