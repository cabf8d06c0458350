import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.copying_eval import (
    SIGNATURE_LENGTH,
    copy_face,
    held_out_distances,
    image_signature,
    nearest,
    nearest_index,
)
from evals.images import decode_image


def portrait(person: int, view: int, side: int = 128) -> np.ndarray:
    """One of several pictures of a drawn person: pose, light and background change, the face does not."""
    import cv2

    who, how = np.random.default_rng(person), np.random.default_rng([person, view])
    background = how.integers(20, 235, 3)
    image = np.ones((side, side, 3)) * background + how.normal(0, 3, (side, side, 3))
    x, y = side / 2 + how.uniform(-9, 9), side / 2 + how.uniform(-6, 6)
    width, height, skin = who.uniform(0.24, 0.32), who.uniform(0.34, 0.42), who.uniform([120, 80, 60], [240, 200, 180])
    turn = how.uniform(-12, 12)
    hair, mouth = who.uniform(10, 90, 3), who.uniform(0.05, 0.12)

    def oval(
        across: float, down: float, half_width: float, half_height: float, angle: float, colour: list[float]
    ) -> None:
        middle = (round(x + across * side), round(y + down * side))
        cv2.ellipse(image, middle, (round(half_width * side), round(half_height * side)), angle, 0, 360, colour, -1)

    oval(0, -0.06, width + 0.05, height, turn, hair.tolist())
    oval(0, 0.03, width, height, turn, skin.tolist())
    for eye in (-1, 1):
        oval(eye * 0.12, -0.05, 0.03, 0.03, 0, [30, 25, 20])
    oval(0, 0.2, mouth, how.uniform(0.01, 0.05), 0, [150, 60, 70])
    light = 1 + how.uniform(-0.3, 0.3) * np.linspace(-1, 1, side)[None, :, None]
    texture = cv2.GaussianBlur(who.normal(0, 30, (side, side, 3)), (0, 0), 1.5)
    return np.clip((image + texture) * light, 0, 255).astype(np.uint8)


def recompressed(image: np.ndarray) -> np.ndarray:
    import io

    from PIL import Image

    jpeg, png = io.BytesIO(), io.BytesIO()
    Image.fromarray(image).save(jpeg, "JPEG", quality=75)
    Image.open(io.BytesIO(jpeg.getvalue())).save(png, "PNG")
    return decode_image(png.getvalue(), "recompressed")


def noisy(image: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).integers(-2, 3, image.shape)
    return np.clip(image.astype(int) + noise, 0, 255).astype(np.uint8)


