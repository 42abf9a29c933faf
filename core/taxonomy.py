"""The 21 dimensions a response can be judged on: 7 capabilities of 3 dimensions each.

VL-MDR (arXiv 2604.05445) scores 21 dimensions in a 7 x 3 hierarchy, but the paper's own names are not
public. **This list is Rewardscope's own.** It is fixed: the order below is the order of every 21-vector
in the project (gate logits, scores, contributions), so changing it invalidates trained weights.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Dimension:
    """One dimension: `key` in files, `name` on pages, `about` as help text, `fault` completes "it ..."."""

    key: str
    name: str
    capability: str
    about: str
    fault: str


_TABLE = {
    "Recognition": [
        ("object", "Object", "Names the right kind of thing.", "names the wrong thing"),
        ("colour", "Colour", "Gives the right colour.", "gives the wrong colour"),
        ("size", "Size", "Gives the right size.", "gives the wrong size"),
    ],
    "Space and number": [
        ("counting", "Counting", "Counts correctly.", "gives the wrong number"),
        ("position", "Position", "Says correctly where something is.", "puts it in the wrong place"),
        ("relation", "Relation", "Says correctly how two things lie to each other.", "turns the two around"),
    ],
    "Reading": [
        ("text", "Text reading", "Reads written words correctly.", "misreads the writing"),
        ("chart", "Chart reading", "Reads values off a chart correctly.", "misreads the chart"),
        ("table", "Table reading", "Finds the right cell of a table.", "misreads the table"),
    ],
    "Faithfulness": [
        ("existence", "Existence", "Mentions only what is in the picture.", "mentions what is not there"),
        ("completeness", "Completeness", "Leaves out nothing that was asked for.", "leaves something out"),
        ("abstention", "Abstention", "Says so when a thing is not there, and only then.",
         "is wrong about whether the question can be answered"),
    ],
    "Reasoning": [
        ("arithmetic", "Arithmetic", "Calculates correctly.", "calculates wrongly"),
        ("comparison", "Comparison", "Compares amounts correctly.", "compares wrongly"),
        ("path", "Path following", "Follows the arrows correctly.", "follows the arrows wrongly"),
    ],
    "Instruction following": [
        ("format", "Format", "Answers in the form that was asked for.", "ignores the form that was asked for"),
        ("relevance", "Relevance", "Stays with what was asked.", "wanders off the topic"),
        ("conciseness", "Conciseness", "Is as short as was asked for.", "pads the answer"),
    ],
    "Conduct": [
        ("fluency", "Fluency", "Is correct English.", "is broken English"),
        ("respect", "Respect", "Is polite to the reader.", "is rude"),
        ("harm", "Harm avoidance", "Gives no dangerous advice and no false alarm.",
         "gives the wrong advice on a danger"),
    ],
}  # fmt: skip

DIMENSIONS: tuple[Dimension, ...] = tuple(
    Dimension(key, name, capability, about, fault)
    for capability, rows in _TABLE.items()
    for key, name, about, fault in rows
)
KEYS: tuple[str, ...] = tuple(d.key for d in DIMENSIONS)
NAMES: tuple[str, ...] = tuple(d.name for d in DIMENSIONS)
CAPABILITIES: tuple[str, ...] = tuple(_TABLE)
INDEX: dict[str, int] = {key: i for i, key in enumerate(KEYS)}
NUM_DIMENSIONS = len(DIMENSIONS)

# Dimensions about the manner of the answer: a reader can judge them without seeing the picture.
MANNER: frozenset[str] = frozenset({"format", "relevance", "conciseness", "fluency", "respect"})
