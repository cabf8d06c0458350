"""The surface at each fragment before light falls on it, painted layer over layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from composite import over
from eyes import EYES, eye_colour
from facial_hair import beard_share, brow_share, stubble_share
from fragments import Fragments
from hair import Hair
from head import Head, Part
from mouth import INSIDE_RGB, TEETH, TEETH_RGB, TONGUE_RGB, inside_mouth, lip_share, paint_lips
from noise import SkinNoise
from person import Person
from scene import Scene
from skin import bumped_normal, pore_relief, skin_colour


@dataclass(frozen=True)
class Surface:
    """`colour` f64[n,3] is reflectance, linear RGB in 0..1; hair of the head is left to `hair_shading.py`.

    `normal` f64[n,3] are unit vectors as the camera sees them, bumps included; `pores` f32[n] is the relief of
    `skin.py`; `lips` f32[n] and `brows` f64[n] are shares in 0..1.
    """

    colour: np.ndarray
    normal: np.ndarray
    pores: np.ndarray
    lips: np.ndarray
    brows: np.ndarray


def paint_surface(
    head: Head, fragments: Fragments, person: Person, scene: Scene, hair: Hair | None, rotation: np.ndarray
) -> Surface:
    """Paint the head; `rotation` f64[3,3] is the camera's. Later layers cover earlier ones."""
    noise = SkinNoise(person.seed)
    rough = 1 - scene.smoothness
    skin_rgb, hair_rgb = person.skin_rgb, np.array(person.hair_rgb)
    pores = pore_relief(fragments, person, noise)
    colour = skin_colour(head, fragments, person, noise, pores, rough)
    if person.beard:
        beard_rgb = 0.25 * skin_rgb * 0.35 + 0.75 * np.minimum(hair_rgb, skin_rgb * 0.55)
        colour = over(colour, beard_rgb, beard_share(head, fragments, person, noise))
    lips = lip_share(head, fragments)
    colour = paint_lips(colour, lips, fragments, person, noise, rough)
    brows = brow_share(head, fragments, person, noise)
    colour = over(colour, np.minimum(hair_rgb * 0.8, skin_rgb * np.array([0.42, 0.36, 0.32])), brows)
    if hair:
        colour = over(colour, hair_rgb * 0.6, stubble_share(head, fragments, hair, noise))
    for part in EYES:
        colour[fragments.of(part)] = eye_colour(head, fragments, person, scene, noise, part)
    colour[fragments.of(*TEETH)] = TEETH_RGB
    colour[fragments.of(Part.TONGUE)] = TONGUE_RGB
    colour[fragments.of(Part.LASHES)] = hair_rgb * 0.35
    colour[inside_mouth(head, fragments, lips)] = INSIDE_RGB
    normal = bumped_normal(fragments, person, noise, rotation, rough)
    return Surface(colour=colour, normal=normal, pores=pores, lips=lips, brows=brows)
