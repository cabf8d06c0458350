"""Where hair grows: the hairline around the head, and whether a strand reaches a point of a hair shell.

Compiled by numba, since `raster.py` asks once for each fragment of a shell.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit


class HairCut(NamedTuple):
    """What a hair style says to `strand_grows`: angles in radians, lengths in the mesh's units.

    `front` to `back` are polar angles of the hairline, from the crown; `peak` (a widow's peak) is added in the middle of
    the forehead. `soft` is how far behind the hairline hair is sparse, `curl` how far strands wave sideways (texels of
    the strand texture). `open_z` and `open_x` bound the face's opening in the long-hair hull, `bottom` is the y where
    its strands end. `density` in 0..1; `parting` is an azimuth (0 = front), out of reach where there is none.
    """

    front: float
    temple: float
    side: float
    back: float
    peak: float
    soft: float
    curl: float
    open_z: float
    open_x: float
    bottom: float
    density: float
    parting: float


class HairShell(NamedTuple):
    """One surface on which strands are drawn.

    `directions` f64[n,3] are unit vectors from the head's centre, `positions` f64[n,3] the mesh's vertices, `strands`
    f32[s,s] the strand texture with values in 0..1. `layer` is 0 on the scalp and 1 outermost; `hull` marks the long
    hair that hangs free.
    """

    directions: np.ndarray
    positions: np.ndarray
    strands: np.ndarray
    cut: HairCut
    layer: float
    hull: bool


@njit(cache=True, fastmath=True)
def _hairline(azimuth, front, temple, side, back, peak):  # type: ignore[no-untyped-def]
    """Polar angle of the hairline (radians from the crown) at `azimuth` (0 = front, pi = back)."""
    a = abs(azimuth)
    if a < 0.55:
        s = a / 0.55
        s = s * s * (3 - 2 * s)
        return front + (temple - front) * s + peak * math.exp(-((a / 0.16) ** 2))
    if a < 1.35:
        s = (a - 0.55) / 0.8
        s = s * s * (3 - 2 * s)
        return temple + (side - temple) * s
    s = min((a - 1.35) / 0.7, 1.0)
    return side + (back - side) * s * s * (3 - 2 * s)


@njit(cache=True, fastmath=True)
def strand_grows(shell, i, j, k, l0, l1, l2):  # type: ignore[no-untyped-def]
    """Whether a strand covers the point with barycentric weights `l0`, `l1`, `l2` in the triangle of vertices i, j, k."""
    directions, positions, strands, cut, layer, hull = shell
    front, temple, side, back, peak, soft, curl, open_z, open_x, bottom, density, parting = cut
    size = strands.shape[0]
    dx = l0 * directions[i, 0] + l1 * directions[j, 0] + l2 * directions[k, 0]
    dy = l0 * directions[i, 1] + l1 * directions[j, 1] + l2 * directions[k, 1]
    dz = l0 * directions[i, 2] + l1 * directions[j, 2] + l2 * directions[k, 2]
    norm = math.sqrt(dx * dx + dy * dy + dz * dz) + 1e-9
    # The crown lies 20 degrees behind the top of the head.
    up = (dy * 0.94 - dz * 0.342) / norm
    forward = (dz * 0.94 + dy * 0.342) / norm
    polar = math.acos(min(max(up, -1.0), 1.0))
    azimuth = math.atan2(dx / norm, forward)
    u = int((azimuth / (2 * math.pi) + 0.5) * size + curl * math.sin(polar * 9 + azimuth * 5)) % size
    if hull:
        y = l0 * positions[i, 1] + l1 * positions[j, 1] + l2 * positions[k, 1]
        strand = strands[int(abs(y) * 40) % size, u]
        x = l0 * positions[i, 0] + l1 * positions[j, 0] + l2 * positions[k, 0]
        z = l0 * positions[i, 2] + l1 * positions[j, 2] + l2 * positions[k, 2]
        before_face = z > open_z + 0.12 * (strand - 0.5) and abs(x) < open_x * 3
        return not before_face and y >= bottom + 0.35 * (strand - 0.5)
    strand = strands[int(polar / math.pi * size * 0.5) % size, u]
    grown = (_hairline(azimuth, front, temple, side, back, peak) - polar) / soft
    if abs(azimuth - parting) < 0.05 and polar > 0.3 and layer > 0.25:
        return False
    return strand * density <= grown - 0.15 and strand * 0.9 + 0.1 >= layer * density


@njit(cache=True, fastmath=True)
def scalp_share(directions, cut):  # type: ignore[no-untyped-def]
    """How far behind the hairline each direction f64[n,3] lies: 0 on bare skin, 1 well inside the hair, f64[n]."""
    front, temple, side, back, peak, soft = cut[:6]
    out = np.empty(directions.shape[0])
    for p in range(directions.shape[0]):
        dx, dy, dz = directions[p]
        up = dy * 0.94 - dz * 0.342
        azimuth = math.atan2(dx, dz * 0.94 + dy * 0.342)
        polar = math.acos(min(max(up, -1.0), 1.0))
        out[p] = 1 / (1 + math.exp(-(_hairline(azimuth, front, temple, side, back, peak) - polar) / (0.3 * soft)))
    return out
