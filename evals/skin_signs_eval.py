"""Signs of a wrong skin beside its texture: gloss, tone, grain laid over it, and the lattice of a decoder.

Each is one number of one picture, in units of its own; what is normal for a person is the two-sided band of the
references, as the base's autoencoder gives them back. What each sees and misses: docs/skin-battery.md.
"""

import math

import numpy as np
from numpy.typing import NDArray

from evals.images import RgbImage
from evals.metric_families import Measured, MetricFamily, Picture
from evals.skin_region import LINEAR, Plane, SkinRegion, find_skin

# Linear sRGB to CIE XYZ under D65, as scikit-image has it; the white point is the sum of each row.
_RGB_TO_XYZ = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
)
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)

_GLOSS_QUANTILE = 0.95
# A pixel is skin with a highlight if the two colours explain it up to this share; hair and lips are not.
_MISFIT = 0.10
# Below this sine of the angle between skin and white the two colours are one: a picture without colours.
_LEAST_COLOUR = 0.05
_SMALLEST_VARIANCE = 1e-12
# Cycles a pixel: latent pixels of 16, 8 and 4 image pixels (and blocks of JPEG, 8).
LATTICE_FREQUENCIES = (1 / 16, 1 / 8, 1 / 4)
_LATTICE_SIDE = 16
_FEWEST_PERIODS = 4
# A step of an edge counts no more than this many medians of its kind.
_LARGEST_STEP = 3.0


def specular(region: SkinRegion) -> float | None:
    """How strong the highlights of the skin are.

    Light from skin is its own colour times a shade plus the light's colour times a gloss (the dichromatic model:
    Shafer, Color Research and Application 10, 1985). With the median colour for the first and white for the second,
    the gloss of each pixel of ``region.area`` is a least-squares fit; returned is its 95th percentile.

    Returns:
        Share of the skin's median luminance: 0 is matte, more is oilier. The same in any exposure that clips nothing.
        Larger for dark skin, which sends back less light of its own. None where skin is as grey as a highlight, or no
        pixel is explained by the two colours.
    """
    light = LINEAR[region.crop].astype(np.float64)
    body = np.median(light[region.mask], axis=0)
    white = np.ones(3)
    cosine = float(body @ white) / float(np.linalg.norm(body) * math.sqrt(3.0))
    if math.sqrt(max(0.0, 1.0 - cosine**2)) < _LEAST_COLOUR:
        return None
    pixels = light[region.area]
    system = np.stack([body, white], axis=1)
    shade, gloss = np.linalg.lstsq(system, pixels.T, rcond=None)[0]
    misfit = np.linalg.norm(pixels - (system @ np.stack([shade, gloss])).T, axis=1)
    fits = (misfit <= _MISFIT * np.linalg.norm(pixels, axis=1)) & (shade > 0)
    if not fits.any():
        return None
    luminance = float(np.median(region.luminance[region.mask]))
    return float(np.quantile(gloss[fits], _GLOSS_QUANTILE)) / luminance


def tone_ita(region: SkinRegion) -> float:
    """Individual typology angle of the skin's median colour (Chardon, Cretois and Hourseau, 1991), CIELAB under D65.

    Returns:
        ``atan2(L* - 50, b*)`` in degrees, -180..180: above 55 very light, below -30 dark. More light or another colour
        of it moves the angle as another skin does: a band of references in mixed light is wide.
    """
    body = np.median(LINEAR[region.crop][region.mask], axis=0).astype(np.float64)
    _, y, z = (_RGB_TO_XYZ @ body) / _RGB_TO_XYZ.sum(axis=1)
    return math.degrees(math.atan2(116.0 * _lab(y) - 66.0, 200.0 * (_lab(y) - _lab(z))))


def grain(region: SkinRegion) -> float | None:
    """How little the finest detail of a pixel knows of the pixels beside it.

    Detail is log luminance less its mean over 3 x 3 pixels; returned is minus the correlation of the details of two
    skin pixels side by side or one above the other. Skin, hair and shading run on over pixels; grain laid on in
    post-processing does not.

    Returns:
        -1..1. White noise gives 1/6 whatever its strength; smoothed skin less than plain skin; the same in any
        exposure. None where skin pixels do not vary at all.
    """
    import cv2

    plane = region.log_luminance.astype(np.float64)
    detail = plane - cv2.blur(plane, (3, 3), borderType=cv2.BORDER_REFLECT_101)
    mask, product, power = region.mask, 0.0, 0.0
    for one, other in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        both = mask[one] & mask[other]
        first, second = detail[one][both], detail[other][both]
        product += float(first @ second)
        power += float(first @ first + second @ second) / 2.0
    return -product / power if power > _SMALLEST_VARIANCE else None


