"""The records that everything passes around: Comparison, Judgement, Explanation, and the judge's card.

All are frozen. Numbers are plain Python or numpy, never tensors, so that records can be pickled, stored
and shown without torch.
"""

from core.records.card import CardError, JudgeCard
from core.records.comparison import Comparison, ImageSource, Known, RecordError, Truth, Turn
from core.records.explanation import (
    DeletionCheck,
    Explanation,
    Faithfulness,
    ImageAblation,
    ImageUse,
    Passed,
    to_json,
)
from core.records.judgement import Condition, Judgement, OODScore, Vote
from core.records.text import content_hash, formatted, frozen, letter, plain, signed

__all__ = [
    "CardError", "Comparison", "Condition", "Explanation", "Faithfulness", "ImageSource", "JudgeCard", "Judgement", "Known",
    "OODScore", "RecordError", "ImageAblation", "ImageUse", "DeletionCheck", "Passed", "Truth", "Turn", "Vote", "content_hash", "formatted", "frozen", "letter",
    "plain", "signed", "to_json",
]  # fmt: skip
