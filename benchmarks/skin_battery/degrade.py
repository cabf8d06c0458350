"""What is done to a picture of skin: faults that must be told, and changes that any good picture may go through.

Lengths follow the distance between the eyes (IOD), so that a strength means the same at every size. Two smoothers are
not ours in any sense: OpenCV's bilateral filter and SciPy's median.
"""

import io
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from evals.images import RgbImage

Change = Callable[[RgbImage, float, int], RgbImage]
"""Picture, IOD in pixels and a seed to a picture of the same size."""

# Standard deviations of the three Gaussians, in IOD: at 40 pixels between the eyes .6, 1 and 1.6 pixels.
LIGHT, MEDIUM, STRONG = 0.015, 0.025, 0.04
GRAIN = 4.0  # grey levels
SHARPENING = 1.0  # of an unsharp mask of .02 IOD


def gaussian(sigma: float) -> Change:
    """Smooth by a Gaussian of ``sigma`` IOD."""

    def change(image: RgbImage, distance: float, seed: int) -> RgbImage:
        import cv2

        return np.asarray(
            cv2.GaussianBlur(image, (0, 0), sigma * distance, borderType=cv2.BORDER_REFLECT_101), dtype=np.uint8
        )

    return change


def bilateral(image: RgbImage, distance: float, seed: int) -> RgbImage:
    """Smooth once by OpenCV's bilateral filter, as a beauty filter does."""
    import cv2

    return np.asarray(cv2.bilateralFilter(image, 0, 30, max(1.0, 0.04 * distance)), dtype=np.uint8)


def median(image: RgbImage, distance: float, seed: int) -> RgbImage:
    """Take SciPy's median over a square of .1 IOD."""
    from scipy.ndimage import median_filter

    side = max(3, round(0.1 * distance) | 1)
    return np.asarray(median_filter(image, size=(side, side, 1), mode="reflect"), dtype=np.uint8)


def smoothed_with_grain(image: RgbImage, distance: float, seed: int) -> RgbImage:
    """Smooth strongly, then lay monochrome grain over it."""
    smooth = gaussian(STRONG)(image, distance, seed).astype(np.float64)
    grain = np.random.default_rng(seed).normal(0.0, GRAIN, smooth.shape[:2])
    return _to_levels(smooth + grain[..., None])


def sharpened(image: RgbImage, distance: float, seed: int) -> RgbImage:
    """Unsharp mask of .02 IOD at its full strength."""
    soft = gaussian(0.02)(image, distance, seed).astype(np.float64)
    return _to_levels(image + SHARPENING * (image - soft))


def jpeg(quality: int) -> Change:
    """Write and read as JPEG, colours at full resolution."""

    def change(image: RgbImage, distance: float, seed: int) -> RgbImage:
        from PIL import Image

        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=quality, subsampling=0)
        return np.asarray(Image.open(buffer).convert("RGB"))

    return change


def exposure(factor: float) -> Change:
    """Multiply linear light."""

    def change(image: RgbImage, distance: float, seed: int) -> RgbImage:
        from evals.skin_region import LINEAR

        light = np.clip(LINEAR[image].astype(np.float64) * factor, 0.0, 1.0)
        coded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
        return _to_levels(255.0 * coded)

    return change


def resized(share: float) -> Change:
    """Scale down by area and up again by cubic interpolation, to the size it had."""

    def change(image: RgbImage, distance: float, seed: int) -> RgbImage:
        import cv2

        height, width = image.shape[:2]
        small = cv2.resize(image, (round(share * width), round(share * height)), interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)

    return change


def unchanged(image: RgbImage, distance: float, seed: int) -> RgbImage:
    """The picture as it is."""
    return image


FAULTS: Mapping[str, Change] = {
    "Gaussian .015": gaussian(LIGHT),
    "Gaussian .025": gaussian(MEDIUM),
    "Gaussian .04": gaussian(STRONG),
    "bilateral": bilateral,
    "median": median,
    "smoothed + grain": smoothed_with_grain,
    "over-sharpened": sharpened,
}
"""Must be told. Numbers are standard deviations in IOD."""

HARMLESS: Mapping[str, Change] = {
    "none": unchanged,
    "JPEG 95": jpeg(95),
    "JPEG 80": jpeg(80),
    "JPEG 60": jpeg(60),
    "exposure 1/4": exposure(0.25),
    "exposure 1/2": exposure(0.5),
    "exposure 2": exposure(2.0),
    "resize .9": resized(0.9),
    "resize .75": resized(0.75),
}
"""Should not be flagged, as far as what they take away allows."""


def _to_levels(values: NDArray[np.float64]) -> RgbImage:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)
