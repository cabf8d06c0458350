import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lifeos.new_persona.photograph import UnfitPhotographError, read_photograph
from tests.lifeos.lora.icc_profiles import matrix_profile, to_srgb
from tests.lifeos.new_persona import photographs as made

UPRIGHT = made.astronaut(96)[:, :72]


def read(tmp_path, data, name="IMG 1 é人.jpg"):
    path = tmp_path / name
    path.write_bytes(data)
    return read_photograph(path)


def reason(tmp_path, data, name="a.jpg"):
    with pytest.raises(UnfitPhotographError) as caught:
        read(tmp_path, data, name)
    assert "\n" not in str(caught.value)
    assert name not in str(caught.value)
    return str(caught.value)


def off(one, other):
    """Mean difference in levels."""
    assert one.shape == other.shape
    return np.abs(one.astype(int) - other).mean()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIF", "AVIF", "TIFF"])
def test_every_orientation_of_every_kind_is_baked_once(tmp_path, kind, orientation):
    options = {"quality": 95} if kind not in ("PNG", "TIFF") else {}
    # HEIF and AVIF also keep the turn as a property of the picture, which their decoders obey: EXIF is a copy there.
    data = made.encoded(made.HELD[orientation](UPRIGHT), kind, exif=made.exif(orientation), **options)
    found = read(tmp_path, data)
    assert off(found.pixels, UPRIGHT) < 6
    if kind != "TIFF":
        assert ("turned" in found.changes) == (orientation != 1)


def test_the_content_says_what_it_is_and_not_the_name(tmp_path):
    for kind in ("PNG", "HEIF", "WEBP"):
        assert off(read(tmp_path, made.encoded(UPRIGHT, kind), "wrong.jpg").pixels, UPRIGHT) < 8


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "HEIF"])
def test_a_wide_gamut_profile_is_brought_to_srgb(tmp_path, kind):
    options = {} if kind == "PNG" else {"quality": 95}
    data = made.encoded(UPRIGHT, kind, icc_profile=matrix_profile(description="Display P3"), **options)
    found = read(tmp_path, data)
    assert "colour profile" in found.changes
    assert off(found.pixels, np.round(to_srgb(UPRIGHT))) < 8
    assert off(found.pixels, np.round(to_srgb(UPRIGHT))) < off(found.pixels, UPRIGHT)


def test_cmyk_sixteen_bits_and_grey(tmp_path):
    cmyk = read(tmp_path, made.encoded(Image.fromarray(UPRIGHT).convert("CMYK"), "JPEG", quality=95))
    assert off(cmyk.pixels, UPRIGHT) < 4
    assert cmyk.changes == {"CMYK"}
    assert off(read(tmp_path, made.deep_png(UPRIGHT)).pixels, UPRIGHT) < 1
    assert off(read(tmp_path, made.deep_tiff(UPRIGHT)).pixels, UPRIGHT) < 1
    grey = UPRIGHT[..., 0].astype(np.uint16) * 257
    found = read(tmp_path, made.encoded(Image.fromarray(grey), "PNG"))
    assert off(found.pixels[..., 2], UPRIGHT[..., 0]) < 1
    assert found.changes == {"16 bits"}


def test_ten_bits_of_a_phone(tmp_path):
    import io

    import pillow_heif

    deep = pillow_heif.from_bytes("RGB;16", UPRIGHT.shape[1::-1], (UPRIGHT.astype(np.uint16) * 257).tobytes())
    buffer = io.BytesIO()
    deep.save(buffer, quality=95)
    assert off(read(tmp_path, buffer.getvalue()).pixels, UPRIGHT) < 5


def test_transparent_pixels_are_laid_on_white(tmp_path):
    alpha = np.full(UPRIGHT.shape[:2], 255, np.uint8)
    assert read(tmp_path, made.encoded(np.dstack([UPRIGHT, alpha]), "PNG")).changes == frozenset()
    alpha[:10] = 0
    found = read(tmp_path, made.encoded(np.dstack([UPRIGHT, alpha]), "PNG"))
    assert found.changes == {"transparency"}
    assert (found.pixels[:10] == 255).all()


