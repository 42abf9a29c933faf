"""The one place where pictures from people are opened. Everything comes out as a decoded RGB image."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, ImageOps

MAX_PIXELS = 40_000_000
MIN_SIDE = 8
MAX_RATIO = 100
# Only these are tried. Others hide pictures inside that Pillow unpacks before their size can be checked (ICO), or
# start another program on the file (EPS). JPEG covers the MPO files of phones.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "AVIF", "BMP", "TIFF")
STARTS = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"BM", b"II*\0", b"MM\0*")  # the first bytes of each
AVIF = (b"ftypavif", b"ftypavis")
SHORTEST_BASE64 = 48  # characters; the smallest picture that can be judged is longer
LONGEST_NAME = 512  # characters of a path; what is longer is not one
_URL_SAFE = str.maketrans("-_", "+/")
Result = TypeVar("Result")


class ImageError(ValueError):
    """A picture that cannot be used; the message is a sentence for the person who gave it."""


def open_image(source: str | Path | bytes | Image.Image, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Path, bytes or PIL image -> RGB, upright (EXIF), transparency over white, first frame of an animation.

    The size is checked before anything is decoded, so that a small file cannot unpack into gigabytes.
    Raises ImageError.
    """
    if isinstance(source, Image.Image):
        return _decoded(source, max_pixels)
    return _read_with(lambda data: _decoded(_recognise(data, max_pixels), max_pixels), _read(source))


def check_image(source: str | Path | bytes | Image.Image, *, max_pixels: int = MAX_PIXELS) -> None:
    """Format and size from the header, without decoding the pixels. Raises ImageError."""
    if isinstance(source, Image.Image):
        return _check_size(source.size, max_pixels)
    _read_with(lambda data: _check_size(_recognise(data, max_pixels).size, max_pixels), _read(source))


def _read_with(read: Callable[[bytes], Result], data: bytes) -> Result:
    """A second try without what Pillow refuses a picture for and nothing here reads."""
    try:
        return read(data)
    except ImageError:
        slim = _without_metadata(data)
        if len(slim) == len(data):
            raise
    return read(slim)


def _decoded(image: Image.Image, max_pixels: int) -> Image.Image:
    _check_size(image.size, max_pixels)
    try:
        image.load()  # a new file stands at its first frame; a caller's image stays where the caller put it
        return _to_rgb(image)
    except Exception as error:  # decoders raise many kinds of error for broken files
        raise ImageError(
            "The picture is damaged or cut off, or stored in an unusual way: save it again as PNG or JPEG."
        ) from error


def _without_metadata(data: bytes) -> bytes:
    """A PNG less its texts and colour profile. Pillow refuses a PNG with more than a megabyte of either, as renderers
    and workflow tools write them; nothing here reads them."""
    start = b"\x89PNG\r\n\x1a\n"
    if not data.startswith(start):
        return data
    kept, at = [start], len(start)
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] not in (b"tEXt", b"zTXt", b"iTXt", b"iCCP"):
            kept.append(data[at:end])
        at = end
    return b"".join(kept) + data[at:]


def _recognise(data: bytes, max_pixels: int) -> Image.Image:
    """Bytes -> an image whose size is known and whose pixels are not decoded yet."""
    if not data:
        raise ImageError("The picture is an empty file.")
    if _looks_like_svg(data):
        raise ImageError("SVG drawings are not supported: export the drawing as PNG or JPEG.")
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        # The warning is an error only under `-W error`. It is not silenced with warnings.catch_warnings, which
        # changes the filters of the whole process and loses them when two threads overlap.
        raise ImageError(_too_large(None, max_pixels)) from error
    except Exception as error:  # headers break in as many ways as pixels do
        raise ImageError(
            "This file is not a picture that can be read. Use PNG, JPEG, WebP or GIF."
        ) from error


def _read(source: str | Path | bytes) -> bytes:
    if isinstance(source, bytes):
        return source
    try:
        return Path(source).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        raise ImageError("The picture file cannot be opened.") from error


def _looks_like_svg(data: bytes) -> bool:
    head = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return head.startswith(b"<svg") or (
        head.startswith((b"<?xml", b"<!doctype svg", b"<!--")) and b"<svg" in data[:4096].lower()
    )


