"""Attributions as HTML: coloured words, and coloured regions on the picture itself.

gr.HTML keeps its default template: data never stands behind handlebars.
"""

from __future__ import annotations

import base64
import re

from markupsafe import Markup
from PIL import Image

from app.common.charts import FIRST, SECOND
from app.common.html import html, signed
from core.images import to_png_bytes
from core.records import Explanation, letter

SHOWN = 640  # longest side of a picture on the page
PALEST = 0.25  # of the target's own unit: what full colour stands for at least
MATTERS = 0.05  # a move of the target below which nothing is said to matter
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
    next to nothing is not drawn in full colour."""
    words = [
        abs(v)
        for t, values, text in zip(explanation.tokens, explanation.token_values, texts, strict=True)
        for _, v in words_of(t, values, text)
    ]
    regions = [abs(v) for row in explanation.patch_values for v in row]
    return max([*words, *regions, PALEST])


def response_html(explanation: Explanation, n: int, text: str, letter: str, scale: float) -> Markup:
    """Response number n of the explanation with its words coloured."""
    words = []
    for word, value in words_of(explanation.tokens[n], explanation.token_values[n], text):
        share = value / scale
        quiet = word.isspace() or abs(share) < LEAST
        words.append((word, value, "" if quiet else _rgba(share)))
    return html(
        '<div class="response"><b>{{ letter }}</b><p dir="auto">{% for word, value, colour in words %}{% if colour %}'
        """<span class="word" style="background:{{ colour }}" title="{{ value|f('+.3f') }}">{{ word }}</span>"""
        "{% else %}{{ word }}{% endif %}{% endfor %}</p></div>",
        letter=letter,
        words=words,
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
    image: Image.Image, explanation: Explanation, texts: tuple[str, str], pair: tuple[int, int]
) -> Markup:
    """Words of both responses and the picture, in one colour scale, with legend and small print."""
    a, b = (letter(i) for i in pair)
    scale = scale_of(explanation, texts)
    small = shrink(image)
    strongest = _strongest_region(explanation)
    up, down, note = _legend(explanation, a, b)
    return html(
        """
        <div class="explanation"><div class="pictures">
        <figure>{{ given }}<figcaption>the picture</figcaption></figure>
        <figure>{{ coloured }}<figcaption>which regions did it</figcaption></figure></div>
        <p class="legend"><span class="swatch" style="background:{{ first }}"></span> {{ up }} <span class="swatch"
        style="background:{{ second }}"></span> {{ down }}. The stronger the colour, the
        more; full colour is {{ scale|f(".2f") }}. One scale for all words and regions.{{ note }}</p>
        {{ responses[0] }}{{ responses[1] }}{{ trust }}{{ small_print }}</div>
        """,
        given=img(small, "The picture as given"),
        coloured=img(
            overlay(small, explanation, scale),
            f"The picture with its regions coloured; strongest: {strongest}",
        ),
        first=FIRST, second=SECOND, up=up, down=down, note=note, scale=scale,
        responses=[response_html(explanation, n, texts[n], (a, b)[n], scale) for n in (0, 1)],
        trust=_faithfulness(explanation), small_print=_small_print(explanation),
    )  # fmt: skip


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
    return f"speaks for {a}", f"speaks for {b}", ""


def _faithfulness(explanation: Explanation) -> Markup:
    """What taking away the marked words and regions really did."""
    checked = explanation.faithfulness
    if checked is None:
        return html(
            '<p class="small">Deletion check: not done yet, as the texts are long. Press Explain.</p>'
        )
    lines = []
    for removal, what in ((checked.words, "word"), (checked.regions, "region")):
        if removal is None:
            continue
        n = len(removal.names)
        moved = abs(removal.after - removal.before)
        lines.append({
            "which": f"the strongest {what}" if n == 1 else f"the {n} strongest {what}s",
            "names": ", ".join(removal.names[:4]) + (" …" if n > 4 else ""),
            "r": removal, "moved": moved, "as_many": "a random one" if n == 1 else f"{n} random ones",
            "verdict": _verdict(moved, removal.random),
        })  # fmt: skip
    return html(
        """
        <p class="trust-title">Deletion check: the marked words and regions replaced by the baseline</p><ul class="trust">
        {%- for x in lines -%}
        <li>Without {{ x.which }} ({{ x.names }}): {{ x.r.before|signed }} becomes {{ x.r.after|signed }}, a move of {{ x.moved|f(".2f") }};
        without {{ x.as_many }} it moves by {{ x.r.random|f(".2f") }} on average. {{ x.verdict }}</li>
        {%- endfor -%}
        </ul>
        """,
        lines=lines,
    )


def _verdict(moved: float, random: float) -> Markup | str:
    if moved < MATTERS and random < MATTERS:
        return "No influence on the verdict."
    times = f"{moved / random:.1f} times random" if random >= 0.005 else "random ones do not move it"
    if moved >= 3 * random:
        return html("<b>Passes the deletion check</b> ({{ times }}).", times=times)
    if moved >= 1.2 * random:
        return f"Passes the deletion check weakly ({times})."
    return html(
        "<b>Fails the deletion check</b> ({{ times }}): what it marks matters no more than anything else.",
        times=times,
    )


def _strongest_region(explanation: Explanation) -> str:
    cells = [(abs(v), r, c) for r, row in enumerate(explanation.patch_values) for c, v in enumerate(row)]
    _, r, c = max(cells)
    return f"row {r + 1} of {len(explanation.patch_values)}, column {c + 1} of {len(explanation.patch_values[0])}"


def _small_print(explanation: Explanation) -> Markup:
    delta = explanation.convergence_delta
    if delta is None:
        exact = "not complete (its values need not add up)"
    else:
        whole = abs(explanation.target_value - explanation.baseline_value) or 1e-9
        exact = f"convergence delta {signed(delta, 4)} ({abs(delta) / whole:.1%} of the difference is unexplained)"
    rest = f", unattributed remainder {signed(explanation.other_value)}" if explanation.other_value else ""
    steps = (
        f"{explanation.steps} steps" if explanation.steps > 1
        else "1 backward pass" if explanation.points == 1 else f"{explanation.points} evaluations"
    )  # fmt: skip
    memory = f", {explanation.peak_memory / 2**20:,.0f} MiB" if explanation.peak_memory is not None else ""
    return html(
        """
        <p class="small">{{ e.target }} = {{ e.target_value|signed(3) }}; at the baseline ({{ e.baseline }}) {{ e.baseline_value|signed(3) }}.
        {{ e.method }}, {{ steps }}, {{ exact }}; prompt {{ e.prompt_value|signed }}{{ rest }};
        by {{ e.level }}; {{ e.dtype }}, {{ e.seconds|f(".2f") }} s{{ memory }}.</p>
        """,
        e=explanation, steps=steps, exact=exact, rest=rest, memory=memory,
    )  # fmt: skip
