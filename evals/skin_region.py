"""Where the skin of a face is: cheeks and forehead, laid out from the five points and held against their own colour.

Every measure of skin starts here, so that all see the same pixels at the same scale.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evals.faces.align import inter_ocular_distance, similarity_transform
from evals.faces.protocol import Points
from evals.images import RgbImage

# Larger faces are brought to this IOD, so that one number means the same on every photograph; smaller ones are measured
# at their native size, because magnifying invents texture.
WORKING_INTER_OCULAR = 120.0
# Below it the finest band and the tiles are a handful of pixels. A domain of photographs should ask for 92.
MINIMUM_INTER_OCULAR = 24.0

# Lengths in IOD. A cheek lies around this share of the way from the eye to the mouth corner, the forehead beside the
# middle of the eyes and above it; half widths and half heights of the areas that may be skin.
_CHEEK_STATION, _CHEEK_HALF = 0.55, (0.25, 0.38)
_FOREHEAD_ACROSS, _FOREHEAD_UP, _FOREHEAD_HALF = 0.20, 0.62, (0.22, 0.14)
# Where skin is safe to assume; what the rest is held against.
_CORE_HALF = (0.12, 0.16)
# A side whose eye stands this near to the nose (along the line of the eyes) is turned away: its area would lie on the
# background, which is smooth.
_TURNED_AWAY = 0.22
# Around the areas: what the widest Gaussian (.04 IOD, four sigma) and half a tile read.
_MARGIN = 0.26
_HIGHLIGHT, _BLACK = 0.90, 0.004
# Skin differs from the core by less than this in ln luminance (shading) and in ln ratios of the colours (hair, lips,
# background); pores and freckles stay.
_LUMINANCE_SLACK, _COLOUR_SLACK = 0.8, 0.35
_SMALLEST_SHOWN = 4  # pixels; a cheek cut off by the border shows nothing
_MINIMUM_AREA = 0.2  # in squared IOD; two sides in view make 1.0

Plane = NDArray[np.float32]

_REC_709 = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)

_LEVELS = np.arange(256) / 255.0
# sRGB to linear light (IEC 61966-2-1), by 8-bit level.
LINEAR: Plane = np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4).astype(np.float32)
_LOG_LINEAR = np.log(LINEAR + np.float32(0.01))


@dataclass(frozen=True, eq=False)
class SkinRegion:
    """The skin of one face at the working scale.

    Attributes:
        crop: uint8 RGB ``[h, w, 3]``: cheeks, forehead and what the widest filter reads around them; IOD at most 120.
        distance: IOD in pixels of ``crop``, as if the face looked at the camera.
        luminance: float32 ``[h, w]``, relative, 0..1.
        log_luminance: float32 ``[h, w]``: ``ln(luminance + .01)``.
        exposed: bool ``[h, w]``: neither overexposed nor black.
        mask: bool ``[h, w]``: skin of a cheek or the forehead on a side in view, exposed.
        area: bool ``[h, w]``: the same before colour and exposure were asked: highlights are in it, and hair.
    """

    crop: RgbImage
    distance: float
    luminance: Plane
    log_luminance: Plane
    exposed: NDArray[np.bool_]
    mask: NDArray[np.bool_]
    area: NDArray[np.bool_]


def find_skin(
    image: RgbImage, points: Points, *, minimum_inter_ocular: float = MINIMUM_INTER_OCULAR
) -> SkinRegion | str:
    """Find the skin of a face, or say why it cannot be scored (a text with ``unscorable`` in it).

    Both cheeks and the forehead, less what is turned away, overexposed, black, or of another colour than the middle of
    the cheeks.

    Args:
        image: uint8 RGB ``[h, w, 3]``, sRGB, 0..255.
        points: float32 ``[5, 2]`` as in ``Face.points``, pixels.
        minimum_inter_ocular: IOD in pixels below which skin is unscorable. It belongs to the calibration's domain: 92
            for photographs; smaller for 128-pixel renders.

    Raises:
        ValueError: the image is not uint8 ``[h, w, 3]`` or the points are not five finite, distinct ones.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"image must be uint8 of shape (height, width, 3), but got {image.dtype} of {image.shape}")
    distance = inter_ocular_distance(points)
    if distance < minimum_inter_ocular:
        return f"skin unscorable: {distance:.1f} of {minimum_inter_ocular:.1f} pixels between the eyes"
    areas = _areas(np.asarray(points, dtype=np.float64), distance)
    if not areas:
        return f"skin unscorable: 0.00 of {_MINIMUM_AREA:.2f} squared eye distances of skin in view"
    crop, areas, distance = _crop(image, areas, distance)
    if min(crop.shape[:2]) < 8:
        return "skin unscorable: the face lies outside the image"
    luminance = np.asarray(LINEAR[crop] @ _REC_709, dtype=np.float32)
    log_luminance = np.log(luminance + np.float32(0.01))
    exposed = np.asarray((luminance < _HIGHLIGHT) & (luminance > _BLACK))
    area, mask = _skin(crop, areas, exposed, log_luminance)
    share = float(mask.sum()) / distance**2
    if share < _MINIMUM_AREA:
        return f"skin unscorable: {share:.2f} of {_MINIMUM_AREA:.2f} squared eye distances of skin in view"
    return SkinRegion(crop, distance, luminance, log_luminance, exposed, mask, area)


