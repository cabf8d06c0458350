import numpy as np
import pytest
from PIL import Image, ImageCms

from lifeos.errors import InputError
from lifeos.lora.dataset_lint.image_facts import image_facts
from lifeos.lora.dataset_lint.images import image_findings
from lifeos.lora.dataset_lint.rewrite import rewrite_image

NOISE = np.random.default_rng(1).integers(0, 255, (48, 64, 3), dtype=np.uint8)


def fit(path):
    return image_findings(path, image_facts(path.read_bytes(), ""), [(32, 32)]) == []


def pixels_of(path):
    with Image.open(path) as image:
        return np.asarray(image)


def save(path, image, **options):
    image.save(path, **options)
    return path


def test_the_orientation_is_applied_once(tmp_path):
    exif = Image.Exif()
    exif[0x112] = 6
    turned = Image.fromarray(np.rot90(NOISE))
    path = save(tmp_path / "a b é.png", turned, exif=exif)
    assert not fit(path)
    assert rewrite_image(path) == path
    assert fit(path)
    assert np.array_equal(pixels_of(path), NOISE)


def test_transparent_pixels_become_white(tmp_path):
    clear = np.dstack([NOISE, np.full((48, 64), 255, np.uint8)])
    clear[0, 0, 3] = 0
    path = save(tmp_path / "a.png", Image.fromarray(clear))
    rewrite_image(path)
    pixels = pixels_of(path)
    assert tuple(pixels[0, 0]) == (255, 255, 255)
    assert np.array_equal(pixels[1:], NOISE[1:])
    assert fit(path)


def test_sixteen_bits(tmp_path):
    path = save(tmp_path / "a.png", Image.fromarray(NOISE[..., 0].astype(np.uint16) * 257))
    rewrite_image(path)
    assert np.array_equal(pixels_of(path)[..., 0], NOISE[..., 0])


@pytest.mark.parametrize("profile", [True, False])
def test_cmyk_even_with_a_profile_that_does_not_fit_it(tmp_path, profile):
    options = {"icc_profile": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()} if profile else {}
    path = save(tmp_path / "a.jpg", Image.fromarray(NOISE).convert("CMYK"), **options)
    assert not fit(path)
    assert rewrite_image(path) == path
    assert fit(path)
    assert path.read_bytes().startswith(b"\xff\xd8")


@pytest.mark.parametrize("suffix", [".webp", ".bmp", ".tiff", ".gif"])
def test_other_kinds_become_png_under_that_name(tmp_path, suffix):
    path = save(tmp_path / f"a{suffix}", Image.fromarray(NOISE))
    assert rewrite_image(path) == tmp_path / "a.png"
    assert not path.exists()
    assert (tmp_path / "a.png").exists()


def test_a_taken_name_is_left_alone(tmp_path):
    path = save(tmp_path / "a.webp", Image.fromarray(NOISE))
    (tmp_path / "a.png").write_bytes(b"mine")
    with pytest.raises(InputError, match="free name"):
        rewrite_image(path)
    assert (tmp_path / "a.png").read_bytes() == b"mine"
    assert path.exists()


def test_metadata_does_not_survive(tmp_path):
    exif = Image.Exif()
    exif[0x010E] = "home address"
    path = save(tmp_path / "a.jpg", Image.fromarray(NOISE), exif=exif)
    rewrite_image(path)
    assert b"home address" not in path.read_bytes()


@pytest.mark.parametrize("data", [b"", b"no picture", b"\x89PNG\r\n\x1a\n"])
def test_what_cannot_be_decoded_stays_as_it_is(tmp_path, data):
    path = tmp_path / "a.png"
    path.write_bytes(data)
    with pytest.raises(InputError, match="can be decoded"):
        rewrite_image(path)
    assert path.read_bytes() == data
    with pytest.raises(InputError, match="check the path"):
        rewrite_image(tmp_path / "absent.png")
