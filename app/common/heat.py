"""Attributions as HTML: coloured words, and coloured regions on the picture itself.

gr.HTML keeps its default template: data never stands behind handlebars.
"""

from __future__ import annotations

import base64
import re

from markupsafe import Markup
from PIL import Image

from app.common.charts import FIRST, SECOND
from app.common.html import NOTHING, html, signed
from core.images import to_png_bytes
from core.records import DeletionCheck, Explanation, Judgement, Passed, letter
from core.records.headline import TIE

SHOWN = 640  # longest side of a picture on the page
PALEST = 0.25  # of the target's own unit: what full colour stands for at least
MOST_TIMES = 100  # more than so many times a random move is not told apart
NEITHER = (
    "Neither the first impression nor a critique held fixed explains why the judge wrote what it wrote: the one is forced before "
    "it has written anything, the other is taken as it stands."
)
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
    """One scale for all words and regions of an explanation: the largest absolute value, but no less than PALEST, so that
    next to nothing is not drawn in full colour. On a tie nothing is drawn."""
    if is_tie(explanation):
        return float("inf")
    words = [
        abs(v)
        for t, values, text in zip(explanation.tokens, explanation.token_values, texts, strict=True)
        for _, v in words_of(t, values, text)
    ]
    regions = [abs(v) for row in explanation.patch_values for v in row]
    return max([*words, *regions, *map(abs, explanation.critique_values), PALEST])


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
        """<span class="word" style="background:{{ colour }}" title="{{ value|f('+.3f') }}">{{ piece }}</span>"""
        "{% else %}{{ piece }}{% endif %}{% endfor %}</p></div>",
        name=name,
        shown=shown,
    )


def _rgba(share: float) -> str:
    colour = FIRST if share > 0 else SECOND
    r, g, b = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({r},{g},{b},{min(abs(share), 1) * 0.75:.2f})"


def overlay(image: Image.Image, explanation: Explanation, scale: float) -> Image.Image:
    """The picture with every region tinted by its attribution."""
    rows, columns = len(explanation.patch_values), len(explanation.patch_values[0])
    tint = Image.new("RGBA", image.size, (0, 0, 0, 0))
    for r, row in enumerate(explanation.patch_values):
        for c, value in enumerate(row):
            share = value / scale
            if abs(share) < LEAST:
                continue
            colour = FIRST if share > 0 else SECOND
            rgb = tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))
            box = (
                round(c * image.width / columns), round(r * image.height / rows),
                round((c + 1) * image.width / columns), round((r + 1) * image.height / rows),
            )  # fmt: skip
            tint.paste((*rgb, round(min(abs(share), 1) * 190)), box)
    # A paler picture beneath lets the tint be seen on strong colours too.
    pale = Image.blend(image.convert("RGB"), Image.new("RGB", image.size, (255, 255, 255)), 0.35)
    return Image.alpha_composite(pale.convert("RGBA"), tint).convert("RGB")


def shrink(image: Image.Image) -> Image.Image:
    small = image.copy()
    small.thumbnail((SHOWN, SHOWN))
    return small


def img(image: Image.Image, alt: str) -> Markup:
    data = base64.b64encode(to_png_bytes(image)).decode()
    return html('<img src="data:image/png;base64,{{ data }}" alt="{{ alt }}">', data=data, alt=alt)


def explanation_html(
    image: Image.Image, explanation: Explanation, texts: tuple[str, str], pair: tuple[int, int], critique: str = ""
) -> Markup:  # fmt: skip
    """Words of both responses and the picture, in one colour scale, with legend and small print. critique: the text that is held
    fixed, where one is."""
    a, b = (letter(i) for i in pair)
    scale = scale_of(explanation, texts)
    small = shrink(image)
    strongest = _strongest_region(explanation, scale)
    up, down, note = _legend(explanation, a, b)
    return html(
        """
        <div class="explanation"><div class="pictures">
        <figure>{{ given }}<figcaption>the picture</figcaption></figure>
        <figure>{{ coloured }}<figcaption>which regions did it</figcaption></figure></div>
        <p class="legend">{% if not tie %}<span class="swatch" style="background:{{ first }}"></span> {{ up }} <span
        class="swatch" style="background:{{ second }}"></span> {{ down }}. The stronger the colour, the
        more; full colour is {{ scale|f(".2f") }}. One scale for all words and regions.{% endif %}{{ note }}</p>
        {{ responses[0] }}{{ responses[1] }}{{ critique }}{{ trust }}{{ small_print }}</div>
        """,
        given=img(small, "The picture as given"),
        coloured=img(
            overlay(small, explanation, scale),
            f"The picture with its regions coloured; {strongest}",
        ),
        first=FIRST, second=SECOND, up=up, down=down, note=note, tie=is_tie(explanation), scale=scale,
        responses=[response_html(explanation, n, texts[n], (a, b)[n], scale) for n in (0, 1)],
        critique=critique_html(explanation, critique, scale), trust=_faithfulness(explanation), small_print=_small_print(explanation),
    )  # fmt: skip


