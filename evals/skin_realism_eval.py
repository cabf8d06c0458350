"""Skin realism, first floor: is the skin as rough as in the person's own photographs, neither plastic nor crunchy?

Texture is measured on the logarithm of linear luminance, so that dim light and dark skin count the same as bright:
the Laplacian variance of grey levels falls to 31 % at a quarter of the exposure. The sizes of the filters follow the
distance between the eyes (IOD). References must have gone through the same VAE and codec as the images they judge; this
module takes them as they come.

Known limit: noise laid over smoothed skin raises the same features. That is another gate's business.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from evals.faces.align import inter_ocular_distance, similarity_transform
from evals.faces.protocol import Points
from evals.images import RgbImage

# Feature to its direction: +1 where a rougher skin measures higher. Two-sided bands still need a common direction.
FEATURE_SIGNS: Mapping[str, int] = {"wavelet_1": 1, "wavelet_2": 1, "fine_to_mid": 1, "glcm_contrast": 1}

# Larger faces are brought to this IOD, so that one number means the same on every photograph; smaller ones are measured
# at their native size, because magnifying invents texture.
WORKING_INTER_OCULAR = 120.0
MINIMUM_WINDOWS = 3
MINIMUM_FEATURES = 2
# The least at which every window holds 40 pixels. A domain of photographs should ask for 92.
MINIMUM_INTER_OCULAR = 24.0
# Upper cheek, lower cheek: share of the way from the eye to the mouth corner. Half width and half height in IOD.
_CHEEK_STATIONS = (0.38, 0.66)
_CHEEK_HALF = (0.15, 0.12)
# Forehead: across from the middle of the eyes, and up from it, in IOD.
_FOREHEAD_ACROSS, _FOREHEAD_UP = 0.24, 0.62
_FOREHEAD_HALF = (0.20, 0.12)
# A side whose eye stands this near to the nose (in IOD, along the line of the eyes) is turned away: its window would
# lie on the background, which is smooth.
_TURNED_AWAY = 0.22
_HIGHLIGHT, _BLACK = 0.90, 0.004
_OTHER_MATERIAL = 1.0
_MINIMUM_SHARE = 0.7
_MINIMUM_PIXELS = 40
_FINE, _MIDDLE, _COARSE = 0.006, 0.015, 0.04
# In pixels: below .45 a Gaussian of the finest band would pass what lies above .4 cycles/px, which is codec and VAE.
_FINE_FLOOR, _MIDDLE_FLOOR, _COARSE_FLOOR = 0.45, 0.9, 1.8
_TREND = 0.12
_GLCM_HALF_RANGE, _GLCM_LEVELS, _GLCM_STEP = 0.15, 32, 2
_GAUSS_MAD = 0.6745
_SMALLEST_FEATURE = 1e-5

Plane = NDArray[np.float32]
_Scalar = TypeVar("_Scalar", bound=np.generic)


@dataclass(frozen=True)
class SkinMeasurement:
    """Natural logarithms of the features of one face (None where unmeasurable) and, if there are none, why."""

    features: dict[str, float | None]
    reason: str | None


def measure_skin(
    image: RgbImage, points: Points, *, minimum_inter_ocular: float = MINIMUM_INTER_OCULAR
) -> SkinMeasurement:
    """Measure the texture of the cheeks and the forehead.

    Six windows are laid out from the five points (two a cheek, two on the forehead). Windows on a side that is turned
    away, beyond the image, or of another material than the rest (hair) are dropped; a feature is the median over at
    least three windows.

    - ``wavelet_k``: ``median(|HL|, |LH|, |HH|) / .6745`` of the undecimated Haar transform, level k (Donoho and
      Johnstone, Biometrika 81, 1994, use it as a noise estimate).
    - ``fine_to_mid``: robust deviation of the band .006-.015 IOD over that of .015-.04 IOD.
    - ``glcm_contrast``: Haralick's contrast (IEEE TSMC 3, 1973) at distance 2, 32 levels over +-.15, after removal of
      everything wider than .12 IOD.

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
    windows = _windows(local_points, distance, luminance, log_luminance)
    if len(windows) < MINIMUM_WINDOWS:
        return _nothing(f"skin unscorable: {len(windows)} of {MINIMUM_WINDOWS} windows of skin in view")
    return SkinMeasurement(_features(log_luminance, windows, distance), None)


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
        both sides. None with fewer than two features in common.

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
    return SkinMeasurement(dict.fromkeys(FEATURE_SIGNS, None), reason)


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
    """Relative luminance 0..1 (IEC 61966-2-1 transfer function, Rec. 709 weights)."""
    levels = np.arange(256) / 255.0
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4).astype(np.float32)
    return np.asarray(linear[image] @ np.array([0.2126, 0.7152, 0.0722], dtype=np.float32), dtype=np.float32)


