"""What the battery does to a picture, each change with the answer that skin measures should give.

Lengths are in distances between the eyes (IOD), grain and quantisation in grey levels, exposure in linear light.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from evals.control_images import grained, smoothed
from evals.images import RgbImage
from evals.skin_region import LINEAR

Change = Callable[[RgbImage, float, int], RgbImage]
CLEAN = "none"
# The kinds: what a skin measure should say of them.
SMOOTHER, ROUGHER, HIDDEN, SIGN, BENIGN = "smoother", "rougher", "smoothed and grain", "another sign", "benign"


@dataclass(frozen=True)
class Degradation:
    """One change.

    Args:
        kind: ``SMOOTHER`` and ``ROUGHER`` should be flagged on that side by texture, ``HIDDEN`` on either; ``SIGN`` is
            for a metric of ``evals.skin_signs_eval``; ``BENIGN`` should not be flagged at all.
        apply: picture u8 ``[h, w, 3]``, IOD in pixels and a seed to a picture of the same shape.
    """

    kind: str
    apply: Change


def gaussian(share: float) -> Change:
    """Blur with a Gaussian of ``share`` IOD."""

    def apply(image: RgbImage, distance: float, seed: int) -> RgbImage:
        import cv2

        sigma = share * distance
        return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101), np.uint8)

    return apply


def bilateral(image: RgbImage, distance: float, seed: int) -> RgbImage:
    """OpenCV's bilateral filter with the numbers of its tutorial: 9 pixels, 75 grey levels, 75 pixels."""
    import cv2

    return np.asarray(cv2.bilateralFilter(image, 9, 75, 75), np.uint8)


def median(image: RgbImage, distance: float, seed: int) -> RgbImage:
    """SciPy's median of 3 x 3 pixels, each colour by itself."""
    from scipy.ndimage import median_filter

    return np.asarray(median_filter(image, size=(3, 3, 1)), np.uint8)


def with_grain(before: Change, sigma: float) -> Change:
    """Lay monochrome Gaussian grain of ``sigma`` grey levels over what another change leaves."""

    def apply(image: RgbImage, distance: float, seed: int) -> RgbImage:
        noise = np.random.default_rng(seed).normal(0.0, sigma, image.shape[:2])
        return np.clip(np.round(before(image, distance, seed) + noise[..., None]), 0, 255).astype(np.uint8)

    return apply


def sharpened(amount: float) -> Change:
    """Unsharp masking with a Gaussian of .03 IOD."""

    def apply(image: RgbImage, distance: float, seed: int) -> RgbImage:
        blurred = gaussian(0.03)(image, distance, seed).astype(np.float64)
        return np.clip(np.round(image + amount * (image - blurred)), 0, 255).astype(np.uint8)

    return apply


def jpeg(quality: int) -> Change:
    """Encode and decode with Pillow, colours at half the resolution as it does by itself."""

    def apply(image: RgbImage, distance: float, seed: int) -> RgbImage:
        from io import BytesIO

        from PIL import Image

        file = BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=quality)
        return np.asarray(Image.open(file).convert("RGB"))

    return apply


def exposed(factor: float) -> Change:
    """Multiply linear light, cut off at white."""

    def apply(image: RgbImage, distance: float, seed: int) -> RgbImage:
        light = np.clip(LINEAR[image].astype(np.float64) * factor, 0.0, 1.0)
        coded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055)
        return np.clip(np.round(coded * 255), 0, 255).astype(np.uint8)

    return apply


def resized(share: float) -> Change:
    """Shrink to ``share`` of the side by area, enlarge again by a cubic."""

    def apply(image: RgbImage, distance: float, seed: int) -> RgbImage:
        import cv2

        height, width = image.shape[:2]
        small = cv2.resize(image, (round(width * share), round(height * share)), interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)

    return apply


def ruled(image: RgbImage, distance: float, seed: int) -> RgbImage:
    """Brighten every eighth row and column by 2 grey levels: the lattice of a decoder that enlarges by 8."""
    lines = np.zeros(image.shape[:2])
    lines[::8] += 2.0
    lines[:, ::8] += 2.0
    return np.clip(image + lines[..., None], 0, 255).astype(np.uint8)


def unchanged(image: RgbImage, distance: float, seed: int) -> RgbImage:
    """Return the picture."""
    return image


DEGRADATIONS: Mapping[str, Degradation] = {
    CLEAN: Degradation(BENIGN, unchanged),
    "gaussian .01": Degradation(SMOOTHER, gaussian(0.01)),
    "gaussian .02": Degradation(SMOOTHER, gaussian(0.02)),
    "gaussian .04": Degradation(SMOOTHER, gaussian(0.04)),
    "bilateral": Degradation(SMOOTHER, bilateral),
    "median": Degradation(SMOOTHER, median),
    "beauty filter": Degradation(SMOOTHER, lambda image, distance, seed: smoothed(image, distance)),
    "gaussian .02 + grain 2": Degradation(HIDDEN, with_grain(gaussian(0.02), 2.0)),
    "gaussian .02 + grain 4": Degradation(HIDDEN, with_grain(gaussian(0.02), 4.0)),
    "gaussian .04 + grain 4": Degradation(HIDDEN, with_grain(gaussian(0.04), 4.0)),
    "median + grain 4": Degradation(HIDDEN, with_grain(median, 4.0)),
    "beauty filter + grain 4": Degradation(HIDDEN, grained),
    "grain 4": Degradation(ROUGHER, with_grain(unchanged, 4.0)),
    "sharpened x1": Degradation(ROUGHER, sharpened(1.0)),
    "sharpened x2": Degradation(ROUGHER, sharpened(2.0)),
    "lattice of 8 pixels": Degradation(SIGN, ruled),
    "exposure x1/4": Degradation(BENIGN, exposed(0.25)),
    "exposure x1/2": Degradation(BENIGN, exposed(0.5)),
    "exposure x2": Degradation(BENIGN, exposed(2.0)),
    "jpeg 95": Degradation(BENIGN, jpeg(95)),
    "jpeg 75": Degradation(BENIGN, jpeg(75)),
    "jpeg 50": Degradation(BENIGN, jpeg(50)),
    "resize .9": Degradation(BENIGN, resized(0.9)),
    "resize .75": Degradation(BENIGN, resized(0.75)),
    "resize .5": Degradation(SMOOTHER, resized(0.5)),
}
