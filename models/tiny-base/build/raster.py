"""Z-buffer rasterisation of triangles, compiled by numba."""

from __future__ import annotations

import math

import numpy as np
from hairline import HairShell, strand_grows
from numba import njit


@njit(cache=True, fastmath=True)
def raster(points, triangles, depth, ids, bary, first_id, shell=None):  # type: ignore[no-untyped-def]
    """Draw `triangles` i64[t,3] over screen `points` f64[n,3] (x, y in pixels, z larger = nearer), in place.

    A fragment that is nearer than `depth` f64[h,w] writes its depth, `first_id` + triangle number to `ids` i64[h,w] and
    barycentric weights to `bary` f64[h,w,3]. With a `HairShell` it is dropped where no strand grows.
    """
    height, width = depth.shape
    for t in range(triangles.shape[0]):
        i, j, k = triangles[t]
        ax, ay, az = points[i]
        bx, by, bz = points[j]
        cx, cy, cz = points[k]
        area = (by - cy) * (ax - cx) + (cx - bx) * (ay - cy)
        if abs(area) < 1e-12:
            continue
        x0 = max(int(math.floor(min(ax, bx, cx))), 0)
        x1 = min(int(math.ceil(max(ax, bx, cx))), width - 1)
        y0 = max(int(math.floor(min(ay, by, cy))), 0)
        y1 = min(int(math.ceil(max(ay, by, cy))), height - 1)
        for y in range(y0, y1 + 1):
            for x in range(x0, x1 + 1):
                px, py = x + 0.5, y + 0.5
                l0 = ((by - cy) * (px - cx) + (cx - bx) * (py - cy)) / area
                l1 = ((cy - ay) * (px - cx) + (ax - cx) * (py - cy)) / area
                l2 = 1.0 - l0 - l1
                if l0 < 0 or l1 < 0 or l2 < 0:
                    continue
                z = l0 * az + l1 * bz + l2 * cz
                if z <= depth[y, x]:
                    continue
                # numba compiles the loop once for each type of `shell`: without one the question is not in the code.
                if shell is not None and not strand_grows(shell, i, j, k, l0, l1, l2):
                    continue
                depth[y, x] = z
                ids[y, x] = first_id + t
                bary[y, x, 0] = l0
                bary[y, x, 1] = l1
                bary[y, x, 2] = l2


class ZBuffer:
    """What is nearest at each pixel of a square picture: `depth` f64[w,w], `ids` i64[w,w], `bary` f64[w,w,3].

    `ids` counts triangles in the order in which they were drawn and is -1 where nothing is.
    """

    def __init__(self, width: int) -> None:
        """An empty picture of `width` pixels."""
        self.depth = np.full((width, width), -1e9)
        self.ids = np.full((width, width), -1)
        self.bary = np.zeros((width, width, 3))
        self.drawn = 0

    def draw(self, points: np.ndarray, triangles: np.ndarray, shell: HairShell | None = None) -> None:
        """Draw `triangles` i64[t,3,2] over screen `points` f64[n,3], see `raster`; number them from `drawn` on."""
        corners = np.ascontiguousarray(triangles[:, :, 0])
        raster(points, corners, self.depth, self.ids, self.bary, self.drawn, shell)
        self.drawn += len(triangles)