@pytest.mark.parametrize("kind", ["JPEG", "HEIF", "PNG", "WEBP"])
def test_the_time_is_read_from_the_cameras_clock(tmp_path, kind):
    def taken(*arguments):
        return read(tmp_path, made.encoded(UPRIGHT, kind, exif=made.exif(*arguments))).taken

    first = taken(None, "2024:02:29 23:59:59", "25")
    assert taken(None, "2024:03:01 00:00:01", "5") - first == pytest.approx(2.25)
    assert read(tmp_path, made.encoded(UPRIGHT, kind)).taken is None
    for nonsense in ("0000:00:00 00:00:00", "    :  :     :  :  ", "yesterday", ""):
        assert taken(None, nonsense) is None


def test_a_photograph_with_a_second_picture_in_it_is_its_first(tmp_path):
    # How phones keep depth and gain maps.
    data = made.encoded(UPRIGHT, "MPO", save_all=True, append_images=[Image.fromarray(255 - UPRIGHT)], quality=95)
    assert off(read(tmp_path, data).pixels, UPRIGHT) < 6


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_animations_and_pages_are_named(tmp_path, kind):
    frames = [Image.fromarray(UPRIGHT), Image.fromarray(255 - UPRIGHT)]
    data = made.encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    assert reason(tmp_path, data) == f"2 {'pages' if kind == 'TIFF' else 'frames'}: export one of them"


def test_what_is_no_photograph_is_said_in_one_line(tmp_path):
    assert reason(tmp_path, b"") == "an empty file"
    assert reason(tmp_path, b"no picture at all") == "damaged, or no picture of a known kind"
    assert reason(tmp_path, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n").startswith("damaged, or no picture")
    assert "raw file" in reason(tmp_path, made.encoded(UPRIGHT, "TIFF"), "a.DNG")
    assert reason(tmp_path, made.bomb_png()).startswith("more pixels than any camera makes")
    assert reason(tmp_path, made.bomb_png(9_000, 8_000)) == "9000 x 8000, more than 64000000 pixels"
    with pytest.raises(UnfitPhotographError, match="No such file"):
        read_photograph(tmp_path / "nowhere.jpg")
    with pytest.raises(UnfitPhotographError, match="directory"):
        read_photograph(tmp_path)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIF", "AVIF"])
def test_truncated_files_are_refused(tmp_path, kind):
    data = made.encoded(made.astronaut(256), kind)
    for share in (0.3, 0.6, 0.9):
        assert "damaged" in reason(tmp_path, data[: int(share * len(data))])


def test_a_symlink_is_its_target_and_a_dangling_one_is_named(tmp_path):
    (tmp_path / "real.png").write_bytes(made.encoded(UPRIGHT, "PNG"))
    (tmp_path / "link.png").symlink_to(tmp_path / "real.png")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nothing.png")
    assert np.array_equal(read_photograph(tmp_path / "link.png").pixels, UPRIGHT)
    with pytest.raises(UnfitPhotographError, match="No such file"):
        read_photograph(tmp_path / "gone.png")


SEEDS = [made.encoded(made.astronaut(48), kind, exif=made.exif(6, "2024:01:01 00:00:00", "1", True))
         for kind in ("JPEG", "PNG", "WEBP", "HEIF", "TIFF")]  # fmt: skip


@given(st.sampled_from(SEEDS), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8))
def test_flipped_bytes_give_a_photograph_or_one_line(tmp_path_factory, data, flips):
    broken = bytearray(data)
    for place, value in flips:
        broken[int(place * (len(broken) - 1))] = value
    path = tmp_path_factory.getbasetemp() / "flipped.bin"
    path.write_bytes(bytes(broken))
    with contextlib.suppress(UnfitPhotographError):
        found = read_photograph(path)
        assert found.pixels.dtype == np.uint8
        assert found.pixels.shape[2] == 3
