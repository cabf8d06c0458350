"""Two files of one prompt and seed: equal, almost equal, changed, another picture, another size."""

import numpy as np
import pytest
from PIL import Image

from lifeos.detectors.finished_samples import one_seed_a_touched_picture, one_seed_two_pictures
from lifeos.finished_images import read_images


def repeated(folder, *pictures, seeds=(7, 7)):
    for name, pixels in zip("ab", pictures, strict=True):
        Image.fromarray(pixels).save(folder / f"{name}.png")
    table = "".join(f"{name}.png,B01,{seed}\n" for name, seed in zip("ab", seeds, strict=True))
    (folder / "images.csv").write_text("file,prompt,seed\n" + table, encoding="utf-8")
    return read_images(folder)


def noise(seed):
    small = np.random.default_rng(seed).integers(40, 200, (8, 8, 3), np.uint8)
    return np.asarray(Image.fromarray(small).resize((64, 64), Image.Resampling.BICUBIC))


@pytest.mark.parametrize(
    ("other", "touched", "another"),
    [
        (noise(0), False, False),
        (noise(0) + 3, False, False),
        (noise(0) + 4, True, False),
        (noise(1), False, True),
        (noise(0)[:32], False, True),
    ],
)
def test_a_seed_gives_one_picture(other, touched, another, tmp_path):
    images = repeated(tmp_path, noise(0), other)
    assert (one_seed_a_touched_picture(images) is not None) is touched
    assert (one_seed_two_pictures(images) is not None) is another


def test_other_seeds_may_give_other_pictures(tmp_path):
    assert one_seed_two_pictures(repeated(tmp_path, noise(0), noise(1), seeds=(7, 8))) is None
