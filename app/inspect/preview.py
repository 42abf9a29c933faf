"""The preview of an Inspect address: of gallery examples with their stored map, of a run's records as the run judged them.

Whatever would have to be judged first (own texts, edits, another pair) has no preview.
"""

from __future__ import annotations

import importlib.util
import io
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from app.common import region_map, words
from app.common.address import read
from app.common.charts import FIRST, SECOND
from app.common.export import Exported
from app.common.html import signed
from app.common.previews import HEIGHT, MOST_BYTES, WIDTH, Preview
from app.common.tasks import FirstLook, default_pair
from app.inspect.address import Inspect
from app.inspect.gallery import by_id, gallery
from app.inspect.views import comparison_of
from core.images import ImageError
from core.records import JudgeCard, RecordError, letter, plain
from core.records.headline import TIE
from core.runs import browse
from core.runs import rows as stored_rows
from core.runs.library import Library
from core.runs.manifest import RunError
from core.runs.schema import judgement_of

INK, PAPER, QUIET = "#1f2937", "#ffffff", "#5b6675"
SIDE = 480  # of the picture
LONGEST = 400  # characters of a text that are drawn
BARS = 3


class Finder:
    """looks: stored first looks by the comparison's id, loaded when first needed."""

    def __init__(
        self, card: JudgeCard, looks: Callable[[], Mapping[str, FirstLook]], library: Library
    ) -> None:
        self.card, self.looks, self.library = card, cache(looks), library

    def __call__(self, query: Mapping[str, str]) -> Preview | None:
        asked, _ = read(Inspect, query)
        try:
            if asked.run and asked.row:
                return self._of_run(asked.run, int(asked.row))
            if asked.view or asked.edits:
                return None
            if (asked.prompt, asked.a, asked.b, asked.c, asked.d) == (None,) * 5:
                return self._of_example(asked.example or gallery()[0].id)
        except (RunError, RecordError, ImageError):
            pass
        return None

    def _of_example(self, key: str) -> Preview | None:
        example = by_id(key)
        if example is None:
            return None
        c = comparison_of(example.path, example.comparison.prompt, list(example.comparison.responses))
        look = self.looks().get(c.id)
        if look is None:
            return None
        shown = Exported(
            replace(c, preferred=example.comparison.preferred), look.judgement, look.explanation, default_pair(look.judgement),
            self.card,
        )  # fmt: skip
        return preview(shown, {"example": key})

    def _of_run(self, name: str, row: int) -> Preview | None:
        run = self.library.runs().get(name)
        record = stored_rows.comparison_of(run, row) if run else None
        stored = browse.record(run, row) if run and record else None
        if run is None or record is None or stored is None or not stored["rewards"]:
            return None
        judgement = judgement_of(stored, run.manifest)
        shown = Exported(record, judgement, None, default_pair(judgement), run.manifest.judge)
        return preview(shown, {"run": name, "row": str(row)})


def preview(shown: Exported, query: Mapping[str, str]) -> Preview:
    c = shown.comparison
    said = words.verdict(c, shown.judgement, *shown.pair)
    texts = " ".join(f"{letter(i)}: {c.responses[i][:LONGEST]}" for i in shown.pair)
    described = f"{c.prompt[:LONGEST]} {texts}"
    alt = f"{said} The picture{' with the regions that moved the verdict' if shown.explanation else ''}."
    return Preview(said, described, alt, query, lambda: drawn(shown, said))


def drawn(shown: Exported, said: str) -> bytes:
    """WIDTH x HEIGHT as JPEG: the picture with its map where there is one, verdict, prompt and largest contributions."""
    card = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
    pen = ImageDraw.Draw(card)
    e = shown.explanation
    if shown.comparison.image is not None:
        picture = region_map.shrink(shown.comparison.load_image())
        if e:
            picture = region_map.drawn(picture, e.patch_values, region_map.scale(e))
        scale = SIDE / max(picture.size)
        picture = picture.resize(
            (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        )
        card.paste(picture, (48 + (SIDE - picture.width) // 2, 75 + (SIDE - picture.height) // 2))
    left, right = 48 + SIDE + 44, WIDTH - 48
    pen.text((left, 60), "Rewardscope", fill=FIRST, font=_font(28, True))
    y = _wrapped(pen, (left, 110), right - left, said, _font(32, True), INK, most=6)
    y = _wrapped(pen, (left, y + 16), right - left, shown.comparison.prompt, _font(24), QUIET, most=2)
    if shown.judgement.scores:
        _bars(pen, shown, (left, max(y + 20, 425)), right)
    out = io.BytesIO()
    card.save(out, "JPEG", quality=85)
    assert out.tell() <= MOST_BYTES
    return out.getvalue()


def _bars(pen: ImageDraw.ImageDraw, shown: Exported, at: tuple[int, int], right: int) -> None:
    found = sorted(shown.judgement.contributions(*shown.pair).items(), key=lambda item: -abs(item[1]))[:BARS]
    most = max([abs(v) for _, v in found] + [1e-9])
    x, y = at
    start, room = x + 210, right - x - 210 - 90
    for d, value in found:
        name = _fitting(pen, shown.judgement.dimensions[d].name, 195, _font(22))
        pen.text((x, y), name, fill=INK, font=_font(22))
        if abs(value) >= TIE:
            pen.rectangle(
                (start, y + 2, start + max(3, room * abs(value) / most), y + 26),
                fill=FIRST if value >= 0 else SECOND,
            )
        pen.text((right - 80, y), signed(value), fill=INK, font=_font(22))
        y += 42


def _wrapped(
    pen: ImageDraw.ImageDraw, at: tuple[int, int], width: int, text: str, font: ImageFont.FreeTypeFont, ink: str, most: int
) -> int:  # fmt: skip
    """Where the next line begins."""
    lines: list[str] = []
    for word in _clean(text).split():
        joined = f"{lines[-1]} {word}" if lines else word
        if lines and pen.textlength(joined, font) <= width:
            lines[-1] = joined
        else:
            lines.append(_fitting(pen, word, width, font))
    if len(lines) > most:
        lines = [*lines[: most - 1], _fitting(pen, " ".join(lines[most - 1 :]), width, font)]
    x, y = at
    for line in lines:
        pen.text((x, y), line, fill=ink, font=font)
        y += round(font.size * 1.25)
    return y


def _fitting(pen: ImageDraw.ImageDraw, text: str, width: int, font: ImageFont.FreeTypeFont) -> str:
    text = _clean(text)
    if pen.textlength(text, font) <= width:
        return text
    while text and pen.textlength(text + "…", font) > width:
        text = text[: max(0, len(text) - max(1, len(text) // 8))]
    return text + "…"


def _clean(text: str) -> str:
    """One line, without what has no shape."""
    shown = "".join(
        " " if unicodedata.category(x) in ("Cc", "Cf", "Co", "Cn") else x for x in plain(text[:LONGEST])
    )
    return " ".join(shown.split())


@cache
def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu, which Matplotlib brings; Matplotlib itself is not loaded."""
    found = importlib.util.find_spec("matplotlib")
    assert found and found.origin
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(found.origin).parent / "mpl-data" / "fonts" / "ttf" / name), size)
