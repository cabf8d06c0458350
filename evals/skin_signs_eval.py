"""Signs of a wrong skin beside its texture: gloss, tone, grain laid over smoothness, and the lattice of a decoder.

Each is one number of one picture, in units of its own; what is normal for a person is the band of the references, as
the base's autoencoder gives them back. What each sees and misses: docs/skin-battery.md.
"""

import math

import numpy as np
from numpy.typing import NDArray

from evals.images import RgbImage
from evals.metric_families import Measured, MetricFamily, Picture
from evals.skin_region import LINEAR, Plane, SkinRegion, find_skin

_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)

_GLOSS_QUANTILE = 0.95
# A pixel is skin with a highlight if the two colours explain it up to this share; hair and lips are not.
_MISFIT = 0.10
_SMALLEST_DETAIL = 1e-5
# Cycles a pixel: latent pixels of 16, 8 and 4 image pixels (and blocks of JPEG, 8).
LATTICE_FREQUENCIES = (1 / 16, 1 / 8, 1 / 4)
_LATTICE_SIDE = 16
_FEWEST_PERIODS = 4
# A step of an edge counts no more than this many medians of its kind.
_LARGEST_STEP = 3.0


def specular(region: SkinRegion) -> float:
    """How strong the highlights of the skin are.

    Light from skin is its own colour times a shade plus the light's colour times a gloss (the dichromatic model,
    Shafer, Color Research and Application 10, 1985). With the median colour for the first and white for the second, the
    gloss of each pixel is a least-squares fit; returned is its 95th percentile over the skin and its highlights.

    Returns:
        Share of the skin's median luminance; 0 is matte, more is oilier. About the same in any exposure, larger for
        dark skin, which sends back less light of its own.
    """
    light = LINEAR[region.crop].astype(np.float64)
    body = np.median(light[region.mask], axis=0)
    pixels = light[region.area]
    system = np.stack([body, np.ones(3)], axis=1)
    shade, gloss = np.linalg.lstsq(system, pixels.T, rcond=None)[0]
    misfit = np.linalg.norm(pixels - (system @ np.stack([shade, gloss])).T, axis=1)
    fits = (misfit <= _MISFIT * np.linalg.norm(pixels, axis=1)) & (shade > 0)
    luminance = float(np.median(region.luminance[region.mask]))
    return float(np.quantile(gloss[fits], _GLOSS_QUANTILE)) / luminance


def tone_ita(region: SkinRegion) -> float:
    """Individual typology angle of the skin's median colour (Chardon, Cretois and Hourseau, 1991), CIELAB under D65.

    Returns:
        ``atan((L* - 50) / b*)`` in degrees, (-180, 180]: above 55 very light, below -30 dark. A change of exposure
        moves it too.
    """
    import cv2

    body = np.median(LINEAR[region.crop][region.mask], axis=0).astype(np.float32)
    lightness, _, yellow = (float(value) for value in cv2.cvtColor(body[None, None], cv2.COLOR_LRGB2Lab)[0, 0])
    return math.degrees(math.atan2(lightness - 50.0, yellow))


def grain(region: SkinRegion) -> float:
    """How much the finest detail exceeds what the next coarser one lets expect: ``ln D1 - 2 ln D2``.

    ``D_k`` is the median absolute diagonal detail of the undecimated Haar transform of log luminance, level k, over the
    skin (Donoho and Johnstone, Biometrika 81, 1994, take it as the noise estimate). Smoothing empties both levels,
    grain fills the first alone: high ``D1 / D2`` over a low ``D2`` is smoothness with grain on it, or without.
    """
    first, smooth = _diagonal(region.log_luminance, 1)
    second, _ = _diagonal(smooth, 2)
    one, two = (
        math.log(max(float(np.median(np.abs(plane[region.mask]))), _SMALLEST_DETAIL)) for plane in (first, second)
    )
    return one - 2.0 * two


def lattice(image: RgbImage) -> float | None:
    """How far lines of a period of 4, 8 or 16 pixels stand out of the whole picture.

    Second differences of luma along each axis, limited to three times their median, and their absolute values, are
    averaged across the other axis; in the power spectrum of these profiles each frequency of ``LATTICE_FREQUENCIES`` is
    held against its neighbours.

    Args:
        image: uint8 RGB ``[h, w, 3]``, never resized since it was decoded.

    Returns:
        The largest natural logarithm of power over the neighbours' mean; None where a side holds fewer than four
        periods of 16 pixels.
    """
    if min(image.shape[:2]) < _FEWEST_PERIODS * _LATTICE_SIDE + 2:
        return None
    luma = image.astype(np.float32) @ _LUMA
    powers = []
    for plane in (luma, luma.T):
        steps = plane[:, :-2] - 2.0 * plane[:, 1:-1] + plane[:, 2:]
        limit = _LARGEST_STEP * max(float(np.median(np.abs(steps))), 1.0)
        steps = np.clip(steps, -limit, limit)
        powers += [_profile_power(profile.mean(axis=0)) for profile in (steps, np.abs(steps))]
    of_kind = (powers[0::2], powers[1::2])
    return max(_peak(spectra, frequency) for frequency in LATTICE_FREQUENCIES for spectra in of_kind)


def _profile_power(profile: NDArray[np.floating]) -> NDArray[np.float64]:
    # Whole periods of 16, so that each frequency falls on a line of the spectrum.
    whole = profile[: len(profile) // _LATTICE_SIDE * _LATTICE_SIDE].astype(np.float64)
    return np.asarray(np.abs(np.fft.rfft((whole - whole.mean()) * np.hanning(len(whole) + 1)[:-1])) ** 2)


def _peak(spectra: list[NDArray[np.float64]], frequency: float) -> float:
    """Power at a frequency over the mean of the lines beside it, both summed over spectra of one or two lengths."""
    at = beside = 0.0
    for power in spectra:
        line = round(frequency * 2 * (len(power) - 1))
        at += float(power[line])
        # The window spreads a line over its two neighbours.
        beside += float(np.mean([power[line + step] for step in (-4, -3, -2, 2, 3, 4) if 0 < line + step < len(power)]))
    return math.log((at + 1e-12) / (beside + 1e-12))


def _diagonal(plane: Plane, step: int) -> tuple[Plane, Plane]:
    """One undecimated Haar level with holes of ``step``: the diagonal detail and the smooth part, like ``plane``."""
    padded = np.pad(plane, ((0, step), (0, step)), mode="reflect")
    a, b = padded[:-step, :-step], padded[:-step, step:]
    c, d = padded[step:, :-step], padded[step:, step:]
    return np.asarray((a - b - c + d) / 2, dtype=np.float32), np.asarray((a + b + c + d) / 4, dtype=np.float32)


_OF_SKIN = {"specular": specular, "tone_ita": tone_ita, "grain": grain}


def _measure(picture: Picture) -> Measured:
    values: dict[str, float | None] = {"lattice": lattice(picture.image)}
    reasons = {} if values["lattice"] is not None else {"lattice": "lattice unscorable: the picture is too small"}
    region: SkinRegion | str = str(picture.reason)
    if picture.points is not None:
        region = find_skin(picture.image, picture.points, minimum_inter_ocular=picture.minimum_inter_ocular)
    for name, measure in _OF_SKIN.items():
        values[name] = None if isinstance(region, str) else measure(region)
        if isinstance(region, str):
            reasons[name] = region
    return Measured(values, reasons)


FAMILY = MetricFamily((*_OF_SKIN, "lattice"), _measure)
