"""The one place where pictures from people are opened. Everything comes out as a decoded RGB image."""

from __future__ import annotations

import hashlib
import io
import warnings
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

MAX_PIXELS = 40_000_000
MIN_SIDE = 8
MAX_RATIO = 100


class ImageError(ValueError):
    """A picture that cannot be used; the message is a sentence for the person who gave it."""


def open_image(source: str | Path | bytes | Image.Image, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Path, bytes or PIL image -> RGB, upright (EXIF), transparency over white, first frame of an animation.

    The size is checked before anything is decoded, so that a small file cannot unpack into gigabytes.
    Raises ImageError.
    """
    if isinstance(source, Image.Image):
        _check_size(source.size, max_pixels)
        return _to_rgb(source)
    data = _read(source)
    if not data:
        raise ImageError("The picture is an empty file.")
    if _looks_like_svg(data):
        raise ImageError("SVG drawings are not supported: export the drawing as PNG or JPEG.")
    try:
        # Pillow warns on the way in; our own limit decides, so its warning is not shown.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data))
    except Image.DecompressionBombError as error:
        raise ImageError(_too_large(None, max_pixels)) from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise ImageError(
            "This file is not a picture that can be read. Use PNG, JPEG, WebP or GIF."
        ) from error
    _check_size(image.size, max_pixels)
    try:
        image.seek(0)
        image.load()
        return _to_rgb(image)
    except ImageError:
        raise
    except Exception as error:  # decoders raise many kinds of error for broken files
        raise ImageError("The picture is damaged or cut off: it cannot be decoded to its end.") from error


def _read(source: str | Path | bytes) -> bytes:
    if isinstance(source, bytes):
        return source
    try:
        return Path(source).read_bytes()
    except OSError as error:
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
    if image.mode.startswith(("I", "F")):  # 16 and 32 bits a channel: keep the top eight
        low, high = image.getextrema()
        scale = (
            255 / 65535
            if image.mode.startswith("I") and isinstance(high, int | float) and high > 255
            else 1.0
        )
        del low
        return image.convert("F").point(lambda v: v * scale).convert("L").convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(paper, image).convert("RGB")
    return image.convert("RGB")


def to_png_bytes(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def image_hash(image: Image.Image) -> str:
    """sha256 over mode, size and pixels, first 16 hex digits."""
    digest = hashlib.sha256(f"{image.mode} {image.size}".encode())
    digest.update(image.tobytes())
    return digest.hexdigest()[:16]
