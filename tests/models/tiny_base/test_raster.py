import numpy as np
import pytest
from skimage.measure import points_in_poly

TRIANGLE = np.array([[1.3, 2.1, 5.0], [17.2, 4.4, 7.0], [6.1, 15.8, 9.0]])


@pytest.fixture
def raster(compiled_room):
    return compiled_room("raster")


def faces(*corners):
    return np.array(corners)[:, :, None].repeat(2, 2)


def test_a_triangle_covers_the_pixels_whose_middle_lies_in_it(raster):
    buffer = raster.ZBuffer(20)
    buffer.draw(TRIANGLE, faces([0, 1, 2]))
    y, x = np.mgrid[:20, :20] + 0.5
    inside = points_in_poly(np.stack([x.ravel(), y.ravel()], 1), TRIANGLE[:, :2]).reshape(20, 20)
    assert ((buffer.ids == 0) == inside).all()
    # Barycentric weights give the pixel's own place back, and the depth between the corners.
    assert np.allclose((buffer.bary @ TRIANGLE)[inside], np.stack([x, y, buffer.depth], 2)[inside])
    assert (buffer.ids[~inside] == -1).all()


def test_both_windings_are_drawn_and_a_line_is_not(raster):
    one, other = raster.ZBuffer(20), raster.ZBuffer(20)
    one.draw(TRIANGLE, faces([0, 1, 2]))
    other.draw(TRIANGLE, faces([2, 1, 0], [0, 1, 1]))
    assert (one.ids == other.ids).all()


def test_the_nearer_triangle_wins_in_either_order(raster):
    nearer = TRIANGLE + np.array([2, 0, 10])
    points = np.vstack([TRIANGLE, nearer])
    first, second = raster.ZBuffer(20), raster.ZBuffer(20)
    first.draw(points, faces([0, 1, 2], [3, 4, 5]))
    second.draw(points, faces([3, 4, 5]))
    second.draw(points, faces([0, 1, 2]))
    assert first.drawn == second.drawn == 2
    assert (first.depth == second.depth).all()
    assert (np.where(first.ids >= 0, 1 - first.ids, -1) == second.ids).all()
    assert {0, 1} <= set(first.ids.ravel())


def test_what_reaches_out_of_the_picture_is_cut_off(raster):
    buffer = raster.ZBuffer(8)
    buffer.draw(np.array([[-50.0, -50, 0], [80, -50, 0], [-50, 80, 0]]), faces([0, 1, 2]))
    assert (buffer.ids[:4, :4] == 0).all()


def test_a_shell_keeps_only_fragments_where_a_strand_grows(raster, compiled_room):
    hairline = compiled_room("hairline")
    asked = []

    def grows(shell, i, j, k, l0, l1, l2):
        asked.append((shell, i, j, k))
        return l0 > 0.5

    assert raster.strand_grows is hairline.strand_grows
    raster.strand_grows = grows
    bare, hairy = raster.ZBuffer(20), raster.ZBuffer(20)
    bare.draw(TRIANGLE, faces([0, 1, 2]))
    assert asked == []
    hairy.draw(TRIANGLE, faces([0, 1, 2]), "shell")
    assert set(asked) == {("shell", 0, 1, 2)}
    assert ((hairy.ids == 0) == (bare.bary[:, :, 0] > 0.5)).all()
