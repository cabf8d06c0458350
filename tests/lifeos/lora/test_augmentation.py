import numpy as np
import pytest
from skimage.color import rgb2hsv

from lifeos.lora.augmentation import MOST_HUE, mirrored, recoloured

PIXELS = np.random.default_rng(0).integers(30, 226, (8, 6, 3), dtype=np.uint8)


def test_mirrored_exchanges_left_and_right_only():
    assert np.array_equal(mirrored(PIXELS)[:, 0], PIXELS[:, -1])
    assert np.array_equal(mirrored(mirrored(PIXELS)), PIXELS)


def test_half_of_the_pictures_stay_as_they_are_and_the_others_change_a_little():
    changed = [seed for seed in range(200) if not np.array_equal(recoloured(PIXELS, seed), PIXELS)]
    # 100 expected of 200 fair draws; 65 to 135 is five standard deviations.
    assert 65 < len(changed) < 135
    for seed in changed[:20]:
        other = recoloured(PIXELS, seed)
        assert (other.dtype, other.shape) == (np.uint8, PIXELS.shape)
        turn = (rgb2hsv(other)[..., 0] - rgb2hsv(PIXELS)[..., 0] + 0.5) % 1.0 - 0.5
        strong = rgb2hsv(PIXELS)[..., 1] > 0.3  # the hue of a pale pixel is mostly rounding
        assert float(np.abs(np.median(turn[strong]))) <= MOST_HUE + 0.005
        assert float(np.abs(other.astype(int) - PIXELS).max()) < 40


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_a_seed_gives_the_same_colours(seed):
    assert np.array_equal(recoloured(PIXELS, seed), recoloured(PIXELS, seed))
