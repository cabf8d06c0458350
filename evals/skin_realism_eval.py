"""Skin realism: is the skin as rough as in the person's own photographs, neither plastic nor crunchy?

Texture is measured on the logarithm of linear luminance, so that dim light and dark skin count the same as bright: the
Laplacian variance of grey levels falls to 31 % at a quarter of the exposure. Filters follow the distance between the
eyes (IOD). References must have gone through the same VAE and codec as the images they judge: this module takes them as
they come.

Which features earned their place, which did not, and what none of them sees: docs/skin-battery.md.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from evals.faces.protocol import Points
from evals.images import RgbImage
from evals.skin_region import MINIMUM_INTER_OCULAR, Plane, SkinRegion, find_skin

# Feature to its direction: +1 where a rougher skin measures higher. Two-sided bands still need a common direction.
FEATURE_SIGNS: Mapping[str, int] = {
    "fine": 1,
    "fine_to_middle": 1,
    "lbp_non_uniform": 1,
}
MINIMUM_FEATURES = 3

_TILE, _TILE_SHARE = 0.15, 0.9  # IOD; share of a tile that must be exposed
_FINE, _MIDDLE, _COARSE = 0.006, 0.015, 0.04  # IOD
# In pixels: below .45 a Gaussian of the finest band would pass what lies above .4 cycles/px, which is codec and VAE.
_FINE_FLOOR, _MIDDLE_FLOOR, _COARSE_FLOOR = 0.45, 0.9, 1.8
_LEVEL_QUANTILE = 0.1
_SMALLEST_FEATURE = 1e-5
_LBP_POINTS = 8
_FEWEST_PATTERNS = 100
# Smoothed skin shows next to no such pattern, and the logarithm of a handful of pixels is noise.
_PATTERN_FLOOR = 0.01
_LARGEST_SCORE = 6.0


@dataclass(frozen=True)
class SkinMeasurement:
    """Features of one face (None where unmeasurable) and, if there are none, why."""

    features: dict[str, float | None]
    reason: str | None


def measure_skin(
    image: RgbImage, points: Points, *, minimum_inter_ocular: float = MINIMUM_INTER_OCULAR
) -> SkinMeasurement:
    """Measure the texture of the cheeks and the forehead (``evals.skin_region``).

    Local energies are means of absolute values over tiles of .15 IOD. Features are natural logarithms, because ratios
    are what smoothing and sharpening do to texture.

    - ``fine``: lowest tenth over the skin of the energy of the band .006-.015 IOD (difference of Gaussians): wrinkles,
      beard, highlights and edges raise it in places and say nothing about pores.
    - ``fine_to_middle``: median over the skin of the energy of the fine band over that of .015-.04 IOD.
    - ``lbp_non_uniform``: share, plus .01, of local binary patterns of 8 points at 1 pixel that are not uniform (Ojala,
      Pietikainen and Maenpaa, PAMI 24(7), 2002), as ``skimage.feature.local_binary_pattern`` tells them.

    Args:
        image: uint8 RGB ``[h, w, 3]``, sRGB, 0..255.
        points: float32 ``[5, 2]`` as in ``Face.points``, pixels.
        minimum_inter_ocular: IOD in pixels below which skin is unscorable, as ``evals.skin_region.find_skin`` takes it.

    Raises:
        ValueError: the image is not uint8 ``[h, w, 3]`` or the points are not five finite, distinct ones.
    """
    region = find_skin(image, points, minimum_inter_ocular=minimum_inter_ocular)
    if isinstance(region, str):
        return SkinMeasurement(dict.fromkeys(FEATURE_SIGNS), region)
    return SkinMeasurement(texture_features(region), None)


def skin_features(
    image: RgbImage, points: Points, *, minimum_inter_ocular: float = MINIMUM_INTER_OCULAR
) -> dict[str, float | None]:
    """Return ``measure_skin(...).features``: a number for every name of ``FEATURE_SIGNS``, None where unmeasurable."""
    return measure_skin(image, points, minimum_inter_ocular=minimum_inter_ocular).features


def skin_z(features: Mapping[str, float | None], bands: Mapping[str, Mapping[str, float]]) -> float | None:
    """How far the skin lies from the references' own: mean over features of ``sign (f - median)/(1.4826 MAD)``.

    Each feature counts as 6 deviations at most, so that a broken one cannot carry the mean.

    Args:
        features: from ``skin_features``.
        bands: feature to its ``median`` and ``mad`` over the references' ``skin_features``.

    Returns:
        0 is like the references, negative smoother (plastic), positive rougher (crunchy, over-sharpened): judge it on
        both sides. None with fewer than three features in common, or with bands of features measured no longer.

    Raises:
        ValueError: a feature is not finite, or a band is not finite or its MAD not positive.
    """
    if not set(bands) <= set(FEATURE_SIGNS):
        return None
    scores = []
    for name, sign in FEATURE_SIGNS.items():
        value, band = features.get(name), bands.get(name)
        if value is None or band is None:
            continue
        median, mad = float(band["median"]), float(band["mad"])
        if not (math.isfinite(value) and math.isfinite(median) and math.isfinite(mad) and mad > 0):
            raise ValueError(f"{name} must have a finite value, median and MAD > 0, but got {value}, {median}, {mad}")
        score = sign * (value - median) / (1.4826 * mad)
        scores.append(min(max(score, -_LARGEST_SCORE), _LARGEST_SCORE))
    return math.fsum(scores) / len(scores) if len(scores) >= MINIMUM_FEATURES else None


def texture_features(region: SkinRegion) -> dict[str, float | None]:
    """Return the features of ``measure_skin`` for skin that was found already; None where unmeasurable."""
    finest, coarser, coarsest = (
        _blur(region.log_luminance, max(share * region.distance, floor))
        for share, floor in ((_FINE, _FINE_FLOOR), (_MIDDLE, _MIDDLE_FLOOR), (_COARSE, _COARSE_FLOOR))
    )
    fine, middle = finest - coarser, coarser - coarsest
    # A tile has its middle on skin. What else it holds are edges, which raise its energy out of the low quantiles; only
    # clipped pixels, which have no texture, must not count.
    weight = region.exposed.astype(np.float32)
    side = max(3, round(_TILE * region.distance) | 1)
    full = _box(weight, side)
    counted = region.mask & (full >= _TILE_SHARE)
    features: dict[str, float | None] = dict.fromkeys(FEATURE_SIGNS)
    if not counted.any():
        return features
    share = full[counted]
    energy_fine, energy_middle = (_box(np.abs(plane) * weight, side)[counted] / share for plane in (fine, middle))
    floor = _SMALLEST_FEATURE
    features["fine"] = _log(np.quantile(energy_fine, _LEVEL_QUANTILE))
    features["fine_to_middle"] = _log(np.median((energy_fine + floor) / (energy_middle + floor)))
    share_of_patterns = _non_uniform(region.log_luminance, region.mask)
    features["lbp_non_uniform"] = None if share_of_patterns is None else _log(share_of_patterns + _PATTERN_FLOOR)
    return features


def _log(value: float | np.floating) -> float:
    return math.log(max(float(value), _SMALLEST_FEATURE))


def _non_uniform(plane: Plane, mask: NDArray[np.bool_]) -> float | None:
    """Share of patterns that are not uniform, at pixels all of whose neighbours are skin too."""
    import cv2

    inner = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    if int(inner.sum()) < _FEWEST_PATTERNS:
        return None
    rows, columns = (np.flatnonzero(inner.any(axis=axis)) for axis in (1, 0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    # One pixel around the box is skin or beside skin, so the neighbours exist.
    near = plane[rows[0] - 1 : rows[-1] + 2, columns[0] - 1 : columns[-1] + 2]
    return float((_uniform_patterns(near)[inner[box] > 0] == _LBP_POINTS + 1).mean())


def _uniform_patterns(plane: Plane) -> NDArray[np.uint8]:
    """Labels ``[h - 2, w - 2]`` of the inner pixels, 0..9.

    Differences are taken before they are weighed, so that a neighbourhood of one value is one pattern: interpolated
    values are rounded and fall to either side of it.
    """
    height, width = plane.shape
    centre = plane[1:-1, 1:-1]
    step = {
        (down, right): plane[1 + down : height - 1 + down, 1 + right : width - 1 + right] - centre
        for down in (-1, 0, 1)
        for right in (-1, 0, 1)
        if (down, right) != (0, 0)
    }
    # On the circle of radius 1 the diagonal points lie between four pixels, one of them the centre.
    away = np.float32(round(math.sqrt(0.5), 5))
    code = np.zeros(centre.shape, dtype=np.uint8)
    # From the right anticlockwise, as scikit-image numbers them.
    for bit, (down, right) in enumerate(((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))):
        if down and right:
            beside = (step[down, 0] + step[0, right]) * (away * (1 - away))
            brighter = beside + step[down, right] * (away * away) >= 0
        else:
            brighter = step[down, right] >= 0
        code |= brighter.astype(np.uint8) << np.uint8(bit)
    return _uniform_labels()[code]


@cache
def _uniform_labels() -> NDArray[np.uint8]:
    """Label of each code: how many bits are set where at most two change along it, else 9."""
    bits = (np.arange(2**_LBP_POINTS)[:, None] >> np.arange(_LBP_POINTS)) & 1
    changes = (bits[:, 1:] != bits[:, :-1]).sum(axis=1)
    return np.where(changes <= 2, bits.sum(axis=1), _LBP_POINTS + 1).astype(np.uint8)


def _blur(plane: Plane, sigma: float) -> Plane:
    import cv2

    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101), dtype=np.float32)


def _box(plane: Plane, side: int) -> Plane:
    import cv2

    return np.asarray(cv2.boxFilter(plane, -1, (side, side), borderType=cv2.BORDER_CONSTANT), dtype=np.float32)
