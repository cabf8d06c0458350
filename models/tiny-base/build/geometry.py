"""Small geometry on arrays of points: unit vectors, normals and hollows of a mesh, soft shapes, texture lookups."""

from __future__ import annotations

import numpy as np


def unit(vectors: np.ndarray) -> np.ndarray:
    """`vectors` f64[...,3] scaled to length 1; a zero vector stays zero."""
    return vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-9)


def vertex_normals(positions: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Outward unit normals f64[n,3] of vertices f64[n,3], faces i64[t,3] weighted by area; zero where no face touches."""
    corner = positions[triangles]
    face_normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    normal = np.zeros_like(positions)
    for k in range(3):
        np.add.at(normal, triangles[:, k], face_normal)
    return unit(normal)


def hollows(positions: np.ndarray, triangles: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """How far the mean neighbour of each vertex stands out above it, f64[n] in units of `positions`.

    Positive in concave places (nostrils, lid creases, lip corners), negative on tips.
    """
    near = np.zeros_like(positions)
    count = np.zeros(len(positions))
    for a, b in ((0, 1), (1, 2), (2, 0)):
        np.add.at(near, triangles[:, a], positions[triangles[:, b]])
        np.add.at(count, triangles[:, a], 1)
    return ((near / np.maximum(count, 1)[:, None] - positions) * normal).sum(1)


def oval(x: np.ndarray, y: np.ndarray, middle: tuple[float, float], radii: tuple[float, float]) -> np.ndarray:
    """A soft oval f64[n]: 1 at its `middle`, 1/e at its `radii`, 0 far away."""
    return np.exp(-(((x - middle[0]) / radii[0]) ** 2 + ((y - middle[1]) / radii[1]) ** 2))


def sample_texture(texture: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """Nearest texels of f32[h,w] at `uv` f64[n,2] in 0..1, v upwards."""
    height, width = texture.shape
    x = np.clip(uv[:, 0] * width, 0, width - 1).astype(int)
    y = np.clip((1 - uv[:, 1]) * height, 0, height - 1).astype(int)
    return texture[y, x]


def logistic(x: np.ndarray) -> np.ndarray:
    """A soft step f64[n] from 0 to 1, one half at 0."""
    return 1 / (1 + np.exp(-x))
