import numpy as np
import pytest
from PIL import Image, ImageCms

from lifeos.lora.srgb import opaque_srgb
from tests.lifeos.lora.icc_profiles import matrix_profile, to_srgb

NOISE = np.random.default_rng(1).integers(60, 200, (48, 64, 3), dtype=np.uint8)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def converted(image, profile=None):
    if profile is not None:
        image.info["icc_profile"] = profile
    result, changes = opaque_srgb(image)
    assert result.mode == "RGB"
    assert result.info == {}
    return np.asarray(result), changes


def test_plain_pixels_and_those_that_are_srgb_by_their_profile_stay():
    for profile in (None, SRGB):
        pixels, changes = converted(Image.fromarray(NOISE), profile)
        assert np.array_equal(pixels, NOISE)
        assert changes == frozenset()


def test_a_profile_is_applied_as_the_formulas_say():
    pixels, changes = converted(Image.fromarray(NOISE), matrix_profile())
    assert changes == {"colour profile"}
    assert np.abs(pixels - to_srgb(NOISE)).max() < 2.5
    assert np.abs(pixels.astype(int) - NOISE).mean() > 2


def test_a_profile_reaches_opaque_and_transparent_pixels_alike():
    alpha = np.full((48, 64), 255, np.uint8)
    pixels, changes = converted(Image.fromarray(np.dstack([NOISE, alpha])), matrix_profile())
    assert changes == {"colour profile"}
    alpha[:8] = 0
    clear, changes = converted(Image.fromarray(np.dstack([NOISE, alpha])), matrix_profile())
    assert changes == {"colour profile", "transparency"}
    assert (clear[:8] == 255).all()
    assert np.array_equal(clear[8:], pixels[8:])


# A profile holds the second it was made in: without names, pytest would name these tests by it, and xdist workers that
# collect in different seconds refuse to run.
@pytest.mark.parametrize(
    "profile", [b"", b"junk", matrix_profile()[:200], SRGB[:40]], ids=["empty", "junk", "cut", "header"]
)
def test_a_profile_that_cannot_be_read_leaves_the_pixels(profile):
    pixels, changes = converted(Image.fromarray(NOISE), profile)
    assert np.array_equal(pixels, NOISE)
    assert changes == frozenset()


@pytest.mark.parametrize("profile", [None, SRGB, matrix_profile()], ids=["none", "sRGB", "matrix"])
def test_cmyk_with_a_profile_of_another_kind_is_converted_without_it(profile):
    pixels, changes = converted(Image.fromarray(NOISE).convert("CMYK"), profile)
    assert np.abs(pixels.astype(int) - NOISE).max() <= 1
    assert changes == {"CMYK"}


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_deep_grey_keeps_its_levels(mode):
    grey = NOISE[..., 0]
    whole = {"I;16": grey.astype(np.uint16) * 257, "I": grey.astype(np.int32) * 257}
    image = Image.fromarray(whole.get(mode, grey.astype(np.float32) / 255))
    assert image.mode == mode
    pixels, changes = converted(image)
    expected = grey if mode != "F" else np.round(grey / 255 * 255)
    assert np.abs(pixels[..., 1] - expected.astype(int)).max() <= 1
    assert changes == {"16 bits"}


def test_palettes_with_a_transparent_colour_and_other_modes():
    palette = Image.fromarray(NOISE).quantize(16)
    palette.info["transparency"] = 0
    pixels, changes = converted(palette)
    assert changes == {"transparency"}
    assert (pixels[np.asarray(palette) == 0] == 255).all()
    for mode in ("L", "1", "P", "YCbCr", "HSV"):
        assert converted(Image.fromarray(NOISE).convert(mode))[0].shape == NOISE.shape


def test_infinite_and_missing_values_are_black():
    values = np.ones((4, 4), np.float32)
    values[0] = (np.nan, np.inf, -np.inf, 0.5)
    pixels, _ = converted(Image.fromarray(values))
    assert pixels[0, :, 0].tolist() == [0, 0, 0, 128]
