"""Skin realism, first floor: is the skin as rough as in the person's own photographs, neither plastic nor crunchy?

Texture is measured on the logarithm of linear luminance, so that dim light and dark skin count the same as bright: the
Laplacian variance of grey levels falls to 31 % at a quarter of the exposure. Filters follow the distance between the
eyes (IOD). Every feature is a low quantile of a local energy over the skin: wrinkles, beard, highlights and edges raise
the energy in places and say nothing about pores, so the smoothest parts are what is compared. On renders of three
people with and without smoothed skin this gave an area under the curve of .99-1.0, medians over windows .65-.85.
References must have gone through the same VAE and codec as the images they judge: this module takes them as they come.

Known limit: noise laid over smoothed skin raises the same features. That is another gate's business.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from evals.faces.align import inter_ocular_distance, similarity_transform
from evals.faces.protocol import Points
from evals.images import RgbImage

# Feature to its direction: +1 where a rougher skin measures higher. Two-sided bands still need a common direction.
FEATURE_SIGNS: Mapping[str, int] = {
    "fine": 1,
    "diagonal_1": 1,
    "diagonal_2": 1,
    "fine_to_middle": 1,
}

# Larger faces are brought to this IOD, so that one number means the same on every photograph; smaller ones are measured
# at their native size, because magnifying invents texture.
WORKING_INTER_OCULAR = 120.0
# Below it the finest band and the tiles are a handful of pixels. A domain of photographs should ask for 92.
MINIMUM_INTER_OCULAR = 24.0
MINIMUM_FEATURES = 3

# Lengths in IOD. A cheek lies around this share of the way from the eye to the mouth corner, the forehead beside the
# middle of the eyes and above it; half widths and half heights of the areas that may be skin.
_CHEEK_STATION, _CHEEK_HALF = 0.55, (0.25, 0.38)
_FOREHEAD_ACROSS, _FOREHEAD_UP, _FOREHEAD_HALF = 0.20, 0.62, (0.22, 0.14)
# Where skin is safe to assume; what the rest is held against.
_CORE_HALF = (0.12, 0.16)
# A side whose eye stands this near to the nose (along the line of the eyes) is turned away: its area would lie on the
# background, which is smooth.
_TURNED_AWAY = 0.22
_HIGHLIGHT, _BLACK = 0.90, 0.004
# Skin differs from the core by less than this in ln luminance (shading) and in ln ratios of the colours (hair, lips,
# background); pores and freckles stay.
_LUMINANCE_SLACK, _COLOUR_SLACK = 0.8, 0.35
_MINIMUM_AREA = 0.2  # in squared IOD; two sides in view make 1.0
_TILE, _TILE_SHARE = 0.15, 0.9
_FINE, _MIDDLE, _COARSE = 0.006, 0.015, 0.04
# In pixels: below .45 a Gaussian of the finest band would pass what lies above .4 cycles/px, which is codec and VAE.
_FINE_FLOOR, _MIDDLE_FLOOR, _COARSE_FLOOR = 0.45, 0.9, 1.8
_LEVEL_QUANTILE, _RATIO_QUANTILE = 0.1, 0.2
_SMALLEST_FEATURE = 1e-5

Plane = NDArray[np.float32]

_LEVELS = np.arange(256) / 255.0
# sRGB to linear light (IEC 61966-2-1).
_LINEAR: Plane = np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4).astype(np.float32)


@dataclass(frozen=True)
class SkinMeasurement:
    """Natural logarithms of the features of one face (None where unmeasurable) and, if there are none, why."""

    features: dict[str, float | None]
    reason: str | None


def measure_skin(
    image: RgbImage, points: Points, *, minimum_inter_ocular: float = MINIMUM_INTER_OCULAR
) -> SkinMeasurement:
    """Measure the texture of the cheeks and the forehead.

    The area is laid out from the five points: both cheeks and the forehead, less what is turned away, overexposed,
    black, or of another colour than the middle of the cheeks. The natural logarithm of a feature is returned: ratios,
    not differences, are what smoothing and sharpening do to texture. Local energies are means of absolute values over
    tiles of .15 IOD.

    - ``fine``: lowest tenth of the energy of the band .006-.015 IOD.
    - ``diagonal_k``: lowest tenth of that of the diagonal (HH) part of the undecimated Haar transform, level k, which
      is zero on every slope of light (Donoho and Johnstone, Biometrika 81, 1994, take it as the noise estimate).
    - ``fine_to_middle``: lowest fifth of the energy of the fine band over that of .015-.04 IOD.

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
        return _nothing(f"skin unscorable: {distance:.1f} of {minimum_inter_ocular:.1f} pixels between the eyes")
    crop, local_points, distance = _crop(image, np.asarray(points, dtype=np.float64), distance)
    if min(crop.shape[:2]) < 8:
        return _nothing("skin unscorable: the face lies outside the image")
    luminance = _luminance(crop)
    log_luminance = np.log(luminance + np.float32(0.01))
    exposed = np.asarray((luminance < _HIGHLIGHT) & (luminance > _BLACK))
    skin = _skin(crop, local_points, distance, exposed, log_luminance)
    share = float(skin.sum()) / distance**2
    if share < _MINIMUM_AREA:
        return _nothing(f"skin unscorable: {share:.2f} of {_MINIMUM_AREA:.2f} squared eye distances of skin in view")
    return SkinMeasurement(_features(log_luminance, skin, exposed, distance), None)


