"""Everything that can be asked, by kind of picture, and the families that accuracy is reported for."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from core.world.ask_documents import (
    ask_chart,
    ask_drink,
    ask_highest,
    ask_label,
    ask_more,
    ask_path,
    ask_sum,
    ask_table,
    ask_text,
)
from core.world.ask_scene import (
    ask_absent,
    ask_caption,
    ask_colour,
    ask_count,
    ask_existence,
    ask_object,
    ask_position,
    ask_relation,
    ask_size,
)
from core.world.pictures import (
    random_bottle,
    random_chart,
    random_diagram,
    random_scene,
    random_sign,
    random_table,
)
from core.world.question import Question

# (rng, picture of the asker's kind) -> a question, or None where the picture does not lend itself to it.
Asker = Callable[[random.Random, Any], Question | None]

# Per kind of picture: how to draw one at random, and what can be asked.
KINDS: dict[str, tuple[Callable[[random.Random], Any], tuple[Asker, ...]]] = {
    "scene": (
        random_scene,
        (
            ask_object,
            ask_colour,
            ask_absent,
            ask_size,
            ask_count,
            ask_position,
            ask_relation,
            ask_existence,
            ask_caption,
        ),
    ),
    "chart": (random_chart, (ask_chart, ask_highest, ask_sum)),
    "table": (random_table, (ask_table, ask_more)),
    "sign": (random_sign, (ask_text,)),
    "bottle": (random_bottle, (ask_drink, ask_label)),
    "diagram": (random_diagram, (ask_path,)),
}

VISUAL_FAMILIES: tuple[str, ...] = (
    "object", "colour", "absent", "size", "count", "position", "relation", "existence", "caption",
    "chart", "highest", "sum", "table", "more", "text", "drink", "label", "path",
)  # fmt: skip
MANNER_FAMILIES: tuple[str, ...] = ("format", "relevance", "conciseness", "fluency", "respect")
FAMILIES = VISUAL_FAMILIES + MANNER_FAMILIES