def lattice(image: RgbImage) -> float | None:
    """How far lines with a period of 4, 8 or 16 pixels stand out of the whole picture.

    Second differences of luma along each axis, limited to three times their median, and their absolute values, are
    averaged across the other axis; in the power spectrum of these profiles each frequency of ``LATTICE_FREQUENCIES`` is
    held against its neighbours.

    Args:
        image: uint8 RGB ``[h, w, 3]``, never resized since it was decoded.

    Returns:
        The largest natural logarithm of power over the neighbours' mean, about 0.7 without a lattice. None where a side
        holds fewer than four periods of 16 pixels.
    """
    if min(image.shape[:2]) < _FEWEST_PERIODS * _LATTICE_SIDE + 2:
        return None
    luma = image.astype(np.float32) @ _LUMA
    signed, absolute = [], []
    for plane in (luma, luma.T):
        steps = plane[:, :-2] - 2.0 * plane[:, 1:-1] + plane[:, 2:]
        limit = _LARGEST_STEP * max(float(np.median(np.abs(steps))), 1.0)
        steps = np.clip(steps, -limit, limit)
        signed.append(_profile_power(steps.mean(axis=0)))
        absolute.append(_profile_power(np.abs(steps).mean(axis=0)))
    return max(_peak(spectra, frequency) for frequency in LATTICE_FREQUENCIES for spectra in (signed, absolute))


def _profile_power(profile: Plane) -> NDArray[np.float64]:
    # Whole periods of 16, so that each frequency falls on a line of the spectrum.
    whole = profile[: len(profile) // _LATTICE_SIDE * _LATTICE_SIDE].astype(np.float64)
    return np.asarray(np.abs(np.fft.rfft((whole - whole.mean()) * np.hanning(len(whole) + 1)[:-1])) ** 2)


def _peak(spectra: list[NDArray[np.float64]], frequency: float) -> float:
    """Power at a frequency over the mean of the lines beside it, each summed over the spectra of both axes."""
    at = beside = 0.0
    for power in spectra:
        line = round(frequency * 2 * (len(power) - 1))
        at += float(power[line])
        # The window spreads a line over its two neighbours.
        beside += float(np.mean([power[line + step] for step in (-4, -3, -2, 2, 3, 4) if 0 < line + step < len(power)]))
    return math.log((at + 1e-12) / (beside + 1e-12))


def _lab(share: float) -> float:
    return share ** (1 / 3) if share > (6 / 29) ** 3 else share / (3 * (6 / 29) ** 2) + 4 / 29


def _measure(picture: Picture) -> Measured:
    values: dict[str, float | None] = {"lattice": lattice(picture.image)}
    reasons = {} if values["lattice"] is not None else {"lattice": "lattice unscorable: a side of fewer than 66 pixels"}
    region: SkinRegion | str = str(picture.reason)
    if picture.points is not None:
        region = find_skin(picture.image, picture.points, minimum_inter_ocular=picture.minimum_inter_ocular)
    if isinstance(region, str):
        values |= dict.fromkeys(_OF_SKIN)
        return Measured(values, {**reasons, **dict.fromkeys(_OF_SKIN, region)})
    for name, (measure, missing) in _OF_SKIN.items():
        values[name] = measure(region)
        if values[name] is None:
            reasons[name] = missing
    return Measured(values, reasons)


# Skin without any variation is no reason to look away: its reason lacks the word unscorable, so it counts as bad.
_OF_SKIN = {
    "specular": (specular, "specular unscorable: skin and highlights are of one colour"),
    "tone_ita": (tone_ita, "tone was not measured"),
    "grain": (grain, "no two skin pixels differ"),
}

FAMILY = MetricFamily((*_OF_SKIN, "lattice"), _measure)
