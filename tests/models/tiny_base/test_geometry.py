import numpy as np
import pytest

# An octahedron: vertex normals point where the vertices lie.
CORNERS = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], float)
FACES = np.array([[0, 2, 4], [2, 1, 4], [1, 3, 4], [3, 0, 4], [2, 0, 5], [1, 2, 5], [3, 1, 5], [0, 3, 5]])


@pytest.fixture
def geometry(room):
    return room("geometry")


def test_unit_vectors_have_length_one_and_zero_stays_zero(geometry):
    made = geometry.unit(np.array([[3.0, 4.0, 0.0], [0.0, 0.0, 0.0]]))
    assert np.allclose(made, [[0.6, 0.8, 0], [0, 0, 0]])


def test_normals_of_an_octahedron_point_outwards(geometry):
    lonely = np.vstack([CORNERS, [[5.0, 5.0, 5.0]]])
    normal = geometry.vertex_normals(lonely, FACES)
    assert np.allclose(normal[:6], CORNERS)
    assert np.allclose(normal[6], 0)


def test_hollows_are_positive_in_a_dent_and_negative_on_a_tip(geometry):
    assert (geometry.hollows(CORNERS, FACES, geometry.vertex_normals(CORNERS, FACES)) < 0).all()
    # The middle of a sheet of four triangles, pushed in by .3 and out by .3: its neighbours stay at 0.
    sheet = np.array([[1, 1, 0], [-1, 1, 0], [-1, -1, 0], [1, -1, 0], [0, 0, 0]], float)
    faces = np.array([[0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]])
    for depth in (-0.3, 0.3):
        sheet[4, 2] = depth
        normal = geometry.vertex_normals(sheet, faces)
        assert np.isclose(geometry.hollows(sheet, faces, normal)[4], -depth)


def test_an_oval_is_one_in_the_middle_and_1_over_e_at_its_radii(geometry):
    x, y = np.array([2.0, 5.0, 2.0, 99.0]), np.array([1.0, 1.0, 1.5, 1.0])
    assert np.allclose(geometry.oval(x, y, (2, 1), (3, 0.5)), [1, np.exp(-1), np.exp(-1), 0])


def test_logistic_is_one_half_at_zero_and_symmetric(geometry):
    x = np.linspace(-4, 4, 9)
    assert np.allclose(geometry.logistic(x) + geometry.logistic(-x), 1)
    assert np.allclose(geometry.logistic(x), 0.5 * (1 + np.tanh(x / 2)))


def test_a_texture_has_v_upwards_and_ends_at_its_edges(geometry):
    texture = np.array([[1, 2], [3, 4]], np.float32)  # first row on top
    uv = np.array([[0, 0], [0.9, 0.1], [0.1, 0.9], [1, 1], [-3, 7]], float)
    assert geometry.sample_texture(texture, uv).tolist() == [3, 4, 1, 2, 1]
