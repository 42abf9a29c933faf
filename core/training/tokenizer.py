"""The embedded model's tokenizer: byte-level BPE over the world's own sentences, in Qwen2's format.

Bytes are its alphabet, so any text of any user can be encoded; the world's words are single tokens.
"""

from __future__ import annotations

import json
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen2Tokenizer
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from core.model.processor import MAX_PIXELS, RewardProcessor
from core.world.splits import lesson

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
           "<|video_pad|>")  # fmt: skip
# Qwen's template without its newlines; a space before each text, so that a word is one token wherever it stands.
CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}{% for c in m.content %}"
    "{% if c.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %} {{ c.text }}{% endif %}"
    "{% endfor %}<|im_end|>{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant{% endif %}"
)


def build_processor(seed: int = 0, lessons: int = 3000) -> RewardProcessor:
    """Trains the tokenizer on the training split and joins it with the image processor."""
    texts = ["user assistant"] * 100
    for i in range(lessons):
        for item in lesson(seed, i, 4).items:
            texts += [" " + item.prompt, *(" " + a.text for a in item.answers)]
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )  # type: ignore[assignment]
    trainer = trainers.BpeTrainer(
        vocab_size=1024,
        min_frequency=4,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    vocab, merges = bpe.get_vocab(), _merges(bpe)
    tokenizer: PreTrainedTokenizerFast = Qwen2Tokenizer(
        vocab=vocab,
        merges=merges,
        unk_token="<|endoftext|>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
    )
    tokenizer.add_tokens(
        [AddedToken(t, special=True, normalized=False) for t in SPECIAL], special_tokens=True
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    images = Qwen2VLImageProcessorPil(
        patch_size=14, merge_size=2, temporal_patch_size=1, min_pixels=28 * 28 * 4, max_pixels=MAX_PIXELS
    )
    return RewardProcessor(images, tokenizer)


def _merges(bpe: Tokenizer) -> Any:
    return [tuple(m) for m in json.loads(bpe.to_str())["model"]["merges"]]
