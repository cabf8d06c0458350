from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

GROUPS = {  # three vertices of one triangle each, eyes at x = ±1 and y = 0, a crown at y = 4
    "body": [[-3, -2, 0], [3, -2, 0], [0, 4, 0]],
    "helper-l-eye": [[0.5, 0, 2], [1.5, 0, 2], [1, 0, 2]],
    "helper-r-eye": [[-0.5, 0, 2], [-1.5, 0, 2], [-1, 0, 2]],
    "helper-upper-teeth": [[-1, -1, 1], [1, -1, 1], [0, -1, 2]],
    "helper-lower-teeth": [[-1, -1.5, 1], [1, -1.5, 1], [0, -1.5, 2]],
    "helper-tongue": [[-0.5, -1.2, 1], [0.5, -1.2, 1], [0, -1.2, 2]],
    "helper-l-eyelashes-1": [[0.5, 0.2, 2], [1.5, 0.2, 2], [1, 0.3, 2]],
    "helper-l-eyelashes-2": [[0.5, -0.2, 2], [1.5, -0.2, 2], [1, -0.3, 2]],
    "helper-r-eyelashes-1": [[-0.5, 0.2, 2], [-1.5, 0.2, 2], [-1, 0.3, 2]],
    "helper-r-eyelashes-2": [[-0.5, -99, 2], [-1.5, -0.2, 2], [-1, -0.3, 2]],  # reaches below the shoulders
}


@pytest.fixture
def mesh(room):
    vertices = np.array([corner for corners in GROUPS.values() for corner in corners], float)
    faces = {name: np.arange(3)[None, :, None].repeat(2, 2) + 3 * n for n, name in enumerate(GROUPS)}
    mask = np.zeros((2, 2), np.float32)
    made = room("mesh").HeadMesh(Path(), vertices, np.zeros((len(vertices), 2)), faces, mask, mask)
    made._targets["shape"] = (np.array([2]), np.array([[0.0, 1.0, 0.0]]))
    for weights in room("scene").EXPRESSIONS.values():
        for name in weights:
            made._targets[f"expression/units/caucasian/{name}"] = (np.array([0]), np.array([[1.0, 0.0, 0.0]]))
    return made


@pytest.fixture
def pose(room, mesh):
    drawn = room("scene").sample_scene(SimpleNamespace(seed=0), 0)
    who = SimpleNamespace(shape={"shape": 0.5})
    return lambda **changes: room("head").pose_head(mesh, who, replace(drawn, **changes))


def test_the_measures_of_a_head(pose):
    head = pose(expression="neutral")
    assert np.allclose(head.centre, [0, 0, 2])
    assert head.half_iod == 1
    assert head.height == 9  # twice from the eyes to the crown, which the person's shape raised from 4 to 4.5
    assert set(head.eye_radius.values()) == {0.5}
    assert np.allclose(head.skull_centre, [0, 0.9, 2 - 3.6])


def test_an_expression_moves_the_face_by_its_strength_and_leaves_it_at_rest(pose, room):
    weights = room("scene").EXPRESSIONS["smiling"]
    head = pose(expression="smiling", strength=0.5)
    assert np.isclose(head.vertices[0, 0] - head.rest[0, 0], 0.5 * sum(weights.values()))
    assert np.allclose(head.rest[2], [0, 4.5, 0])


def test_teeth_are_narrowed_and_set_back(pose):
    head = pose(expression="neutral")
    assert np.allclose(head.vertices[9], [-0.78, -1, 0.93])
    assert np.allclose(head.rest[9], [-1, -1, 1])


def test_every_triangle_knows_its_part_and_none_hangs_below(pose, room):
    part = room("head").Part
    assert pose().part.tolist() == [*range(6), part.LASHES, part.LASHES, part.LASHES]
    assert len(pose().triangles) == 9
    names = room("mesh").HEAD_GROUPS
    assert [p.name for p in part][:6] == ["SKIN", "LEFT_EYE", "RIGHT_EYE", "UPPER_TEETH", "LOWER_TEETH", "TONGUE"]
    assert names[part.LEFT_EYE] == "helper-l-eye"
    assert names[part.TONGUE] == "helper-tongue"
