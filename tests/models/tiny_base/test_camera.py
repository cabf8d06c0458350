from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

HEAD = SimpleNamespace(centre=np.array([0.0, 7.0, 1.0]), height=2.0, half_iod=0.25)
PIVOT = HEAD.centre - np.array([0, 0, 0.72])


@pytest.fixture
def camera(room):
    return room("camera")


@pytest.fixture
def front(room):
    drawn = room("scene").sample_scene(SimpleNamespace(seed=0), 0)
    return replace(drawn, yaw=0.0, pitch=0.0, roll=0.0, shift=(0.0, 0.0), scale=1.0)


def from_eyes(x=0.0, y=0.0, z=0.0):
    return HEAD.centre + np.array([x, y, z])


def nose(x=0.0, y=0.0, z=0.0):
    return from_eyes(x, y, z + 0.4)


def seen(camera, scene, point, width=100):
    made = camera.aim_camera(HEAD, scene, width)
    return made.project(made.turn(np.array([point])))[0]


def test_a_rotation_is_yaw_then_pitch_then_roll(camera):
    ours = camera.rotation(0.4, -0.1, 0.05)
    assert np.allclose(ours, Rotation.from_euler("yxz", [0.4, -0.1, 0.05]).as_matrix())


def test_the_head_stands_in_the_middle_slightly_high(camera, front):
    x, y, _ = seen(camera, front, HEAD.centre)
    assert np.isclose(x, 50)
    assert np.isclose(y, 47)


def test_axes_and_angles_have_the_sense_that_scenes_say(camera, front):
    x, y, z = seen(camera, front, nose())
    assert seen(camera, front, nose(0.1, 0, 0))[0] > x
    assert seen(camera, front, nose(0, 0.1, 0))[1] < y
    assert seen(camera, front, nose(0, 0, 0.1))[2] > z

    def turned(**angles):
        scene = replace(front, **angles)
        return seen(camera, scene, nose()) - seen(camera, scene, PIVOT)  # from the pivot

    assert turned(yaw=0.3)[0] > 0
    assert turned(pitch=0.3)[1] > turned()[1]
    crown = from_eyes(0, 1, 0)
    assert seen(camera, replace(front, roll=0.1), crown)[0] < seen(camera, front, crown)[0]


def test_what_is_nearer_is_larger(camera, front):
    def width_at(z):
        left, right = (seen(camera, front, from_eyes(x, 0, z))[0] for x in (-0.1, 0.1))
        return right - left

    assert width_at(0.5) > width_at(0) > width_at(-0.5)


def test_pixels_follow_width_scale_and_shift(camera, front):
    small, large = (seen(camera, front, nose(0.1, 0.2, 0), width) for width in (100, 300))
    assert np.allclose(large[:2], 3 * small[:2])
    moved = seen(camera, replace(front, shift=(0.02, -0.03)), nose()) - seen(camera, front, nose())
    assert np.allclose(moved, [2, -3, 0])
    wide = seen(camera, replace(front, scale=2.0), from_eyes(0.1, 0, 0))[0] - 50
    assert np.isclose(wide, 2 * (seen(camera, front, from_eyes(0.1, 0, 0))[0] - 50))
