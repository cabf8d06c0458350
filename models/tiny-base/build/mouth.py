"""The mouth: lips painted on the skin, teeth, tongue, and the dark between them."""

from __future__ import annotations

import numpy as np
from fragments import Fragments
from geometry import sample_texture
from head import Head, Part
from noise import SkinNoise
from person import Person

TEETH = (Part.UPPER_TEETH, Part.LOWER_TEETH)
TEETH_RGB = np.array([0.55, 0.50, 0.42])  # linear RGB, as the others
TONGUE_RGB = np.array([0.30, 0.10, 0.09])
INSIDE_RGB = np.array([0.07, 0.022, 0.02])


def lip_share(head: Head, fragments: Fragments) -> np.ndarray:
    """How much of each fragment is lip, f32[n] in 0..1."""
    return sample_texture(head.mesh.lip_mask, fragments.uv) * fragments.of(Part.SKIN)


def paint_lips(
    colour: np.ndarray, lips: np.ndarray, fragments: Fragments, person: Person, noise: SkinNoise, rough: float
) -> np.ndarray:
    """Skin `colour` f64[n,3] with lips laid over it, redder and with fine upright lines."""
    lip_rgb = person.skin_rgb * (1 + person.lip_redness * (np.array([1.02, 0.52, 0.60]) - 1))
    lines = 1 + 0.10 * rough * noise.signed(fragments.local * np.array([3.0, 0.6, 1.0]), 6, "lip_lines")
    return colour * (1 - 0.9 * lips[:, None]) + lip_rgb * lines[:, None] * 0.9 * lips[:, None]


def inside_mouth(head: Head, fragments: Fragments, lips: np.ndarray) -> np.ndarray:
    """Which fragments of the body are the wall of the mouth, bool[n]: behind the lips and turned away."""
    x, y, z = fragments.centred.T
    return (
        fragments.of(Part.SKIN)
        & (z < -0.55 * head.half_iod)
        & (np.abs(x) < 1.1 * head.half_iod)
        & (y < -1.7 * head.half_iod)
        & (y > -2.9 * head.half_iod)
        & (lips < 0.2)
        & (fragments.normal[:, 2] < 0.25)
    )
