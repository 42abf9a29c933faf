"""The embedded judge that thinks before it decides: trained by `python -m core train reasoning-judge` (docs/reasoning.md)."""

from __future__ import annotations

from dataclasses import replace

from core.judges.contents import look_at
from core.judges.generative import GenerativeJudge, open_generative
from core.judges.options import Options
from core.model.files import EMBEDDED_REASONING

PROMPT = "own-answer"  # it was trained with


def load_reasoning(options: Options) -> GenerativeJudge:
    """options.model: another folder of the same kind. Raises CheckpointError."""
    contents = look_at(options.model or str(EMBEDDED_REASONING), options.revision)
    # In float32 everywhere it writes the same everywhere, as the other embedded models judge.
    judge = open_generative(
        contents, replace(options, prompt=options.prompt or PROMPT, dtype=options.dtype or "float32")
    )
    if options.model is None:
        said = contents.config.get("about") or {}
        judge.card = replace(
            judge.card, id="reasoning", name=str(said.get("name") or contents.title), embedded=True,
            licence=str(said.get("licence", "")), trained_on=str(said.get("trained_on", "")),
        )  # fmt: skip
    return judge
