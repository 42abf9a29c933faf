"""Why this reward: attributions of a target to the words of the responses and the regions of the picture.

targets.py      what is explained: the margin, a reward, one dimension's score, one gate logit
inputs.py       image, prompt and two responses as embeddings, with their baseline
problem.py      the target as a function of how much of each word and region is present
methods.py      how: a registry, mostly of Captum's methods
explanation.py  runs a method on a target and says what fell where
memory.py       how many points fit into a batch
"""

from core.explain.explanation import Cancelled, Plan, default_method, explain, plan
from core.explain.methods import METHODS
from core.explain.problem import LEVELS, SCOPES
from core.explain.targets import TARGETS

__all__ = ["LEVELS", "METHODS", "SCOPES", "TARGETS", "Cancelled", "Plan", "default_method", "explain", "plan"]
