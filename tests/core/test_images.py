import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from core.images import FORMATS, ImageError, image_hash, open_image, to_png_bytes


def saved(image, kind, **extra):
    out = io.BytesIO()
    image.save(out, kind, **extra)
    return out.getvalue()


def sample():
    y, x = np.mgrid[0:40, 0:60]
    return Image.fromarray(np.stack([x * 4, y * 6, (x + y) * 2], -1).astype("uint8"))


@pytest.mark.parametrize("source", ["path", "str", "bytes", "image"])
def test_every_kind_of_source(tmp_path, source):
    path = tmp_path / "a.png"
    sample().save(path)
    given_ = {"path": path, "str": str(path), "bytes": path.read_bytes(), "image": sample()}[source]
    assert image_hash(open_image(given_)) == image_hash(sample())


@pytest.mark.parametrize("kind", [*FORMATS, "MPO"])
def test_every_format_that_is_named_is_read(kind):
    more = {"save_all": True, "append_images": [sample()]} if kind == "MPO" else {}
    found = np.asarray(open_image(saved(sample(), kind, **more))).astype(int)
    assert np.abs(found - np.asarray(sample())).mean() < 8  # some formats lose a little


def test_exif_rotation_is_applied():
    exif = Image.Exif()
    exif[274] = 6  # rotate a quarter turn clockwise to see it upright
    found = open_image(saved(sample(), "PNG", exif=exif))
    assert np.array_equal(np.asarray(found), np.rot90(np.asarray(sample()), -1))


def test_cmyk_red_is_red():
    red = Image.new("CMYK", (20, 20), (0, 255, 255, 0))
    r, g, b = open_image(saved(red, "JPEG")).getpixel((10, 10))
    assert r > 200 and g < 60 and b < 60


def test_transparency_lies_over_white():
    palette = Image.new("P", (20, 20), 1)
    palette.putpalette([0, 0, 0, 200, 0, 0] + [0] * 762)
    assert open_image(saved(palette, "PNG", transparency=1)).getpixel((3, 3)) == (255, 255, 255)
    half = Image.new("RGBA", (20, 20), (0, 0, 0, 128))
    assert abs(open_image(saved(half, "PNG")).getpixel((0, 0))[0] - 127) <= 1


def test_half_transparent_palette_and_grey_are_mixed_with_white():
    palette = Image.new("P", (20, 20), 3)
    palette.putpalette([0] * 9 + [60, 0, 0] + [0] * 756)
    found = open_image(saved(palette, "PNG", transparency=bytes([255, 255, 255, 128])))
    # 128/255 of the colour and 127/255 of white, by hand
    assert np.abs(np.subtract(found.getpixel((3, 3)), (157, 127, 127))).max() <= 1
    grey = open_image(saved(Image.new("LA", (20, 20), (100, 51)), "PNG"))  # 0.2 × 100 + 0.8 × 255
    assert abs(grey.getpixel((0, 0))[0] - 224) <= 1


def test_one_bit_pictures_are_black_and_white():
    y, x = np.mgrid[0:20, 0:20]
    board = (x + y) % 2 == 0
    found = open_image(saved(Image.fromarray(board), "PNG"))
    assert np.array_equal(np.asarray(found), np.repeat(board[..., None] * 255, 3, axis=2))


@pytest.mark.parametrize("value", [0, 200, 255, 256, 32768, 65535])
@pytest.mark.parametrize(("order", "kind"), [("<u2", "PNG"), ("<u2", "TIFF"), (">u2", "TIFF")])
def test_sixteen_bits_keep_their_brightness(value, order, kind):
    grey = Image.fromarray(np.full((20, 20), value, dtype=order))
    assert abs(open_image(saved(grey, kind)).getpixel((0, 0))[0] - value / 257) <= 1


def test_sixteen_bits_transparency_lies_over_white():
    grey = Image.fromarray(np.full((20, 20), 32768, dtype="uint16"))
    assert open_image(saved(grey, "PNG", transparency=32768)).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_first_frame_of_an_animation(kind):
    frames = [Image.new("RGB", (20, 20), c) for c in ("red", "blue")]
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:])
    assert np.abs(np.subtract(open_image(data).getpixel((5, 5)), (255, 0, 0))).max() <= 3


def huge_png(width, height):
    """A few hundred bytes that claim to be enormous."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000)))


def noise():
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype="uint8"))


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty file"),
        (b"hello there", "not a picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\n", "not a picture"),
        (saved(Image.new("RGB", (64, 64)), "ICO"), "not a picture"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b'<?xml version="1.0"?>\n<!-- x --><svg></svg>', "SVG"),
        (saved(noise(), "PNG")[:50_000], "damaged or cut off"),
        (saved(noise(), "JPEG")[:9_000], "damaged or cut off"),
        (huge_png(12_000, 12_000), "megapixels"),
        (huge_png(200_000, 200_000), "megapixels"),
        (saved(Image.new("RGB", (4, 40)), "PNG"), "at least 8"),
        (saved(Image.new("RGB", (3000, 10)), "PNG"), "long and thin"),
    ],
)
def test_what_cannot_be_used_is_said_in_words(data, words):
    with pytest.raises(ImageError, match=words):
        open_image(data)


def test_a_missing_file_is_said_in_words(tmp_path):
    for name in ("none.png", "", "nul\0.png", "\ud800.png"):
        with pytest.raises(ImageError, match="cannot be opened"):
            open_image(tmp_path / name)


def test_a_broken_image_object_is_said_in_words():
    lazy = Image.open(io.BytesIO(saved(noise(), "PNG")[:50_000]))
    with pytest.raises(ImageError, match="damaged or cut off"):
        open_image(lazy)


def test_warning_filters_of_the_process_are_never_touched(monkeypatch):
    """Changed for a moment in one thread, they stay changed for good where another thread overlaps."""
    before, during, pillow_open = list(warnings.filters), [], Image.open

    def spy(*args, **kwargs):
        during.append(list(warnings.filters))
        return pillow_open(*args, **kwargs)

    data = saved(sample(), "PNG")
    monkeypatch.setattr(Image, "open", spy)
    open_image(data)
    assert during == [before]


def test_a_bomb_is_refused_where_warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ImageError, match="megapixels"):
            open_image(huge_png(12_000, 12_000))


@settings(max_examples=80, deadline=None)
@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff\xd8\xff", b"RIFF", b"II*\x00"]),
)
def test_random_bytes_raise_nothing_else(tail, head):
    try:
        open_image(head + tail)
    except ImageError as error:
        assert str(error).endswith((".", "first."))


def test_png_bytes_round_trip():
    assert image_hash(open_image(to_png_bytes(sample()))) == image_hash(sample())