def skin_features(
    image: RgbImage, points: Points, *, minimum_inter_ocular: float = MINIMUM_INTER_OCULAR
) -> dict[str, float | None]:
    """Return ``measure_skin(...).features``: ln f for every name of ``FEATURE_SIGNS``, None where unmeasurable."""
    return measure_skin(image, points, minimum_inter_ocular=minimum_inter_ocular).features


def skin_z(features: Mapping[str, float | None], bands: Mapping[str, Mapping[str, float]]) -> float | None:
    """How far the skin lies from the references' own: median over features of ``sign (f - median)/(1.4826 MAD)``.

    Args:
        features: from ``skin_features`` (logarithms already).
        bands: feature to its ``median`` and ``mad`` over the references' ``skin_features``.

    Returns:
        0 is like the references, negative smoother (plastic), positive rougher (crunchy, over-sharpened): judge it on
        both sides. None with fewer than three features in common.

    Raises:
        ValueError: a feature is not finite, or a band is not finite or its MAD not positive.
    """
    scores = []
    for name, sign in FEATURE_SIGNS.items():
        value, band = features.get(name), bands.get(name)
        if value is None or band is None:
            continue
        median, mad = float(band["median"]), float(band["mad"])
        if not (math.isfinite(value) and math.isfinite(median) and math.isfinite(mad) and mad > 0):
            raise ValueError(f"{name} must have a finite value, median and MAD > 0, but got {value}, {median}, {mad}")
        scores.append(sign * (value - median) / (1.4826 * mad))
    return float(np.median(scores)) if len(scores) >= MINIMUM_FEATURES else None


def _nothing(reason: str) -> SkinMeasurement:
    return SkinMeasurement(dict.fromkeys(FEATURE_SIGNS), reason)


