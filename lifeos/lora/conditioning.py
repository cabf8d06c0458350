"""Latents and text embeddings of a dataset, computed once: neither changes while a LoRA trains."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.atomic import write_bytes
from evals.content_hash import hash_json
from lifeos.errors import InputError
from lifeos.lora.dataset import read_pixels
from lifeos.lora.families import Family
from lifeos.lora.safetensors_file import encode, read_header
from lifeos.lora.training_inputs import TrainingInputs
from lifeos.progress import Progress

CONDITIONING_REVISION = 2
_BATCH = 8
_TEXT = "text."


@dataclass(frozen=True)
class Conditioning:
    """Torch tensors, float32.

    Args:
        latents: ``[n, c, h, w]``, one an example.
        text: embeddings by name, ``[m + 1, ...]`` each: row 0 of the empty caption, then one a distinct caption.
        caption_of: row of ``text`` for each example.
    """

    latents: Any
    text: Mapping[str, Any]
    caption_of: tuple[int, ...]

    def text_of(self, indices: Sequence[int], dropped: Any) -> dict[str, Any]:
        """Return the embeddings of examples' captions, those of the empty caption where ``dropped`` (bool ``[n]``)."""
        lost = dropped.tolist()
        rows = [0 if gone else self.caption_of[index] for index, gone in zip(indices, lost, strict=True)]
        return {name: values[rows] for name, values in self.text.items()}


def prepare_conditioning(
    inputs: TrainingInputs, family: Family, components: Any, folder: Path, progress: Progress
) -> Conditioning:
    """Return the conditioning of a dataset, from ``folder`` when it was computed there before.

    Raises:
        InputError: a picture cannot be decoded or a caption is too long.
    """
    import torch

    captions = sorted({example.caption for example in inputs.examples})
    caption_of = tuple(captions.index(example.caption) + 1 for example in inputs.examples)
    size = family.image_size(inputs.recipe.base)
    key = hash_json({"revision": CONDITIONING_REVISION, "base": inputs.base_hash, "dataset": inputs.dataset_hash,
                     "size": list(size)})
    path = Path(folder) / f"conditioning-{key[:32]}.safetensors"
    try:
        arrays = read_header(path).read()
        tensors = {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
        return _from_tensors(tensors, caption_of)
    except (InputError, KeyError):
        pass
    tensors = _compute(inputs, family, components, captions, progress)
    write_bytes(path, encode({name: ("F32", tensor.numpy()) for name, tensor in tensors.items()}, {"key": key}))
    return _from_tensors(tensors, caption_of)


def _from_tensors(tensors: dict[str, Any], caption_of: tuple[int, ...]) -> Conditioning:
    latents = tensors["latents"]
    text = {name.removeprefix(_TEXT): tensor for name, tensor in tensors.items() if name.startswith(_TEXT)}
    if not text:
        raise KeyError(_TEXT)
    return Conditioning(latents, text, caption_of)


def _compute(
    inputs: TrainingInputs, family: Family, components: Any, captions: list[str], progress: Progress
) -> dict[str, Any]:
    import numpy as np
    import torch

    size = family.image_size(inputs.recipe.base)
    latents = []
    for start in range(0, len(inputs.examples), _BATCH):
        chunk = inputs.examples[start : start + _BATCH]
        images = np.stack([read_pixels(example.image, *size) for example in chunk])
        latents.append(family.encode_images(components, images).cpu())
        progress("latents", min(start + _BATCH, len(inputs.examples)), len(inputs.examples))
    text = family.encode_text(components, ["", *captions])
    named = {f"{_TEXT}{name}": values.cpu().contiguous() for name, values in text.items()}
    return {"latents": torch.cat(latents).contiguous(), **named}
