import contextlib
import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from evals import images
from evals.errors import InputError
from evals.images import decode_image, is_flat, read_image

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


PNG = encoded(Image.fromarray(PIXELS))
JPEG = encoded(Image.fromarray(PIXELS), "JPEG", quality=90)


def png_header(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))


def test_a_png_comes_back_exactly(tmp_path):
    (tmp_path / "a.png").write_bytes(PNG)
    pixels = read_image(tmp_path / "a.png")
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels, PIXELS)
    pixels[0] = 0  # its own memory, writable


def test_a_jpeg_comes_back_as_rgb():
    red = Image.new("RGB", (32, 32), (220, 20, 30))
    assert decode_image(encoded(red, "JPEG", quality=95), "red").mean(axis=(0, 1)) == pytest.approx(
        [220, 20, 30], abs=3
    )


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_baked_in(orientation):
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(PIXELS), "PNG", exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    assert np.array_equal(decode_image(data, "turned"), expected)
    assert decode_image(data, "turned").shape == ((24, 40, 3) if orientation <= 4 else (40, 24, 3))


@pytest.mark.parametrize("mode", ["L", "P", "1"])
def test_grey_and_palette_become_rgb(mode):
    image = Image.fromarray(PIXELS).convert(mode)
    assert np.array_equal(decode_image(encoded(image), mode), np.asarray(image.convert("RGB")))


def test_an_opaque_alpha_channel_is_dropped_and_a_transparent_one_refused():
    image = Image.fromarray(PIXELS).convert("RGBA")
    assert np.array_equal(decode_image(encoded(image), "opaque"), PIXELS)
    image.putpixel((3, 3), (1, 2, 3, 254))
    with pytest.raises(InputError, match="transparent pixels"):
        decode_image(encoded(image), "glass.png")


def test_sixteen_bits_and_cmyk_are_refused():
    deep = Image.fromarray(np.full((32, 32), 40_000, dtype=np.uint16))
    with pytest.raises(InputError, match=r"deep\.png: accepted 8-bit RGB or grey"):
        decode_image(encoded(deep), "deep.png")
    with pytest.raises(InputError, match="mode CMYK"):
        decode_image(encoded(Image.new("CMYK", (32, 32)), "JPEG"), "print.jpg")


@pytest.mark.parametrize("kind", ["GIF", "BMP", "WEBP", "TIFF"])
def test_other_formats_are_refused(kind):
    with pytest.raises(InputError, match="accepted a whole PNG or JPEG"):
        decode_image(encoded(Image.fromarray(PIXELS), kind), f"a.{kind}")


@pytest.mark.parametrize("size", [(100_000, 100_000), (8001, 8000), (2**31 - 1, 1), (10_000, 10_000)])
def test_decompression_bombs_are_refused_by_their_header(size):
    with pytest.raises(InputError, match="bomb"):
        decode_image(png_header(*size) + b"\0" * 64, "bomb")


def test_text_bombs_are_refused():
    text = b"zTXt" + b"k\0\0" + zlib.compress(b"a" * 80_000_000)
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    with pytest.raises(InputError, match="bomb"):
        decode_image(PNG[:33] + chunk + PNG[33:], "bomb")


def test_large_files_are_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "MAXIMUM_BYTES", 100)
    (tmp_path / "big.png").write_bytes(PNG)
    with pytest.raises(InputError, match="up to 100 bytes"):
        read_image(tmp_path / "big.png")


def test_small_images_are_refused():
    with pytest.raises(InputError, match="at least 16 pixels, got 40 x 8"):
        decode_image(encoded(Image.new("RGB", (40, 8))), "thin.png")


def test_files_that_cannot_be_read_are_named(tmp_path):
    for path in (tmp_path / "missing.png", tmp_path):
        with pytest.raises(InputError, match="next:") as caught:
            read_image(path)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize("data", [PNG, JPEG])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.98])
def test_truncated_files_are_refused(data, share):
    with pytest.raises(InputError, match="accepted a whole PNG or JPEG"):
        decode_image(data[: int(len(data) * share)], "cut")


@given(st.data(), st.sampled_from([PNG, JPEG]))
@settings(max_examples=150, deadline=None)
def test_damaged_bytes_give_pixels_or_one_line(draw, data):
    damaged = bytearray(data)
    for _ in range(draw.draw(st.integers(1, 4))):
        damaged[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    # Anything but InputError fails the test.
    with contextlib.suppress(InputError):
        pixels = decode_image(bytes(damaged), "damaged")
        assert pixels.dtype == np.uint8
        assert pixels.shape[2] == 3


@given(st.binary(max_size=400))
@settings(max_examples=100, deadline=None)
def test_any_bytes_after_a_png_signature_give_one_line(rest):
    with pytest.raises(InputError):
        decode_image(b"\x89PNG\r\n\x1a\n" + rest, "hostile")


def test_flat_images():
    assert is_flat(np.full((64, 64, 3), 200, np.uint8))
    assert is_flat(np.random.default_rng(0).integers(100, 103, (64, 64, 3)).astype(np.uint8))
    assert not is_flat(PIXELS)
    gradient = np.repeat(np.linspace(0, 30, 64).astype(np.uint8)[None, :, None], 64, axis=0).repeat(3, axis=2)
    assert not is_flat(gradient)
