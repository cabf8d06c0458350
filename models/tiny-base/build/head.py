"""A person's head in the expression of one picture, in the mesh's units, with the measures that other rooms scale by."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from mesh import HEAD_GROUPS, LASH_GROUPS, HeadMesh
from person import Person
from scene import EXPRESSIONS, Scene


class Part(IntEnum):
    """What a triangle belongs to; up to the tongue in the order of `HEAD_GROUPS`."""

    SKIN = 0
    LEFT_EYE = 1
    RIGHT_EYE = 2
    UPPER_TEETH = 3
    LOWER_TEETH = 4
    TONGUE = 5
    HAIR = 8
    LASHES = 9


@dataclass(frozen=True)
class Head:
    """Vertices f64[n,3] have y up and z towards the viewer.

    `rest` is the neutral face: marks of the skin are fixed to it, so that they move with `vertices`, the expression.
    `centre` f64[3] lies between the eyes, `height` is twice the way from there to the crown, `half_iod` half the
    distance between the eyes. `skull_centre` f64[3] and `skull_radii` f64[3] are the ellipsoid that hair grows on.
    `triangles` i64[t,3,2] (vertex, texture vertex) end above the shoulders; `part` i64[t] names each one's `Part`.
    """

    mesh: HeadMesh
    rest: np.ndarray
    vertices: np.ndarray
    centre: np.ndarray
    height: float
    half_iod: float
    eye_centre: dict[Part, np.ndarray]
    eye_radius: dict[Part, float]
    skull_centre: np.ndarray
    skull_radii: np.ndarray
    triangles: np.ndarray
    part: np.ndarray


def pose_head(mesh: HeadMesh, person: Person, scene: Scene) -> Head:
    """The head of `person` with the expression of `scene`, not yet turned."""
    rest = mesh.morph(person.shape)
    vertices = _express(mesh, rest, scene)
    eyes = {
        part: vertices[np.unique(mesh.faces[f"helper-{side}-eye"][:, :, 0])]
        for part, side in ((Part.LEFT_EYE, "l"), (Part.RIGHT_EYE, "r"))
    }
    eye_centre = {part: points.mean(0) for part, points in eyes.items()}
    centre = (eye_centre[Part.LEFT_EYE] + eye_centre[Part.RIGHT_EYE]) / 2
    body = np.unique(mesh.faces["body"][:, :, 0])
    height = (rest[body][:, 1].max() - centre[1]) * 2.0
    triangles, part = _visible_triangles(mesh, vertices, centre[1] - height * 1.5)
    return Head(
        mesh=mesh,
        rest=rest,
        vertices=vertices,
        centre=centre,
        height=height,
        half_iod=abs(eye_centre[Part.LEFT_EYE][0] - centre[0]),
        eye_centre=eye_centre,
        eye_radius={part: (points.max(0) - points.min(0))[0] / 2 for part, points in eyes.items()},
        skull_centre=centre + np.array([0, 0.10 * height, -0.40 * height]),
        skull_radii=np.array([0.34, 0.42, 0.47]) * height,
        triangles=triangles,
        part=part,
    )


def _express(mesh: HeadMesh, rest: np.ndarray, scene: Scene) -> np.ndarray:
    """`rest` f64[n,3] moved into the expression."""
    vertices = rest.copy()
    for name, share in EXPRESSIONS[scene.expression].items():
        indices, offsets = mesh.target(f"expression/units/caucasian/{name}")
        vertices[indices] += share * scene.strength * offsets
    # Teeth do not follow the mouth's own morphs: narrowed and set back, they stay behind wide and lopsided lips.
    for name in ("helper-upper-teeth", "helper-lower-teeth", "helper-tongue"):
        used = np.unique(mesh.faces[name][:, :, 0])
        vertices[used] = vertices[used] * [0.78, 1, 1] - [0, 0, 0.07]
    return vertices


def _visible_triangles(mesh: HeadMesh, vertices: np.ndarray, bottom: float) -> tuple[np.ndarray, np.ndarray]:
    """Triangles i64[t,3,2] that lie whole above y = `bottom`, and their parts i64[t]; lashes come last."""
    groups, parts = [], []
    for number, name in enumerate((*HEAD_GROUPS, *LASH_GROUPS)):
        faces = mesh.faces[name]
        kept = faces[vertices[faces[:, :, 0]][:, :, 1].min(1) > bottom]
        groups.append(kept)
        parts.append(np.full(len(kept), Part.LASHES if name in LASH_GROUPS else number))
    return np.concatenate(groups), np.concatenate(parts)
