"""One comparison to take away: a page in one file, and its map and contributions as a figure for a paper.

The page holds everything itself: no script, nothing fetched, and a policy that would stop either. The figure is drawn by
Matplotlib (Captum brings it) on a canvas of its own; in an SVG texts stay texts. Nothing in either is read as markup or as
mathematics, whoever wrote it.
"""

from __future__ import annotations

import io
import math
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from app.common import figures, heat, item_view, privately, region_map, words
from app.common.charts import FIRST, SECOND
from app.common.html import NOTHING, html, signed
from core.records import (
    Comparison,
    Explanation,
    ImageAblation,
    JudgeCard,
    Judgement,
    RecordError,
    letter,
    plain,
)

STYLE = Path(__file__).parents[2] / "assets" / "export.css"
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
LONGEST = 20_000  # characters of a text
NAME = 40  # characters of a dimension's name in a figure
MOST_PARTS = 12  # dimensions in a figure, the largest first
DRAWING = threading.Lock()  # Matplotlib's settings are the process's


@dataclass(frozen=True)
class Exported:
    """What an export shows. explanation: the map; None where there is none yet. image_ablation: None where not known."""

    comparison: Comparison
    judgement: Judgement
    explanation: Explanation | None
    pair: tuple[int, int]
    card: JudgeCard
    image_ablation: ImageAblation | None = None

    @property
    def decided(self) -> bool:
        return not any(map(math.isnan, self.judgement.rewards))


def name(shown: Exported, kind: str) -> str:
    """A file's name that says what is in it."""
    a, b = map(letter, shown.pair)
    e = shown.explanation
    of = f"{e.target_key}-{e.method_key}" if e else "verdict"
    return f"{privately.fit(f'rewardscope-{a}-{b}-{of}-{shown.comparison.id}')}.{kind}"


def page(shown: Exported) -> str:
    """A whole HTML document."""
    c, j, e, pair = shown.comparison, shown.judgement, shown.explanation, shown.pair
    texts = (c.responses[pair[0]], c.responses[pair[1]])
    said = words.verdict(c, j, *pair)
    return str(
        html(
            """
            <!DOCTYPE html>
            <html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{{ policy }}">
            <meta name="viewport" content="width=device-width, initial-scale=1"><meta name="generator" content="Rewardscope">
            <title>{{ said }}</title><style>{{ style }}</style></head>
            <body><main><header><h1>{{ said }}</h1><p class="small">Rewardscope: why did the reward model prefer this response? Judge: {{ card.name }}
            {%- for fact in facts %} · {{ fact }}{% endfor %}</p></header>
            {%- if warning %}<p class="warning">{{ warning }}</p>{% endif %}
            <section><h2>Prompt</h2><p class="text" dir="auto">{{ prompt }}</p></section>
            <section><h2>Responses</h2>{% for name, text, reward, best in responses %}
            <div class="card{{ " best" if best }}"><b>{{ name }}</b> {% if reward %}<span class="small">reward {{ reward }}{{ ", preferred" if best }}</span>{% endif %}
            <p class="text" dir="auto">{{ text }}</p></div>{% endfor %}</section>
            <section><h2>Which words and which parts of the picture</h2>{{ map }}</section>
            {%- if contributions %}<section><h2>What each dimension adds to {{ a }} − {{ b }}</h2>{{ waterfall }}<div class="wide">{{ contributions }}</div></section>{% endif %}
            {%- if use %}<section><h2>Does it use the picture?</h2>{{ use }}</section>{% endif %}
            {%- if critique %}<section><h2>What the judge wrote</h2>{{ critique }}</section>{% endif %}
            </main></body></html>
            """,
            policy=POLICY, said=said, style=Markup(STYLE.read_text()), card=shown.card, facts=words.facts(shown.card),  # noqa: S704 (the program's own)
            warning=words.warning(j.ood), prompt=c.prompt[:LONGEST], a=letter(pair[0]), b=letter(pair[1]),
            responses=[
                (letter(i), text[:LONGEST], signed(j.rewards[i]) if shown.decided else "", shown.decided and j.ranking[0] == i)
                for i, text in enumerate(c.responses)
            ],
            map=heat.explanation_html(c.load_image(), e, texts, pair, heat.held_text(j, e), c.prompt) if e
            else html('<img src="{{ url }}" alt="The picture as given"><p class="small">No map was made.</p>', url=region_map.picture_url(region_map.shrink(c.load_image()))),
            waterfall=figures.waterfall(j, *pair).html() if j.scores else NOTHING,
            contributions=item_view.contributions_html(j, *pair), use=item_view.image_ablation_html(shown.image_ablation),
            critique=item_view.critique_html(j),
        )
    )  # fmt: skip


