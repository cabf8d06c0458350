"""Pictures changed a little before they are trained on: mirrored, or in slightly other colours."""

from typing import Any

MOST_HUE, MOST_GAMMA = 0.02, 0.05
"""Largest turn of the hue, as a share of the circle, and largest distance of gamma from 1."""


def mirrored(pixels: Any) -> Any:
    """Return ``[..., height, width, 3]`` with left and right exchanged."""
    return pixels[..., ::-1, :].copy()


def recoloured(pixels: Any, seed: int) -> Any:
    """Return a picture in slightly other colours, or as it is: each with a chance of one half.

    Hue turns by at most ``MOST_HUE`` of the circle, gamma lies within ``MOST_GAMMA`` of 1, both drawn uniformly.

    Args:
        pixels: ``uint8 [height, width, 3]`` RGB.
        seed: of the draw.
    """
    import numpy as np
    from skimage.color import hsv2rgb, rgb2hsv

    generator = np.random.default_rng(seed)
    if generator.random() < 0.5:
        return pixels
    hue, gamma = generator.uniform(-MOST_HUE, MOST_HUE), generator.uniform(1.0 - MOST_GAMMA, 1.0 + MOST_GAMMA)
    colours = rgb2hsv(pixels)
    colours[..., 0] = (colours[..., 0] + hue) % 1.0
    return np.rint(255.0 * hsv2rgb(colours) ** gamma).astype(np.uint8)
