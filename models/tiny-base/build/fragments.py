"""What the camera sees at each covered pixel: the mesh's values, interpolated inside the nearest triangle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from geometry import hollows, unit, vertex_normals
from hair import Hair
from head import Head, Part
from raster import ZBuffer


@dataclass(frozen=True)
class Fragments:
    """The n covered pixels in reading order; `covered` bool[w,w] says which they are.

    `triangle` i64[n] is the number under which its triangle was drawn, `corners` i64[n,3,2] its (vertex, texture
    vertex) and `weight` f64[n,3,1] the barycentric weights; `part` i64[n] a `Part`. `normal` f64[n,3] is a unit vector
    as the camera sees it, `uv` f64[n,2] in 0..1, `cavity` f64[n] in -0.3..1 (1 = deep). In the mesh's units:
    `position` f64[n,3] with the expression, `centred` f64[n,3] without it and from between the eyes; `local` is
    `centred` in interocular distances.
    """

    covered: np.ndarray
    triangle: np.ndarray
    corners: np.ndarray
    weight: np.ndarray
    part: np.ndarray
    normal: np.ndarray
    uv: np.ndarray
    cavity: np.ndarray
    position: np.ndarray
    centred: np.ndarray
    local: np.ndarray

    def of(self, *parts: Part) -> np.ndarray:
        """Which fragments belong to any of `parts`, bool[n]."""
        return np.isin(self.part, parts)

    def interpolate(self, values: np.ndarray, chosen: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Values f64[v,k] of the mesh's vertices at the `chosen` fragments, f64[n,k]."""
        return (values[self.corners[chosen][:, :, 0]] * self.weight[chosen]).sum(1)


def gather_fragments(head: Head, turned: np.ndarray, buffer: ZBuffer, hair: Hair | None) -> Fragments:
    """The covered pixels of `buffer`, where `head` was drawn first and then `hair`; `turned` f64[v,3] are its vertices."""
    faces = head.triangles[:, :, 0]
    normal = vertex_normals(turned, faces)
    hollow = hollows(turned, faces, normal) / (head.half_iod * 0.12)
    covered = buffer.ids >= 0
    triangle, weight = buffer.ids[covered], buffer.bary[covered][:, :, None]
    layers = hair.layers if hair else []
    corners = np.concatenate([head.triangles, *(layer.triangles for layer in layers)])[triangle]
    on_head = triangle < len(head.triangles)
    part = np.full(len(triangle), Part.HAIR)
    part[on_head] = head.part[triangle[on_head]]
    vertex = corners[:, :, 0]
    centred = (head.rest[vertex] * weight).sum(1) - head.centre
    return Fragments(
        covered=covered,
        triangle=triangle,
        corners=corners,
        weight=weight,
        part=part,
        normal=unit((normal[vertex] * weight).sum(1)),
        uv=(head.mesh.uv[corners[:, :, 1]] * weight).sum(1),
        # Concave places see less of the sky.
        cavity=np.clip((hollow[vertex] * weight[:, :, 0]).sum(1), -0.3, 1.0),
        position=(head.vertices[vertex] * weight).sum(1),
        centred=centred,
        local=centred / (2 * head.half_iod),
    )
