"""Pictures with a known fault: the same face blurred, smoothed, or smoothed with grain laid over it.

Strengths are lengths in inter-ocular distances (IOD), so that a control is as bad on a photograph of 1,024 pixels as on
a render of 128.
"""

import numpy as np

from evals.images import RgbImage

BLUR_SIGMA = 0.03
"""Standard deviation of the blur in IOD: a picture out of focus, features still in place."""
SMOOTH_SIGMA = 0.05
"""Reach of the smoothing in IOD; edges of more than ``SMOOTH_RANGE`` grey levels stay, as in a beauty filter."""
SMOOTH_RANGE = 40.0
SMOOTH_PASSES = 3
GRAIN_SIGMA = 4.0
"""Standard deviation of the grain in grey levels."""


def blurred(image: RgbImage, inter_ocular: float) -> RgbImage:
    """Return a Gaussian blur of ``BLUR_SIGMA``.

    Args:
        image: uint8 RGB ``[h, w, 3]``.
        inter_ocular: pixels between the eyes, above 0.

    Raises:
        ValueError: the image is not uint8 ``[h, w, 3]`` or the distance is not above 0.
    """
    import cv2

    sigma = BLUR_SIGMA * _checked(image, inter_ocular)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101), dtype=np.uint8)


def smoothed(image: RgbImage, inter_ocular: float) -> RgbImage:
    """Return the picture after ``SMOOTH_PASSES`` bilateral filters (Tomasi and Manduchi, ICCV 1998): plastic skin.

    Args, Raises:
        As ``blurred``.
    """
    import cv2

    sigma = max(1.0, SMOOTH_SIGMA * _checked(image, inter_ocular))
    for _ in range(SMOOTH_PASSES):
        image = np.asarray(cv2.bilateralFilter(image, 2 * round(2 * sigma) + 1, SMOOTH_RANGE, sigma), dtype=np.uint8)
    return image


def grained(image: RgbImage, inter_ocular: float, seed: int) -> RgbImage:
    """Return ``smoothed`` with monochrome Gaussian grain of ``GRAIN_SIGMA``, the same for the same seed.

    Args, Raises:
        As ``blurred``.
    """
    smooth = smoothed(image, inter_ocular)
    grain = np.random.default_rng(seed).normal(0.0, GRAIN_SIGMA, smooth.shape[:2])
    return np.clip(np.round(smooth + grain[..., None]), 0, 255).astype(np.uint8)


def _checked(image: RgbImage, inter_ocular: float) -> float:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"image must be uint8 of shape (height, width, 3), but got {image.dtype} of {image.shape}")
    if not inter_ocular > 0:
        raise ValueError(f"inter_ocular must be above 0, but got {inter_ocular}")
    return float(inter_ocular)
