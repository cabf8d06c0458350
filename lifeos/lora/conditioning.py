"""What a batch is trained on beside noise: latents, text, weights of the loss; kept where nothing changes them."""

import itertools
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.atomic import write_bytes
from evals.content_hash import hash_json
from lifeos.errors import InputError
from lifeos.lora.batches import Batch, BatchOrder, make_buckets
from lifeos.lora.buckets import sizes_of_examples
from lifeos.lora.captions import CachedCaptions, Captions, FreshCaptions
from lifeos.lora.families import Family
from lifeos.lora.latents import CachedLatents, FreshLatents, Latents, View, encode_views
from lifeos.lora.masks import loss_weights, mask_of, open_detector
from lifeos.lora.safetensors_file import encode, read_header
from lifeos.lora.training_inputs import TrainingInputs, derived_seed
from lifeos.progress import Progress

CONDITIONING_REVISION = 3
_TEXT, _LATENTS = "text.", "latents."


@dataclass(frozen=True)
class Conditioning:
    """The pictures and captions of a dataset, ready for training.

    Args:
        inputs: what is trained.
        order: which pictures each batch takes.
        latents: of pictures.
        captions: of their texts.
        weights: of the loss, float32 ``[1, h, w]`` for each view; None where it counts alike everywhere.
    """

    inputs: TrainingInputs
    order: BatchOrder
    latents: Latents
    captions: Captions
    weights: Mapping[View, Any] | None

    def batch(self, number: int) -> "BatchInputs":
        """Return batch ``number`` with its latents and the weights of its loss."""
        import torch

        recipe, batch = self.inputs.recipe, self.order.batch(number)
        mirror = [False] * len(batch.examples)
        if recipe.flip:
            # A generator of its own: turning this on leaves noise and noise levels as they were.
            generator = torch.Generator().manual_seed(derived_seed(recipe.seed, "flip", number))
            mirror = (torch.rand(len(mirror), generator=generator) < 0.5).tolist()
        views = [(example, batch.bucket.size, side) for example, side in zip(batch.examples, mirror, strict=True)]
        weight = None if self.weights is None else torch.stack([self.weights[view] for view in views])
        scale = recipe.prior.weight if recipe.prior is not None and batch.bucket.prior else 1.0
        return BatchInputs(batch, self.latents.of(views, batch), weight, scale)


@dataclass(frozen=True)
class BatchInputs:
    """One batch.

    Args:
        batch: which pictures.
        latents: float32 ``[n, c, h, w]``.
        weight: of the loss in each latent cell, float32 ``[n, 1, h, w]``; None: 1 everywhere.
        scale: factor on the loss of the whole batch.
    """

    batch: Batch
    latents: Any
    weight: Any | None
    scale: float


def prepare_conditioning(
    inputs: TrainingInputs, family: Family, components: Any, folder: Path, progress: Progress
) -> Conditioning:
    """Return the conditioning of a dataset; what may be kept comes from ``folder`` when it was computed there before.

    Raises:
        InputError: a picture cannot be decoded or is too small, a caption is too long, a size does not fit the base, a
            mask is missing, or a picture shows no face to weigh the loss by.
    """
    recipe = inputs.recipe
    sizes = dict(enumerate(sizes_of_examples(inputs.examples, recipe.resolution, family.image_size(recipe.base))))
    order = BatchOrder(make_buckets(inputs.examples, sizes), recipe.seed, recipe.batch_size)
    sides = (False, True) if recipe.flip else (False,)
    views = [(number, size, mirror) for number in sizes for size in sizes[number] for mirror in sides]
    shapes = {size: family.latent_shape(components, *size) for size in sorted({size for _, size, _ in views})}
    latents: Latents = FreshLatents(inputs, family, components)
    if recipe.caches_latents:
        latents = CachedLatents(_kept_latents(inputs, family, components, folder, views, progress))
    captions: Captions = FreshCaptions(inputs, family, components)
    if recipe.caches_text:
        captions = _kept_captions(inputs, family, components, folder)
    else:
        # A caption that is too long is refused now, not in the step that comes to it.
        family.tokenize(components, [example.caption for example in inputs.examples])
    weights = None if recipe.mask is None else _weights(inputs, views, shapes)
    return Conditioning(inputs, order, latents, captions, weights)


def _kept_latents(
    inputs: TrainingInputs, family: Family, components: Any, folder: Path, views: list[View], progress: Progress
) -> dict[View, Any]:
    import torch

    names = {view: f"{_LATENTS}{view[0]}.{view[1][0]}x{view[1][1]}{'.mirrored' if view[2] else ''}" for view in views}
    path = _path(inputs, folder, "latents", {"views": sorted(names.values())})
    kept = _read(path)
    if kept is not None and set(kept) == set(names.values()):
        return {view: torch.from_numpy(kept[name]) for view, name in names.items()}
    encoded = encode_views(views, inputs.examples, family, components, progress)
    _write(path, {names[view]: values for view, values in encoded.items()})
    return encoded


def _kept_captions(inputs: TrainingInputs, family: Family, components: Any, folder: Path) -> CachedCaptions:
    import torch

    captions = sorted({example.caption for example in inputs.examples})
    caption_of = tuple(captions.index(example.caption) + 1 for example in inputs.examples)
    path = _path(inputs, folder, "text", {})
    kept = _read(path)
    if kept is not None:
        text = {name.removeprefix(_TEXT): torch.from_numpy(array) for name, array in kept.items()}
        if text and all(len(values) == len(captions) + 1 for values in text.values()):
            return CachedCaptions(text, caption_of)
    text = {name: values.cpu() for name, values in family.encode_text(components, ["", *captions]).items()}
    _write(path, {f"{_TEXT}{name}": values for name, values in text.items()})
    return CachedCaptions(text, caption_of)


def _weights(inputs: TrainingInputs, views: list[View], shapes: Mapping[Any, tuple[int, int, int]]) -> dict[View, Any]:
    import torch

    settings = inputs.recipe.mask
    assert settings is not None
    detector = open_detector(settings)
    weights = {}
    # Once a picture, however many sizes and sides it is trained at: a face is looked for in each.
    for number, of_picture in itertools.groupby(views, key=operator.itemgetter(0)):
        mask = mask_of(inputs.examples[number], settings, detector)
        for view in of_picture:
            _, size, mirror = view
            _, height, width = shapes[size]
            weights[view] = torch.from_numpy(loss_weights(mask, size, (width, height), settings, mirror))
    return weights


def _path(inputs: TrainingInputs, folder: Path, what: str, more: Mapping[str, Any]) -> Path:
    key = hash_json({"revision": CONDITIONING_REVISION, "base": inputs.base_hash, "dataset": inputs.dataset_hash,
                     **more})  # fmt: skip
    return Path(folder) / f"{what}-{key[:32]}.safetensors"


def _read(path: Path) -> dict[str, Any] | None:
    """Return what a file holds; None where there is none that is whole."""
    try:
        return {name: array.copy() for name, array in read_header(path).read().items()}
    except InputError:
        return None


def _write(path: Path, tensors: Mapping[str, Any]) -> None:
    write_bytes(path, encode({name: ("F32", tensor.contiguous().numpy()) for name, tensor in tensors.items()}, {}))
