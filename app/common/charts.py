"""Charts as plain HTML and SVG: drawn by the server, read out by a screen reader as the list of their values, in the theme's
own colours. No script is sent for them (Plotly's is four times as large as the rest of a page).

A chart is a frozen record, whose numbers are those of the record it shows; `html()` draws it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from app.common.html import html, signed

# Purple speaks for the first response of a pair, orange for the second: apart for every kind of colour blindness, and unlike
# the red, green and blue of the things in pictures.
FIRST, SECOND = "#7b4fb8", "#d9730d"  # white is readable on the first, black on the second
RESPONSES = (FIRST, SECOND, "#378063", "#2d73c0")
QUIET = "#838d99"
NONE = "#eceef1"  # middle of a two-sided scale; opaque, so that its text is readable in both themes


@dataclass(frozen=True)
class Row:
    """One line: a name and a bar from `start` to `end`, or a dot at `end`; a heading where `end` is None.

    text: the value as it is written beside it. interval: (low, high). beside: a second value, as a quiet dot. title: what
    hovering over it says.
    """

    name: str
    end: float | None = None
    start: float = 0.0
    text: str = ""
    colour: str = FIRST
    dot: bool = False
    interval: tuple[float, float] | None = None
    beside: float | None = None
    title: str = ""


@dataclass(frozen=True)
class Rows:
    """Horizontal bars or dots on one axis, each value in a column beside it: there nothing covers or cuts it. span: of the axis, else what the rows need. lines: values marked by a dashed line.
    legend: (name, colour) where colours mean something."""

    rows: tuple[Row, ...]
    axis: str = ""
    span: tuple[float, float] | None = None
    ticks: tuple[float, ...] = ()
    lines: tuple[float, ...] = ()
    legend: tuple[tuple[str, str], ...] = ()

    def html(self) -> Markup:
        low, high = self.span or _span([v for r in self.rows for v in _values(r)] + [0.0, *self.lines])

        def at(value: float) -> str:
            return f"{100 * min(1.0, max(0.0, (value - low) / (high - low))):.2f}%"

        shown = [
            {
                "r": r, "left": at(min(r.start, r.end)), "right": at(max(r.start, r.end)),
                "at": at(r.end),
                "from": at(r.interval[0]) if r.interval else "", "to": at(r.interval[1]) if r.interval else "",
                "beside": at(r.beside) if r.beside is not None else "",
            }
            if r.end is not None and math.isfinite(r.end)
            else {"r": r, "left": ""}
            for r in self.rows
        ]  # fmt: skip
        zero = [at(0.0)] if low < 0 < high else []
        return html(
            """
            <figure class="chart">
            {%- if legend %}<p class="legend">{% for name, colour in legend %}<span class="swatch" style="background: {{ colour }}"></span> {{ name }} {% endfor %}</p>{% endif %}
            <ul>
            {%- for s in rows %}
            <li class="{{ "head" if s.r.end is none else "" }}"{% if s.r.title %} title="{{ s.r.title }}"{% endif %}><span class="name">{{ s.r.name }}</span>
            {%- if s.left %}<span class="track">
            {%- for x in zero %}<i class="zero" style="left: {{ x }}"></i>{% endfor %}
            {%- for x in lines %}<i class="mark" style="left: {{ x }}"></i>{% endfor %}
            {%- if not s.r.dot %}<i class="bar" style="left: {{ s.left }}; right: calc(100% - {{ s.right }}); background: {{ s.r.colour }}"></i>{% endif %}
            {%- if s.from %}<i class="interval" style="left: {{ s.from }}; right: calc(100% - {{ s.to }}); color: {{ s.r.colour if s.r.dot else "var(--body-text-color)" }}"></i>{% endif %}
            {%- if s.beside %}<i class="dot quiet" style="left: {{ s.beside }}"></i>{% endif %}
            {%- if s.r.dot %}<i class="dot" style="left: {{ s.at }}; background: {{ s.r.colour }}"></i>{% endif %}
            </span><b>{{ s.r.text }}</b>{% endif %}</li>
            {%- endfor %}
            {%- if ticks %}<li class="ticks" aria-hidden="true"><span></span><span class="track">{% for x, text in ticks %}<i style="left: {{ x }}">{{ text }}</i>{% endfor %}</span><b></b></li>{% endif %}</ul>
            {%- if axis %}<figcaption>{{ axis }}</figcaption>{% endif %}</figure>
            """,
            rows=shown, zero=zero, lines=[at(x) for x in self.lines], ticks=[(at(t), f"{t:g}") for t in self.ticks],
            axis=self.axis, legend=self.legend,
        )  # fmt: skip


def _values(row: Row) -> list[float]:
    found = [row.start, row.end, row.beside, *(row.interval or ())]
    return [v for v in found if v is not None and math.isfinite(v)]


def _span(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low, low + 1.0)


@dataclass(frozen=True)
class Cells:
    """A table whose cells are coloured by their number, from orange (-most) by pale grey to purple. names and heads:
    of its lines and columns, empty for a map of regions."""

    values: tuple[tuple[float, ...], ...]
    most: float
    names: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    title: str = ""
    digits: int = 2
    hidden: float = 0.0  # smaller numbers are not written

    def html(self) -> Markup:
        def cell(value: float) -> dict[str, str]:
            share = min(1.0, abs(value) / self.most) if self.most else 0.0
            ground = _mixed(NONE, FIRST if value > 0 else SECOND, share)
            text = signed(value, self.digits) if abs(value) >= self.hidden else ""
            return {
                "style": f"background: {ground}; color: {_ink(ground)}",
                "text": text,
                "title": signed(value),
            }

        lines = [[cell(v) for v in line] for line in self.values]
        return html(
            """
            <div class="wide"><table class="cells">{% if title %}<caption>{{ title }}</caption>{% endif %}
            {%- if heads %}<thead><tr><td></td>{% for h in heads %}<th scope="col">{{ h }}</th>{% endfor %}</tr></thead>{% endif %}<tbody>
            {%- for line in lines %}<tr>{% if names %}<th scope="row">{{ names[loop.index0] }}</th>{% endif %}
            {%- for c in line %}<td style="{{ c.style }}" title="{{ c.title }}">{{ c.text }}</td>{% endfor %}</tr>{% endfor %}</tbody></table></div>
            """,
            lines=lines,
            names=self.names,
            heads=self.heads,
            title=self.title,
        )


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _mixed(none: str, full: str, share: float) -> str:
    parts = (round(a + (b - a) * share) for a, b in zip(_rgb(none), _rgb(full), strict=True))
    return "#" + "".join(f"{p:02x}" for p in parts)


def _ink(ground: str) -> str:
    """Black or white, whichever is further from it in luminance (WCAG 2.2)."""
    linear = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (p / 255 for p in _rgb(ground))
    )
    light = sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return "#fff" if 1.05 / (light + 0.05) > (light + 0.05) / 0.05 else "#000"


@dataclass(frozen=True)
class Points:
    """Points of one line, or columns that stand on the x axis. points: (x, y, what hovering says, colour). sizes: of the dots, 1
    where they say nothing. width: of a column in x. diagonal: the line on which x and y agree."""

    points: tuple[tuple[float, float, str, str], ...]
    x: tuple[float, float]
    y: tuple[float, float]
    axes: tuple[str, str]
    ticks: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())
    sizes: tuple[float, ...] = field(default=())
    width: float | None = None
    diagonal: bool = False
    legend: tuple[tuple[str, str], ...] = ()
    spans: tuple[tuple[float, float], ...] = ()  # interval of each point in y

    def html(self) -> Markup:
        wide, high, left, top = 386.0, 240.0, 80.0, 8.0

        def px(x: float) -> float:
            return round(left + wide * (x - self.x[0]) / (self.x[1] - self.x[0]), 1)

        def py(y: float) -> float:
            return round(top + high * (1 - (y - self.y[0]) / (self.y[1] - self.y[0])), 1)

        ground = py(max(0.0, self.y[0]))
        half = (px(self.x[0] + self.width) - px(self.x[0])) / 2 if self.width else 0.0
        drawn = [
            {"x": px(x), "y": py(y), "title": title, "colour": colour, "r": 3 + 7 * (self.sizes[i] if self.sizes else 0.3)}
            for i, (x, y, title, colour) in enumerate(self.points)
        ]  # fmt: skip
        said = "; ".join(title for _, _, title, _ in self.points)
        return html(
            """
            <figure class="chart">
            {%- if legend %}<p class="legend">{% for name, colour in legend %}<span class="swatch" style="background: {{ colour }}"></span> {{ name }} {% endfor %}</p>{% endif %}
            <svg viewBox="0 0 480 300" role="img" aria-label="{{ axes[1] }} by {{ axes[0] }}: {{ said }}">
            {%- for y, text in yticks %}<line class="grid" x1="80" x2="466" y1="{{ y }}" y2="{{ y }}"/><text x="74" y="{{ y + 4 }}" text-anchor="end">{{ text }}</text>{% endfor %}
            {%- for x, text in xticks %}<text x="{{ x }}" y="266" text-anchor="middle">{{ text }}</text>{% endfor %}
            {%- if diagonal %}<line class="mark" x1="{{ diagonal[0] }}" y1="{{ diagonal[1] }}" x2="{{ diagonal[2] }}" y2="{{ diagonal[3] }}"/>{% endif %}
            {%- if columns %}{% for p in points %}<rect x="{{ p.x - half }}" y="{{ p.y }}" width="{{ 2 * half - 0.6 }}" height="{{ ground - p.y }}" fill="{{ p.colour }}"><title>{{ p.title }}</title></rect>{% endfor %}
            {%- else %}<polyline fill="none" stroke="{{ points[0].colour if points else "none" }}" stroke-width="2" points="{% for p in points %}{{ p.x }},{{ p.y }} {% endfor %}"/>
            {%- for x, low, high in spans %}<line x1="{{ x }}" x2="{{ x }}" y1="{{ low }}" y2="{{ high }}" stroke="currentColor" stroke-width="1.5"/>{% endfor %}
            {%- for p in points %}<circle cx="{{ p.x }}" cy="{{ p.y }}" r="{{ p.r|f(".1f") }}" fill="{{ p.colour }}"><title>{{ p.title }}</title></circle>{% endfor %}{% endif %}
            <line class="axis" x1="80" x2="466" y1="{{ ground }}" y2="{{ ground }}"/>
            <text x="273" y="294" text-anchor="middle">{{ axes[0] }}</text><text x="14" y="128" text-anchor="middle" transform="rotate(-90 14 128)">{{ axes[1] }}</text></svg></figure>
            """,
            points=drawn, said=said, axes=self.axes, ground=ground, half=half, columns=self.width is not None, legend=self.legend,
            spans=[(px(x), py(low), py(high)) for (x, *_), (low, high) in zip(self.points, self.spans, strict=False)],
            xticks=[(px(t), f"{t:g}") for t in self.ticks[0]], yticks=[(py(t), f"{t:,g}") for t in self.ticks[1]],
            diagonal=(px(max(self.x[0], self.y[0])), py(max(self.x[0], self.y[0])), px(min(self.x[1], self.y[1])), py(min(self.x[1], self.y[1]))) if self.diagonal else (),
        )  # fmt: skip


def round_ticks(low: float, high: float, about: int = 5) -> tuple[float, ...]:
    """Round numbers in the span."""
    step = 10 ** math.floor(math.log10((high - low) / about))
    step *= next(m for m in (1, 2, 5, 10) if (high - low) / (step * m) <= about)
    return tuple(round(i * step, 10) for i in range(math.ceil(low / step), math.floor(high / step) + 1))
