"""The recipe: ground first, then speak, then judge, then tell twins apart.

A reward loss from scratch, or mixed in early, stays at chance or destroys what the eyes have learnt; so each
stage starts from the last one's weights, and the grounding loss stays on throughout.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from transformers import Qwen2_5_VLConfig

from core.model import VLMDRConfig
from core.model.processor import RewardProcessor
from core.world.splits import OPENING_WEIGHTS


@dataclass(frozen=True)
class Stage:
    """steps of `lessons` pictures with `questions` items of `answers` responses each (answers 0: pictures only)."""

    name: str
    steps: int
    lessons: int
    questions: int
    answers: int
    learning_rate: float
    weights: dict[str, float] = field(default_factory=dict)
    warmup: int = 100
    opening: dict[str, float] = field(default_factory=lambda: OPENING_WEIGHTS)  # which families open lessons
    final_rate: float = 0.05  # the cosine ends at this share of the learning rate
    head_only: bool = False  # the backbone rests: only the reward head learns
    erase: bool = False  # hides some words and regions that prove nothing
    until: tuple[str, float] | None = (
        None  # the stage ends early once this term's mean over a log window is lower
    )

    @property
    def judges(self) -> bool:
        """Whether the reward head learns here."""
        return "judging" in self.weights


TWINS = {"words": 0.2, "language": 0.3, "judging": 1.0, "blame": 0.2}

STAGES: tuple[Stage, ...] = (
    # Where an arrow leads is the slowest thing to see: diagrams are a quarter of the pictures.
    Stage("ground", 3000, 32, 0, 0, 1.5e-3, {"grounding": 1.0}, opening={**OPENING_WEIGHTS, "path": 9}),
    Stage("speak", 2800, 16, 4, 1, 1e-3, {"grounding": 0.3, "words": 0.3, "finding": 0.5, "language": 1.0, "gate": 0.3}, final_rate=0.5,
          opening={**OPENING_WEIGHTS, "path": 5}, until=("fact", 0.3)),
    Stage(
        "judge", 3600, 12, 4, 3, 7e-4,
        {"grounding": 0.2, "words": 0.2, "finding": 0.3, "language": 0.5, "faults": 1.0, "judging": 1.0},
        opening={"count": 5, "path": 4, "sum": 4, "caption": 3, "more": 3, "table": 3, "relation": 3, "highest": 2.5},
    ),
    Stage("weigh", 800, 16, 4, 3, 3e-3, {"judging": 1.0}, head_only=True, final_rate=0.02,
          opening={"count": 3, "path": 3, "sum": 3, "caption": 4, "more": 3, "table": 2, "relation": 2, "highest": 2}),
    # One question a picture, so that a batch holds only twins: the same words, opposite answers. Nothing but the
    # picture tells them apart; most of the pictures are those that come hardest. Words and regions that prove
    # nothing are sometimes erased, so that erasing can explain: what is erased is neither right nor wrong.
    Stage("compare", 1200, 24, 1, 3, 4e-4, TWINS, erase=True,
          opening={"count": 9, "path": 9, "relation": 4, "absent": 3, "more": 3, "existence": 2, "caption": 2}),
    # The same again on what still fails most.
    Stage("hardest", 800, 24, 1, 3, 3e-4, TWINS, erase=True, final_rate=0.02,
          opening={"count": 11, "relation": 8, "path": 5, "more": 4, "absent": 3, "existence": 2, "caption": 2, "sum": 2}),
)  # fmt: skip


def tiny_config(processor: RewardProcessor) -> VLMDRConfig:
    """About 4M parameters of the reference backbone's classes."""
    token = processor.tokenizer.convert_tokens_to_ids
    backbone = Qwen2_5_VLConfig(
        text_config={
            "model_type": "qwen2_5_vl_text",
            "vocab_size": len(processor.tokenizer),
            "hidden_size": 192,
            "intermediate_size": 512,
            "num_hidden_layers": 5,
            "num_attention_heads": 6,
            "num_key_value_heads": 6,
            "max_position_embeddings": 8192,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 6, 6]},
            "bos_token_id": None,
            "eos_token_id": token("<|im_end|>"),
            "pad_token_id": token("<|endoftext|>"),
        },
        vision_config={
            "depth": 4,
            "hidden_size": 160,
            "intermediate_size": 384,
            "num_heads": 5,
            "patch_size": 14,
            "temporal_patch_size": 1,
            "spatial_merge_size": 2,
            "window_size": 112,
            "out_hidden_size": 192,
            "fullatt_block_indexes": [0, 1, 2, 3],
        },
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=True,
    )
    return VLMDRConfig(vlm_config=backbone, gate_size=96, score_size=32)
