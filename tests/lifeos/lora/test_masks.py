from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lifeos.errors import InputError
from lifeos.lora.dataset import Example
from lifeos.lora.masks import loss_weights, mask_of, open_detector
from lifeos.lora.recipe.sections import MaskSettings

ROOT = Path(__file__).parents[3]
FACES = ROOT / "models" / "faces"


def weights_of(example, size, cells, settings, detector, mirror=False):
    return loss_weights(mask_of(example, settings, detector), size, cells, settings, mirror)


@pytest.fixture
def drawn(tmp_path):
    """A picture of 64 px whose mask is white in its left half."""
    Image.new("RGB", (64, 64)).save(tmp_path / "0001.png")
    mask = np.zeros((64, 64), np.uint8)
    mask[:, :32] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    return Example(tmp_path / "0001.png", "zeph", "0", mask=tmp_path / "mask.png", mask_hash="1")


def test_a_drawn_mask_counts_white_in_full_and_follows_the_picture(drawn):
    settings = MaskSettings(folder=Path("masks"), outside_weight=0.2)
    weights = weights_of(drawn, (64, 64), (8, 8), settings, None)
    assert (weights.dtype, weights.shape) == (np.float32, (1, 8, 8))
    assert np.allclose(weights[0, :, :4], 1.0)
    assert np.allclose(weights[0, :, 4:], 0.2)
    flipped = weights_of(drawn, (64, 64), (8, 8), settings, None, mirror=True)
    assert np.array_equal(flipped, weights[..., ::-1])
    # Cut to a tall half from the middle: the border of the mask is still in the middle.
    tall = weights_of(drawn, (32, 64), (4, 8), settings, None)
    assert np.allclose(tall[0, 3], [1.0, 1.0, 0.2, 0.2])
    cut = weights_of(drawn, (64, 64), (1, 1), settings, None)
    assert cut[0, 0, 0] == pytest.approx(0.6, abs=0.01)


def test_a_mask_of_another_size_is_refused(drawn):
    Image.new("L", (32, 64)).save(drawn.mask)
    with pytest.raises(InputError, match=r"accepted a mask of 64x64, as large as 0001\.png, got 32x64"):
        weights_of(drawn, (64, 64), (8, 8), MaskSettings(folder=Path("masks")), None)


def test_a_detected_face_is_what_counts():
    settings = MaskSettings(face_models=FACES, margin=0.0, outside_weight=0.0)
    picture = sorted((ROOT / "personas" / "pistachio" / "dataset").glob("*.png"))[0]
    example, detector = Example(picture, "pstch", "0"), open_detector(settings)
    bare = weights_of(example, (128, 128), (16, 16), settings, detector)
    (face,) = detector.detect(np.asarray(Image.open(picture)))
    assert float(bare.mean()) == pytest.approx(face.area / 128**2, rel=0.1)
    inside = (face.points / 8).astype(int)
    assert all(bare[0, row, column] == 1.0 for column, row in inside)
    wide = weights_of(example, (128, 128), (16, 16), settings.model_copy(update={"margin": 0.25}), detector)
    assert float(wide.mean()) > 1.3 * float(bare.mean())


def test_a_picture_of_the_class_counts_everywhere(drawn):
    prior = Example(drawn.image, "person", "0", prior=True)
    assert np.all(weights_of(prior, (64, 64), (8, 8), MaskSettings(folder=Path("masks")), None) == 1.0)


def test_a_picture_without_a_face_is_refused(drawn):
    settings = MaskSettings(face_models=FACES)
    with pytest.raises(InputError, match="accepted a picture with a face to weigh the loss by, got none"):
        weights_of(drawn, (64, 64), (8, 8), settings, open_detector(settings))
    with pytest.raises(InputError, match="face models"):
        open_detector(MaskSettings(face_models=drawn.image.parent))
