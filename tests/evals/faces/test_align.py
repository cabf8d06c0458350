import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.faces.align import TEMPLATE, align_face, inter_ocular_distance, similarity_transform

POINT_NOISE = np.array([[1.2, -0.4], [-0.8, 0.9], [0.3, 1.1], [-1.0, -0.7], [0.5, 0.2]])


@given(
    angle=st.floats(-3.1, 3.1), scale=st.floats(0.05, 30), x=st.floats(-500, 500), y=st.floats(-500, 500),
    noise=st.floats(0, 8),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_agrees_with_scikit_image(angle, scale, x, y, noise):
    from skimage.transform import SimilarityTransform

    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = scale * (TEMPLATE + noise * POINT_NOISE) @ turn.T + [x, y]
    theirs = SimilarityTransform.from_estimate(points, TEMPLATE).params[:2]
    assert similarity_transform(points) == pytest.approx(theirs, abs=1e-6, rel=1e-5)


@given(scale=st.floats(0.2, 20), angle=st.floats(-3, 3))
@settings(max_examples=30, deadline=None)
def test_the_eye_distance_is_that_of_a_frontal_face(scale, angle):
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = scale * TEMPLATE @ turn.T
    assert inter_ocular_distance(points) == pytest.approx(np.hypot(*(points[1] - points[0])), rel=1e-6)


def test_a_turned_head_keeps_more_of_its_size_than_its_eyes_do():
    turned = TEMPLATE.copy()
    turned[:, 0] = 56 + (turned[:, 0] - 56) * np.cos(np.deg2rad(50))
    plain = np.hypot(*(turned[1] - turned[0]))
    assert plain < 0.65 * 35.24
    assert inter_ocular_distance(turned) > 1.2 * plain


def test_a_mirrored_face_is_not_mirrored_back():
    mirrored = TEMPLATE * [-1, 1]
    assert np.linalg.det(similarity_transform(mirrored)[:, :2]) > 0


def test_points_on_the_template_leave_the_image_as_it_is():
    image = np.random.default_rng(0).integers(0, 256, (112, 112, 3), dtype=np.uint8)
    assert np.array_equal(align_face(image, TEMPLATE.astype(np.float32)), image)


@pytest.mark.parametrize(
    "points",
    [
        np.zeros((5, 2)),
        np.full((5, 2), np.nan),
        TEMPLATE[:4],
        TEMPLATE.ravel(),
        np.where(TEMPLATE > 90, np.inf, TEMPLATE),
    ],
)
def test_points_without_a_face_are_refused(points):
    with pytest.raises(ValueError, match="points must"):
        similarity_transform(points)
