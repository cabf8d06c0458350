"""Every feature of skin as one would write it with scikit-image: whole pictures in, one feature a call.

The independent reference of ``evals.skin_realism_eval`` in the tests, the other side of the speed table, and the only
implementation of the candidates that did not earn their place (``DROPPED``). scikit-image has no box filter for floats
and no Haar transform: SciPy and NumPy stand in.
"""

import math
import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Feature = Callable[[NDArray[np.uint8], Mask, float], float | None]
FLOOR = 1e-5


def log_luminance(crop: NDArray[np.uint8]) -> NDArray[np.float64]:
    """``ln(Y + .01)`` of an sRGB picture, Y the second of CIE XYZ."""
    from skimage.color import rgb2xyz

    return np.log(rgb2xyz(crop)[..., 1] + 0.01)


def exposed(crop: NDArray[np.uint8]) -> Mask:
    """Neither overexposed nor black."""
    from skimage.color import rgb2xyz

    luminance = rgb2xyz(crop)[..., 1]
    return (luminance < 0.90) & (luminance > 0.004)


def fine(crop: NDArray[np.uint8], mask: Mask, distance: float) -> float | None:
    """Lowest tenth of the energy of the fine band, natural logarithm."""
    energy, counted = _energy(crop, mask, distance, _band(crop, distance, 0))
    return math.log(max(float(np.quantile(energy[counted], 0.1)), FLOOR))


def fine_to_middle(crop: NDArray[np.uint8], mask: Mask, distance: float) -> float | None:
    """Median of the ratio of the energies of both bands, natural logarithm."""
    upper, counted = _energy(crop, mask, distance, _band(crop, distance, 0))
    lower, _ = _energy(crop, mask, distance, _band(crop, distance, 1))
    return math.log(float(np.median((upper[counted] + FLOOR) / (lower[counted] + FLOOR))))


def lbp_non_uniform(crop: NDArray[np.uint8], mask: Mask, distance: float) -> float | None:
    """Share, plus .01, of patterns of 8 points at 1 pixel that are not uniform, natural logarithm."""
    return math.log(float((_patterns(crop, 8, 1)[_inner(mask)] == 9).mean()) + 0.01)


def dog_ratio(crop: NDArray[np.uint8], mask: Mask, distance: float) -> float | None:
    """Standard deviation of the fine band over that of the middle one, natural logarithm."""
    upper, lower = (_band(crop, distance, number)[mask].std() + FLOOR for number in (0, 1))
    return math.log(upper / lower)


def lbp_entropy(crop: NDArray[np.uint8], mask: Mask, distance: float) -> float | None:
    """Entropy in bits of uniform patterns of 8 points at 1 pixel."""
    from skimage.measure import shannon_entropy

    return float(shannon_entropy(_patterns(crop, 8, 1)[_inner(mask)]))


def wavelet(level: int) -> Feature:
    """Median of the absolute Haar details of a level over .6745, natural logarithm."""

    def measure(crop: NDArray[np.uint8], mask: Mask, distance: float) -> float | None:
        plane, inner = log_luminance(crop), _inner(mask)
        for number in range(level):
            details, plane = _haar(plane, 2**number)
        return math.log(float(np.median(np.abs(np.concatenate([one[inner] for one in details])))) / 0.6745 + FLOOR)

    return measure


def glcm_contrast(crop: NDArray[np.uint8], mask: Mask, distance: float) -> float | None:
    """Contrast of grey-level co-occurrence at 2 pixels, 32 levels over +-.15 around a Gaussian of .12 IOD; ln."""
    from skimage.feature import graycomatrix
    from skimage.filters import gaussian

    plane = log_luminance(crop)
    detail = plane - gaussian(plane, 0.12 * distance, mode="mirror")
    levels = np.clip((detail + 0.15) / 0.30 * 31 + 0.5, 0, 31).astype(np.uint8) + 1
    levels[~mask] = 0  # scikit-image knows no mask: level 0 is what is left out
    angles = [0, np.pi / 4, np.pi / 2, 3 * np.pi / 4]
    counts = graycomatrix(levels, [2], angles, levels=33, symmetric=True)[1:, 1:, 0].astype(float)
    apart = (np.arange(32)[:, None] - np.arange(32)[None]) ** 2
    return math.log(float(np.mean([(c * apart).sum() / max(c.sum(), 1) for c in np.moveaxis(counts, 2, 0)])) + 1e-3)


