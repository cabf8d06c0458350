"""Light and shadow: one key light, an ambient sky, and what skin, lips, eyes and teeth send back of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from eyes import EYES
from fragments import Fragments
from geometry import unit
from head import Head, Part
from mouth import TEETH
from person import Person
from raster import ZBuffer
from scene import Scene
from surface import Surface

SHADOW_MAP = 256  # pixels a side


@dataclass(frozen=True)
class Light:
    """`key` f64[3] is the unit direction from which the key light comes, as the camera sees it; `halfway` f64[3] lies
    between it and the viewer. `ambient` and `level` (of the key light) are in white-paper units, `tint` f64[3] scales
    linear RGB. Only `hard` light throws shadows.
    """

    key: np.ndarray
    halfway: np.ndarray
    ambient: float
    level: float
    tint: np.ndarray
    hard: bool


def light_of(scene: Scene) -> Light:
    """The light of `scene`."""
    key = unit(np.array(scene.key))
    hard = scene.light == "hard"
    ambient, level = (0.34, 1.05) if hard else (0.62, 0.72)
    tint = np.array([1 + scene.warmth, 1.0, 1 - scene.warmth])
    return Light(key, unit(key + np.array([0, 0, 1])), ambient, level, tint, hard)


def light_frame(key: np.ndarray) -> np.ndarray:
    """Rotation f64[3,3] whose third axis is the direction `key` f64[3] from which the light comes."""
    side = unit(np.cross(np.array([0.0, 1.0, 0.0]), key))
    return np.stack([side, np.cross(key, side), key])


def key_share(light: Light, head: Head, turned: np.ndarray, fragments: Fragments) -> np.ndarray:
    """Share of the key light that reaches each fragment, f64[n] in 0..1; `turned` f64[v,3] are the head's vertices.

    A shadow map with 3 x 3 percentage-closer filtering (Reeves et al. 1987); the skin alone throws shadows.
    """
    if not light.hard:
        return np.ones(len(fragments.triangle))
    seen = turned @ light_frame(light.key).T
    framed = (head.part == Part.SKIN) | (head.part == Part.LASHES)
    used = np.unique(head.triangles[framed][:, :, 0])
    low, high = seen[used].min(0), seen[used].max(0)
    scale = SHADOW_MAP / max(high[0] - low[0], high[1] - low[1])
    points = np.stack([(seen[:, 0] - low[0]) * scale, (seen[:, 1] - low[1]) * scale, seen[:, 2]], 1)
    buffer = ZBuffer(SHADOW_MAP)
    buffer.draw(points, head.triangles[head.part == Part.SKIN])
    at = fragments.interpolate(points)
    # In the mesh's units; without it a surface shadows itself, the more the farther away the map is read.
    bias = 0.035
    lit = np.zeros(len(at))
    for dx in (-2, 0, 2):
        for dy in (-2, 0, 2):
            x = np.clip(at[:, 0].astype(int) + dx, 0, SHADOW_MAP - 1)
            y = np.clip(at[:, 1].astype(int) + dy, 0, SHADOW_MAP - 1)
            lit += buffer.depth[y, x] < at[:, 2] + bias + 0.012 * (abs(dx) + abs(dy)) / 2
    return lit / 9


def shade_surface(
    surface: Surface, light: Light, lit: np.ndarray, head: Head, fragments: Fragments, person: Person, scene: Scene
) -> np.ndarray:
    """Light that each fragment sends to the camera, linear RGB f64[n,3]; `lit` f64[n] from `key_share`."""
    diffuse = _diffuse(surface, light, lit, head, fragments, person)
    gloss = _gloss(surface, light, lit, head, fragments, person, scene)
    return surface.colour * diffuse + gloss[:, None] * light.level


def _diffuse(
    surface: Surface, light: Light, lit: np.ndarray, head: Head, fragments: Fragments, person: Person
) -> np.ndarray:
    """Light that falls on each fragment, f64[n,3]."""
    # Light wraps around skin, red the farthest, since it travels inside: less so where melanin swallows it.
    wrap = np.array([0.32, 0.18, 0.12]) * (0.6 + 0.4 * (1 - person.melanin))
    facing = (surface.normal @ light.key)[:, None]
    key = np.clip((facing + wrap) / (1 + wrap), 0, 1) * (0.25 + 0.75 * lit)[:, None]
    sky = 0.78 + 0.22 * surface.normal[:, 1] + 0.12 * surface.normal[:, 2]
    occlusion = np.clip(1 - 0.85 * np.clip(fragments.cavity, 0, 1), 0.25, 1)
    # The chin keeps the sky off the throat, which no hollow of the mesh shows.
    chin = head.centre[1] - 0.62 * head.height
    under_chin = np.clip(1 + (fragments.position[:, 1] - chin) / (0.30 * head.height), 0.45, 1)
    throat = fragments.of(Part.SKIN) & (fragments.centred[:, 2] < -0.10 * head.height)
    occlusion = occlusion * np.where(throat, under_chin, 1)
    return light.ambient * sky[:, None] * occlusion[:, None] + light.level * key * np.sqrt(occlusion)[:, None]


def _gloss(
    surface: Surface,
    light: Light,
    lit: np.ndarray,
    head: Head,
    fragments: Fragments,
    person: Person,
    scene: Scene,
) -> np.ndarray:
    """Highlights (Blinn and Phong) as a share of the key light, f64[n]."""
    shine = np.clip(surface.normal @ light.halfway, 0, 1)
    oily = 0.5 + 0.8 * np.exp(-((fragments.centred[:, 0] / (0.9 * head.half_iod)) ** 2))  # forehead, nose and chin
    skin = (0.085 * shine**14 + 0.10 * shine**48) * oily * person.oil * (1 + 0.9 * scene.smoothness) * lit
    gloss = np.where(fragments.of(Part.SKIN), skin, 0)
    gloss *= np.clip(1 + 0.8 * (1 - scene.smoothness) * surface.pores * 0.35, 0.2, 2) * (1 - surface.brows)
    gloss = np.where(surface.lips > 0.4, 0.11 * shine**22 * lit, gloss)
    wet = np.clip(fragments.normal @ light.halfway, 0, 1) ** 90 + 0.03
    gloss = np.where(fragments.of(*EYES), wet, gloss)
    return np.where(fragments.of(*TEETH), 0.12 * shine**20, gloss)
