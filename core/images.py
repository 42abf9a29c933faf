"""The one place where pictures from people are opened. Everything comes out as a decoded RGB image."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

MAX_PIXELS = 40_000_000
MIN_SIDE = 8
MAX_RATIO = 100
# Only these are tried. Others hide pictures inside that Pillow unpacks before their size can be checked (ICO), or
# start another program on the file (EPS). JPEG covers the MPO files of phones.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "AVIF", "BMP", "TIFF")


class ImageError(ValueError):
    """A picture that cannot be used; the message is a sentence for the person who gave it."""


def open_image(source: str | Path | bytes | Image.Image, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Path, bytes or PIL image -> RGB, upright (EXIF), transparency over white, first frame of an animation.

    The size is checked before anything is decoded, so that a small file cannot unpack into gigabytes.
    Raises ImageError.
    """
    image = source if isinstance(source, Image.Image) else _recognise(_read(source), max_pixels)
    _check_size(image.size, max_pixels)
    try:
        image.load()  # a new file stands at its first frame; a caller's image stays where the caller put it
        return _to_rgb(image)
    except Exception as error:  # decoders raise many kinds of error for broken files
        raise ImageError(
            "The picture is damaged or cut off, or stored in an unusual way: save it again as PNG or JPEG."
        ) from error


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
    values = np.nan_to_num(np.asarray(image).astype("float32"))
    if image.mode.startswith("I;16"):
        white = 65535.0  # known, whatever the picture holds: a dark picture must stay dark
    else:  # 32-bit numbers do not say what white is: the smallest usual range that holds them all
        high = float(values.max())
        white = next((w for w in ((1.0,) if image.mode == "F" else ()) + (255.0, 65535.0) if high <= w), high)
    grey = np.clip(np.round(values * (255 / white)), 0, 255).astype("uint8")
    if isinstance(clear := image.info.get("transparency"), int):
        grey[values == clear] = 255
    return Image.fromarray(grey)


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
