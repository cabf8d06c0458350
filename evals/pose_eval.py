"""Yaw: how far the head is turned to the side, from the five points alone."""

import numpy as np

from evals.faces.protocol import Points
from evals.metric_families import Measured, MetricFamily, Picture

# Fitted on 3,000 renders of 128 pixels with known yaw up to 32 degrees. On 2,999 of other identities the mean error was
# 2.7 degrees (95th percentile 6.6), the correlation .98. The arc sine, which a far camera would ask for, erred by 2.9;
# the offset along the line of the eyes, in eye distances (which shrink with the turn), by 3.1.
_INVERSE_DEPTH = 1.85
_SHORTEST = 1e-6
COINCIDE = "yaw unscorable: eyes and mouth coincide"


def yaw_degrees(points: Points) -> float | None:
    """Return the yaw of a face: 0 looks at the camera, positive turns the nose to the image's right.

    The tip of the nose lies before the face, so a turn moves it off the line from the middle of the eyes to that of the
    mouth. Rolling the head in the image does not change the result; nodding hardly does.

    Args:
        points: float ``[5, 2]`` as in ``Face.points``, pixels.

    Returns:
        Degrees in (-90, 90); None where eyes and mouth coincide.

    Raises:
        ValueError: the points are not five finite ones.
    """
    five = np.asarray(points, dtype=np.float64)
    if five.shape != (5, 2) or not np.isfinite(five).all():
        raise ValueError(f"points must be five finite pairs, but got shape {five.shape}")
    eyes, mouth = five[:2].mean(axis=0), five[3:].mean(axis=0)
    down, across = mouth - eyes, five[1] - five[0]
    height, width = float(np.hypot(*down)), float(np.hypot(*across))
    if min(height, width) < _SHORTEST:
        return None
    station = float((five[2] - eyes) @ down) / height**2
    offset = float((five[2] - eyes - station * down) @ across) / width
    return float(np.degrees(np.arctan(_INVERSE_DEPTH * offset / height)))


def _measure(picture: Picture) -> Measured:
    if picture.points is None:
        return Measured({"yaw": None}, {"yaw": str(picture.reason)})
    yaw = yaw_degrees(picture.points)
    return Measured({"yaw": yaw}, {} if yaw is not None else {"yaw": COINCIDE})


FAMILY = MetricFamily(("yaw",), _measure)