def cheek_boxes(points: Points, width: int, height: int) -> list[tuple[int, int, int, int]]:
    """Return the upright box around the cheek area of each side in view, to show what was measured.

    Args:
        points: float32 ``[5, 2]`` as in ``Face.points``, pixels.
        width: of the image, pixels.
        height: of the image, pixels.

    Returns:
        ``(left, top, right, bottom)`` in whole pixels inside the image, at least 4 wide and high; the larger first.

    Raises:
        ValueError: the points are not five finite, distinct ones.
    """
    boxes = []
    for area in _areas(np.asarray(points, dtype=np.float64), inter_ocular_distance(points))[1::3]:
        corners = area.corners()
        left, top = np.maximum(np.floor(corners.min(axis=0)), 0).astype(int)
        right, bottom = np.minimum(np.ceil(corners.max(axis=0)) + 1, (width, height)).astype(int)
        if right - left >= _SMALLEST_SHOWN and bottom - top >= _SMALLEST_SHOWN:
            boxes.append((int(left), int(top), int(right), int(bottom)))
    return sorted(boxes, key=lambda box: (box[0] - box[2]) * (box[3] - box[1]))


@dataclass(frozen=True, eq=False)
class _Area:
    """A rectangle that turns with the face: centre and half sides in pixels, along the unit vectors of ``axes``."""

    centre: NDArray[np.float64]
    half: NDArray[np.float64]
    axes: NDArray[np.float64]
    is_core: bool

    def corners(self) -> NDArray[np.float64]:
        signs = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]])
        return np.asarray(self.centre + (signs * self.half) @ self.axes)

    def moved(self, offset: NDArray[np.float64], scale: float) -> "_Area":
        # Pixels are squares: the middle of the first lies at .5, not at 0.
        return _Area((self.centre - offset + 0.5) * scale - 0.5, self.half * scale, self.axes, self.is_core)

    def covers(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.bool_]:
        right, below = columns - self.centre[0], rows - self.centre[1]
        inside = np.abs(right * self.axes[0, 0] + below * self.axes[0, 1]) <= self.half[0]
        return np.asarray(inside & (np.abs(right * self.axes[1, 0] + below * self.axes[1, 1]) <= self.half[1]))


def _areas(points: NDArray[np.float64], distance: float) -> list[_Area]:
    """Core, cheek and forehead of each side in view."""
    matrix = similarity_transform(points.astype(np.float32))
    across = np.array([matrix[0, 0], matrix[0, 1]]) / math.hypot(matrix[0, 0], matrix[0, 1])
    axes = np.stack([across, [-across[1], across[0]]])
    eyes, nose, mouth = points[:2], points[2], points[3:5]
    areas = []
    for side, outward in ((0, -1.0), (1, 1.0)):
        if outward * float((eyes[side] - nose) @ across) < _TURNED_AWAY * distance:
            continue
        cheek = eyes[side] + _CHEEK_STATION * (mouth[side] - eyes[side])
        forehead = eyes.mean(axis=0) + (outward * _FOREHEAD_ACROSS * axes[0] - _FOREHEAD_UP * axes[1]) * distance
        for centre, half, is_core in (
            (cheek, _CORE_HALF, True),
            (cheek, _CHEEK_HALF, False),
            (forehead, _FOREHEAD_HALF, False),
        ):
            areas.append(_Area(centre, np.array(half) * distance, axes, is_core))
    return areas


def _crop(image: RgbImage, areas: list[_Area], distance: float) -> tuple[RgbImage, list[_Area], float]:
    """Cut out the areas with room for the widest filter; scale down, never up, to the working IOD."""
    import cv2

    corners = np.concatenate([area.corners() for area in areas])
    low = np.maximum(np.floor(corners.min(axis=0) - _MARGIN * distance), 0).astype(int)
    high = np.minimum(np.ceil(corners.max(axis=0) + _MARGIN * distance) + 1, np.array(image.shape[1::-1])).astype(int)
    if (high - low < 8).any():
        return np.zeros((0, 0, 3), dtype=np.uint8), areas, distance
    crop = image[low[1] : high[1], low[0] : high[0]]
    scale = min(1.0, WORKING_INTER_OCULAR / distance)
    if scale < 1.0:
        size = (max(8, round(crop.shape[1] * scale)), max(8, round(crop.shape[0] * scale)))
        crop = np.asarray(cv2.resize(crop, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return crop, [area.moved(low, scale) for area in areas], distance * scale


def _skin(
    crop: RgbImage, areas: list[_Area], exposed: NDArray[np.bool_], log_luminance: Plane
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """``SkinRegion.area`` and ``SkinRegion.mask``."""
    rows, columns = np.ogrid[0 : exposed.shape[0], 0 : exposed.shape[1]]
    core, wide = np.zeros((2, *exposed.shape), dtype=np.bool_)
    for area in areas:
        (core if area.is_core else wide)[area.covers(rows, columns)] = True
    core &= exposed
    if not core.any():
        return wide, np.zeros(exposed.shape, dtype=np.bool_)
    light = _LOG_LINEAR[crop]
    mask = wide & exposed & (np.abs(log_luminance - np.median(log_luminance[core])) < _LUMINANCE_SLACK)
    for channel in (0, 2):
        ratio = light[..., channel] - light[..., 1]
        mask &= np.abs(ratio - np.median(ratio[core])) < _COLOUR_SLACK
    return wide, mask
