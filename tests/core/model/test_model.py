"""The equalities VL-MDR promises, each against a separate plain computation."""

import math

import pytest
import torch
from PIL import Image
from plain import judge_of
from transformers import AutoConfig, AutoModel, Qwen2_5_VLConfig, Qwen2_5_VLModel

from core.model import VLMDR, VLMDRConfig
from core.model.head import RewardHead, select, weights_over
from core.model.processor import encode_prefix, encode_response, pad_responses
from core.records import Comparison
from core.training.stages import tiny_config

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
    for a, b in ((0, 1), (2, 0)):
        parts = out.weights * (out.scores[:, a] - out.scores[:, b])
        assert torch.allclose(parts.sum(-1), out.rewards[:, a] - out.rewards[:, b], atol=1e-5)


def assert_judgements_decompose(judge):
    for i, (size, prompt, responses) in enumerate(CASES):
        j = judge.judge(Comparison(str(i), picture(size, i), prompt, tuple(responses)))
        assert len(j.selected) == len(j.contributions(0, 1)) == judge.model.config.top_k
        for a, b in ((0, 1), (1, 2), (2, 0)):
            assert sum(j.contributions(a, b).values()) == pytest.approx(j.margin(a, b), abs=1e-5)


@pytest.mark.parametrize("seed", [1, 2])
def test_judgements_decompose_on_random_weights(processor, seed):
    torch.manual_seed(seed)
    model = VLMDR(tiny_config(processor)).eval()
    with torch.no_grad():  # margins as large as a trained head's
        model.head.scorers.down.mul_(5)
    assert_judgements_decompose(judge_of(model, processor))


def test_judgements_decompose_on_trained_weights(embedded_judge):
    assert_judgements_decompose(embedded_judge)


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


@pytest.mark.parametrize("n", [1, 2, 3])
def test_one_vision_pass_and_one_prompt_pass_serve_all_responses(random_model, processor, n):
    cases = [(i, (size, prompt, responses[:n])) for i, (size, prompt, responses) in enumerate(CASES)]
    seen, decoded = [], []
    hooks = [
        random_model.backbone.visual.register_forward_hook(lambda *_: seen.append(1)),
        random_model.backbone.get_decoder().register_forward_hook(
            lambda _m, _a, given, _o: decoded.append(given["inputs_embeds"].shape[:2]), with_kwargs=True
        ),
    ]
    run(random_model, processor, cases)
    for hook in hooks:
        hook.remove()
    prefix = encode_prefix(processor, [picture(c[0], i) for i, c in cases], [c[1] for _, c in cases])
    longest = max(len(encode_response(processor, r).ids) for _, c in cases for r in c[2])
    assert len(seen) == 1
    # One pass over the three prefixes, one over all responses, and that one reads response tokens alone.
    assert decoded == [(3, prefix["input_ids"].shape[1]), (3 * n, longest)]


def test_a_reading_can_be_used_again(random_model, processor):
    """The judge keeps readings while a response is edited: scoring must not write into them."""
    size, prompt, responses = CASES[1]
    inputs = encode_prefix(processor, [picture(size, 1)], [prompt])
    with torch.no_grad():
        reading = random_model.read(**inputs)
        before = [(k.clone(), v.clone()) for k, v in reading.cache]
        once, _, again = (
            random_model.score(
                reading, *pad_responses(processor, [[encode_response(processor, r) for r in rs]])
            )
            for rs in (responses, responses[:1], responses)
        )
    assert torch.equal(once, again)
    assert all(
        torch.equal(a, b)
        for x, y in zip(before, reading.cache, strict=True)
        for a, b in zip(x, y, strict=True)
    )


def test_the_gate_sees_the_picture_and_not_the_responses(random_model, processor):
    size, prompt, responses = CASES[0]
    a = run(random_model, processor, [(0, (size, prompt, responses))])
    b = run(random_model, processor, [(0, (size, prompt, ["Something else."] * 3))])
    c = run(random_model, processor, [(7, (size, prompt, responses))])
    assert torch.equal(a.relevance_logits, b.relevance_logits)
    assert torch.equal(a.weights, b.weights)
    assert (a.relevance_logits - c.relevance_logits).abs().max() > 1e-6


