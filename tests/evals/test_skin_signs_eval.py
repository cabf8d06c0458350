"""Signs on skin made here, where what was laid on it is known; colour and wavelets against other implementations."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.control_images import grained, smoothed
from evals.images import read_image
from evals.metric_families import Picture, families
from evals.skin_region import find_skin
from evals.skin_signs_eval import FAMILY, grain, lattice, specular, tone_ita
from tests.evals.test_skin_realism_eval import SIDE, encode, head

ROOT = Path(__file__).resolve().parents[2]


def changed(image, linear):
    """The picture with its linear light changed by a function."""
    coded = image / 255.0
    light = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    return encode(linear(light))


def glossy(seed, strength):
    """White highlights in broad spots over everything."""
    import cv2

    image, points = head(seed)
    spots = np.random.default_rng(seed).uniform(size=(SIDE, SIDE)) > 0.97
    gloss = cv2.GaussianBlur(spots.astype(np.float32), (0, 0), 2.0)
    return changed(image, lambda light: light + strength * gloss[..., None]), points


def test_the_family_is_found_and_measures_all():
    image, points = head(0)
    assert FAMILY in families()
    measured = FAMILY.measure(Picture(image, points, None, 24.0))
    assert set(measured.values) == {"specular", "tone_ita", "grain", "lattice"}
    assert all(math.isfinite(value) for value in measured.values.values())
    assert not measured.reasons


def test_what_cannot_be_scored_says_why():
    image, points = head(0)
    small = FAMILY.measure(Picture(image, points, None, 200.0))
    assert small.values["lattice"] is not None
    for name in ("specular", "tone_ita", "grain"):
        assert small.values[name] is None
        assert "unscorable" in small.reasons[name]
    nobody = FAMILY.measure(Picture(image[:40, :40], None, "no face found", 24.0))
    assert set(nobody.values.values()) == {None}
    assert nobody.reasons["specular"] == "no face found"
    assert "too small" in nobody.reasons["lattice"]


@pytest.mark.parametrize("seed", range(3))
def test_tone_is_the_angle_of_scikit_images_lab(seed):
    from skimage.color import rgb2lab

    region = find_skin(*head(seed))
    light = changed_back(region)
    lightness, _, yellow = rgb2lab(light[None, None], illuminant="D65")[0, 0]
    assert tone_ita(region) == pytest.approx(math.degrees(math.atan2(lightness - 50, yellow)), abs=0.5)


def changed_back(region):
    """sRGB 0..1 of the median linear colour, level by level."""
    from skimage.color import rgb2xyz, xyz2rgb

    pixels = region.crop[region.mask]
    # The median of a monotone curve's values is the curve of the median.
    return xyz2rgb(rgb2xyz(np.median(pixels / 255.0, axis=0)[None, None]))[0, 0]


def test_more_gloss_is_more():
    values = [specular(find_skin(*glossy(1, strength))) for strength in (0.0, 0.2, 0.6)]
    assert values[0] < values[1] < values[2]
    assert abs(values[0]) < 0.05


@settings(max_examples=12, deadline=None)
@given(st.floats(0.5, 1.6))
def test_gloss_does_not_follow_exposure(exposure):
    """Matte skin and glossy skin stay apart at twice and half the light, and each where it was within a third."""
    matte, glossy_one = (
        specular(find_skin(changed(image, lambda light: light * exposure), points))
        for image, points in (glossy(2, 0.0), glossy(2, 0.6))
    )
    plain = specular(find_skin(*glossy(2, 0.6)))
    assert glossy_one == pytest.approx(plain, rel=1 / 3)
    assert matte < plain / 3


@pytest.fixture(scope="module")
def reference_faces():
    """Pictures of the demo persona: image, points and IOD. Pores made here are white noise, which is grain."""
    from evals.faces import measure_face, open_backend
    from evals.faces.align import inter_ocular_distance

    backend = open_backend("yunet_sface", ROOT / "models" / "faces")
    found = []
    for path in sorted((ROOT / "personas" / "pistachio" / "references").glob("*.png"))[:6]:
        image = read_image(path)
        points = measure_face(backend, image).faces[0].points
        found.append((image, points, inter_ocular_distance(points)))
    return found


@pytest.mark.parametrize("version", [smoothed, lambda image, distance: grained(image, distance, 1)])
def test_smoothed_skin_stands_above_all_skin_with_grain_on_it_or_without(reference_faces, version):
    plain = [grain(find_skin(image, points)) for image, points, _ in reference_faces]
    spoiled = [grain(find_skin(version(image, distance), points)) for image, points, distance in reference_faces]
    assert min(spoiled) > max(plain) + 0.5


def test_grain_is_the_diagonal_detail_of_two_haar_levels():
    """By plain convolution: each level from the outer product of the Haar filters, holes of two in the second."""
    from scipy.ndimage import correlate

    region = find_skin(*head(4))
    plane = region.log_luminance.astype(np.float64)
    first = correlate(plane, [[0, 0, 0], [0, 0.5, -0.5], [0, -0.5, 0.5]], mode="mirror")
    smooth = correlate(plane, [[0, 0, 0], [0, 0.25, 0.25], [0, 0.25, 0.25]], mode="mirror")
    kernel = np.zeros((5, 5))
    kernel[2, 2], kernel[2, 4], kernel[4, 2], kernel[4, 4] = 0.5, -0.5, -0.5, 0.5
    second = correlate(smooth, kernel, mode="mirror")
    one, two = (np.log(np.median(np.abs(level[region.mask]))) for level in (first, second))
    assert grain(region) == pytest.approx(one - 2 * two, abs=0.02)


@pytest.mark.parametrize("period", [4, 8, 16])
def test_lines_of_the_decoders_periods_stand_out(period):
    image, _ = head(5)
    lined = image.astype(int)
    lined[:, ::period] += 6
    lined = np.clip(lined, 0, 255).astype(np.uint8)
    assert lattice(lined) > lattice(image) + 1.0
    assert lattice(np.ascontiguousarray(np.swapaxes(lined, 0, 1))) == pytest.approx(lattice(lined))


def test_lines_of_another_period_do_not():
    image, _ = head(5)
    lined = image.astype(int)
    lined[:, ::7] += 6
    assert lattice(np.clip(lined, 0, 255).astype(np.uint8)) < lattice(image) + 1.0


@pytest.mark.parametrize("shape", [(65, 200, 3), (200, 65, 3)])
def test_a_picture_of_few_periods_is_unmeasured(shape):
    assert lattice(np.zeros(shape, np.uint8)) is None
    assert lattice(np.zeros((66, 66, 3), np.uint8)) is not None
