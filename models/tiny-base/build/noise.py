"""Noise in space: smooth noise and round spots looked up in one random volume that tiles. Compiled by numba."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numba import njit

# Each gives a person's marks their own place in the volume. The order is part of every person: new ones go to the end.
FIELDS = (
    "blotches",
    "fine_blotches",
    "pores",
    "fine_pores",
    "finest_pores",
    "bumps",
    "freckles",
    "moles",
    "wrinkles",
    "hairs",
    "hair_clumps",
    "lip_lines",
)


@lru_cache(maxsize=1)
def volume() -> np.ndarray:
    """The random volume f32[64,64,64], uniform in 0..1, the same for everybody."""
    return np.random.default_rng(7).random((64, 64, 64)).astype(np.float32)


class SkinNoise:
    """The noise of one person, the same in each of their pictures.

    Points are f64[n,3] in interocular distances; `frequency` is in cells of the volume for each unit of them.
    """

    def __init__(self, seed: int) -> None:
        """The fields of the person `seed`."""
        offsets = np.random.default_rng([20260103, seed]).uniform(0, 64, (len(FIELDS), 3))
        self._offsets = dict(zip(FIELDS, offsets, strict=True))

    def signed(self, points: np.ndarray, frequency: float, field: str) -> np.ndarray:
        """Smooth noise f32[n] in -1..1."""
        return (solid_noise(volume(), points, frequency, self._offsets[field]) - 0.5) * 2

    def spots(self, points: np.ndarray, frequency: float, field: str, share: float) -> np.ndarray:
        """Soft round spots f32[n] in 0..1, in a `share` (0..1) of the cells."""
        return spots(volume(), points, frequency, self._offsets[field], share)


@njit(cache=True, fastmath=True)
def solid_noise(volume, points, frequency, offset):  # type: ignore[no-untyped-def]
    """Trilinear lookups f32[n] of a tiling `volume` f32[s,s,s] at `points` f64[n,3] * frequency + offset."""
    size = volume.shape[0]
    out = np.empty(points.shape[0], np.float32)
    for p in range(points.shape[0]):
        x = points[p, 0] * frequency + offset[0]
        y = points[p, 1] * frequency + offset[1]
        z = points[p, 2] * frequency + offset[2]
        ix, iy, iz = math.floor(x), math.floor(y), math.floor(z)
        fx, fy, fz = x - ix, y - iy, z - iz
        x0, y0, z0 = int(ix) % size, int(iy) % size, int(iz) % size
        x1, y1, z1 = (x0 + 1) % size, (y0 + 1) % size, (z0 + 1) % size
        c00 = volume[x0, y0, z0] * (1 - fx) + volume[x1, y0, z0] * fx
        c10 = volume[x0, y1, z0] * (1 - fx) + volume[x1, y1, z0] * fx
        c01 = volume[x0, y0, z1] * (1 - fx) + volume[x1, y0, z1] * fx
        c11 = volume[x0, y1, z1] * (1 - fx) + volume[x1, y1, z1] * fx
        out[p] = (c00 * (1 - fy) + c10 * fy) * (1 - fz) + (c01 * (1 - fy) + c11 * fy) * fz
    return out


@njit(cache=True, fastmath=True)
def spots(volume, points, frequency, offset, share):  # type: ignore[no-untyped-def]
    """Soft round spots f32[n] in 0..1: one jittered spot in a `share` of the cells of a grid of `frequency`."""
    size = volume.shape[0]
    out = np.zeros(points.shape[0], np.float32)
    for p in range(points.shape[0]):
        x = points[p, 0] * frequency + offset[0]
        y = points[p, 1] * frequency + offset[1]
        z = points[p, 2] * frequency + offset[2]
        ix, iy, iz = int(math.floor(x)), int(math.floor(y)), int(math.floor(z))
        best = 0.0
        for a in range(-1, 2):
            for b in range(-1, 2):
                for c in range(-1, 2):
                    i, j, k = (ix + a) % size, (iy + b) % size, (iz + c) % size
                    chance = volume[i, j, k]
                    if chance > share:
                        continue
                    sx = ix + a + 0.2 + 0.6 * volume[j, k, i]
                    sy = iy + b + 0.2 + 0.6 * volume[k, i, j]
                    sz = iz + c + 0.2 + 0.6 * volume[(i + 7) % size, j, k]
                    radius = 0.22 + 0.3 * volume[i, (j + 5) % size, k]
                    distance = math.sqrt((x - sx) ** 2 + (y - sy) ** 2 + (z - sz) ** 2) / radius
                    if distance < 1:
                        value = (1 - distance * distance) * (0.4 + 0.6 * volume[i, j, (k + 3) % size])
                        if value > best:
                            best = value
        out[p] = best
    return out
