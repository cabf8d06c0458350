"""The camera: how a head is turned, framed and projected in perspective onto the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from head import Head
from scene import Scene


@dataclass(frozen=True)
class Camera:
    """Turns the head in front of a resting camera.

    `rotation` f64[3,3] turns about `pivot` f64[3], a point behind the eyes; `distance` from there to the camera is in
    the mesh's units, `zoom` in pixels for each unit at the pivot, `middle` (x, y) the pivot's place in pixels.
    """

    rotation: np.ndarray
    pivot: np.ndarray
    distance: float
    zoom: float
    middle: tuple[float, float]

    def turn(self, positions: np.ndarray) -> np.ndarray:
        """Positions f64[n,3] as the camera sees them: x to the right, y up, z towards the viewer."""
        return (positions - self.pivot) @ self.rotation.T

    def project(self, turned: np.ndarray) -> np.ndarray:
        """Turned positions f64[n,3] on the picture: x and y (downwards) in pixels, z kept; larger is nearer."""
        zoom = self.zoom * self.distance / (self.distance - turned[:, 2])
        x = self.middle[0] + turned[:, 0] * zoom
        y = self.middle[1] - turned[:, 1] * zoom
        return np.stack([x, y, turned[:, 2]], 1)


def aim_camera(head: Head, scene: Scene, width: int) -> Camera:
    """The camera of `scene` for a square picture of `width` pixels."""
    # Framed by eyes and head height together: wide-set eyes on a small head must not push the chin out of the picture.
    framed = 0.5 * 2 * head.half_iod + 0.5 * 0.285 * head.height / 1.10
    return Camera(
        rotation=rotation(scene.yaw, scene.pitch, scene.roll),
        pivot=head.centre + np.array([0, 0.0, -0.36 * head.height]),
        distance=head.height * 4.5,
        zoom=width * 0.285 * scene.scale / framed,
        # A turned face reaches to one side of its pivot, so the pivot moves to the other.
        middle=(width * (0.5 + scene.shift[0] - 0.10 * np.sin(scene.yaw)), width * (0.47 + scene.shift[1])),
    )


def rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Rotation f64[3,3], angles in radians: first `yaw` (nose to the right), then `pitch` (nose down), then `roll` (crown left)."""
    cy, sy, cp, sp, cr, sr = (f(a) for a in (yaw, pitch, roll) for f in (np.cos, np.sin))
    return (
        np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
        @ np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
        @ np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    )