def cropped(image: np.ndarray, sides: int = 4, share: float = 0.02) -> np.ndarray:
    import cv2

    height, width = image.shape[:2]
    down, across = round(height * share), round(width * share)
    part = image[down : height - down, across : width - across] if sides == 4 else image[down:, across:]
    return np.asarray(cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def halved(image: np.ndarray) -> np.ndarray:
    import cv2

    size = (image.shape[1] // 2, image.shape[0] // 2)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


COPIES = {
    "exact": lambda image: image,
    "recompressed": recompressed,
    "noise of 2/255": noisy,
    "crop of 2 %": cropped,
    "crop at two sides": lambda image: cropped(image, sides=2),
    "10 % brighter": lambda image: np.clip(image * 1.1, 0, 255).astype(np.uint8),
    "10 % darker": lambda image: (image * 0.9).astype(np.uint8),
    "mirrored": lambda image: np.ascontiguousarray(image[:, ::-1]),
    "half the size": halved,
    "all together": lambda image: noisy(recompressed(cropped((image * 0.9).astype(np.uint8), sides=2))),
}


@pytest.fixture(scope="module")
def photographs():
    from skimage import data

    coffee, chelsea = data.coffee(), data.chelsea()
    return [data.astronaut(), coffee, chelsea, coffee[100:350, 150:400], data.astronaut()[:300, 80:380]]


@pytest.fixture(scope="module")
def training():
    return [portrait(1, view) for view in range(12)]


@pytest.fixture(scope="module")
def limit(training):
    """Half the smallest distance of a held-out picture: the rule of the calibration."""
    return 0.5 * min(held_out_distances([portrait(1, view) for view in range(50, 66)], training))


@pytest.mark.parametrize("change", COPIES)
def test_a_pasted_training_picture_is_found(training, limit, change):
    signatures = [image_signature(image) for image in training]
    for index, image in enumerate(training):
        copy = image_signature(COPIES[change](image))
        assert nearest(copy, signatures) < limit
        assert nearest_index(copy, signatures) == index


@pytest.mark.parametrize("change", COPIES)
def test_a_changed_photograph_stays_near_itself_and_far_from_others(photographs, change):
    signatures = [image_signature(image) for image in photographs]
    for index, image in enumerate(photographs):
        copy = image_signature(COPIES[change](image))
        assert nearest(copy, [signatures[index]]) < 0.02
        assert nearest(copy, signatures[:index] + signatures[index + 1 :]) > 0.1


def test_other_pictures_of_the_person_are_not_found(training, limit):
    signatures = [image_signature(image) for image in training]
    fresh = [nearest(image_signature(portrait(1, view)), signatures) for view in range(100, 140)]
    assert np.mean(np.array(fresh) < limit) == 0
    strangers = [nearest(image_signature(portrait(other, 0)), signatures) for other in range(2, 20)]
    assert min(strangers) > limit


def test_noise_and_one_colour_are_far_from_everything(training):
    signatures = [image_signature(image) for image in training]
    noise = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    assert nearest(image_signature(noise), signatures) > 0.4
    flat = image_signature(np.full((128, 128, 3), 77, np.uint8))
    assert not flat.any()
    assert nearest(flat, signatures) == 1.0


def test_a_signature_is_small_and_normalised(training):
    signature = image_signature(training[0])
    assert signature.shape == (SIGNATURE_LENGTH,)
    assert signature.dtype == np.float32
    assert np.linalg.norm(signature) == pytest.approx(1, abs=1e-5)
    assert signature.reshape(3, -1).mean(axis=1) == pytest.approx(np.zeros(3), abs=1e-6)


def test_training_may_come_as_a_list_or_an_array(training):
    signatures = [image_signature(image) for image in training]
    one = image_signature(portrait(1, 99))
    assert nearest(one, signatures) == nearest(one, np.stack(signatures))
    assert nearest(one.tolist(), [signature.tolist() for signature in signatures]) == nearest(one, signatures)


@pytest.mark.parametrize(
    ("one", "many"),
    [
        (np.zeros(5), np.zeros((2, SIGNATURE_LENGTH))),
        (np.zeros(SIGNATURE_LENGTH), np.zeros((0, SIGNATURE_LENGTH))),
        (np.zeros(SIGNATURE_LENGTH), []),
        (np.full(SIGNATURE_LENGTH, np.nan), np.zeros((2, SIGNATURE_LENGTH))),
        (np.zeros(SIGNATURE_LENGTH), np.full((1, SIGNATURE_LENGTH), np.inf)),
    ],
)
def test_other_signatures_are_refused(one, many):
    with pytest.raises(ValueError, match="signatures must"):
        nearest(one, many)


def test_other_arrays_have_no_signature():
    with pytest.raises(ValueError, match="uint8"):
        image_signature(np.zeros((64, 64, 3)))


def unit(*values: float) -> np.ndarray:
    vector = np.array(values, dtype=np.float64)
    return vector / np.linalg.norm(vector)


def test_copy_face_by_hand():
    centre = unit(1, 0, 0)
    photos = np.stack([unit(1, 1, 0), unit(0, 0, 1)])
    assert copy_face(unit(1, 1, 0), photos, centre) == pytest.approx(1 - np.sqrt(0.5))
    assert copy_face(centre, photos, centre) == pytest.approx(np.sqrt(0.5) - 1)


@given(seed=st.integers(0, 10_000), d=st.integers(2, 16), n=st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_copy_face_is_bounded_and_a_copy_has_the_largest_value(seed, d, n):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n + 2, d))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    centre, face, photos = rows[0], rows[1], rows[2:]
    value = copy_face(face, photos, centre)
    assert -2 <= value <= 2
    assert copy_face(face, np.vstack([photos, face]), centre) >= value - 1e-12


def test_copy_face_without_training_faces_is_refused():
    with pytest.raises(ValueError, match="training_embeddings"):
        copy_face(unit(1, 0), np.zeros((0, 2)), unit(1, 0))