def _windows(
    points: NDArray[np.float64], distance: float, luminance: Plane, log_luminance: Plane
) -> list[NDArray[np.bool_]]:
    """Masks ``[h, w]`` of the usable pixels, one a window that counts."""
    matrix = similarity_transform(points.astype(np.float32))
    across = np.array([matrix[0, 0], matrix[0, 1]]) / math.hypot(matrix[0, 0], matrix[0, 1])
    down = np.array([-across[1], across[0]])
    eyes, nose, mouth = points[:2], points[2], points[3:5]
    centres: list[tuple[NDArray[np.float64], tuple[float, float]]] = []
    for side, outward in ((0, -1.0), (1, 1.0)):
        if outward * float((eyes[side] - nose) @ across) < _TURNED_AWAY * distance:
            continue
        centres += [(eyes[side] + share * (mouth[side] - eyes[side]), _CHEEK_HALF) for share in _CHEEK_STATIONS]
        forehead = eyes.mean(axis=0) + (outward * _FOREHEAD_ACROSS * across - _FOREHEAD_UP * down) * distance
        centres.append((forehead, _FOREHEAD_HALF))
    rows, columns = np.mgrid[0 : luminance.shape[0], 0 : luminance.shape[1]]
    usable = (luminance < _HIGHLIGHT) & (luminance > _BLACK)
    masks, medians = [], []
    for centre, half in centres:
        right, below = columns - centre[0], rows - centre[1]
        window = np.abs(right * across[0] + below * across[1]) <= half[0] * distance
        window &= np.abs(right * down[0] + below * down[1]) <= half[1] * distance
        mask = window & usable
        # Against the full window, also where the image ends: a window half outside is no window.
        if mask.sum() >= max(_MINIMUM_PIXELS, _MINIMUM_SHARE * 4 * half[0] * half[1] * distance**2):
            masks.append(mask)
            medians.append(float(np.median(log_luminance[mask])))
    if not masks:
        return []
    middle = float(np.median(medians))
    return [mask for mask, median in zip(masks, medians, strict=True) if abs(median - middle) < _OTHER_MATERIAL]


def _features(log_luminance: Plane, windows: list[NDArray[np.bool_]], distance: float) -> dict[str, float | None]:
    details_1, smooth_1 = _haar(log_luminance, 1)
    details_2, _ = _haar(smooth_1, 2)
    fine, middle, coarse = (
        _blur(log_luminance, max(share * distance, floor))
        for share, floor in ((_FINE, _FINE_FLOOR), (_MIDDLE, _MIDDLE_FLOOR), (_COARSE, _COARSE_FLOOR))
    )
    fine_band, middle_band = fine - middle, middle - coarse
    detrended = log_luminance - _blur(log_luminance, _TREND * distance)
    per_window: dict[str, list[float]] = {name: [] for name in FEATURE_SIGNS}
    for mask in windows:
        per_window["wavelet_1"].append(_haar_deviation(details_1, mask))
        per_window["wavelet_2"].append(_haar_deviation(details_2, mask))
        wide = _robust_deviation(middle_band[mask])
        if wide > 0:
            per_window["fine_to_mid"].append(_robust_deviation(fine_band[mask]) / wide)
        contrast = _glcm_contrast(detrended, mask)
        if contrast is not None:
            per_window["glcm_contrast"].append(contrast)
    return {
        name: math.log(max(float(np.median(values)), _SMALLEST_FEATURE)) if len(values) >= MINIMUM_WINDOWS else None
        for name, values in per_window.items()
    }


def _blur(plane: Plane, sigma: float) -> Plane:
    import cv2

    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101), dtype=np.float32)


def _haar(plane: Plane, step: int) -> tuple[tuple[Plane, Plane, Plane], Plane]:
    """One undecimated Haar level with holes of ``step``: (HL, LH, HH) and the smooth part, each like ``plane``."""
    padded = np.pad(plane, ((0, step), (0, step)), mode="reflect")
    a, b = padded[:-step, :-step], padded[:-step, step:]
    c, d = padded[step:, :-step], padded[step:, step:]
    details = [np.asarray(x / 2, dtype=np.float32) for x in (a - b + c - d, a + b - c - d, a - b - c + d)]
    return (details[0], details[1], details[2]), np.asarray((a + b + c + d) / 4, dtype=np.float32)


def _haar_deviation(details: tuple[Plane, Plane, Plane], mask: NDArray[np.bool_]) -> float:
    return float(np.median(np.abs(np.concatenate([detail[mask] for detail in details])))) / _GAUSS_MAD


def _robust_deviation(values: Plane) -> float:
    return float(np.median(np.abs(values - np.median(values)))) / _GAUSS_MAD


def _glcm_contrast(detrended: Plane, mask: NDArray[np.bool_]) -> float | None:
    """Contrast without the matrix: the mean squared difference of the levels of all pairs at the distance."""
    width = 2 * _GLCM_HALF_RANGE / _GLCM_LEVELS
    levels = np.clip(np.floor((detrended + _GLCM_HALF_RANGE) / width), 0, _GLCM_LEVELS - 1)
    total, pairs = 0.0, 0
    step = _GLCM_STEP
    for down, right in ((0, step), (step, 0), (step, step), (step, -step)):
        first, second = _shifted(levels, down, right)
        both = np.logical_and(*_shifted(mask, down, right))
        total += float(((first - second)[both] ** 2).sum())
        pairs += int(both.sum())
    return total / pairs if pairs else None


def _shifted(plane: NDArray[_Scalar], down: int, right: int) -> tuple[NDArray[_Scalar], NDArray[_Scalar]]:
    """The two overlapping views of a plane and of itself moved by (down, right)."""
    height, width = plane.shape
    upper = plane[: height - down, max(0, -right) : width - max(0, right)]
    lower = plane[down:, max(0, right) : width - max(0, -right)]
    return upper, lower