@pytest.mark.parametrize("k", range(1, 22))
def test_exactly_k_weights_that_sum_to_one(k):
    relevance, logits = torch.randn(2, 5, 21, generator=torch.Generator().manual_seed(k))
    weights = weights_over(logits, select(relevance, k))
    assert ((weights > 0).sum(-1) == k).all()
    for row in range(5):
        best = sorted(range(21), key=lambda d: -relevance[row, d])[:k]
        total = sum(math.exp(logits[row, d]) for d in best)
        expected = [math.exp(logits[row, d]) / total if d in best else 0.0 for d in range(21)]
        assert weights[row].tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("k", [1, 3, 8, 21])
def test_the_model_uses_the_k_of_its_config(random_model, processor, monkeypatch, k):
    monkeypatch.setattr(random_model.config, "top_k", k)
    out = run(random_model, processor, list(enumerate(CASES)))
    assert ((out.weights > 0) == out.active).all() and (out.active.sum(-1) == k).all()
    assert torch.allclose(out.weights.sum(-1), torch.ones(3))
    least = out.relevance_logits.masked_fill(~out.active, math.inf).amin(-1)
    most = out.relevance_logits.masked_fill(out.active, -math.inf).amax(-1)
    assert (least >= most).all()  # no dimension left out is more relevant than one that is in
    plain = sum(out.weights[:, None, d] * out.scores[..., d] for d in range(21))
    assert torch.allclose(out.rewards, plain, atol=1e-6)


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


def llava(token, words):
    """CLIP eyes, Llama decoder, plain 1-D positions."""
    return AutoConfig.for_model(
        "llava",
        text_config={
            "model_type": "llama", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
            "num_key_value_heads": 2, "vocab_size": words,
        },
        vision_config={
            "model_type": "clip_vision_model", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
            "num_attention_heads": 2, "image_size": 28, "patch_size": 14,
        },
        image_token_index=token, vision_feature_layer=-1,
    )  # fmt: skip


def qwen2(token, words):
    """The reference's elder: other eyes, grouped keys, its own positions in three directions."""
    return AutoConfig.for_model(
        "qwen2_vl",
        text_config={
            "model_type": "qwen2_vl_text", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
            "num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": words,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]},
            "bos_token_id": None, "eos_token_id": None, "pad_token_id": 0,
        },
        vision_config={
            "depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 2, "mlp_ratio": 2, "patch_size": 14,
            "temporal_patch_size": 1, "spatial_merge_size": 2,
        },
        image_token_id=token, video_token_id=token + 1,
    )  # fmt: skip


@pytest.mark.parametrize("backbone", [llava, qwen2])
def test_another_backbone_fits_the_same_class(processor, tmp_path, backbone):
    token = processor.image_token_id
    torch.manual_seed(0)
    config = VLMDRConfig(vlm_config=backbone(token, len(processor.tokenizer)), gate_size=8, score_size=4)
    model = VLMDR(config).eval()
    # Two pictures of four visual tokens, prompts of unlike length (0 pads on the left), two responses each.
    ids = torch.tensor([[5, *[token] * 4, 6, 7], [0, 0, 5, *[token] * 4]])
    mask = (ids != 0).long()
    answers = torch.randint(8, 50, (2, 2, 3))
    vision = {"pixel_values": torch.randn(2, 3, 28, 28)}
    if backbone is qwen2:
        grid = torch.tensor([[1, 4, 4]] * 2)
        vision = {"pixel_values": torch.randn(32, 3 * 14 * 14), "image_grid_thw": grid}
    with torch.no_grad():
        out = model(ids, mask, response_ids=answers, response_mask=torch.ones_like(answers), **vision)
        for b in range(2):
            prompt = ids[b][mask[b].bool()]
            own = {k: v.chunk(2)[b] for k, v in vision.items()}
            for n in range(2):
                whole = torch.cat([prompt, answers[b, n]])[None]
                if backbone is qwen2:
                    model.backbone.rope_deltas = None
                    own["mm_token_type_ids"] = (whole == token).int()
                states = model.backbone(input_ids=whole, attention_mask=torch.ones_like(whole), **own)[0][0]
                expected = plain_scores(model, states, whole[0], len(prompt))
                assert torch.allclose(out.scores[b, n], expected, atol=1e-4)
    model.save_pretrained(tmp_path)
    again = AutoModel.from_pretrained(tmp_path).eval()
    assert type(again.backbone) is type(model.backbone)
    with torch.no_grad():
        rewards = again(
            ids, mask, response_ids=answers, response_mask=torch.ones_like(answers), **vision
        ).rewards
    assert torch.equal(rewards, out.rewards)