def _check_size(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise ImageError(_too_large(size, max_pixels))
    if min(size) < MIN_SIDE:
        raise ImageError(f"The picture is {width} × {height} pixels: each side needs at least {MIN_SIDE}.")
    if max(size) > MAX_RATIO * min(size):
        raise ImageError(
            f"The picture is {width} × {height} pixels: too long and thin to be judged. Crop it."
        )


def _too_large(size: tuple[int, int] | None, max_pixels: int) -> str:
    what = f"{size[0]:,} × {size[1]:,} pixels" if size else "enormous"
    return f"The picture is {what}: at most {max_pixels // 1_000_000} megapixels are opened. Scale it down first."


def _to_rgb(image: Image.Image) -> Image.Image:
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        return _deep_grey(image).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(paper, image).convert("RGB")
    return image.convert("RGB")


def _deep_grey(image: Image.Image) -> Image.Image:
    """Grey of more than eight bits -> eight bits."""
    values = np.asarray(image).astype("float32")
    values = np.nan_to_num(values, posinf=np.inf, neginf=-np.inf)  # no depth measured, or infinitely far
    if image.mode.startswith("I;16"):
        white = 65535.0  # known, whatever the picture holds: a dark picture must stay dark
    else:  # 32-bit numbers do not say what white is: the smallest usual range that holds them all
        high = float(values.max(initial=0.0, where=np.isfinite(values)))
        white = next((w for w in ((1.0,) if image.mode == "F" else ()) + (255.0, 65535.0) if high <= w), high)
    grey = np.clip(np.round(values * (255 / white)), 0, 255).astype("uint8")
    if isinstance(clear := image.info.get("transparency"), int):
        grey[values == clear] = 255
    return Image.fromarray(grey)


def small_copy(image: Image.Image, longest: int) -> Image.Image:
    """At most `longest` pixels on the longer side, but never thinner than what `open_image` opens again."""
    w, h = image.size
    scale = min(1.0, max(longest / max(w, h), MIN_SIDE / min(w, h)))
    size = (max(MIN_SIDE, round(w * scale)), max(MIN_SIDE, round(h * scale)))
    return image.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0) if scale < 1 else image.copy()


def side_by_side(images: Sequence[Image.Image], gap: int = 16) -> Image.Image:
    """One picture of several, on white: for people, not for judges. In rows, so that eight are not too small to see."""
    across = {1: 1, 2: 2, 3: 3, 4: 2}.get(len(images), 3 if len(images) <= 6 else 4)
    rows = [images[i : i + across] for i in range(0, len(images), across)]
    width = max(sum(i.width for i in row) + gap * (len(row) - 1) for row in rows)
    heights = [max(i.height for i in row) for row in rows]
    out = Image.new("RGB", (width, sum(heights) + gap * (len(rows) - 1)), "white")
    top = 0
    for row, height in zip(rows, heights, strict=True):
        left = 0
        for image in row:
            out.paste(image, (left, top))
            left += image.width + gap
        top += height + gap
    return out


def picture_bytes(text: str) -> bytes | None:
    """The bytes of a picture written as base64 or as a data: URL, or None where the text is neither.

    Line breaks are allowed (MIME and the `base64` command write them), the = at the end may be missing, and - and _
    may stand for + and /. Raises ImageError where a data: URL or a long text of nothing else is broken base64.
    """
    text = text.strip()
    if text[:2] in ("b'", 'b"') and text[-1:] == text[1]:  # Python's way of writing bytes
        text = text[2:-1]
    announced = text[:5].lower() == "data:"
    body = text.split(",", 1)[-1] if announced else text
    if not announced and ("." in body or len(body) < SHORTEST_BASE64):
        return None
    try:
        data = _decoded_base64(body)
    except (binascii.Error, ValueError) as error:
        if announced or len(body) > LONGEST_NAME:
            raise ImageError("The picture is not valid base64.") from error
        return None
    if announced or len(body) > LONGEST_NAME or data.startswith(STARTS) or data[4:12] in AVIF:
        return data
    return None


def _decoded_base64(text: str) -> bytes:
    """Raises ValueError."""
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        pass  # line breaks (also as the two characters backslash and n), no padding, or the alphabet of addresses
    text = "".join(text.replace("\\n", "").replace("\\r", "").split()).rstrip("=")
    return base64.b64decode(text.translate(_URL_SAFE) + "=" * (-len(text) % 4), validate=True)


def to_png_bytes(image: Image.Image, effort: int = 6) -> bytes:
    """effort: zlib's level; 1 is three times faster on photographs and little larger."""
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=effort)
    return out.getvalue()


def image_hash(image: Image.Image) -> str:
    """sha256 over mode, size and pixels, first 16 hex digits."""
    digest = hashlib.sha256(f"{image.mode} {image.size}".encode())
    digest.update(image.tobytes())
    return digest.hexdigest()[:16]
