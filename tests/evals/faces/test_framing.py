import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from evals.faces.align import TEMPLATE, inter_ocular_distance
from evals.faces.framing import PORTRAIT_EYE_SHARE, cut, face_middle, largest_box, portrait_box

sides = st.integers(1, 5000)
sizes = st.tuples(sides, sides)


def face(middle, eyes):
    points = TEMPLATE - TEMPLATE.mean(axis=0)
    return (points * eyes / inter_ocular_distance(points) + middle).astype(np.float32)


@given(sizes, sizes, st.tuples(st.floats(-100, 6000), st.floats(-100, 6000)))
def test_the_largest_box_lies_inside_and_touches_two_sides(image, shape, middle):
    left, top, right, bottom = largest_box(image, shape, middle)
    assert 0 <= left < right <= image[0]
    assert 0 <= top < bottom <= image[1]
    assert right - left == image[0] or bottom - top == image[1]


def test_a_tall_picture_is_cut_around_its_face_and_not_its_middle():
    assert largest_box((300, 400), (1, 1), (150, 60)) == (0, 0, 300, 300)
    assert largest_box((300, 400), (1, 1), (150, 380)) == (0, 100, 300, 400)
    assert largest_box((300, 400), (1, 1)) == (0, 50, 300, 350)
    assert largest_box((512, 512), (64, 64), (0, 0)) == (0, 0, 512, 512)


def test_a_portrait_has_the_eyes_at_their_share():
    points = face((700, 400), 100)
    left, top, right, bottom = portrait_box((2000, 1500), (256, 256), points)
    assert right - left == bottom - top == round(100 / PORTRAIT_EYE_SHARE)
    assert ((left + right) / 2, (top + bottom) / 2) == pytest.approx(face_middle(points), abs=1)


def test_a_portrait_is_neither_enlarged_nor_beyond_the_picture():
    small, large = face((700, 400), 20), face((700, 400), 900)
    left, top, right, bottom = portrait_box((2000, 1500), (512, 768), small)
    assert (right - left, bottom - top) == (512, 768)
    assert portrait_box((2000, 1500), (512, 512), large) == (0, 0, 1500, 1500)
    # Smaller than what it is scaled to: the whole of it, for want of more.
    assert portrait_box((200, 300), (512, 512), small)[2] == 200


def test_a_cut_of_equal_size_keeps_every_pixel_and_others_are_lanczos():
    image = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    assert np.array_equal(cut(image, (10, 5, 42, 37), (32, 32)), image[5:37, 10:42])
    expected = Image.fromarray(image).crop((10, 5, 42, 37)).resize((16, 16), Image.Resampling.LANCZOS)
    assert np.array_equal(cut(image, (10, 5, 42, 37), (16, 16)), np.asarray(expected))
