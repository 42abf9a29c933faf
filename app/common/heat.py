"""Attributions as HTML: coloured words, and the map of the picture's regions (app.common.region_map).

gr.HTML keeps its default template: data never stands behind handlebars.
"""

from __future__ import annotations

import base64
import re

from markupsafe import Markup
from PIL import Image

from app.common.charts import FIRST, SECOND
from app.common.html import NOTHING, html, signed
from app.common.region_map import (
    PALEST,
    Legend,
    bar_html,
    grid_words,
    is_tie,
    legend,
    map_html,
    scale,
)
from core.images import to_png_bytes
from core.records import DeletionCheck, Explanation, Judgement, Passed, letter

MOST_TIMES = 100  # more than so many times a random move is not told apart
STRONGEST = 0.65  # opacity of a word in full colour: its letters are readable on it (WCAG 2.2 AA)
LEAST = 0.04  # share of the scale below which nothing is coloured


def words_of(
    tokens: tuple[tuple[str, int, int], ...], values: tuple[float, ...], text: str
) -> list[tuple[str, float]]:
    """Tokens merged to words and the gaps between them; a word's value is the sum of its tokens'."""
    pieces = [(m.group(), m.start(), m.end()) for m in re.finditer(r"\s+|\S+", text)]
    sums = [0.0] * len(pieces)
    for (piece, start, end), value in zip(tokens, values, strict=True):
        at = start + (len(piece) - len(piece.lstrip()))
        at = min(at, max(end - 1, start))
        for i, (_, s, e) in enumerate(pieces):
            if s <= at < e:
                sums[i] += value
                break
    return [(p, v) for (p, _, _), v in zip(pieces, sums, strict=True)]


def scale_of(explanation: Explanation, texts: tuple[str, ...]) -> float:
    """One scale for all words of an explanation: the largest absolute value, but no less than PALEST, so that next to nothing
    is not drawn in full colour. On a tie nothing is drawn."""
    if is_tie(explanation):
        return float("inf")
    words = [
        abs(v)
        for t, values, text in zip(explanation.tokens, explanation.token_values, texts, strict=True)
        for _, v in words_of(t, values, text)
    ]
    of_prompt = abs(explanation.prompt_value) if _of_gate(explanation) else 0.0
    return max([*words, *map(abs, explanation.critique_values), of_prompt, PALEST])


def _of_gate(explanation: Explanation) -> bool:
    return explanation.target_key.startswith("gate:")


def response_html(explanation: Explanation, n: int, text: str, letter: str, scale: float) -> Markup:
    """Response number n of the explanation with its words coloured."""
    return _coloured(letter, words_of(explanation.tokens[n], explanation.token_values[n], text), scale)


def critique_html(explanation: Explanation, text: str, scale: float) -> Markup:
    """The critique that is held fixed with its sentences coloured; nothing where there is none."""
    parts, end = [], 0
    for (_, start, stop), value in zip(explanation.critique_tokens, explanation.critique_values, strict=True):
        parts += [(text[end:start], 0.0), (text[start:stop], value)]
        end = stop
    return _coloured("Critique", [*parts, (text[end:], 0.0)], scale) if parts else NOTHING


def _coloured(name: str, parts: list[tuple[str, float]], scale: float) -> Markup:
    """A text in pieces, each with its value."""
    shown = []
    for piece, value in parts:
        share = value / scale
        quiet = not piece.strip() or abs(share) < LEAST
        shown.append((piece, value, "" if quiet else _rgba(share)))
    return html(
        '<div class="response"><b>{{ name }}</b><p dir="auto">{% for piece, value, colour in shown %}{% if colour %}'
        """<span class="word" style="background:{{ colour }}" title="{{ value|signed(3) }}">{{ piece }}</span>"""
        "{% else %}{{ piece }}{% endif %}{% endfor %}</p></div>",
        name=name,
        shown=shown,
    )


def _rgba(share: float) -> str:
    colour = FIRST if share > 0 else SECOND
    r, g, b = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({r},{g},{b},{min(abs(share), 1) * STRONGEST:.2f})"


