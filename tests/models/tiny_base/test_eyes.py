from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest


@pytest.fixture
def eyes(compiled_room):
    return compiled_room("eyes")


@pytest.fixture
def scene(compiled_room):
    drawn = compiled_room("scene").sample_scene(SimpleNamespace(seed=0), 0)
    return replace(drawn, yaw=0.0, gaze=(0.0, 0.0))


def test_the_gaze_is_a_unit_vector_that_follows_the_camera(eyes, scene):
    assert np.allclose(eyes.gaze_direction(scene), [0, 0, 1])
    right, up = (eyes.gaze_direction(replace(scene, gaze=gaze)) for gaze in ((0.2, 0.0), (0.0, 0.2)))
    assert right[0] > 0
    assert up[1] > 0
    turned = eyes.gaze_direction(replace(scene, yaw=0.5))
    assert turned[0] < 0  # a head turned to the right looks back to the left
    assert np.isclose(np.linalg.norm(turned), 1)


def test_an_eye_is_dark_in_the_pupil_coloured_in_the_iris_and_white_around(eyes, scene, compiled_room):
    part = compiled_room("head").Part.LEFT_EYE
    angle = np.array([0.02, 0.4, 0.9])
    offset = np.stack([np.sin(angle), -0.1 * np.sin(angle), np.cos(angle)], 1)
    middle, radius = np.array([1.0, 2.0, 3.0]), 0.5
    head = SimpleNamespace(eye_centre={part: middle}, eye_radius={part: radius})
    fragments = SimpleNamespace(position=middle + offset * radius, of=lambda _: np.ones(3, bool))
    blue = SimpleNamespace(iris=(0.05, 0.1, 0.3))
    noise = compiled_room("noise").SkinNoise(1)
    pupil, iris, white = eyes.eye_colour(head, fragments, blue, scene, noise, part)
    assert pupil.max() < 0.01
    assert iris[2] > 3 * iris[0]
    assert white.min() > 0.3
