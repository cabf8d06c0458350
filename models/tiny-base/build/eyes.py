"""Eyeballs: white, iris and pupil, where the person looks."""

from __future__ import annotations

import numpy as np
from composite import over
from fragments import Fragments
from geometry import logistic, unit
from head import Head, Part
from noise import SkinNoise
from person import Person
from scene import Scene

EYES = (Part.LEFT_EYE, Part.RIGHT_EYE)


def gaze_direction(scene: Scene) -> np.ndarray:
    """Unit vector f64[3] of the look in the head's own frame; a turned head looks part of the way back to the camera."""
    look = np.array([np.sin(scene.gaze[0] - 0.35 * np.sin(scene.yaw)), np.sin(scene.gaze[1]), 1.0])
    return look / np.linalg.norm(look)


def eye_colour(
    head: Head, fragments: Fragments, person: Person, scene: Scene, noise: SkinNoise, part: Part
) -> np.ndarray:
    """Reflectance of the k fragments of one eye `part`, linear RGB f64[k,3]. Angles are from the look, in radians."""
    offset = (fragments.position[fragments.of(part)] - head.eye_centre[part]) / head.eye_radius[part]
    out, look = unit(offset), gaze_direction(scene)
    angle = np.arccos(np.clip(out @ look, -1, 1))
    around = np.arctan2(out[:, 1] - look[1], out[:, 0] - look[0])
    spokes = noise.signed(np.stack([around * 3, angle * 2, angle * 0], 1), 2.5, "fine_blotches")
    iris = np.array(person.iris) * (1 + 0.35 * spokes + 0.5 * (angle < 0.32))[:, None]
    iris = iris * np.clip((0.56 - angle) / 0.09, 0.25, 1)[:, None]  # the dark ring at its edge
    white = np.array([0.66, 0.60, 0.56]) * (1 - 0.22 * np.clip(np.abs(offset[:, 0]) - 0.35, 0, 1))[:, None]
    colour = over(white, iris, logistic((0.55 - angle) / 0.025))
    colour = over(colour, 0.004, logistic((0.21 - angle) / 0.02))
    # The upper lid throws a shadow that no shadow map of this size resolves.
    return colour * np.clip(1.05 - 0.75 * np.clip(offset[:, 1] - 0.12, 0, 1) / 0.5, 0.42, 1)[:, None]