def unexplained_html(
    image: Image.Image, texts: tuple[str, str], pair: tuple[int, int], awaited: bool
) -> Markup:
    """Picture and texts as they are, where a map has to be asked for."""
    return html(
        """
        <div class="explanation"><div class="pictures"><figure>{{ given }}<figcaption>the picture</figcaption></figure></div>
        <p class="small">No map yet{{ "." if awaited else ": what it takes is said above; press Explain." }}</p>
        {%- for name, text in shown %}<div class="response"><b>{{ name }}</b><p dir="auto">{{ text }}</p></div>{% endfor %}</div>
        """,
        given=img(shrink(image), "The picture as given"),
        awaited=awaited,
        shown=[(letter(i), text) for i, text in zip(pair, texts, strict=True)],
    )


def held_text(judgement: Judgement, explanation: Explanation) -> str:
    """The critique that an explanation holds fixed; "" where it holds none."""
    kind, _, key = explanation.target_key.partition(":")
    return judgement.votes[int(key)].text if kind == "critique" else ""


def _legend(explanation: Explanation, a: str, b: str) -> tuple[str, str, str]:
    """What the two colours mean for this target, and what has to be said of it."""
    kind = explanation.target_key.partition(":")[0]
    if kind == "gate":
        what = explanation.target.removesuffix(" logit")
        return (
            f"raises the {what}",
            f"lowers the {what}",
            " No response has a part in a gate: it reads image and prompt alone.",
        )
    if kind == "reward":
        return f"raises the reward of {a}", f"lowers the reward of {a}", ""
    if is_tie(explanation):
        return "", "", "This is a tie, so there is no preference to explain, and nothing is coloured."
    if kind in ("verdict", "critique"):
        return f"speaks for {a}", f"speaks for {b}", f" {NEITHER}"
    return f"speaks for {a}", f"speaks for {b}", ""


def is_tie(explanation: Explanation) -> bool:
    return explanation.target_key in ("margin", "verdict") and abs(explanation.target_value) < TIE


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


def _strongest_region(explanation: Explanation, scale: float) -> str:
    cells = [(abs(v), r, c) for r, row in enumerate(explanation.patch_values) for c, v in enumerate(row)]
    largest, r, c = max(cells)
    if largest < LEAST * scale:
        return "no region has a part in it"
    return f"strongest: row {r + 1} of {len(explanation.patch_values)}, column {c + 1} of {len(explanation.patch_values[0])}"


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


def map_image(image: Image.Image, explanation: Explanation, scale: float) -> Markup:
    """The picture with its map, as an <img> whose description names the strongest region."""
    described = f"The picture with its regions coloured; {_strongest_region(explanation, scale)}"
    return img(overlay(image, explanation, scale), described)


def short_legend(explanation: Explanation, a: str, b: str, scale: float) -> Markup:
    """What the colours of a map mean, its scale and its method, in a line."""
    up, down, note = _legend(explanation, a, b)
    return html(
        """
        {%- if not tie %}<span class="swatch" style="background:{{ first }}"></span> {{ up }} <span class="swatch" style="background:{{ second }}"></span> {{ down }};
        full colour is {{ scale|f(".2f") }}.{% endif %}{{ note }} Map: {{ method }}, by {{ level }}.
        """,
        first=FIRST, second=SECOND, up=up, down=down, note=note, tie=is_tie(explanation), scale=scale,
        method=explanation.method, level=explanation.level,
    )  # fmt: skip


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
