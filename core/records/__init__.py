"""The three records that everything passes around: Comparison, Judgement, Explanation.

All are frozen. Numbers are plain Python or numpy, never tensors, so that records can be pickled, stored
and shown without torch.
"""

from core.records.comparison import MAX_RESPONSES, Comparison, ImageSource, RecordError, Truth, Turn
from core.records.explanation import Explanation, Faithfulness, Familiarity, Reliance, Removal, to_json
from core.records.judgement import Judgement
from core.records.text import content_hash, frozen, plain

__all__ = [
    "MAX_RESPONSES", "Comparison", "Explanation", "Faithfulness", "Familiarity", "ImageSource", "Judgement", "RecordError",
    "Reliance", "Removal", "Truth", "Turn", "content_hash", "frozen", "plain", "to_json",
]  # fmt: skip
