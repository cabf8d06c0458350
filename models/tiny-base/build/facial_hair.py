"""Hair that is painted on the skin: beard, eyebrows, and stubble where the hair of the head begins.

Each function returns how much of the skin hair covers, f64[n] in 0..1; `surface.py` lays the colour over it.
"""

from __future__ import annotations

import numpy as np
from fragments import Fragments
from geometry import logistic, oval, sample_texture, unit
from hair import Hair
from hairline import scalp_share
from head import Head, Part
from noise import SkinNoise
from person import Person


def beard_share(head: Head, fragments: Fragments, person: Person, noise: SkinNoise) -> np.ndarray:
    """The beard: the jaw and the upper lip, thin between the lips, up to .92."""
    unit_length, local = head.half_iod, fragments.local
    x, y, z = fragments.centred.T
    jaw = logistic((-y - 1.75 * unit_length + 0.35 * np.abs(x)) / (0.16 * unit_length))
    mouth = oval(x, y, (0, -2.2 * unit_length), (0.75 * unit_length, 0.26 * unit_length))
    above_throat = logistic((y + 4.1 * unit_length) / (0.3 * unit_length))
    before_ears = np.clip((z + 2.6 * unit_length) / unit_length, 0, 1)
    hairs = np.clip(0.6 + 0.55 * noise.signed(local, 17, "hairs") + 0.35 * noise.signed(local, 8, "hair_clumps"), 0, 1)
    beard = jaw * (1 - 0.75 * mouth) * above_throat * before_ears * hairs * person.beard
    return np.clip(beard, 0, 0.92) * fragments.of(Part.SKIN)


def brow_share(head: Head, fragments: Fragments, person: Person, noise: SkinNoise) -> np.ndarray:
    """The eyebrows, up to .93: an arch above each eye, thinner towards the temple."""
    height, thickness, length, tilt = person.brow
    x, y, z = fragments.centred.T
    local = fragments.local
    # `along` and `across` run from -1 to 1 over the brow's length and thickness.
    along = (np.abs(x) - head.half_iod * 1.03) / (head.half_iod * 0.70 * length)
    arch = head.height * height + head.height * 0.026 * (0.35 - along**2) + head.height * tilt * along
    taper = np.clip(1.15 - 0.45 * np.clip(along + 0.2, 0, 2), 0.35, 1.15)
    across = (y - arch) / (head.height * 0.0215 * thickness * taper)
    # Noise slanted outwards and stretched along y: single hairs of the brow.
    slanted = np.stack([local[:, 0] + 0.6 * local[:, 1] * np.sign(local[:, 0]), local[:, 1] * 0.35, local[:, 2]], 1)
    hairs = 0.72 + 0.5 * noise.signed(slanted, 22, "hairs")
    on_face = (z > -0.25 * head.height) * fragments.of(Part.SKIN)
    return np.clip(np.exp(-(np.abs(along) ** 4) - across**2) * on_face * hairs * 1.15, 0, 0.93)


def stubble_share(head: Head, fragments: Fragments, hair: Hair, noise: SkinNoise) -> np.ndarray:
    """A shadow of stubble under the first strands: the hairline fades instead of ending in a step."""
    on_skull = unit((fragments.position - head.skull_centre) / head.skull_radii)
    not_ear = sample_texture(head.mesh.ear_mask, fragments.uv) < 0.3
    inside = scalp_share(on_skull, hair.cut) * fragments.of(Part.SKIN) * not_ear
    return np.clip(inside * (0.75 + 0.35 * noise.signed(fragments.local, 17, "hairs")), 0, 0.9)