def wide_lbp_non_uniform(crop: NDArray[np.uint8], mask: Mask, distance: float) -> float | None:
    """Share of patterns of 16 points at 3 pixels that are not uniform."""
    return float((_patterns(crop, 16, 3)[_inner(mask)] == 17).mean())


def spectral_slope(crop: NDArray[np.uint8], mask: Mask, distance: float) -> float | None:
    """Slope of ln power over ln frequency in windows that hold skin alone; None with fewer than two such windows."""
    from skimage.filters import window as taper
    from skimage.util import view_as_windows

    side = 16 if distance < 60 else 32
    if min(crop.shape[:2]) < side:
        return None
    step = side // 2
    planes = view_as_windows(log_luminance(crop), (side, side), step).reshape(-1, side, side)
    shares = view_as_windows(mask, (side, side), step).reshape(-1, side, side).mean(axis=(1, 2))
    chosen = planes[shares > 0.9]
    if len(chosen) < 2:
        return None
    ramp = np.stack([np.ones(side * side), *(axis.ravel() for axis in np.mgrid[:side, :side])], axis=1)
    flat = chosen.reshape(len(chosen), -1).T
    level = (flat - ramp @ np.linalg.lstsq(ramp, flat, rcond=None)[0]).T.reshape(-1, side, side)
    power = (np.abs(np.fft.fft2(level * taper("hann", (side, side)))) ** 2).sum(axis=0)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    used = (frequency >= 2.5 / side) & (frequency <= 0.4)
    weight = 1 / np.sqrt(frequency[used])
    return float(np.polyfit(np.log(frequency[used]), np.log(power[used] + 1e-20), 1, w=weight)[0])


KEPT: dict[str, Feature] = {
    "fine": fine,
    "fine_to_middle": fine_to_middle,
    "lbp_non_uniform": lbp_non_uniform,
}
DROPPED: dict[str, Feature] = {
    "DoG ratio of deviations": dog_ratio,
    "LBP(8,1) entropy": lbp_entropy,
    "wavelet MAD, level 1": wavelet(1),
    "wavelet MAD, level 2": wavelet(2),
    "wavelet MAD, level 3": wavelet(3),
    "GLCM contrast": glcm_contrast,
    "LBP(16,3) non-uniform": wide_lbp_non_uniform,
    "spectral slope": spectral_slope,
}


def _band(crop: NDArray[np.uint8], distance: float, number: int) -> NDArray[np.float64]:
    from skimage.filters import difference_of_gaussians

    sigmas = [max(share * distance, floor) for share, floor in ((0.006, 0.45), (0.015, 0.9), (0.04, 1.8))]
    band = difference_of_gaussians(log_luminance(crop), sigmas[number], sigmas[number + 1], mode="mirror")
    return np.asarray(band, dtype=np.float64)


def _energy(
    crop: NDArray[np.uint8], mask: Mask, distance: float, band: NDArray[np.float64]
) -> tuple[NDArray[np.float64], Mask]:
    from scipy.ndimage import uniform_filter

    weight = exposed(crop).astype(float)
    side = max(3, round(0.15 * distance) | 1)
    full = uniform_filter(weight, side, mode="constant")
    local = uniform_filter(np.abs(band) * weight, side, mode="constant")
    return local / np.maximum(full, FLOOR), mask & (full >= 0.9)


def _inner(mask: Mask) -> Mask:
    from skimage.morphology import erosion, footprint_rectangle

    padded = np.pad(mask, 1)
    return np.asarray(erosion(padded, footprint_rectangle((3, 3)))[1:-1, 1:-1], dtype=np.bool_)


def _patterns(crop: NDArray[np.uint8], points: int, radius: int) -> NDArray[np.float64]:
    from skimage.feature import local_binary_pattern

    with warnings.catch_warnings():
        # It warns of floating-point images because equal neighbours may be told apart by rounding.
        warnings.simplefilter("ignore", UserWarning)
        return np.asarray(local_binary_pattern(log_luminance(crop), points, radius, "uniform"))


def _haar(
    plane: NDArray[np.float64], step: int
) -> tuple[tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]:
    padded = np.pad(plane, ((0, step), (0, step)), mode="reflect")
    a, b = padded[:-step, :-step], padded[:-step, step:]
    c, d = padded[step:, :-step], padded[step:, step:]
    return ((a - b - c + d) / 2, (a - b + c - d) / 2, (a + b - c - d) / 2), (a + b + c + d) / 4
