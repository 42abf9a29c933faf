"""Tiny random checkpoints in exactly the layouts in which public reward models are published."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken
from transformers import (
    AutoTokenizer,
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLProcessor,
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    LlavaOnevisionProcessor,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import (
    LlavaOnevisionImageProcessorPil,
)

from core.training.tokenizer import build_processor

# The template that stands in Qwen2-VL's and Qwen2.5-VL's checkpoints (Apache-2.0).
QWEN_TEMPLATE = (
    "{% set image_count = namespace(value=0) %}{% set video_count = namespace(value=0) %}{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    "{% endif %}<|im_start|>{{ message['role'] }}\n{% if message['content'] is string %}{{ message['content'] }}<|im_end|>\n"
    "{% else %}{% for content in message['content'] %}{% if content['type'] == 'image' or 'image' in content or 'image_url' in content %}"
    "{% set image_count.value = image_count.value + 1 %}{% if add_vision_id %}Picture {{ image_count.value }}: {% endif %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% elif content['type'] == 'video' or 'video' in content %}"
    "{% set video_count.value = video_count.value + 1 %}{% if add_vision_id %}Video {{ video_count.value }}: {% endif %}"
    "<|vision_start|><|video_pad|><|vision_end|>{% elif 'text' in content %}{{ content['text'] }}{% endif %}{% endfor %}<|im_end|>\n"
    "{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# The templates that stand in transformers' LLaVA-OneVision and InternVL checkpoints (Apache-2.0, MIT).
ONEVISION_TEMPLATE = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + ' '}}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>' }}{% endfor %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}{{ '\n' + content['text'] }}{% endfor %}"
    "{{'<|im_end|>'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
INTERNVL_TEMPLATE = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n'}}{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for content in message['content'] %}{% if content['type'] == 'image' %}{{ '<IMG_CONTEXT>\n' }}"
    "{% elif content['type'] == 'video' %}{{ '<video>\n' }}{% elif content['type'] == 'text' %}{{ content['text'] }}{% endif %}{% endfor %}{% endif %}"
    "{{'<|im_end|>\n'}}{% endfor %}{% if add_generation_prompt %}{{'<|im_start|>assistant\n' }}{% endif %}"
)
HIDDEN = 64
_TEXT: dict[str, Any] = {
    "hidden_size": HIDDEN, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2,
    "max_position_embeddings": 4096, "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]},
    "bos_token_id": None,
}  # fmt: skip


def config_of(kind: str, tokenizer: Any, tied: bool = False) -> Any:
    token = tokenizer.convert_tokens_to_ids
    text = {
        **_TEXT,
        "vocab_size": len(tokenizer),
        "eos_token_id": token("<|im_end|>"),
        "pad_token_id": token("<|endoftext|>"),
    }
    ids = {
        "image_token_id": token("<|image_pad|>"), "video_token_id": token("<|video_pad|>"),
        "vision_start_token_id": token("<|vision_start|>"), "vision_end_token_id": token("<|vision_end|>"),
        "tie_word_embeddings": tied,
    }  # fmt: skip
    eyes = {"depth": 2, "num_heads": 2, "patch_size": 14, "temporal_patch_size": 2, "spatial_merge_size": 2}
    if kind == "qwen2_vl":
        return Qwen2VLConfig(
            text_config=text,
            vision_config={**eyes, "embed_dim": 32, "hidden_size": HIDDEN, "mlp_ratio": 2},
            **ids,
        )
    if kind == "qwen3_vl":
        rope = {**_TEXT["rope_parameters"], "mrope_interleaved": True}
        text |= {"head_dim": 16, "rope_parameters": rope}
        eyes |= {"patch_size": 16, "hidden_size": 32, "intermediate_size": 48, "out_hidden_size": HIDDEN, "num_position_embeddings": 64,
                 "depth": 3, "deepstack_visual_indexes": [0, 1]}  # fmt: skip
        return Qwen3VLConfig(text_config=text, vision_config=eyes, **ids)
    eyes |= {
        "hidden_size": 32,
        "intermediate_size": 48,
        "out_hidden_size": HIDDEN,
        "window_size": 112,
        "fullatt_block_indexes": [1],
    }
    return Qwen2_5_VLConfig(text_config=text, vision_config=eyes, **ids)


CLASSES = {
    "qwen2_vl": Qwen2VLForConditionalGeneration,
    "qwen2_5_vl": Qwen2_5_VLForConditionalGeneration,
    "qwen3_vl": Qwen3VLForConditionalGeneration,
}


def qwen(
    folder: Path, kind: str = "qwen2_5_vl", *, old: bool = False, shards: bool = False, dtype: str = "float32", tied: bool = False,
    template: str = "tokenizer_config.json", drop: tuple[str, ...] = (), seed: int = 0, text: str = QWEN_TEMPLATE,
) -> Path:  # fmt: skip
    """A Qwen-VL in a folder. old: the weight names of transformers before 4.52. template: the file in which it stands.
    drop: weights that are left out."""
    torch.manual_seed(seed)
    processor = build_processor(0, lessons=60)
    model: Any = CLASSES[kind](config_of(kind, processor.tokenizer, tied)).to(getattr(torch, dtype)).eval()
    for parameter in model.parameters():  # large enough for a wrong token to show
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.15)
    folder.mkdir(parents=True, exist_ok=True)
    images = processor.image_processor
    images.temporal_patch_size, images.patch_size = 2, 16 if kind == "qwen3_vl" else 14
    images.size = {"shortest_edge": 3136, "longest_edge": 112 * 112}
    images.save_pretrained(folder)
    processor.tokenizer.chat_template = None
    processor.tokenizer.save_pretrained(folder)
    write_template(folder, template, text)
    model.config.architectures = [type(model).__name__]
    model.config.dtype = dtype
    model.config.save_pretrained(folder)
    left_out = {*drop, *(["lm_head.weight"] if tied else [])}
    # As `save_pretrained` of 4.52 to 4.57 names them; that of 5.x writes the old names again.
    tensors = {k: v.clone() for k, v in model.state_dict().items() if k not in left_out}
    save_file(
        {old_name(k) if old else k: v for k, v in tensors.items()},
        folder / "model.safetensors",
        {"format": "pt"},
    )
    if shards:
        shard(folder)
    return folder


def tiled(folder: Path, kind: str, *, text: str | None = None, seed: int = 0) -> Path:
    """A LLaVA-OneVision or InternVL in a folder as transformers saves it: names of weights, shards and all. Its tiles are
    56 pixels wide and have 16 tokens."""
    torch.manual_seed(seed)
    processor = build_processor(0, lessons=60)
    tokenizer, token = processor.tokenizer, processor.tokenizer.convert_tokens_to_ids
    onevision = kind == "llava_onevision"
    named = ({"image_token": "<image>", "video_token": "<video>"} if onevision else
             {"context_image_token": "<IMG_CONTEXT>", "start_image_token": "<img>", "end_image_token": "</img>", "video_token": "<video>"})  # fmt: skip
    tokenizer.add_tokens(
        [AddedToken(t, special=True, normalized=False) for t in named.values()], special_tokens=True
    )
    words = {k: v for k, v in _TEXT.items() if k != "rope_parameters"} | {
        "model_type": "qwen2", "vocab_size": len(tokenizer), "eos_token_id": token("<|im_end|>"), "pad_token_id": token("<|endoftext|>"),
    }  # fmt: skip
    eyes = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 56,
    }
    if onevision:
        size, images = {"height": 56, "width": 56}, LlavaOnevisionImageProcessorPil
        pinpoints = [[56 * h, 56 * w] for h in range(1, 5) for w in range(1, 5)]
        config: Any = LlavaOnevisionConfig(
            text_config=words, vision_config={**eyes, "model_type": "siglip_vision_model", "patch_size": 14, "vision_use_head": False},
            image_token_index=token("<image>"), video_token_index=token("<video>"), image_grid_pinpoints=pinpoints,
            vision_aspect_ratio="anyres_max_3",
        )  # fmt: skip
        model: Any = LlavaOnevisionForConditionalGeneration(config)
        pictures: Any = images(size=size, image_grid_pinpoints=pinpoints)
    else:
        size = {"height": 56, "width": 56}
        config = InternVLConfig(
            text_config=words, vision_config={**eyes, "patch_size": 7}, image_token_id=token("<IMG_CONTEXT>"), image_seq_length=16,
            tie_word_embeddings=False,
        )  # fmt: skip
        model = InternVLForConditionalGeneration(config)
        pictures = GotOcr2ImageProcessorPil(size=size, max_patches=6)
    for name, parameter in model.named_parameters():
        torch.nn.init.normal_(
            parameter, std=0.15 if parameter.ndim > 1 else 0.5
        ) if "norm" not in name else None
    model.eval().save_pretrained(folder, max_shard_size="200KB")
    pictures.save_pretrained(folder)
    tokenizer.chat_template = None
    tokenizer.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "extra_special_tokens": named}))
    write_template(
        folder, "chat_template.jinja", text or (ONEVISION_TEMPLATE if onevision else INTERNVL_TEMPLATE)
    )
    return folder


def official_processor(kind: str, folder: Path) -> Any:
    """transformers' own class for a `tiled` folder, less its part for video, which needs torchvision."""
    onevision = kind == "llava_onevision"
    base: Any = LlavaOnevisionProcessor if onevision else InternVLProcessor

    class Own(base):
        @classmethod
        def get_attributes(cls) -> list[str]:
            return ["image_processor", "tokenizer"]

        def check_argument_for_proper_class(self, *_: Any) -> None:
            pass

    images = (LlavaOnevisionImageProcessorPil if onevision else GotOcr2ImageProcessorPil).from_pretrained(
        folder
    )
    sizes = {
        "num_image_tokens": 16,
        "vision_feature_select_strategy": "full",
        "vision_aspect_ratio": "anyres_max_3",
    }
    return Own(
        images,
        AutoTokenizer.from_pretrained(folder),
        None,
        **(sizes if onevision else {"image_seq_length": 16}),
    )


