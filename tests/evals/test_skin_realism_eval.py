"""Textures made here stand for skin, so that what was done to them is known exactly."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.skin_battery.plain_skimage import KEPT
from evals.calibration_statistics import skin_bands
from evals.faces.align import TEMPLATE
from evals.skin_realism_eval import FEATURE_SIGNS, _uniform_patterns, measure_skin, skin_features, skin_z
from evals.skin_region import find_skin

SIDE = 128


def encode(linear: np.ndarray) -> np.ndarray:
    coded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.clip(linear, 1e-9, None) ** (1 / 2.4) - 0.055)
    return np.clip(np.round(coded * 255), 0, 255).astype(np.uint8)


def head(seed, scale=1.2, pores=0.05, exposure=1.0, smoothing=0.0, side=SIDE):
    """A skin-coloured square with pores and a slope of light, eyes and lips where the points say; and points."""
    import cv2

    rng = np.random.default_rng(seed)
    points = (TEMPLATE - TEMPLATE.mean(axis=0)) * scale + [side / 2, side / 2 + 6]
    fine = rng.normal(size=(side, side)).astype(np.float32)
    middle = cv2.GaussianBlur(rng.normal(size=(side, side)).astype(np.float32), (0, 0), 1.2)
    texture = pores * (0.6 * fine + 1.8 * middle)
    if smoothing:
        texture = cv2.GaussianBlur(texture, (0, 0), smoothing)
    slope = np.linspace(-0.25, 0.25, side)[None, :] + np.linspace(0.15, -0.15, side)[:, None]
    light = exposure * np.exp(texture + slope)[..., None] * np.array([0.36, 0.22, 0.16])
    image = encode(light)
    for x, y in points[:2]:
        cv2.circle(image, (round(x), round(y)), round(4 * scale), (40, 30, 25), -1)
    cv2.ellipse(
        image, (round(points[3:, 0].mean()), round(points[3, 1])), (round(16 * scale), round(4 * scale)), 0, 0, 360,
        (150, 60, 70), -1,
    )  # fmt: skip
    return image, points.astype(np.float32)


def features(*arguments, **named):
    return skin_features(*head(*arguments, **named))


@pytest.fixture(scope="module")
def bands():
    return skin_bands([features(seed) for seed in range(16)])


def test_every_feature_is_measured_and_has_a_direction():
    measured = features(0)
    assert set(measured) == set(FEATURE_SIGNS)
    assert all(math.isfinite(value) for value in measured.values())


@pytest.mark.parametrize("scale", [1.0, 1.2, 5.7])
@pytest.mark.parametrize("smoothing", [0.0, 1.0])
def test_features_are_those_of_plain_scikit_image(scale, smoothing):
    for seed in range(3):
        image, points = head(seed, scale=scale, side=640 if scale > 2 else SIDE, smoothing=smoothing)
        region, ours = find_skin(image, points), skin_features(image, points)
        assert set(KEPT) == set(FEATURE_SIGNS)
        for name, plain in KEPT.items():
            theirs = plain(region.crop, region.mask, region.distance)
            if smoothing and name == "lbp_non_uniform":
                # On smoothed skin neighbours are equal to the last digit, and scikit-image's interpolation between
                # equals is rounded to either side: some of its patterns are others there.
                assert math.exp(ours[name]) == pytest.approx(math.exp(theirs), abs=0.03)
            else:
                # Single precision; luminance weights of four digits.
                assert ours[name] == pytest.approx(theirs, abs=5e-3), name


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.7, 2.0]))
@settings(max_examples=20, deadline=None)
def test_patterns_are_numbered_as_scikit_image_numbers_them(seed, blur):
    import warnings

    import cv2
    from skimage.feature import local_binary_pattern

    plane = np.random.default_rng(seed).normal(size=(20, 24)).astype(np.float32)
    plane = cv2.GaussianBlur(plane, (0, 0), blur) if blur else plane
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        theirs = local_binary_pattern(plane, 8, 1, "uniform")[1:-1, 1:-1]
    assert (_uniform_patterns(plane) == theirs).mean() > 0.999


def test_a_neighbourhood_of_one_value_is_one_pattern():
    plane = np.full((30, 30), np.float32(np.log(0.371)))
    assert set(_uniform_patterns(plane).ravel()) == {8}


def test_references_lie_around_zero(bands):
    scores = [skin_z(features(seed), bands) for seed in range(100, 120)]
    assert abs(np.median(scores)) < 0.8


@pytest.mark.parametrize("smoothing", [0.6, 1.0, 2.0])
def test_smoothed_skin_lies_below(bands, smoothing):
    scores = [skin_z(features(seed, smoothing=smoothing), bands) for seed in range(100, 110)]
    assert max(scores) < -3


def test_more_smoothing_lies_further_below(bands):
    scores = [skin_z(features(7, smoothing=smoothing), bands) for smoothing in (0.0, 0.5, 0.8, 1.3, 2.0)]
    assert scores == sorted(scores, reverse=True)


def test_filters_of_retouching_lie_below(bands):
    import cv2

    for seed in range(100, 105):
        image, points = head(seed)
        for retouched in (cv2.bilateralFilter(image, 7, 60, 4), cv2.medianBlur(image, 3)):
            assert skin_z(skin_features(np.asarray(retouched, dtype=np.uint8), points), bands) < -3


def test_sharpened_and_noisy_skin_lies_above(bands):
    import cv2

    for seed in range(100, 105):
        image, points = head(seed)
        sharpened = np.clip(2.2 * image - 1.2 * cv2.GaussianBlur(image, (0, 0), 1.0), 0, 255).astype(np.uint8)
        grain = np.random.default_rng(seed).normal(0, 14, (SIDE, SIDE, 1))
        noisy = np.clip(image + grain, 0, 255).astype(np.uint8)
        assert skin_z(skin_features(sharpened, points), bands) > 2.5
        assert skin_z(skin_features(noisy, points), bands) > 2.5


@pytest.mark.parametrize("exposure", [0.25, 0.5, 2.0])
def test_exposure_hardly_moves_it(bands, exposure):
    for seed in range(100, 106):
        moved = [skin_z(features(seed, exposure=stops), bands) for stops in (1.0, exposure)]
        smoothed = skin_z(features(seed, smoothing=0.6), bands)
        assert abs(moved[1] - moved[0]) < 0.35 * abs(smoothed - moved[0])


def test_where_the_light_comes_from_does_not_move_it():
    """Every feature is blind to a slope of light: narrow bands of the logarithm, and patterns of eight neighbours."""
    image, points = head(3, pores=0.05)
    ramp = np.exp(np.linspace(-0.6, 0.6, SIDE))[None, :, None]
    tilted = encode(np.clip((((image / 255 + 0.055) / 1.055) ** 2.4) * ramp, 0, 0.85))
    before, after = skin_features(image, points), skin_features(tilted, points)
    for name in FEATURE_SIGNS:
        assert after[name] == pytest.approx(before[name], abs=0.15)


@pytest.mark.parametrize("angle", [90, 180, 270])
def test_it_turns_with_the_image(angle):
    image, points = head(4)
    turns = angle // 90
    turned_points = points.copy()
    for _ in range(turns):
        turned_points = np.stack([turned_points[:, 1], SIDE - 1 - turned_points[:, 0]], axis=1)
    turned = skin_features(np.ascontiguousarray(np.rot90(image, turns)), turned_points.astype(np.float32))
    straight = skin_features(image, points)
    for name in FEATURE_SIGNS:
        assert turned[name] == pytest.approx(straight[name], abs=0.06)


def test_large_faces_are_measured_at_one_size():
    """The same texture in units of the eye distance measures the same at 200 and at 400 pixels between the eyes."""
    import cv2

    small, small_points = head(5, scale=5.7, side=640)
    large = np.asarray(cv2.resize(small, (1280, 1280), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
    one = skin_features(small, small_points, minimum_inter_ocular=92)
    two = skin_features(large, (small_points + 0.5) * 2 - 0.5, minimum_inter_ocular=92)
    for name in FEATURE_SIGNS:
        assert two[name] == pytest.approx(one[name], abs=0.1)


@pytest.mark.parametrize("paint", [(255, 255, 255), (20, 60, 160), (8, 6, 5)])
def test_hair_background_and_highlights_do_not_count(bands, paint):
    """Textureless paint of another colour or clipped to white over a third of a cheek must not read as plastic."""
    for seed in range(100, 106):
        image, points = head(seed)
        before = skin_z(skin_features(image, points), bands)
        image[60:90, 20:44] = paint
        moved = skin_z(skin_features(image, points), bands) - before
        assert abs(moved) < 0.25 * abs(skin_z(features(seed, smoothing=0.6), bands) - before)


def test_too_small_a_face_is_unscorable_with_a_reason():
    image, points = head(0, scale=0.6)
    measured = measure_skin(image, points)
    assert set(measured.features.values()) == {None}
    assert measured.reason == "skin unscorable: 21.1 of 24.0 pixels between the eyes"
    assert "92.0" in measure_skin(*head(0), minimum_inter_ocular=92).reason


def test_a_face_turned_away_or_out_of_the_image_is_unscorable():
    image, points = head(0)
    assert measure_skin(image, points + 400).reason is not None
    profile = points.copy()
    profile[:, 0] = points[2, 0] + 0.12 * (points[:, 0] - points[2, 0])
    assert measure_skin(image, profile, minimum_inter_ocular=5).reason is not None
    assert measure_skin(np.zeros_like(image), points).reason is not None
    assert measure_skin(np.full_like(image, 255), points).reason is not None


def test_one_colour_is_the_extreme_of_plastic(bands):
    assert skin_z(skin_features(np.full((SIDE, SIDE, 3), 150, np.uint8), head(0)[1]), bands) == -6


@pytest.mark.parametrize("image", [np.zeros((64, 64)), np.zeros((64, 64, 3)), np.zeros((64, 64, 4), np.uint8)])
def test_other_arrays_are_refused(image):
    with pytest.raises(ValueError, match="uint8"):
        skin_features(image, TEMPLATE.astype(np.float32))


BAND = {"median": -3.0, "mad": 0.1}


def test_skin_z_is_the_mean_of_limited_scores_by_hand():
    bands = dict.fromkeys(FEATURE_SIGNS, BAND)
    row = {"fine": -3.1, "lbp_non_uniform": -3.4, "fine_to_middle": 2.0}
    assert skin_z(row, bands) == pytest.approx((-0.1 / 0.14826 - 0.4 / 0.14826 + 6) / 3)


def test_bands_of_features_that_are_no_longer_measured_give_none():
    """A calibration from before must not be read as one of today: its band of z belongs to other features."""
    row = dict.fromkeys(FEATURE_SIGNS, -3.0)
    assert skin_z(row, dict.fromkeys(FEATURE_SIGNS, BAND)) == 0
    assert skin_z(row, {**dict.fromkeys(FEATURE_SIGNS, BAND), "diagonal_1": BAND}) is None


def test_too_few_features_give_none():
    bands = {"fine": BAND, "fine_to_middle": BAND}
    assert skin_z(dict.fromkeys(FEATURE_SIGNS, -3.0), bands) is None
    assert skin_z(dict.fromkeys(FEATURE_SIGNS), dict.fromkeys(FEATURE_SIGNS, BAND)) is None


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_is_refused(value):
    good = dict.fromkeys(FEATURE_SIGNS, BAND)
    with pytest.raises(ValueError, match="finite"):
        skin_z(dict.fromkeys(FEATURE_SIGNS, value), good)
    with pytest.raises(ValueError, match="MAD > 0"):
        skin_z(dict.fromkeys(FEATURE_SIGNS, -3.0), {**good, "fine": {"median": value, "mad": 1.0}})
    with pytest.raises(ValueError, match="MAD > 0"):
        skin_z(dict.fromkeys(FEATURE_SIGNS, -3.0), {**good, "fine": {"median": 0.0, "mad": 0.0}})


@given(shift=st.floats(-3, 3), mad=st.floats(0.01, 2))
@settings(max_examples=40, deadline=None)
def test_skin_z_moves_with_every_feature(shift, mad):
    bands = {name: {"median": -3.0, "mad": mad} for name in FEATURE_SIGNS}
    row = dict.fromkeys(FEATURE_SIGNS, -3.0 + shift)
    assert skin_z(row, bands) == pytest.approx(np.clip(shift / (1.4826 * mad), -6, 6), abs=1e-9)
