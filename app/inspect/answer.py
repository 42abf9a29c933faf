"""The answer on the first screen: the verdict with a needle, each response as a card with its words coloured, the picture with
its map, and what each dimension adds. What acts together carries the same links (app/inspect/units.py, assets/linked.js)."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup
from PIL import Image

from app.common import heat
from app.common.charts import FIRST, SECOND
from app.common.html import NOTHING, html, signed
from app.common.region_map import map_img, shrink
from app.common.rounding import summing
from app.inspect.units import Unit, dimension_key, region_key, word_key
from core.judges.pieces import pieces
from core.records import Comparison, Explanation, Judgement, letter
from core.records.headline import TIE

SHORTEST = 0.6  # percent of a track: a bar that can be seen


@dataclass(frozen=True)
class Shown:
    """What the parts of the answer are made of. explanation: the map on show, ablation: of the margin (units are its words
    and regions); None where there is none."""

    comparison: Comparison
    judgement: Judgement
    pair: tuple[int, int]
    explanation: Explanation | None
    ablation: Explanation | None
    units: Mapping[str, Unit]


def stamp() -> str:
    """Makes every answer differ from the one before: a card that is being edited turns back once its text was judged."""
    return str(time.monotonic_ns())


# -- verdict ---------------------------------------------------------------------------------------------------


def needle_html(judgement: Judgement, a: int, b: int) -> Markup:
    """How sure the model is, between the two responses; assets/linked.js moves it."""
    margin = judgement.margin(a, b)
    if math.isnan(margin):
        return NOTHING
    sigma = 1 / (1 + math.exp(-max(-700.0, min(700.0, margin))))
    first = letter(a) if margin >= 0 else letter(b)
    sure = "a tie" if abs(margin) < TIE else f"{_percent(max(sigma, 1 - sigma))} {first}"
    return html(
        """
        <div class="needle" data-margin="{{ margin|f(".4f") }}" role="img" aria-label="Margin {{ a }} − {{ b }} {{ margin|signed }}: {{ sure }}">
        <div class="needle-track" aria-hidden="true"><i class="needle-zero"></i><i class="needle-ghost" hidden></i><i class="needle-hand" style="left: {{ left|f(".2f") }}%"></i></div>
        <div class="needle-ends" aria-hidden="true"><b>{{ a }}</b><span>margin {{ a }} − {{ b }} <b class="needle-value">{{ margin|signed }}</b> · σ = <b class="needle-sigma">{{ sure }}</b></span><b>{{ b }}</b></div></div>
        """,
        margin=margin, a=letter(a), b=letter(b), sure=sure, left=100 * (1 - sigma),
    )  # fmt: skip


def _percent(probability: float) -> str:
    return f"{probability:.0%}" if probability < 0.995 else "over 99%"


# -- cards -----------------------------------------------------------------------------------------------------


def prompt_html(text: str) -> Markup:
    return html(
        """
        <div class="shown-text" data-stamp="{{ stamp }}" data-text="{{ text }}"><div class="card-head"><b>Prompt</b>
        <button type="button" class="card-edit" data-edit aria-label="Edit the prompt">Edit</button></div>
        <p class="card-text prompt-text" dir="auto">{{ text }}</p></div>
        """,
        text=text, stamp=stamp(),
    )  # fmt: skip


def card_html(i: int, text: str, shown: Shown | None) -> Markup:
    """Response i. shown: None where nothing was judged yet."""
    j = shown.judgement if shown else None
    reward = j.rewards[i] if j and i < len(j.rewards) else math.nan
    return html(
        """
        <div class="shown-text{{ " preferred" if best }}" data-stamp="{{ stamp }}" data-text="{{ text }}"><div class="card-head"><b class="card-name">{{ name }}</b>
        {%- if best %} <span class="badge won">preferred</span>{% endif %}
        {%- if label %} <span class="badge">label prefers {{ name }}</span>{% endif %}
        {%- if known %} <span class="card-reward">reward {{ reward|signed }}</span>{% endif %}
        <button type="button" class="card-edit" data-edit aria-label="Edit response {{ name }}">Edit</button></div>
        <div class="card-text words" dir="auto" role="group" aria-label="Words of response {{ name }}: arrow keys move, Enter strikes or replaces" tabindex="0">{{ words }}</div></div>
        """,
        best=j is not None and _best(j) == i, label=shown is not None and shown.comparison.preferred == i,
        known=not math.isnan(reward), reward=reward, name=letter(i), text=text, words=_words(i, text, shown), stamp=stamp(),
    )  # fmt: skip


def _best(judgement: Judgement) -> int | None:
    if len(judgement.rewards) < 2 or any(map(math.isnan, judgement.rewards)):
        return None
    first, second = (judgement.rewards[i] for i in judgement.ranking[:2])
    return judgement.ranking[0] if first - second >= TIE else None


def _words(i: int, text: str, shown: Shown | None) -> Markup:
    """The text in pieces that can be pointed at: those of the ablation, else its words."""
    n = shown.pair.index(i) if shown and i in shown.pair else None
    colours = _colours(n, shown) if shown and n is not None else []
    if shown and n is not None and shown.ablation:
        spans = [(start, end) for _, start, end in shown.ablation.tokens[n]]
    else:
        spans = [(start, end) for _, start, end in pieces(text, "word")]
    out, at = [], 0
    for k, (start, end) in enumerate(spans):
        key = word_key(n, k) if n is not None else ""
        unit = shown.units.get(key) if shown else None
        colour = next((c for s, e, c in colours if s <= start < e), "")
        out.append({"gap": text[at:start], "text": text[start:end], "at": f"{start}-{end}", "key": key if unit else "",
                    "unit": unit, "colour": colour})  # fmt: skip
        at = end
    return html(
        """
        {%- for w in words %}{{ w.gap }}<span class="word" role="button" tabindex="-1" data-at="{{ w.at }}"
        {%- if w.unit %} data-unit="{{ w.key }}" data-margin="{{ w.unit.without|f(".4f") }}" data-said="{{ w.unit.said }}" data-partners="{{ w.unit.partners|join(" ") }}"{% endif %}
        {%- if w.colour %} style="background:{{ w.colour }}"{% endif %}>{{ w.text }}</span>{% endfor %}{{ rest }}
        """,
        words=out, rest=text[at:],
    )  # fmt: skip


def _colours(n: int, shown: Shown) -> list[tuple[int, int, str]]:
    """(start, end, colour) of the pieces that the map on show colours."""
    e = shown.explanation
    if e is None:
        return []
    scale = heat.scale_of(e, tuple(shown.comparison.responses[i] for i in shown.pair))
    return [
        (start, end, heat.word_colour(value / scale))
        for (_, start, end), value in zip(e.tokens[n], e.token_values[n], strict=True)
        if abs(value / scale) >= heat.LEAST
    ]


# -- the picture -----------------------------------------------------------------------------------------------


def stage_html(shown: Shown, awaited: bool) -> Markup:
    """The picture, its map over it, and its regions as what can be pointed at."""
    image = shrink(shown.comparison.load_image())
    e = shown.explanation
    map_ = map_img(image, e) if e else NOTHING
    return html(
        """
        <div class="stage"{% if map %} data-mapped{% endif %} data-stamp="{{ stamp }}"><div class="stage-frame" style="aspect-ratio: {{ w }} / {{ h }}; max-width: calc(var(--stage-height) * {{ (w / h)|f(".4f") }})">
        {{ given }}{{ map }}{{ regions }}</div>
        <div class="stage-bar">{% if map %}<button type="button" data-original aria-pressed="false">Show original</button>{% endif %}
        <button type="button" data-brush aria-pressed="false">Erase or blur a part</button></div>
        <div class="legend">{{ legend }}</div>{% if trust %}<p class="legend trust-line">{{ trust }}</p>{% endif %}</div>
        """,
        given=heat.img(image, "The picture as given"), map=map_, w=image.width, h=image.height, regions=_regions(shown),
        trust=heat.trust_line(e) if e else "", legend=heat.short_legend(e, shown.pair, shown.comparison.prompt) if e else ("The map is on its way." if awaited else "No map yet: open “Another map” below and press Explain."),
        stamp=stamp(),
    )  # fmt: skip


def bare_stage_html(image: Image.Image | None) -> Markup:
    """A picture that was not judged yet."""
    if image is None:
        return html(
            '<div class="stage"><p class="small">There is no picture yet: press “Change the picture”.</p></div>'
        )
    small = shrink(image)
    return html(
        """
        <div class="stage"><div class="stage-frame" style="aspect-ratio: {{ w }} / {{ h }}; max-width: calc(var(--stage-height) * {{ (w / h)|f(".4f") }})">{{ given }}</div></div>
        """,
        given=heat.img(small, "The picture as given"), w=small.width, h=small.height,
    )  # fmt: skip


def _regions(shown: Shown) -> Markup:
    if shown.ablation is None:
        return NOTHING
    grid = shown.ablation.patch_values
    rows, columns = len(grid), len(grid[0])
    cells = [
        {"key": region_key(r * columns + c), "unit": shown.units[region_key(r * columns + c)], "name": f"Row {r + 1}, column {c + 1}"}
        for r in range(rows) for c in range(columns)
    ]  # fmt: skip
    return html(
        """
        <div class="regions" role="group" aria-label="Regions of the picture: arrow keys move" data-columns="{{ columns }}" style="grid-template: repeat({{ rows }}, 1fr) / repeat({{ columns }}, 1fr)">
        {%- for c in cells %}<button type="button" class="region" tabindex="{{ 0 if loop.first else -1 }}" data-unit="{{ c.key }}" data-margin="{{ c.unit.without|f(".4f") }}" data-said="{{ c.unit.said }}" data-partners="{{ c.unit.partners|join(" ") }}" aria-label="{{ c.name }}"></button>{% endfor %}</div>
        """,
        cells=cells, rows=rows, columns=columns,
    )  # fmt: skip


# -- contributions ---------------------------------------------------------------------------------------------


def strip_html(shown: Shown) -> Markup:
    """What each selected dimension adds to the margin; the rounded parts add up to the rounded margin."""
    j, (a, b) = shown.judgement, shown.pair
    if not j.scores:
        return NOTHING
    parts = sorted(j.contributions(a, b).items(), key=lambda item: -abs(item[1]))
    rounded, total = summing([v for _, v in parts])
    most = max([abs(v) for _, v in parts] + [1e-9])
    rows = [
        {"name": j.dimensions[d].name, "value": value, "key": dimension_key(d), "unit": shown.units[dimension_key(d)],
         "width": max(SHORTEST, 50 * abs(v) / most) if abs(v) >= TIE else 0, "left": v >= 0, "colour": FIRST if v >= 0 else SECOND}
        for (d, v), value in zip(parts, rounded, strict=True)
    ]  # fmt: skip
    return html(
        """
        <div class="strip" role="group" aria-label="Contributions to the margin {{ a }} − {{ b }}"><p class="strip-title">What each dimension adds to {{ a }} − {{ b }} <span>(left: for {{ a }}, right: for {{ b }})</span></p>
        {%- for r in rows %}
        <button type="button" class="strip-row" data-unit="{{ r.key }}" data-margin="{{ r.unit.without|f(".4f") }}" data-said="{{ r.unit.said }}" data-partners="{{ r.unit.partners|join(" ") }}"><span class="strip-name">{{ r.name }}</span>
        <span class="strip-track" aria-hidden="true"><i style="{{ "right" if r.left else "left" }}: 50%; width: {{ r.width|f(".2f") }}%; background: {{ r.colour }}"></i></span><b>{{ r.value|signed }}</b></button>
        {%- endfor %}
        <p class="strip-row strip-sum"><span class="strip-name">Margin {{ a }} − {{ b }}</span><span class="strip-track" aria-hidden="true"></span><b>{{ total|signed }}</b></p></div>
        """,
        rows=rows, total=total, a=letter(a), b=letter(b),
    )  # fmt: skip


def path_html(start: float, lines: list[tuple[str, float | None]], pair: tuple[int, int]) -> Markup:
    """The edits so far. lines: what each changed, and the margin after it."""
    if not lines:
        return NOTHING
    shown, before = [], start
    for text, margin in lines:
        turned = margin is not None and before * margin < 0
        shown.append((text, "" if margin is None else signed(margin), turned))
        before = before if margin is None else margin
    return html(
        """
        <p class="path-title">Edits so far, margin {{ a }} − {{ b }}:</p><ol class="path"><li>as given <b>{{ start|signed }}</b></li>
        {%- for text, margin, turned in lines %}<li>{{ text }} <b>{{ margin }}</b>{% if turned %} <span class="badge won">the verdict turned</span>{% endif %}</li>{% endfor %}</ol>
        """,
        lines=shown, start=start, a=letter(pair[0]), b=letter(pair[1]),
    )  # fmt: skip