def img(image: Image.Image, alt: str) -> Markup:
    data = base64.b64encode(to_png_bytes(image)).decode()
    return html('<img src="data:image/png;base64,{{ data }}" alt="{{ alt }}">', data=data, alt=alt)


def explanation_html(
    image: Image.Image, explanation: Explanation, texts: tuple[str, str], pair: tuple[int, int], critique: str = "",
    prompt: str = "",
) -> Markup:  # fmt: skip
    """Words of both responses and the picture's map, with legend and small print. critique: the text that is held fixed, where
    one is. prompt: shown for a gate, which reads it and no response."""
    said = legend(explanation, *pair)
    return html(
        """
        <div class="explanation"><div class="pictures">{{ map }}</div>
        {{ words }}{{ trust }}{{ small_print }}</div>
        """,
        map=map_html(image, explanation, pair),
        words=_words_html(explanation, texts, pair, critique, prompt, said),
        trust=_faithfulness(explanation), small_print=_small_print(explanation),
    )  # fmt: skip


def _words_html(
    explanation: Explanation, texts: tuple[str, str], pair: tuple[int, int], critique: str, prompt: str, said: Legend
) -> Markup:  # fmt: skip
    full = scale_of(explanation, texts)
    if _of_gate(explanation):
        shown = [_prompt_html(explanation, prompt, full)]
    else:
        shown = [response_html(explanation, n, texts[n], letter(pair[n]), full) for n in (0, 1)]
    return html(
        """
        <p class="legend">{% if s.up %}<span class="swatch" style="background:{{ first }}"></span> {{ s.up }} <span
        class="swatch" style="background:{{ second }}"></span> {{ s.down }}. The stronger the colour, the
        more: a word in full colour is {{ full|f(".2f") }}. {% endif %}{{ s.note }}</p>{% for x in shown %}{{ x }}{% endfor %}{{ critique }}
        """,
        s=said, first=FIRST, second=SECOND, full=full, shown=shown,
        critique=critique_html(explanation, critique, full),
    )  # fmt: skip


def held_text(judgement: Judgement, explanation: Explanation) -> str:
    """The critique that an explanation holds fixed; "" where it holds none."""
    kind, _, key = explanation.target_key.partition(":")
    return judgement.votes[int(key)].text if kind == "critique" else ""


def _faithfulness(explanation: Explanation) -> Markup:
    """What taking away the marked words and regions really did."""
    checked = explanation.faithfulness
    if checked is None:
        return html('<p class="small">Deletion check: not done for this map.</p>')
    if is_tie(explanation):
        return html('<p class="small">No deletion check on a tie.</p>')
    kind = explanation.target_key.partition(":")[0]
    of = "the verdict" if kind in ("margin", "verdict", "critique") else "this target"
    lines = []
    for check, what in (
        (checked.words, "word"),
        (checked.regions, "region"),
        (checked.critique, "sentence"),
    ):
        if check is None:
            continue
        n = len(check.names)
        lines.append({
            "which": f"the strongest {what}" if n == 1 else f"the {n} strongest {what}s",
            "names": ", ".join(check.names[:4]) + (" …" if n > 4 else ""),
            "r": check, "moved": abs(check.after - check.before), "as_many": f"a random {what}" if n == 1 else f"{n} random {what}s",
            "ended": _ended(check, of), "bold": check.passed in (Passed.PASSES, Passed.FAILS),
        })  # fmt: skip
    return html(
        """
        <p class="trust-title">Deletion check: the marked words and regions replaced by the baseline</p><ul class="trust">
        {%- for x in lines -%}
        <li>Without {{ x.which }} ({{ x.names }}): {{ x.r.before|signed }} becomes {{ x.r.after|signed }}, a move of {{ x.moved|f(".2f") }};
        without {{ x.as_many }} it moves by {{ x.r.random|f(".2f") }} on average. {% if x.bold %}<b>{{ x.ended }}</b>
        {%- else %}{{ x.ended }}{% endif %}</li>
        {%- endfor -%}
        </ul>
        """,
        lines=lines,
    )


