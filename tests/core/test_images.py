import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from core.images import ImageError, image_hash, open_image, to_png_bytes


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


def test_sixteen_bits_keep_their_brightness():
    grey = Image.fromarray(np.full((20, 20), 32768, dtype="uint16"))
    assert abs(open_image(saved(grey, "PNG")).getpixel((0, 0))[0] - 127) <= 1


def test_first_frame_of_an_animation():
    frames = [Image.new("RGB", (20, 20), c) for c in ("red", "blue")]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert open_image(data).getpixel((5, 5)) == (255, 0, 0)


def huge_png(width, height):
    """A few hundred bytes that claim to be enormous."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000)))


def noise():
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype="uint8"))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty file"),
        (b"hello there", "not a picture"),
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
    with pytest.raises(ImageError, match="cannot be opened"):
        open_image(tmp_path / "none.png")


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
