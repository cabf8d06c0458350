"""Triangle and hair-shell rasterisation and solid noise, compiled by numba."""

from __future__ import annotations

import math

import numpy as np
from numba import njit


@njit(cache=True, fastmath=True)
def raster(points, triangles, depth, ids, bary, first_id):  # type: ignore[no-untyped-def]
    """Z-buffer `triangles` i64[t,3] over screen `points` f64[n,3] (x, y in pixels, z larger = nearer), in place."""
    height, width = depth.shape
    for t in range(triangles.shape[0]):
        ax, ay, az = points[triangles[t, 0]]
        bx, by, bz = points[triangles[t, 1]]
        cx, cy, cz = points[triangles[t, 2]]
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
                if l0 >= 0 and l1 >= 0 and l2 >= 0:
                    z = l0 * az + l1 * bz + l2 * cz
                    if z > depth[y, x]:
                        depth[y, x] = z
                        ids[y, x] = first_id + t
                        bary[y, x, 0] = l0
                        bary[y, x, 1] = l1
                        bary[y, x, 2] = l2


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
def raster_hair(points, directions, positions, triangles, depth, ids, bary, first_id, strands, style, layer, hull):  # type: ignore[no-untyped-def]
    """Like `raster`, but a fragment is dropped where no strand grows at this `layer` (0 = scalp, 1 = outermost).

    `directions` f64[n,3] unit vectors from the head's centre; `style` holds hairline angles, softness and curl, and for
    the long-hair `hull` the face opening and the length in model units.
    """
    height, width = depth.shape
    size = strands.shape[0]
    front, temple, side, back, peak, soft, curl, open_z, open_x, bottom, density, parting = style
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
                    py3 = l0 * positions[i, 1] + l1 * positions[j, 1] + l2 * positions[k, 1]
                    v = int(abs(py3) * 40) % size
                else:
                    v = int(polar / math.pi * size * 0.5) % size
                strand = strands[v, u]
                if hull:
                    px3 = l0 * positions[i, 0] + l1 * positions[j, 0] + l2 * positions[k, 0]
                    pz3 = l0 * positions[i, 2] + l1 * positions[j, 2] + l2 * positions[k, 2]
                    if pz3 > open_z + 0.12 * (strand - 0.5) and abs(px3) < open_x * 3:
                        continue
                    if py3 < bottom + 0.35 * (strand - 0.5):
                        continue
                else:
                    edge = _hairline(azimuth, front, temple, side, back, peak)
                    grown = (edge - polar) / soft
                    if abs(azimuth - parting) < 0.05 and polar > 0.3 and layer > 0.25:
                        continue
                    if strand * density > grown - 0.15 or strand * 0.9 + 0.1 < layer * density:
                        continue
                depth[y, x] = z
                ids[y, x] = first_id + t
                bary[y, x, 0] = l0
                bary[y, x, 1] = l1
                bary[y, x, 2] = l2


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


@njit(cache=True, fastmath=True)
def scalp_share(directions, style):  # type: ignore[no-untyped-def]
    """How far behind the hairline each direction f64[n,3] lies: 0 on bare skin, 1 well inside the hair, f64[n]."""
    front, temple, side, back, peak, soft = style[0], style[1], style[2], style[3], style[4], style[5]
    out = np.empty(directions.shape[0])
    for p in range(directions.shape[0]):
        dx, dy, dz = directions[p]
        up = dy * 0.94 - dz * 0.342
        azimuth = math.atan2(dx, dz * 0.94 + dy * 0.342)
        polar = math.acos(min(max(up, -1.0), 1.0))
        out[p] = 1 / (1 + math.exp(-(_hairline(azimuth, front, temple, side, back, peak) - polar) / (0.3 * soft)))
    return out
