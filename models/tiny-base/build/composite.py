"""Laying colours over each other, the background, reduction to the picture's size, and the tone curve to sRGB."""

from __future__ import annotations

import numpy as np
from scene import BACKGROUNDS, Scene


def over(below: np.ndarray, above: np.ndarray | float, alpha: np.ndarray) -> np.ndarray:
    """Colours f64[n,3] with `above` f64[n,3], f64[3] or a grey laid over them, opaque where `alpha` f64[n] is 1."""
    return below * (1 - alpha[:, None]) + above * alpha[:, None]


def background(scene: Scene, width: int) -> np.ndarray:
    """The wall behind the person, linear RGB f64[width,width,3]: the named colour, shaded and darker at the edges."""
    slope_x, slope_y = scene.background_shade[:2]
    ramp = np.linspace(-1, 1, width)
    gradient = (
        1
        + 0.16 * slope_x * ramp[None, :]
        + 0.16 * slope_y * ramp[:, None]
        - 0.10 * (ramp[None, :] ** 2 + ramp[:, None] ** 2)
    )
    wall = (np.array(BACKGROUNDS[scene.background]) ** 2.2)[None, None] * np.clip(gradient, 0.4, 1.5)[:, :, None]
    return wall * (0.9 + 0.2 * scene.exposure - 0.2)


def reduce(picture: np.ndarray, supersample: int) -> np.ndarray:
    """Average `supersample` x `supersample` pixels of f64[w,w,3] into one, after a blur that lenses have too."""
    import cv2

    size = len(picture) // supersample
    blurred = cv2.GaussianBlur(picture, (0, 0), 0.45 * supersample)
    return cv2.resize(blurred, (size, size), interpolation=cv2.INTER_AREA)


def tone_curve(light: np.ndarray) -> np.ndarray:
    """Linear light f64[...], 1 = white paper in full light, as sRGB u8[...] (transfer function of IEC 61966-2-1)."""
    light = np.clip(light, 0, None)
    light = light / (1 + 0.18 * light)  # a soft shoulder, so that highlights roll off instead of clipping
    encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.clip(light, 1e-9, None) ** (1 / 2.4) - 0.055)
    return np.clip(encoded * 255 + 0.5, 0, 255).astype(np.uint8)
