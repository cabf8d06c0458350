"""Light on the hair of the head: each strand's own colour, and a highlight across the strands."""

from __future__ import annotations

import numpy as np
from fragments import Fragments
from geometry import unit
from hair import CURL, Hair, Layer, strand_texture
from head import Head
from light import Light
from person import Person

CROWN = np.array([0, 0.94, -0.342])  # 20 degrees behind the top of the head


def shade_hair(
    hair: Hair,
    layer: Layer,
    light: Light,
    lit: np.ndarray,
    head: Head,
    fragments: Fragments,
    person: Person,
    rotation: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """The fragments i64[k] of one `layer` and the light f64[k,3], linear RGB, that they send to the camera.

    `lit` f64[n] in 0..1 is the share of key light at each fragment, `rotation` f64[3,3] the camera's. The highlight
    follows Kajiya and Kay (1989): it depends on the angle to the strand, not to a surface.
    """
    chosen = np.nonzero(
        (fragments.triangle >= layer.first) & (fragments.triangle < layer.first + len(layer.triangles))
    )[0]
    radial = unit(fragments.interpolate(hair.directions, chosen))
    position = fragments.position[chosen]
    if layer.hull:
        tangent = np.tile(np.array([0.0, -1.0, 0.05]), (len(chosen), 1))
        outward = unit(position - head.skull_centre - np.array([0, 0.2, 0]) * head.height)
    else:
        tangent = unit(radial * (radial @ CROWN)[:, None] - CROWN)
        outward = radial
    strand, second = _strands(hair, layer, radial, position)
    rgb = np.array(person.hair_rgb)
    # Inner layers are darker: less light comes down to them.
    colour = rgb * (0.55 + 0.9 * strand * (0.6 + 0.4 * second))[:, None] * (0.55 + 0.45 * layer.height)
    normal = outward @ rotation.T
    tangent = unit(tangent @ rotation.T + 0.15 * (strand - 0.5)[:, None])
    facing = normal @ light.key
    lambert = np.clip((facing + 0.3) / 1.3, 0, 1)
    across = np.sqrt(np.clip(1 - (tangent @ light.halfway) ** 2, 0, 1))
    sheen = (0.16 * across**40 + 0.05 * across**8) * (0.3 if hair.curly else 1) * np.clip(facing + 0.2, 0, 1)
    diffuse = light.ambient * (0.7 + 0.3 * normal[:, 1]) + light.level * lambert * (0.35 + 0.65 * lit[chosen])
    highlight = (sheen * (0.4 + 0.9 * strand) * light.level)[:, None] * (0.35 + 0.65 * (rgb / rgb.max()))
    return chosen, colour * diffuse[:, None] + highlight


def _strands(hair: Hair, layer: Layer, radial: np.ndarray, position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values f32[k] in 0..1 of the strand at each point, the ones that `strand_grows` saw, and of finer ones over it."""
    azimuth = np.arctan2(radial[:, 0], radial[:, 2] * 0.94 + radial[:, 1] * 0.342)
    polar = np.arccos(np.clip(radial @ CROWN, -1, 1))
    v = np.abs(position[:, 1] * 40) if layer.hull else polar / np.pi * 256
    u = (azimuth / (2 * np.pi) + 0.5) * 512 + CURL[hair.curly] * np.sin(polar * 9 + azimuth * 5)
    v, u = v.astype(int) % 512, u.astype(int) % 512
    texture = strand_texture(hair.curly)
    return texture[v, u], texture[v, (u * 3 + 97) % 512]