def _ended(check: DeletionCheck, of: str) -> str:
    if check.passed is Passed.NO_INFLUENCE:
        return f"No influence on {of}."
    times = (
        f"{check.times:.1f} times random" if check.times <= MOST_TIMES else f"over {MOST_TIMES} times random"
    )
    if check.passed is Passed.PASSES:
        return f"Passes the deletion check ({times})."
    if check.passed is Passed.WEAKLY:
        return f"Weakly passes the deletion check ({times})."
    if check.times < 0:
        return "Fails the deletion check: without them it moves the other way."
    return f"Fails the deletion check ({times}): what it marks matters hardly more than anything else."


def _small_print(explanation: Explanation) -> Markup:
    delta = explanation.convergence_delta
    if delta is None:
        exact = "not complete (its values need not add up)"
    else:
        whole = abs(explanation.target_value - explanation.baseline_value) or 1e-9
        exact = f"convergence delta {signed(delta, 4)} ({abs(delta) / whole:.1%} of the difference is unexplained)"
    rest = f", unattributed remainder {signed(explanation.other_value)}" if explanation.other_value else ""
    steps = (
        f"{explanation.steps} steps" if explanation.steps > 1 and explanation.method_key != "refine"
        else "1 backward pass" if explanation.points == 1 else f"{explanation.points} evaluations"
    )  # fmt: skip
    memory = f", {explanation.peak_memory / 2**20:,.0f} MiB" if explanation.peak_memory is not None else ""
    return html(
        """
        <p class="small">{{ e.target }} = {{ e.target_value|signed(3) }}; at the baseline ({{ e.baseline }}) {{ e.baseline_value|signed(3) }}.
        {{ e.method }}, {{ steps }}, {{ exact }}; prompt {{ e.prompt_value|signed }}{{ rest }};
        by {{ e.level }}; {{ e.dtype }}{{ ", " if e.dtype }}{{ e.seconds|f(".2f") }} s{{ memory }}.
        {%- if e.unanswered %} On {{ e.unanswered }} changed {{ "input" if e.unanswered == 1 else "inputs" }} the judge gave no
        verdict: {{ "it counts" if e.unanswered == 1 else "they count" }} as unmoved.{% endif %}</p>
        """,
        e=explanation, steps=steps, exact=exact, rest=rest, memory=memory,
    )  # fmt: skip


# -- parts of a map by themselves, for a page that places them (app/inspect/answer.py) ------------------------------


def word_colour(share: float) -> str:
    """The ground of a word. share: of the scale, -1 to 1."""
    return _rgba(share)


def short_legend(explanation: Explanation, pair: tuple[int, int], prompt: str) -> Markup:
    """The colour bar of a map, its grid and its method; of a gate also the prompt, which is all else that it reads."""
    said = legend(explanation, *pair)
    return html(
        "{{ bar }}{{ prompt }}<p>{{ note }}{{ grid }} {{ method }}, by {{ level }}.</p>",
        bar=bar_html(scale(explanation), said), note=f"{said.note} " if said.note else "", grid=grid_words(explanation),
        prompt=_prompt_html(explanation, prompt, max(PALEST, abs(explanation.prompt_value))) if _of_gate(explanation) else NOTHING,
        method=explanation.method, level=explanation.level,
    )  # fmt: skip


def _prompt_html(explanation: Explanation, prompt: str, full: float) -> Markup:
    """It counts as one: how much is said beside it."""
    name = f"Prompt, as one {signed(explanation.prompt_value)}"
    return _coloured(name, [(prompt, explanation.prompt_value)], full)


def details_html(explanation: Explanation) -> Markup:
    """How far a map can be trusted, and how it was made."""
    return html("{{ trust }}{{ small }}", trust=_faithfulness(explanation), small=_small_print(explanation))


def trust_line(explanation: Explanation) -> str:
    """The deletion check in a few words; "" where there was none."""
    checked = explanation.faithfulness
    if checked is None or is_tie(explanation):
        return ""
    known = [(n, c) for n, c in (("words", checked.words), ("regions", checked.regions)) if c is not None]
    return "Deletion check: " + ", ".join(f"{name} {CHECKED[c.passed]}" for name, c in known) + "."


CHECKED = {
    Passed.PASSES: "passed",
    Passed.WEAKLY: "passed weakly",
    Passed.FAILS: "failed",
    Passed.NO_INFLUENCE: "have no influence",
}
