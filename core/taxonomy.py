"""The 21 dimensions a response can be judged on: 7 capabilities of 3 dimensions each.

VL-MDR (arXiv 2604.05445) scores 21 dimensions in a 7 x 3 hierarchy, but the paper's own names are not
public. **This list is Rewardscope's own**, and only the default for training: dimensions travel with a judge, in its
checkpoint's config, on its card and on its judgements, and may be others and any number of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Dimension:
    """What a response is scored on: `key` in files, `name` on pages, `description` as help text, `capability` the group
    it stands in."""

    key: str
    name: str
    capability: str = ""
    description: str = ""


_TABLE = {
    "Recognition": [
        ("object", "Object", "Names the right kind of thing."),
        ("colour", "Colour", "Gives the right colour."),
        ("size", "Size", "Gives the right size."),
    ],
    "Space and number": [
        ("counting", "Counting", "Counts correctly."),
        ("position", "Position", "Says correctly where something is."),
        ("relation", "Relation", "Says correctly how two things lie to each other."),
    ],
    "Reading": [
        ("text", "Text reading", "Reads written words correctly."),
        ("chart", "Chart reading", "Reads values off a chart correctly."),
        ("table", "Table reading", "Finds the right cell of a table."),
    ],
    "Faithfulness": [
        ("existence", "Existence", "Mentions only what is in the picture."),
        ("completeness", "Completeness", "Leaves out nothing that was asked for."),
        ("abstention", "Abstention", "Says so when a thing is not there, and only then."),
    ],
    "Reasoning": [
        ("arithmetic", "Arithmetic", "Calculates correctly."),
        ("comparison", "Comparison", "Compares amounts correctly."),
        ("path", "Path following", "Follows the arrows correctly."),
    ],
    "Instruction following": [
        ("format", "Format", "Answers in the form that was asked for."),
        ("relevance", "Relevance", "Stays with what was asked."),
        ("conciseness", "Conciseness", "Is as short as was asked for."),
    ],
    "Conduct": [
        ("fluency", "Fluency", "Is correct English."),
        ("respect", "Respect", "Is polite to the reader."),
        ("harm", "Harm avoidance", "Gives no dangerous advice and no false alarm."),
    ],
}  # fmt: skip

DIMENSIONS: tuple[Dimension, ...] = tuple(
    Dimension(key, name, capability, description)
    for capability, rows in _TABLE.items()
    for key, name, description in rows
)
KEYS: tuple[str, ...] = tuple(d.key for d in DIMENSIONS)
NAMES: tuple[str, ...] = tuple(d.name for d in DIMENSIONS)
CAPABILITIES: tuple[str, ...] = tuple(_TABLE)
INDEX: dict[str, int] = {key: i for i, key in enumerate(KEYS)}
NUM_DIMENSIONS = len(DIMENSIONS)

# Dimensions about the manner of the answer: a reader can judge them without seeing the picture.
MANNER: frozenset[str] = frozenset({"format", "relevance", "conciseness", "fluency", "respect"})


MOST = 1024  # dimensions of a judge
LONGEST = 4000  # characters of what is said of one


def dimensions_from(listed: Sequence[str | Mapping[str, Any]]) -> tuple[Dimension, ...]:
    """The dimensions that a checkpoint or a manifest lists: keys (of this taxonomy, or unknown ones, which are then their
    own name), or tables with `key` and, as far as known, the other fields of Dimension. Raises ValueError."""
    if len(listed) > MOST:
        raise ValueError(f"{len(listed)} dimensions are listed: at most {MOST} are read")
    out = []
    for entry in listed:
        table = {"key": entry} if isinstance(entry, str) else dict(entry)
        key = table.get("key")
        if not isinstance(key, str) or not key.strip():
            raise ValueError("a dimension has no key")
        if set(table) == {"key"} and key in INDEX:
            out.append(DIMENSIONS[INDEX[key]])
            continue
        known = {
            f.name: str(table[f.name])[:LONGEST] for f in fields(Dimension) if table.get(f.name) is not None
        }
        out.append(Dimension(**{"name": key.replace("_", " ").capitalize(), **known}))
    repeated = sorted({d.key for d in out if [e.key for e in out].count(d.key) > 1})
    if repeated:
        raise ValueError(f"the dimension '{repeated[0]}' stands there more than once")
    return tuple(out)
