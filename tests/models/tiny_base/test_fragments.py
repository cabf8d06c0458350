from types import SimpleNamespace

import numpy as np
import pytest

VERTICES = np.array([[0, 0, 0], [20, 0, 0], [0, 20, 0], [0, 0, 5], [20, 0, 5], [0, 20, 5]], float)


@pytest.fixture
def gathered(compiled_room):
    """A triangle of skin, one of an eye that lies outside the picture, and over the skin's half one of hair."""
    part = compiled_room("head").Part
    faces = np.array([[0, 1, 2], [3, 3, 3]])[:, :, None].repeat(2, 2)
    hair = np.array([[3, 4, 5]])[:, :, None].repeat(2, 2)
    points = VERTICES.copy()
    points[3:, 0] += 10
    buffer = compiled_room("raster").ZBuffer(16)
    buffer.draw(points, faces)
    buffer.draw(points, hair)
    head = SimpleNamespace(
        triangles=faces,
        part=np.array([part.SKIN, part.LEFT_EYE]),
        vertices=VERTICES,
        rest=VERTICES + np.array([0, 0, 1]),
        centre=np.array([1.0, 2.0, 3.0]),
        half_iod=2.0,
        mesh=SimpleNamespace(uv=VERTICES[:, :2] / 20),
    )
    layers = SimpleNamespace(layers=[SimpleNamespace(triangles=hair)])
    return compiled_room("fragments").gather_fragments(head, VERTICES, buffer, layers), part


def test_each_covered_pixel_knows_its_part(gathered):
    fragments, part = gathered
    assert fragments.covered.sum() == len(fragments.part) > 0
    assert set(fragments.part) == {part.SKIN, part.HAIR}
    x = np.nonzero(fragments.covered)[1]
    assert not fragments.of(part.HAIR)[x < 10].any()
    assert fragments.of(part.SKIN, part.HAIR).all()
    assert not fragments.of(part.LEFT_EYE).any()


def test_values_are_interpolated_at_the_middle_of_the_pixel(gathered):
    fragments, part = gathered
    skin = fragments.of(part.SKIN)
    y, x = np.nonzero(fragments.covered)
    assert np.allclose(fragments.position[skin][:, :2], np.stack([x, y], 1)[skin] + 0.5)
    assert np.allclose(fragments.uv, fragments.position[:, :2] / 20)
    assert np.allclose(fragments.centred, fragments.position - np.array([1, 2, 2]))
    assert np.allclose(fragments.local, fragments.centred / 4)  # in interocular distances
    assert np.allclose(fragments.normal[skin], [0, 0, 1])
    chosen = np.nonzero(skin)[0][:3]
    assert np.allclose(fragments.interpolate(VERTICES, chosen), fragments.position[chosen])
