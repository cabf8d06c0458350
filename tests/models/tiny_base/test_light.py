from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest


@pytest.fixture
def light(compiled_room):
    return compiled_room("light")


@pytest.fixture
def scene(compiled_room):
    return compiled_room("scene").sample_scene(SimpleNamespace(seed=0), 0)


def fragments_at(part, positions):
    """Fragments that lie on vertices: each on the first corner of its own triangle."""
    n = np.arange(len(positions))
    return SimpleNamespace(
        triangle=n,
        interpolate=lambda values: values[n],
        of=lambda *parts: np.isin(part, parts),
        position=positions,
        centred=positions,
        cavity=np.zeros(len(n)),
        normal=np.tile([0.0, 0.0, 1.0], (len(n), 1)),
    )


def test_the_halfway_vector_lies_between_light_and_viewer(light, scene):
    made = light.light_of(replace(scene, key=(3.0, 4.0, 0.0), warmth=0.1))
    assert np.allclose(made.key, [0.6, 0.8, 0])
    assert np.allclose(made.halfway, np.array([0.6, 0.8, 1]) / np.sqrt(2))
    assert np.allclose(made.tint, [1.1, 1, 0.9])


def test_hard_light_is_more_of_the_key_and_less_of_the_sky(light, scene):
    hard, soft = (light.light_of(replace(scene, light=word)) for word in ("hard", "soft"))
    assert hard.hard
    assert not soft.hard
    assert hard.level > soft.level
    assert hard.ambient < soft.ambient


def test_the_lights_frame_is_a_rotation_that_looks_along_the_key(light):
    key = np.array([0.48, 0.6, 0.64])
    frame = light.light_frame(key)
    assert np.allclose(frame @ frame.T, np.eye(3))
    assert np.isclose(np.linalg.det(frame), 1)
    assert np.allclose(frame @ key, [0, 0, 1])


def sheet(z, half):
    return np.array([[-half, -half, z], [half, -half, z], [half, half, z], [-half, half, z]], float)


def test_a_sheet_before_another_throws_a_shadow_on_it_and_none_on_itself(light, scene, compiled_room):
    skin = compiled_room("head").Part.SKIN
    # Light from the viewer. The small sheet hides the middle of the large one; probes are vertices of no triangle.
    probes = np.array([[0, 0, 0], [0.8, 0.8, 0], [0, 0, 1]], float)
    vertices = np.vstack([sheet(0, 1.0), sheet(1, 0.3), probes])
    faces = np.array([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]])[:, :, None].repeat(2, 2)
    head = SimpleNamespace(triangles=faces, part=np.full(4, skin))
    fragments = fragments_at(np.full(11, skin), vertices)
    hard = light.light_of(replace(scene, light="hard", key=(0.001, 0.0, 1.0)))
    assert light.key_share(hard, head, vertices, fragments)[8:].tolist() == [0, 1, 1]
    soft = light.light_of(replace(scene, light="soft", key=(0.001, 0.0, 1.0)))
    assert light.key_share(soft, head, vertices, fragments).tolist() == [1] * 11


def test_what_faces_the_light_is_brighter_and_shadow_takes_the_key_away(light, scene, compiled_room):
    skin = compiled_room("head").Part.SKIN
    surface = SimpleNamespace(
        colour=np.full((3, 3), 0.3),
        normal=np.array([[0, 0, 1.0], [1, 0, 0], [0, 0, 1.0]]),
        pores=np.zeros(3, np.float32),
        lips=np.zeros(3, np.float32),
        brows=np.zeros(3),
    )
    head = SimpleNamespace(centre=np.zeros(3), height=2.0, half_iod=0.3)
    who = SimpleNamespace(melanin=0.3, oil=0.5)
    made = light.light_of(replace(scene, light="hard", key=(0.0, 0.0, 1.0)))
    lit = np.array([1.0, 1.0, 0.0])
    facing, aside, shadowed = light.shade_surface(
        surface, made, lit, head, fragments_at(np.full(3, skin), np.zeros((3, 3))), who, replace(scene, smoothness=0.0)
    )
    assert (facing > aside).all()
    assert (facing > shadowed).all()
    assert (shadowed > 0).all()
    assert aside[0] > aside[2]  # light wraps around skin, red the farthest
