"""Anyone's own file: image, prompt, and responses with a label or chosen and rejected; TRL's vision preference format too."""

from __future__ import annotations

from typing import Any

from core.benchmarks import fields
from core.benchmarks.rows import Benchmark, Fields
from core.records import content_hash, letter

PROMPTS = ("prompt", "query", "question", "instruction")
RESPONSES = ("responses", "response")
LABELS = ("preferred", "label", "better")


def label(column: str, value: Any, responses: int) -> int:
    """0-based number or letter of the preferred response."""
    letters = "".join(letter(i) for i in range(responses))
    if isinstance(value, str):
        if value.strip().upper() in letters and len(value.strip()) == 1:
            return letters.index(value.strip().upper())
        if value.strip().isdecimal() and value.strip().isascii():
            value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < responses:
        return value
    shown = repr(value)[:80]
    raise fields.RowProblem(
        f"column {column}: {shown} where {' or '.join(letters)} or 0 to {responses - 1} was expected"
    )


def parse(raw: dict[str, Any]) -> Fields:
    prompt = fields.text(raw, *PROMPTS)
    if raw.get("chosen") is not None or raw.get("rejected") is not None:
        responses = [fields.text(raw, "chosen"), fields.text(raw, "rejected")]
        preferred: int | None = 0
    else:
        responses = fields.texts(raw, *RESPONSES)
        fields.count_problem(responses)
        preferred = None
        if raw.get("human_ranking") is not None:
            preferred = fields.ranking(raw, "human_ranking", len(responses))
        for column in LABELS:
            if raw.get(column) not in (None, ""):
                preferred = label(column, raw[column], len(responses))
                break
    image = next((raw[c] for c in ("image", "images", "image_path") if raw.get(c) not in (None, "")), None)
    id_ = raw.get("id")
    group = raw.get("category", raw.get("group"))
    return Fields(
        str(id_) if id_ not in (None, "") else content_hash(prompt, *responses),
        prompt,
        responses,
        preferred,
        image,
        str(group) if group not in (None, "") else "all",
    )


OWN_FILE = Benchmark(
    "own",
    "Your own file",
    "JSONL, JSON, CSV, Parquet or a `datasets` folder with an image, a prompt, and responses or chosen and rejected.",
    parse,
    needs=(PROMPTS, (*RESPONSES, "chosen")),
)
