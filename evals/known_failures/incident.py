"""What an image of an incident shows, by measured properties: the same failure has other bytes the next time."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from evals.known_failures.entry import Captured

if TYPE_CHECKING:
    from evals.images import RgbImage

SHOWS = {
    "face_lost": "no face is found",
    "copy": "it is a training image",
    "black": "it is black",
    "flat": "it shows nothing",
    "lattice": "a lattice of latent cells lies over it",
}
"""What can be said of an image, the most telling first."""

CELL = 8
"""Pixels of one latent cell: the autoencoders of every family make eight of one."""
LATTICE = 1.6
"""Steps between cells over steps inside them, in the weaker direction: 86 pictures of the demo persona reach 1.25,
their JPEGs of quality 30 1.39; cells that differ by 8 of 256 levels give 1.98."""
DARKEST = 8.0
"""Mean level of 0 to 255 below which an image that shows nothing is black."""


def what_it_shows(metrics: Mapping[str, float | None], picture: Path | None) -> list[str]:
    """Return which of ``SHOWS`` hold of an image, in that order.

    Args:
        metrics: its row's; ``lattice`` and ``level`` may stand there where the picture is gone.
        picture: the file, or None.

    Raises:
        InputError: the file is no image.
    """
    strength, level = metrics.get("lattice"), metrics.get("level")
    if picture is not None:
        from evals.images import read_image

        image = read_image(picture)
        strength, level = lattice_strength(image), float(image.mean())
    flat = metrics.get("flat") == 1.0
    holds = {
        "face_lost": metrics.get("face_count") == 0.0,
        "copy": metrics.get("copy_image") == 1.0,
        "black": flat and level is not None and level < DARKEST,
        "flat": flat,
        "lattice": strength is not None and strength >= LATTICE,
    }
    return [name for name in SHOWS if holds[name]]


def shows_again(captured: Captured, metrics: Mapping[str, float | None], picture: Path | None) -> bool:
    """Return whether an image shows what the captured one showed."""
    if captured.shows not in what_it_shows(metrics, picture):
        return False
    nearest = metrics.get("nearest_photo")
    return captured.shows != "copy" or None in (captured.photo, nearest) or nearest == captured.photo


def lattice_strength(image: "RgbImage") -> float:
    """Return how much more grey levels step at one phase of every ``CELL`` pixels than at the others.

    The mean absolute difference of neighbours is taken along each axis and folded by ``CELL``; of largest over median
    phase the smaller of both axes counts, since an edge that happens to lie so is in one direction only.

    Args:
        image: uint8 ``[height, width, 3]``.

    Returns:
        A ratio of at least 1; 1 for an image of one colour.
    """
    import numpy as np

    grey = image.astype(np.float64).mean(axis=2)
    ratios = []
    for axis in (0, 1):
        steps = np.abs(np.diff(grey, axis=axis)).mean(axis=1 - axis)
        phases = [float(steps[phase::CELL].mean()) for phase in range(CELL)]
        usual = float(np.median(phases))
        # Cells without any step inside are the clearest lattice; without any step at all there is none.
        ratios.append(max(phases) / usual if usual > 0.0 else (1.0 if max(phases) == 0.0 else float("1e6")))
    return min(ratios)