def write_template(folder: Path, where: str, text: str) -> None:
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    if where == "chat_template.jinja":
        (folder / where).write_text(text)
        return
    path = folder / where
    held = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**held, "chat_template": text}))


def old_name(name: str) -> str:
    """`model.visual.x` was `visual.x`, `model.language_model.x` was `model.x`."""
    return re.sub(r"^model\.language_model\.", "model.", name).replace("model.visual.", "visual.")


def shard(folder: Path, parts: int = 3) -> None:
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    where = {}
    for i in range(parts):
        file = f"model-{i + 1:05d}-of-{parts:05d}.safetensors"
        held = {k: v for n, (k, v) in enumerate(sorted(tensors.items())) if n % parts == i}
        save_file(held, folder / file, {"format": "pt"})
        where.update(dict.fromkeys(held, file))
    index = {"metadata": {"total_size": sum(t.nbytes for t in tensors.values())}, "weight_map": where}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def value_head(folder: Path, width: int = HIDDEN, seed: int = 1) -> Path:
    """As Skywork-VL-Reward and LLaMA-Factory write it."""
    torch.manual_seed(seed)
    save_file(
        {"v_head.summary.weight": torch.randn(1, width) / width**0.5, "v_head.summary.bias": torch.randn(1)},
        folder / "value_head.safetensors", {"format": "pt"},
    )  # fmt: skip
    return folder