def figure(shown: Exported, kind: str) -> bytes:
    """Map and contributions side by side. kind: "png" (300 dots an inch) or "svg". Raises RecordError where there is neither."""
    parts = _parts(shown.judgement, shown.pair)
    if shown.explanation is None and not parts:
        raise RecordError("There is nothing to draw yet: press Explain first.")
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # Fixed ids, so that the same figure is the same file; texts as they are.
    settings: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": "rewardscope",
        "font.size": 8,
        "text.parse_math": False,
    }
    with DRAWING, rc_context(settings):
        panels = [p for p in (shown.explanation and _draw_map, parts and _draw_parts) if p]
        drawn = Figure(figsize=(3.5 * len(panels), 3.6), layout="constrained")
        FigureCanvasAgg(drawn)
        for axes, panel in zip(drawn.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            panel(drawn, axes, shown)
        out = io.BytesIO()
        drawn.savefig(out, format=kind, dpi=300, metadata={"Date": None} if kind == "svg" else {})
    return out.getvalue()


def _parts(judgement: Judgement, pair: tuple[int, int]) -> list[tuple[str, float]]:
    """The largest contributions, largest first."""
    if not judgement.scores:
        return []
    found = sorted(judgement.contributions(*pair).items(), key=lambda item: -abs(item[1]))[:MOST_PARTS]
    return [(_short(judgement.dimensions[d].name), v) for d, v in found]


def _short(text: str) -> str:
    """Without what an SVG, which is XML, cannot hold."""
    text = re.sub(r"[\x00-\x1f\x7f\ufffe\uffff]", " ", plain(text))
    return text if len(text) <= NAME else text[: NAME - 1] + "…"


def _draw_map(drawn: Any, axes: Any, shown: Exported) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    e = shown.explanation
    assert e is not None
    image, full = region_map.shrink(shown.comparison.load_image()), region_map.scale(e)
    axes.imshow(region_map.drawn(image, e.patch_values, full, lines=False), interpolation="nearest")
    axes.set_axis_off()
    axes.set_title(_short(e.target[:1].upper() + e.target[1:]), fontsize=8)
    said = region_map.legend(e, *shown.pair)
    if not said.up:  # a tie
        return
    field = region_map.field(e.patch_values, image.size)
    levels = sorted(s * c * full for c in region_map.CONTOURS for s in (-1, 1))
    if min(field.shape) > 1 and any(field.min() < v < field.max() for v in levels):
        axes.contour(field, levels, colors="black", linewidths=0.6, alpha=0.7, linestyles="solid")
    scale = ScalarMappable(
        Normalize(-full, full), LinearSegmentedColormap.from_list("map", region_map.colours(65))
    )
    bar = drawn.colorbar(
        scale,
        ax=axes,
        orientation="horizontal",
        shrink=0.9,
        pad=0.02,
        ticks=[-full, -full / 2, 0, full / 2, full],
    )
    bar.ax.set_xticklabels([signed(full * s) for s in (-1, -0.5, 0, 0.5, 1)])
    rows, columns = len(e.patch_values), len(e.patch_values[0])
    bar.set_label(_line(f"← {said.down}   {said.up} →\n{e.method}, {rows} × {columns} values"))


def _line(text: str) -> str:
    return "\n".join(re.sub(r"[\x00-\x1f\x7f]", " ", plain(line))[:90] for line in text.split("\n"))


def _draw_parts(drawn: Any, axes: Any, shown: Exported) -> None:
    del drawn
    a, b = map(letter, shown.pair)
    parts = _parts(shown.judgement, shown.pair)
    total = shown.judgement.margin(*shown.pair)
    rows = [*parts, (f"margin {a} − {b}", total)][::-1]
    bars = axes.barh([n for n, _ in enumerate(rows)], [v for _, v in rows],
                     color=[FIRST if v >= 0 else SECOND for _, v in rows], height=0.65)  # fmt: skip
    axes.set_yticks(range(len(rows)), [n for n, _ in rows])
    axes.bar_label(bars, [signed(v) for _, v in rows], padding=3)
    axes.axvline(0, color="black", linewidth=0.6)
    axes.margins(x=0.22)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(f"← for {b}   what each dimension adds   for {a} →")
