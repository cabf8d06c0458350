import numpy as np
import pytest


@pytest.fixture
def hairline(compiled_room):
    return compiled_room("hairline")


@pytest.fixture
def cut(hairline):
    opening = {"open_z": 0.2, "open_x": 0.5, "bottom": -1.0}
    return hairline.HairCut(1.3, 1.45, 1.8, 2.5, peak=0.0, soft=0.2, curl=1.5, **opening, density=0.8, parting=9.0)


def direction(polar, azimuth):
    """Unit vector at angles from the crown, which lies 20 degrees behind the top of the head."""
    flat = np.array([np.sin(polar) * np.sin(azimuth), np.cos(polar), np.sin(polar) * np.cos(azimuth)])
    c, s = np.cos(np.radians(20)), np.sin(np.radians(20))
    return np.array([[1, 0, 0], [0, c, s], [0, -s, c]]) @ flat


def grows(hairline, cut, at, strand=0.5, layer=0.5, hull=False, position=(0, 0, 0)):
    strands = np.full((8, 8), strand, np.float32)
    shell = hairline.HairShell(np.array([at] * 3), np.array([position] * 3, float), strands, cut, layer, hull)
    return hairline.strand_grows(shell, 0, 1, 2, 0.2, 0.3, 0.5)


def test_the_hairline_is_low_at_the_back_and_even_on_both_sides(hairline, cut):
    lines = [hairline._hairline(azimuth, *cut[:5]) for azimuth in (0, 0.55, 1.35, np.pi)]
    assert np.allclose(lines, [cut.front, cut.temple, cut.side, cut.back])
    around = np.linspace(-np.pi, np.pi, 401)
    line = np.array([hairline._hairline(azimuth, *cut[:5]) for azimuth in around])
    assert np.allclose(line, line[::-1])
    assert np.abs(np.diff(line)).max() < 0.03  # no step where two parts of it meet


def test_a_widows_peak_lowers_the_line_in_the_middle_alone(hairline, cut):
    peaked = cut._replace(peak=0.1)
    assert np.isclose(hairline._hairline(0.0, *peaked[:5]) - hairline._hairline(0.0, *cut[:5]), 0.1)
    assert np.isclose(hairline._hairline(0.6, *peaked[:5]), hairline._hairline(0.6, *cut[:5]))


def test_hair_grows_on_the_crown_and_not_on_the_face(hairline, cut):
    assert grows(hairline, cut, direction(0.2, 0.0))
    assert not grows(hairline, cut, direction(1.5, 0.0))
    assert grows(hairline, cut, direction(2.0, np.pi))  # the same height that is face in front is hair behind


def test_outer_layers_keep_fewer_strands(hairline, cut):
    kept = [sum(grows(hairline, cut, direction(0.2, 1.0), strand, layer) for strand in np.linspace(0, 1, 41))
            for layer in (0.1, 0.5, 0.9)]  # fmt: skip
    assert kept[0] > kept[1] > kept[2] > 0


def test_a_parting_shows_the_scalp_below_the_lowest_layers(hairline, cut):
    parted = cut._replace(parting=0.4)
    assert not grows(hairline, parted, direction(0.5, 0.4))
    assert grows(hairline, parted, direction(0.5, 0.6))
    assert grows(hairline, parted, direction(0.5, 0.4), layer=0.1)


def test_the_hull_is_open_before_the_face_and_ends_at_its_length(hairline, cut):
    at = direction(1.5, 1.0)
    assert grows(hairline, cut, at, hull=True, position=(0, 0, -0.5))
    assert not grows(hairline, cut, at, hull=True, position=(0, 0, 0.5))
    assert grows(hairline, cut, at, hull=True, position=(2.0, 0, 0.5))
    assert not grows(hairline, cut, at, hull=True, position=(0, -1.5, -0.5))


def test_scalp_share_falls_from_one_to_zero_over_the_line(hairline, cut):
    share = hairline.scalp_share(np.array([direction(p, 0.0) for p in (0.3, 1.3, 2.5)]), cut)
    assert np.allclose(share, [1, 0.5, 0], atol=0.01)
