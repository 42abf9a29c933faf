"""Why this reward: attributions of a target to the words of the responses and the regions of the picture.

targets.py    what is explained: the margin, or one dimension's score difference
inputs.py     image, prompt and two responses as embeddings, with their baseline
methods.py    how: a registry of Captum methods
explanation.py  runs a method on a target and says what fell where
"""

from core.explain.explanation import Cancelled, explain
from core.explain.methods import METHODS
from core.explain.targets import TARGETS

__all__ = ["METHODS", "TARGETS", "Cancelled", "explain"]
