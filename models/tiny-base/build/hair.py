"""Hair of the head: shells of strands that grow on the scalp, and for long hair a hull that hangs free."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from camera import Camera
from geometry import sample_texture, unit
from hairline import HairCut, HairShell
from head import Head
from person import Person
from raster import ZBuffer

SETTINGS = {  # shells, thickness in head heights, hairline softness, strand density
    "cropped": (3, 0.012, 0.16, 0.55),
    "short": (7, 0.055, 0.22, 0.85),
    "curly": (9, 0.13, 0.25, 0.8),
    "long": (7, 0.05, 0.2, 0.8),
}
CURL = {True: 6.0, False: 1.5}  # how far strands wave sideways, in texels: curly, straight


@dataclass(frozen=True)
class Layer:
    """Triangles i64[t,3,2] drawn as number `first` and following; `height` is 0 on the scalp, 1 outermost."""

    first: int
    triangles: np.ndarray
    height: float
    hull: bool = False


@dataclass(frozen=True)
class Hair:
    """Drawn hair. `directions` f64[v,3]: unit vectors from the skull's centre, the skull taken as a sphere."""

    cut: HairCut
    curly: bool
    directions: np.ndarray
    layers: list[Layer]


@lru_cache(maxsize=2)
def strand_texture(curly: bool) -> np.ndarray:
    """Strands f32[512,512], values spread evenly over 0..1; straight ones run along the first axis."""
    import cv2

    noise = np.random.default_rng(11).random((512, 512)).astype(np.float32)
    wide = cv2.GaussianBlur(noise, (0, 0), sigmaX=2.2, sigmaY=2.2 if curly else 30, borderType=cv2.BORDER_REFLECT)
    fine = cv2.GaussianBlur(noise[::-1].copy(), (0, 0), sigmaX=0.8, sigmaY=1.0 if curly else 14)
    mixed = wide / wide.std() * 0.8 + fine / fine.std() * 0.6
    order = np.argsort(np.argsort(mixed.ravel()))
    return (order / order.size).reshape(mixed.shape).astype(np.float32)


def draw_hair(head: Head, person: Person, camera: Camera, buffer: ZBuffer) -> Hair | None:
    """Draw the hair of `person` over the head in `buffer`; None where there is none."""
    if person.hair_style not in SETTINGS:
        return None
    shells, thickness, soft, density = SETTINGS[person.hair_style]
    curly = person.hair_style == "curly"
    cut = HairCut(
        *person.hairline,
        soft=soft,
        curl=CURL[curly],
        open_z=head.centre[2] - 0.30 * head.height,
        open_x=head.height,
        bottom=head.centre[1] - head.height * (0.1 + 1.1 * person.hair_length),
        density=density,
        parting=person.parting,
    )
    directions = unit((head.vertices - head.skull_centre) / head.skull_radii)
    # Hair stands off the skull, so it is pushed out from the middle of the head, not along the folded ear skin.
    lift = unit(head.vertices - head.skull_centre)
    scalp = _scalp(head)
    used = np.unique(scalp[:, :, 0])
    layers = []
    for n in range(shells):
        height = (n + 0.5) / shells if shells > 1 else 0.5
        amount = thickness * person.hair_volume * head.height * (n / max(shells - 1, 1)) + 0.002 * head.height
        top = np.clip(directions[used, 1] * 0.5 + 0.75, 0.35, 1.1)
        moved = head.vertices.copy()
        moved[used] += lift[used] * (amount * top)[:, None]
        layers.append(Layer(buffer.drawn, scalp, height))
        shell = HairShell(directions, moved, strand_texture(curly), cut, height, False)
        buffer.draw(camera.project(camera.turn(moved)), scalp, shell)
    if person.hair_style == "long":
        hull = head.mesh.faces["helper-hair"]
        layers.append(Layer(buffer.drawn, hull, 0.6, hull=True))
        shell = HairShell(directions, head.vertices, strand_texture(False), cut, 0.6, True)
        buffer.draw(camera.project(camera.turn(head.vertices)), hull, shell)
    return Hair(cut, curly, directions, layers)


def _scalp(head: Head) -> np.ndarray:
    """The skin's triangles i64[t,3,2] that hair may grow on: above the jaw, without the ears."""
    faces = head.mesh.faces["body"]
    ears = sample_texture(head.mesh.ear_mask, head.mesh.uv[faces[:, :, 1]].mean(1)) > 0.3
    middle = head.vertices[faces[:, :, 0]].mean(1)
    return faces[(middle[:, 1] > head.centre[1] - 0.42 * head.height) & ~ears]