def _crop(image: RgbImage, points: NDArray[np.float64], distance: float) -> tuple[RgbImage, NDArray[np.float64], float]:
    """Cut out the face with room for the widest filter; scale down, never up, to the working IOD."""
    import cv2

    margin = 1.3 * distance
    low = np.maximum(np.floor(points.min(axis=0) - margin), 0).astype(int)
    high = np.minimum(np.ceil(points.max(axis=0) + margin), np.array(image.shape[1::-1])).astype(int)
    if (high - low < 8).any():
        return np.zeros((0, 0, 3), dtype=np.uint8), points, distance
    crop = image[low[1] : high[1], low[0] : high[0]]
    local = points - low
    if distance <= WORKING_INTER_OCULAR:
        return crop, local, distance
    scale = WORKING_INTER_OCULAR / distance
    size = (max(8, round(crop.shape[1] * scale)), max(8, round(crop.shape[0] * scale)))
    crop_small = np.asarray(cv2.resize(crop, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return crop_small, (local + 0.5) * scale - 0.5, WORKING_INTER_OCULAR


def _luminance(image: RgbImage) -> Plane:
    """Relative luminance 0..1, ``[h, w]`` (Rec. 709 weights)."""
    return np.asarray(_LINEAR[image] @ np.array([0.2126, 0.7152, 0.0722], dtype=np.float32), dtype=np.float32)


def _skin(
    crop: RgbImage, points: NDArray[np.float64], distance: float, exposed: NDArray[np.bool_], log_luminance: Plane
) -> NDArray[np.bool_]:
    """Mask ``[h, w]`` of the pixels that are skin of a cheek or the forehead on a side in view."""
    matrix = similarity_transform(points.astype(np.float32))
    across = np.array([matrix[0, 0], matrix[0, 1]]) / math.hypot(matrix[0, 0], matrix[0, 1])
    down = np.array([-across[1], across[0]])
    rows, columns = np.mgrid[0 : exposed.shape[0], 0 : exposed.shape[1]]

    def area(centre: NDArray[np.float64], half: tuple[float, float]) -> NDArray[np.bool_]:
        right, below = columns - centre[0], rows - centre[1]
        inside = np.abs(right * across[0] + below * across[1]) <= half[0] * distance
        inside &= np.abs(right * down[0] + below * down[1]) <= half[1] * distance
        return np.asarray(inside, dtype=np.bool_)

    eyes, nose, mouth = points[:2], points[2], points[3:5]
    core, wide = np.zeros((2, *exposed.shape), dtype=bool)
    for side, outward in ((0, -1.0), (1, 1.0)):
        if outward * float((eyes[side] - nose) @ across) < _TURNED_AWAY * distance:
            continue
        cheek = eyes[side] + _CHEEK_STATION * (mouth[side] - eyes[side])
        forehead = eyes.mean(axis=0) + (outward * _FOREHEAD_ACROSS * across - _FOREHEAD_UP * down) * distance
        core |= area(cheek, _CORE_HALF)
        wide |= area(cheek, _CHEEK_HALF) | area(forehead, _FOREHEAD_HALF)
    core &= exposed
    if not core.any():
        return np.zeros(exposed.shape, dtype=np.bool_)
    colour = _colour(crop)
    same = np.abs(log_luminance - np.median(log_luminance[core])) < _LUMINANCE_SLACK
    same &= (np.abs(colour - np.median(colour[core], axis=0)) < _COLOUR_SLACK).all(axis=2)
    return np.asarray(wide & exposed & same, dtype=np.bool_)


def _features(
    log_luminance: Plane, skin: NDArray[np.bool_], exposed: NDArray[np.bool_], distance: float
) -> dict[str, float | None]:
    blurred = [
        _blur(log_luminance, max(share * distance, floor))
        for share, floor in (
            (_FINE, _FINE_FLOOR),
            (_MIDDLE, _MIDDLE_FLOOR),
            (_COARSE, _COARSE_FLOOR),
        )
    ]
    # A tile has its middle on skin. What else it holds are edges, which raise its energy out of the low quantiles; only
    # clipped pixels, which have no texture, must not count.
    weight = exposed.astype(np.float32)
    tile = max(3, round(_TILE * distance) | 1)
    full = _box(weight, tile)
    counted = skin & (full >= _TILE_SHARE)
    if not counted.any():
        return dict.fromkeys(FEATURE_SIGNS)

    def energy(plane: Plane) -> NDArray[np.float64]:
        local = _box(np.abs(plane) * weight, tile)[counted] / full[counted]
        return np.asarray(local, dtype=np.float64)

    fine, middle = (energy(upper - lower) for upper, lower in pairwise(blurred))
    diagonal_1, smooth = _haar(log_luminance, 1)
    diagonal_2, _ = _haar(smooth, 2)
    floor = _SMALLEST_FEATURE
    values = {
        "fine": np.quantile(fine, _LEVEL_QUANTILE),
        "diagonal_1": np.quantile(energy(diagonal_1), _LEVEL_QUANTILE),
        "diagonal_2": np.quantile(energy(diagonal_2), _LEVEL_QUANTILE),
        "fine_to_middle": np.quantile((fine + floor) / (middle + floor), _RATIO_QUANTILE),
    }
    return {name: math.log(max(float(value), floor)) for name, value in values.items()}


def _colour(image: RgbImage) -> Plane:
    """``[h, w, 2]``: ln of linear red and blue over green."""
    light = np.log(_LINEAR[image] + np.float32(0.01))
    return np.asarray(
        np.stack([light[..., 0] - light[..., 1], light[..., 2] - light[..., 1]], axis=2), dtype=np.float32
    )


def _blur(plane: Plane, sigma: float) -> Plane:
    import cv2

    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101), dtype=np.float32)


def _box(plane: Plane, side: int) -> Plane:
    import cv2

    return np.asarray(cv2.boxFilter(plane, -1, (side, side), borderType=cv2.BORDER_CONSTANT), dtype=np.float32)


def _haar(plane: Plane, step: int) -> tuple[Plane, Plane]:
    """One undecimated Haar level with holes of ``step``: the diagonal detail and the smooth part, like ``plane``."""
    padded = np.pad(plane, ((0, step), (0, step)), mode="reflect")
    a, b = padded[:-step, :-step], padded[:-step, step:]
    c, d = padded[step:, :-step], padded[step:, step:]
    return np.asarray((a - b - c + d) / 2, dtype=np.float32), np.asarray((a + b + c + d) / 4, dtype=np.float32)
