import io
import os
import struct
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from evals.copying_eval import image_signature
from evals.images import read_image
from lifeos.lora.dataset_lint.image_facts import FactsCache, image_facts

NOISE = np.random.default_rng(1).integers(0, 255, (40, 56, 3), dtype=np.uint8)


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def facts(data):
    return image_facts(data, "0" * 64)


def picture(mode="RGB"):
    return Image.fromarray(NOISE).convert(mode)


def bomb(side):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def test_a_sound_picture():
    found = facts(encoded(picture()))
    assert (found.problem, found.format, found.mode, found.width, found.height) == (None, "PNG", "RGB", 56, 40)
    assert (found.orientation, found.alpha, found.blank, found.grey, found.frames) == (1, "none", False, False, 1)
    assert np.array_equal(found.signature_values(), image_signature(NOISE))


def test_equal_pixels_have_equal_hashes_however_they_are_packed():
    assert facts(encoded(picture(), compress_level=0)).pixels == facts(encoded(picture(), compress_level=9)).pixels
    assert facts(encoded(picture("RGBA"))).pixels == facts(encoded(picture())).pixels


@pytest.mark.parametrize("mode", ["P", "L", "1", "LA", "RGBA"])
def test_modes_that_decode(mode):
    found = facts(encoded(picture(mode)))
    assert found.readable
    assert found.mode == mode
    assert found.grey == (mode in ("L", "1", "LA"))


def test_modes_that_do_not():
    assert facts(encoded(picture("CMYK"), "JPEG")).mode == "CMYK"
    assert facts(encoded(Image.fromarray(NOISE[..., 0].astype(np.uint16) * 257))).mode == "16 bits a channel"
    for data in (encoded(picture("CMYK"), "JPEG"), encoded(picture(), "WEBP"), encoded(picture(), "TIFF")):
        assert not facts(data).readable
        assert facts(data).problem is None


def test_sixteen_bit_colour_that_the_decoder_would_shorten():
    cv2 = pytest.importorskip("cv2")
    found = facts(cv2.imencode(".png", NOISE.astype(np.uint16) * 257)[1].tobytes())
    assert found.mode == "16 bits a channel"


def test_transparency():
    clear = np.dstack([NOISE, np.full((40, 56), 255, np.uint8)])
    assert facts(encoded(Image.fromarray(clear))).alpha == "opaque"
    clear[3, 3, 3] = 254
    found = facts(encoded(Image.fromarray(clear)))
    assert (found.alpha, found.readable) == ("transparent", False)
    palette = picture("P")
    palette.info["transparency"] = 0
    assert facts(encoded(palette, transparency=palette.getpixel((0, 0)))).alpha == "transparent"


def test_the_size_is_that_of_the_upright_picture():
    exif = Image.Exif()
    exif[0x112] = 6
    found = facts(encoded(picture(), "JPEG", exif=exif))
    assert (found.orientation, found.width, found.height) == (6, 40, 56)


def test_an_orientation_outside_the_standard_is_upright():
    exif = Image.Exif()
    exif[0x112] = 42
    assert facts(encoded(picture(), "JPEG", exif=exif)).orientation == 1


def test_animations():
    frames = [Image.fromarray(np.roll(NOISE, shift, 0)) for shift in range(3)]
    assert facts(encoded(frames[0], "PNG", save_all=True, append_images=frames[1:])).frames == 3
    assert facts(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])).frames == 3


@pytest.mark.parametrize("side", [9_000, 12_000, 60_000])
def test_a_bomb_is_refused_by_its_header(side):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "pixels" in facts(bomb(side)).problem


def test_broken_files():
    whole = encoded(picture(), "JPEG")
    assert facts(b"").problem == "an empty file"
    assert facts(b"not a picture").problem == "no picture of a known kind"
    assert "truncated" in facts(whole[: len(whole) // 2]).problem
    assert facts(encoded(picture())[:-40]).problem


def test_a_flat_picture_is_blank():
    assert facts(encoded(Image.new("RGB", (40, 40), (7, 7, 7)))).blank


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_bytes_make_it_raise(data):
    kind = data.draw(st.sampled_from(["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"]))
    raw = bytearray(encoded(picture(), kind))
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(raw[: data.draw(st.integers(0, len(raw)))])
    found = facts(cut)
    # What is called readable is what the judge can read.
    assert found.readable == (found.pixels is not None)
    assert not (found.readable and found.problem)


def test_what_was_decoded_is_remembered_by_content(tmp_path, monkeypatch):
    path = tmp_path / "a b é.png"
    path.write_bytes(encoded(picture()))
    cache = FactsCache(tmp_path / "artifacts")
    first = cache.of(path)
    monkeypatch.setattr("lifeos.lora.dataset_lint.image_facts.image_facts", None)
    assert cache.of(path.rename(tmp_path / "other.png")) == first
    assert read_image(tmp_path / "other.png").shape == (first.height, first.width, 3)


def test_a_damaged_record_is_made_again(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encoded(picture()))
    first = FactsCache(tmp_path / "artifacts").of(path)
    for record in (tmp_path / "artifacts").rglob("*.json"):
        record.write_text('{"digest": 1, "speed": 2}', encoding="utf-8")
    assert FactsCache(tmp_path / "artifacts").of(path) == first


def test_files_that_are_none(tmp_path):
    cache = FactsCache(tmp_path / "artifacts")
    (tmp_path / "folder.png").mkdir()
    assert cache.of(tmp_path / "folder.png").problem
    assert cache.of(tmp_path / "absent.png").problem


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes of POSIX")
def test_a_named_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    assert FactsCache(tmp_path / "artifacts").of(tmp_path / "pipe.png").problem == "no regular file"


def test_a_picture_without_pixels_has_no_signature():
    with pytest.raises(ValueError, match="no signature"):
        facts(b"").signature_values()