def edit_config(folder: Path, **values: Any) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    return folder


def add_weights(folder: Path, **tensors: Any) -> Path:
    """Into the one weight file."""
    path = folder / "model.safetensors"
    save_file({**load_file(path), **tensors}, path, {"format": "pt"})
    return folder


def score_head(folder: Path, labels: int = 1, seed: int = 2) -> Path:
    """As ms-swift writes a sequence classifier: `score` in the place of `lm_head`, the architecture's name unchanged."""
    torch.manual_seed(seed)
    path = folder / "model.safetensors"
    held = {k: v for k, v in load_file(path).items() if k != "lm_head.weight"}
    some = next(iter(held.values()))
    save_file(
        {**held, "score.weight": (torch.randn(labels, HIDDEN) / HIDDEN**0.5).to(some.dtype)},
        path,
        {"format": "pt"},
    )
    return edit_config(folder, num_labels=labels, problem_type="regression", tie_word_embeddings=False)


def mlp_head(folder: Path, widths: tuple[int, ...] = (48, 1), seed: int = 3) -> Path:
    """BaseReward's kind: linear layers with SiLU between them."""
    torch.manual_seed(seed)
    before, tensors = HIDDEN, {}
    for i, width in enumerate(widths):
        tensors[f"v_head.{2 * i}.weight"] = torch.randn(width, before) / before**0.5
        tensors[f"v_head.{2 * i}.bias"] = torch.randn(width)
        before = width
    save_file(tensors, folder / "value_head.safetensors", {"format": "pt"})
    return folder


def adapter(
    folder: Path,
    base: Path,
    *,
    old: bool = False,
    target: str = "q_proj",
    rank: int = 4,
    seed: int = 5,
    head: bool = False,
) -> Path:
    """A LoRA adapter as peft writes it. old: the weight names of transformers before 4.52."""
    torch.manual_seed(seed)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {}
    for name, tensor in load_file(base / "model.safetensors").items():
        if f".{target}.weight" in name and "visual" not in name:
            layer = (old_name(name) if old else name).removesuffix(".weight")
            tensors[f"base_model.model.{layer}.lora_A.weight"] = torch.randn(rank, tensor.shape[1]) * 0.2
            tensors[f"base_model.model.{layer}.lora_B.weight"] = torch.randn(tensor.shape[0], rank) * 0.2
    save_file(tensors, folder / "adapter_model.safetensors", {"format": "pt"})
    (folder / "adapter_config.json").write_text(json.dumps({
        "peft_type": "LORA", "base_model_name_or_path": str(base), "r": rank, "lora_alpha": 8, "target_modules": [target],
        "task_type": "CAUSAL_LM", "bias": "none", "lora_dropout": 0.05, "inference_mode": True, "peft_version": "0.17.0",
    }))  # fmt: skip
    return value_head(folder) if head else folder
