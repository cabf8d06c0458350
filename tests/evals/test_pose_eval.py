import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.metric_families import Picture
from evals.pose_eval import COINCIDE, FAMILY, yaw_degrees

# Eyes, nose tip and mouth corners of a head in three dimensions: right, down, towards the viewer. The nose stands out
# by the depth that the formula assumes, so a far camera sees the arc tangent of the sine: 2 degrees less at 25.
HEAD = np.array([[-0.5, 0, 0], [0.5, 0, 0], [0, 0.55, 1.08 / 1.85], [-0.4, 1.08, 0], [0.4, 1.08, 0]])


def expected(yaw):
    return np.degrees(np.arctan(np.sin(np.radians(yaw))))


def seen(yaw, roll=0.0, pitch=0.0, scale=40.0, middle=(64, 50)):
    """Five points of the head turned to the image's right by ``yaw`` degrees, from far away (orthographic)."""
    angles = np.radians([pitch, yaw, 0.0])
    nod, _ = cv2.Rodrigues(np.array([angles[0], 0, 0]))
    turn, _ = cv2.Rodrigues(np.array([0, angles[1], 0]))
    tilt, _ = cv2.Rodrigues(np.array([0, 0, np.radians(roll)]))
    return ((HEAD @ (tilt @ turn @ nod).T)[:, :2] * scale + middle).astype(np.float32)


@given(yaw=st.floats(-60, 60), roll=st.floats(-40, 40), scale=st.floats(5, 300))
@settings(max_examples=80)
def test_a_head_turned_by_opencv_is_read_back(yaw, roll, scale):
    assert yaw_degrees(seen(yaw, roll, scale=scale)) == pytest.approx(expected(yaw), abs=0.1)


@given(yaw=st.floats(-50, 50), pitch=st.floats(-12, 12))
@settings(max_examples=60)
def test_nodding_hardly_changes_it(yaw, pitch):
    assert yaw_degrees(seen(yaw, pitch=pitch)) == pytest.approx(expected(yaw), abs=6)


@given(yaw=st.floats(-60, 60), roll=st.floats(-20, 20))
def test_the_mirror_image_looks_the_other_way(yaw, roll):
    points = seen(yaw, roll)
    mirrored = points[[1, 0, 2, 4, 3]] * [-1, 1] + [128, 0]
    assert yaw_degrees(mirrored) == pytest.approx(-yaw_degrees(points), abs=1e-3)


def test_as_a_family_it_has_a_value_or_a_reason():
    image = np.zeros((128, 128, 3), np.uint8)
    assert FAMILY.measure(Picture(image, seen(20), None, 23.0)).values["yaw"] == pytest.approx(expected(20), abs=0.1)
    assert FAMILY.measure(Picture(image, None, "no face found", 23.0)).reasons == {"yaw": "no face found"}
    degenerate = FAMILY.measure(Picture(image, np.full((5, 2), 3, np.float32), None, 23.0))
    assert (degenerate.values["yaw"], degenerate.reasons["yaw"]) == (None, COINCIDE)


@pytest.mark.parametrize("points", [np.zeros((4, 2)), np.full((5, 2), np.nan), np.zeros((5, 3))])
def test_other_points_are_refused(points):
    with pytest.raises(ValueError, match="five finite"):
        yaw_degrees(points)
