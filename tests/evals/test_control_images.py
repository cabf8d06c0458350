"""Pictures with a known fault: each is worse in the one way its name says, at any size."""

import cv2
import numpy as np
import pytest

from evals.control_images import blurred, grained, smoothed


def skin(side, seed=0):
    """Rough skin under a slope of light, with one hard edge."""
    generator = np.random.default_rng(seed)
    slope = np.linspace(110, 150, side)[None, :, None]
    image = slope + generator.normal(0, 10, (side, side, 1)) + np.zeros(3)
    image[:, : side // 4] = 20
    return np.clip(image, 0, 255).astype(np.uint8)


def roughness(image):
    patch = image[8:-8, image.shape[1] // 2 : -8].astype(float)
    return float((patch - cv2.GaussianBlur(patch, (0, 0), 2)).std())


def edge(image):
    middle = image.shape[1] // 4
    row = image.mean(axis=(0, 2))
    return float(np.abs(np.diff(row[middle - 3 : middle + 3])).max())


@pytest.mark.parametrize("side", [128, 512])
def test_smoothing_takes_the_skin_and_leaves_the_edge_while_blur_takes_both(side):
    image, distance = skin(side), side * 0.28
    assert roughness(smoothed(image, distance)) < 0.6 * roughness(image)
    assert edge(smoothed(image, distance)) > 0.9 * edge(image)
    assert roughness(blurred(image, distance)) < 0.7 * roughness(image)
    assert edge(blurred(image, distance)) < 0.9 * edge(image)


def test_grain_brings_roughness_back_and_is_the_same_for_the_same_seed():
    image = skin(128)
    assert roughness(grained(image, 36.0, 1)) > roughness(smoothed(image, 36.0))
    assert np.array_equal(grained(image, 36.0, 1), grained(image, 36.0, 1))
    assert not np.array_equal(grained(image, 36.0, 1), grained(image, 36.0, 2))


@pytest.mark.parametrize("make", [blurred, smoothed, lambda image, distance: grained(image, distance, 0)])
def test_what_is_no_image_or_no_distance_is_refused(make):
    image = skin(64)
    before = image.copy()
    for wrong in (image.astype(float), image[..., 0], image[..., :2]):
        with pytest.raises(ValueError, match="uint8"):
            make(wrong, 20.0)
    for distance in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="above 0"):
            make(image, distance)
    make(image, 20.0)
    assert np.array_equal(image, before)
