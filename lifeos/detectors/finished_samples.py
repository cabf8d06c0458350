"""Known failures that pictures show beside what the policy judges."""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from evals.known_failures import detects

if TYPE_CHECKING:
    from lifeos.finished_images import FinishedImage
    from lifeos.known_failures.samples import Samples

_LEAST_LEVELS = 4
"""Out of 255. A batch of two against one by one differed by 1 on tiny-base, on one CPU: kernels round otherwise."""
_BLUER_THAN_YELLOW = 90.0


@detects("seed-varies-with-batch-or-gpu")
def one_seed_two_pictures(finished_images: "Sequence[FinishedImage]") -> str | None:
    """Return two files of one prompt and seed that show different pictures."""
    from lifeos.lora.dataset_lint.rules import rule_book

    limit = rule_book().limits.near_duplicate_distance
    for one, other, distance, _ in _repeated(finished_images):
        if distance > limit:
            return f"{one.path.name} and {other.path.name}: prompt {one.prompt} seed {one.seed} gave two pictures"
    return None


@detects("adapter-not-unloaded")
def one_seed_a_touched_picture(finished_images: "Sequence[FinishedImage]") -> str | None:
    """Return two files of one prompt and seed that show one picture which something has changed."""
    from lifeos.lora.dataset_lint.rules import rule_book

    limit = rule_book().limits.near_duplicate_distance
    for one, other, distance, levels in _repeated(finished_images):
        if distance <= limit and levels >= _LEAST_LEVELS:
            return (f"{one.path.name} and {other.path.name}: prompt {one.prompt} seed {one.seed} gave one picture that "
                    f"differs by up to {levels} of 255")  # fmt: skip
    return None


@detects("insightface-bgr-expected")
def red_and_blue_swapped(samples: "Samples") -> str | None:
    """Return whether skin is bluer than it is yellow: a typology angle beyond a right angle, in most of the images."""
    measured = [angle for row in samples.rows if (angle := row["metrics"].get("tone_ita")) is not None]
    beyond = [angle for angle in measured if abs(angle) > _BLUER_THAN_YELLOW]
    if len(beyond) <= len(measured) / 2:
        return None
    return f"skin is blue in {len(beyond)} of {len(measured)} images, typology angle {beyond[0]:.0f} degrees"


def _repeated(
    images: "Sequence[FinishedImage]",
) -> Iterator[tuple["FinishedImage", "FinishedImage", float, float]]:
    """Give each pair of images of one prompt and seed, how far apart the pictures lie and by how many levels."""
    import numpy as np

    from evals.copying_eval import image_signature, nearest
    from evals.images import read_image

    def cell(image: "FinishedImage") -> tuple[str, int]:
        return image.prompt, image.seed

    for _, group in itertools.groupby(sorted(images, key=cell), key=cell):
        for one, other in itertools.combinations(group, 2):
            first, second = read_image(one.path), read_image(other.path)
            if first.shape != second.shape:
                yield one, other, math.inf, math.inf
                continue
            levels = int(np.abs(first.astype(np.int16) - second).max())
            distance = nearest(image_signature(first), image_signature(second)[None]) if levels else 0.0
            yield one, other, distance, levels
