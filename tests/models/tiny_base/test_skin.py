from types import SimpleNamespace

import numpy as np
import pytest

HEAD = SimpleNamespace(half_iod=0.3)
PLAIN = {"blush": 0.0, "blotches": 1.0, "pores": 1.0, "freckles": 0.0, "moles": 0.0, "age": 0.1, "melanin": 0.2}


@pytest.fixture
def skin(compiled_room):
    return compiled_room("skin")


@pytest.fixture
def noise(compiled_room):
    return compiled_room("noise").SkinNoise(3)


@pytest.fixture
def fragments():
    centred = np.random.default_rng(0).uniform(-0.6, 0.6, (3000, 3))
    normal = np.tile([0.0, 0.0, 1.0], (3000, 1))
    return SimpleNamespace(centred=centred, local=centred / 0.6, normal=normal, of=lambda *_: np.arange(3000) < 2000)


def colour(skin, fragments, noise, rough, **marks):
    who = SimpleNamespace(skin_rgb=np.array([0.5, 0.3, 0.2]), **{**PLAIN, **marks})
    return skin.skin_colour(HEAD, fragments, who, noise, skin.pore_relief(fragments, who, noise), rough)


def test_plastic_skin_has_neither_pores_nor_blotches_nor_freckles(skin, fragments, noise):
    smooth = colour(skin, fragments, noise, 0.0)
    assert np.allclose(colour(skin, fragments, noise, 0.0, blotches=1.5, pores=1.3, freckles=1.0), smooth)
    assert colour(skin, fragments, noise, 1.0).std() > smooth.std()


@pytest.mark.parametrize("mark", [{"freckles": 1.0}, {"moles": 1.0}, {"age": 0.9}])
def test_marks_darken_some_places_and_brighten_none(skin, fragments, noise, mark):
    clear, marked = colour(skin, fragments, noise, 1.0), colour(skin, fragments, noise, 1.0, **mark)
    assert (marked <= clear + 1e-12).all()
    assert (marked < clear - 1e-4).any()


def test_blush_reddens(skin, fragments, noise):
    pale, flushed = colour(skin, fragments, noise, 1.0), colour(skin, fragments, noise, 1.0, blush=1.0)
    assert (flushed[:, 0] >= pale[:, 0]).all()
    assert (flushed[:, 1] <= pale[:, 1]).all()


def test_bumps_tilt_skin_alone_and_only_rough_skin(skin, fragments, noise):
    who = SimpleNamespace(pores=1.0)
    bumped = skin.bumped_normal(fragments, who, noise, np.eye(3), 1.0)
    assert np.allclose(np.linalg.norm(bumped, axis=1), 1)
    assert (np.abs(bumped[:2000, :2]).max(1) > 0).all()
    assert np.allclose(bumped[2000:], [0, 0, 1])
    assert np.allclose(skin.bumped_normal(fragments, who, noise, np.eye(3), 0.0), [0, 0, 1])
