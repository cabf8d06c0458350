import numpy as np
import pytest
from scipy.ndimage import map_coordinates


@pytest.fixture
def noise(compiled_room):
    return compiled_room("noise")


@pytest.fixture
def points():
    return np.random.default_rng(0).uniform(-40, 90, (200, 3))


def test_solid_noise_is_trilinear_and_tiles(noise, points):
    volume, offset = noise.volume(), np.array([3.0, 50.0, 0.5])
    ours = noise.solid_noise(volume, points, 1.7, offset)
    theirs = map_coordinates(volume.astype(float), (points * 1.7 + offset).T, order=1, mode="grid-wrap")
    assert ours.dtype == np.float32
    assert np.allclose(ours, theirs, atol=1e-5)


def test_a_person_keeps_their_noise_and_shares_it_with_nobody(noise, points):
    first = noise.SkinNoise(5).signed(points, 7, "pores")
    assert (noise.SkinNoise(5).signed(points, 7, "pores") == first).all()
    assert not (noise.SkinNoise(6).signed(points, 7, "pores") == first).all()
    assert not (noise.SkinNoise(5).signed(points, 7, "bumps") == first).all()
    assert 0.6 < np.abs(first).max() <= 1


def test_a_new_field_at_the_end_moves_no_older_one(noise, points, monkeypatch):
    first = noise.SkinNoise(5).signed(points, 7, "lip_lines")
    monkeypatch.setattr(noise, "FIELDS", (*noise.FIELDS, "scars"))
    assert (noise.SkinNoise(5).signed(points, 7, "lip_lines") == first).all()


def test_spots_are_round_rare_and_end_softly(noise):
    line = np.stack([np.linspace(0, 30, 6000), np.zeros(6000), np.zeros(6000)], 1)
    few, many = (noise.SkinNoise(1).spots(line, 1.0, "moles", share) for share in (0.05, 0.5))
    assert 0 <= few.min() <= few.max() <= 1
    assert (few > 0).mean() < (many > 0).mean()
    assert np.abs(np.diff(many)).max() < 0.06
    assert not noise.SkinNoise(1).spots(line, 1.0, "moles", -1.0).any()
