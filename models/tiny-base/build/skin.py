"""Skin: its relief, and its colour with everything that marks a person.

Whatever `smoothness` takes away (pores, bumps, blotches, freckles, wrinkles) is scaled by `rough` = 1 - smoothness.
"""

from __future__ import annotations

import numpy as np
from fragments import Fragments
from geometry import oval, unit
from head import Head, Part
from noise import SkinNoise
from person import Person


def pore_relief(fragments: Fragments, person: Person, noise: SkinNoise) -> np.ndarray:
    """Height of the fine relief, f32[n] around 0, seldom beyond ±2.4: shades colour and gloss."""
    local = fragments.local
    # Wavelengths of 1/7, 1/12 and 1/20 interocular distance: the coarsest that still read as skin survive 128 px.
    return (
        0.8 * noise.signed(local, 7, "pores")
        + noise.signed(local, 12, "fine_pores")
        + 0.9 * noise.signed(local, 20, "finest_pores")
    ) * person.pores


def bumped_normal(
    fragments: Fragments, person: Person, noise: SkinNoise, rotation: np.ndarray, rough: float
) -> np.ndarray:
    """Unit normals f64[n,3] as the camera sees them, tilted on skin by small bumps; `rotation` f64[3,3] the camera's."""
    local = fragments.local
    step = 0.02  # interocular distances to each side; the noise's own cells are 1/9.5
    slope = np.stack(
        [
            noise.signed(local + axis * step, 9.5, "bumps") - noise.signed(local - axis * step, 9.5, "bumps")
            for axis in np.eye(3)
        ],
        1,
    )
    gain = 0.33 * rough * person.pores
    return unit(fragments.normal - gain * (slope @ rotation.T) * fragments.of(Part.SKIN)[:, None])


def skin_colour(
    head: Head, fragments: Fragments, person: Person, noise: SkinNoise, pores: np.ndarray, rough: float
) -> np.ndarray:
    """Reflectance of bare skin, linear RGB f64[n,3]; `pores` f32[n] from `pore_relief`."""
    local, unit_length = fragments.local, head.half_iod
    x, y = np.abs(fragments.centred[:, 0]), fragments.centred[:, 1]
    colour = np.tile(person.skin_rgb, (len(local), 1))
    blotches = 0.6 * noise.signed(local, 2.2, "blotches") + 0.4 * noise.signed(local, 5.5, "fine_blotches")
    redness = blotches * person.blotches * 0.10 * rough
    colour = colour * (1 + np.stack([redness * 0.6, -redness * 0.9, -redness * 0.7], 1))
    colour *= np.exp(0.115 * rough * pores)[:, None]
    cheeks = oval(x, y, (1.15 * unit_length, -1.25 * unit_length), (0.62 * unit_length, 0.6 * unit_length))
    nose = oval(x, y, (0, -1.35 * unit_length), (0.45 * unit_length, 0.4 * unit_length))
    flush = (cheeks + 0.6 * nose) * person.blush * (0.35 + 0.65 * (1 - person.melanin))
    colour *= 1 + flush[:, None] * np.array([0.10, -0.13, -0.10])
    under_eyes = oval(x, y, (unit_length, -0.42 * unit_length), (0.55 * unit_length, 0.2 * unit_length))
    colour *= 1 - under_eyes[:, None] * (0.05 + 0.16 * person.age) * np.array([0.8, 1.0, 0.85])
    if person.freckles:
        band = np.clip(np.exp(-(((y + 0.9 * unit_length) / (1.3 * unit_length)) ** 2)), 0.12, 1)
        freckles = noise.spots(local, 9.0, "freckles", 0.35 * person.freckles) * band
        colour *= 1 - 0.62 * rough * freckles[:, None] * np.array([0.55, 0.85, 1.0])
    if person.moles:
        # Moles are drawn on smoothed skin too, at half their depth: they belong to the person, not to the texture.
        moles = noise.spots(local, 3.2, "moles", 0.035 * person.moles)
        colour *= 1 - np.clip(1.3 * moles, 0, 0.8)[:, None] * (0.5 + 0.5 * rough) * np.array([0.75, 0.9, 0.95])
    if person.age > 0.3:
        # Noise squeezed along y: wrinkles of the forehead lie across it.
        wrinkles = noise.signed(local * np.array([1.0, 6.5, 1.0]), 1.4, "wrinkles")
        forehead = np.exp(-(((y - 1.15 * unit_length) / (0.5 * unit_length)) ** 2))
        colour *= 1 - (0.30 * (person.age - 0.3) * rough * np.clip(wrinkles, 0, 1) * forehead)[:, None]
    return colour
