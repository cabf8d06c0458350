from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest


@pytest.fixture
def composite(room):
    return room("composite")


@pytest.fixture
def scene(room):
    return room("scene").sample_scene(SimpleNamespace(seed=0), 0)


def test_the_tone_curve_can_be_read_backwards(composite):
    # The inverse of IEC 61966-2-1, then of the shoulder y = x / (1 + 0.18 x), from the standard and not from the code.
    code = np.arange(256) / 255
    shouldered = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
    light = shouldered / (1 - 0.18 * shouldered)
    assert (composite.tone_curve(light) == np.arange(256)).all()


def test_the_tone_curve_rises_and_takes_any_light(composite):
    picture = composite.tone_curve(np.linspace(-1, 50, 4000).reshape(2, 500, 4))
    assert picture.dtype == np.uint8
    assert picture.shape == (2, 500, 4)
    assert (np.diff(picture.ravel().astype(int)) >= 0).all()
    assert picture.min() == 0
    assert picture.max() == 255


def test_the_background_is_the_colour_that_its_scene_names(composite, room):
    names = room("scene").BACKGROUNDS
    colours = np.array(list(names.values())) * 255
    for seed in range(60):
        scene = room("scene").sample_scene(SimpleNamespace(seed=seed), 0)
        wall = np.median(composite.tone_curve(composite.background(scene, 32)).reshape(-1, 3), 0)
        nearest = np.argmin(np.linalg.norm(colours - wall, axis=1))
        assert list(names)[nearest] == scene.background


def test_the_background_is_shaded_as_its_scene_says(composite, scene):
    right = composite.background(replace(scene, background_shade=(1.0, 0.0, 0.0, 0.0)), 16)
    down = composite.background(replace(scene, background_shade=(0.0, 1.0, 0.0, 0.0)), 16)
    assert right.shape == (16, 16, 3)
    assert (right[:, -1] > right[:, 0]).all()
    assert (down[-1] > down[0]).all()
    flat = composite.background(replace(scene, background_shade=(0.0, 0.0, 0.5, -0.5)), 17)
    assert np.allclose(flat, flat[::-1, ::-1])
    assert flat[8, 8].sum() > flat[0, 0].sum()


def test_more_exposure_is_a_brighter_wall(composite, scene):
    dark, bright = (composite.background(replace(scene, exposure=exposure), 8) for exposure in (0.9, 1.2))
    assert (bright > dark).all()


def test_reduce_averages_and_keeps_what_is_even(composite):
    even = np.full((12, 12, 3), 0.3)
    assert composite.reduce(even, 3).shape == (4, 4, 3)
    assert np.allclose(composite.reduce(even, 3), 0.3)
    halves = np.zeros((16, 16, 3))
    halves[:, 8:] = 1
    small = composite.reduce(halves, 2)
    assert np.allclose(small[:, :3], 0, atol=1e-3)
    assert np.allclose(small[:, 5:], 1, atol=1e-3)
    assert np.isclose(small.mean(), 0.5)


def test_over_lays_one_colour_on_another(composite):
    below, above = np.full((3, 3), 0.2), np.array([0.4, 0.6, 0.8])
    laid = composite.over(below, above, np.array([0, 0.5, 1]))
    assert np.allclose(laid, [[0.2] * 3, [0.3, 0.4, 0.5], above])
    assert np.allclose(composite.over(below, 0.0, np.array([1, 1, 0])), [[0] * 3, [0] * 3, [0.2] * 3])
