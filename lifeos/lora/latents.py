"""Latents of the pictures of a batch: encoded once and kept, or anew at every step."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lifeos.errors import InputError
from lifeos.lora.augmentation import mirrored, recoloured
from lifeos.lora.batches import Batch
from lifeos.lora.buckets import Size
from lifeos.lora.dataset import Example, read_pixels
from lifeos.lora.families import Family
from lifeos.lora.training_inputs import TrainingInputs, derived_seed
from lifeos.progress import Progress

View = tuple[int, Size, bool]
"""A picture as it is trained: number of the example, size, whether mirrored."""

_MOST_AT_ONCE, _PIXELS_AT_ONCE = 8, 2**20


class Latents(Protocol):
    """What training asks for the latents of a batch."""

    def of(self, views: Sequence[View], batch: Batch) -> Any:
        """Return scaled latents, float32 ``[n, c, h, w]`` on the CPU, of views of one size."""


@dataclass(frozen=True)
class CachedLatents:
    """Latents that were encoded before training; ``values`` holds ``[c, h, w]`` for each view."""

    values: Mapping[View, Any]

    def of(self, views: Sequence[View], batch: Batch) -> Any:
        """See ``Latents.of``."""
        import torch

        return torch.stack([self.values[view] for view in views])


@dataclass(frozen=True)
class FreshLatents:
    """Latents encoded when they are asked for, in colours of their own where the recipe augments colours."""

    inputs: TrainingInputs
    family: Family
    components: Any

    def of(self, views: Sequence[View], batch: Batch) -> Any:
        """See ``Latents.of``."""
        import numpy as np

        recipe, pictures = self.inputs.recipe, []
        for place, view in enumerate(views):
            pixels = view_pixels(self.inputs.examples, view)
            if recipe.colour_augmentation:
                seed = derived_seed(recipe.seed, "colour", batch.number * recipe.batch_size + place)
                pixels = recoloured(pixels, seed)
            pictures.append(pixels)
        return self.family.encode_images(self.components, np.stack(pictures)).cpu()


def encode_views(
    views: Iterable[View], examples: Sequence[Example], family: Family, components: Any, progress: Progress
) -> dict[View, Any]:
    """Encode views of any sizes; returns ``[c, h, w]`` float32 on the CPU for each.

    Raises:
        InputError: a picture cannot be decoded, or its latents are not finite.
    """
    import numpy as np

    encoded: dict[View, Any] = {}
    of_size: dict[Size, list[View]] = {}
    for view in views:
        of_size.setdefault(view[1], []).append(view)
    total = sum(len(each) for each in of_size.values())
    for alike in of_size.values():
        at_once = encoded_at_once(alike[0][1])
        for start in range(0, len(alike), at_once):
            chunk = alike[start : start + at_once]
            pixels = np.stack([view_pixels(examples, view) for view in chunk])
            latents = family.encode_images(components, pixels).cpu()
            for view, values in zip(chunk, latents, strict=True):
                if not bool(values.isfinite().all()):
                    raise InputError(f"{examples[view[0]].image}: accepted a picture that the base's autoencoder can "
                                     "encode, got latents that are not finite (known failure sdxl-vae-nan-latents); "
                                     "next: replace the picture, or fetch the base again")
                encoded[view] = values
            progress("latents", len(encoded), total)
    return encoded


def encoded_at_once(size: Size) -> int:
    """Return how many pictures of a size are encoded together.

    Eight of 1024 x 1024 would ask more of a GPU than any step of SDXL's training.
    """
    return max(1, min(_MOST_AT_ONCE, _PIXELS_AT_ONCE // (size[0] * size[1])))


def view_pixels(examples: Sequence[Example], view: View) -> Any:
    """Return ``uint8 [height, width, 3]`` of a view.

    Raises:
        InputError: the picture cannot be decoded.
    """
    number, (width, height), mirror = view
    pixels = read_pixels(examples[number].image, width, height)
    return mirrored(pixels) if mirror else pixels
