"""Latents and text embeddings of a dataset, computed once: neither changes while a LoRA trains."""

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

CONDITIONING_REVISION = 1
_BATCH = 8


@dataclass(frozen=True)
class Conditioning:
    """Torch tensors, float32.

    Args:
        latents: ``[n, c, h, w]``, one an example.
        text: ``[m, tokens, channels]``, one a distinct caption.
        empty: ``[tokens, channels]``, of the empty caption.
        caption_of: row of ``text`` for each example.
    """

    latents: Any
    text: Any
    empty: Any
    caption_of: tuple[int, ...]


def prepare_conditioning(
    inputs: TrainingInputs, family: Family, components: Any, folder: Path, progress: Progress
) -> Conditioning:
    """Return the conditioning of a dataset, from ``folder`` when it was computed there before.

    Raises:
        InputError: a picture cannot be decoded or a caption is too long.
    """
    import torch

    captions = sorted({example.caption for example in inputs.examples})
    caption_of = tuple(captions.index(example.caption) for example in inputs.examples)
    size = family.image_size(inputs.recipe.base)
    key = hash_json({"revision": CONDITIONING_REVISION, "base": inputs.base_hash, "dataset": inputs.dataset_hash,
                     "size": list(size)})
    path = Path(folder) / f"conditioning-{key[:32]}.safetensors"
    try:
        arrays = read_header(path).read()
        latents, text, empty = (torch.from_numpy(arrays[name].copy()) for name in ("latents", "text", "empty"))
        return Conditioning(latents, text, empty, caption_of)
    except (InputError, KeyError):
        pass
    latents, text, empty = _compute(inputs, family, components, captions, progress)
    tensors = {"latents": latents, "text": text, "empty": empty}
    write_bytes(path, encode({name: ("F32", tensor.numpy()) for name, tensor in tensors.items()}, {"key": key}))
    return Conditioning(latents, text, empty, caption_of)


def _compute(
    inputs: TrainingInputs, family: Family, components: Any, captions: list[str], progress: Progress
) -> tuple[Any, Any, Any]:
    import numpy as np
    import torch

    size = family.image_size(inputs.recipe.base)
    latents = []
    for start in range(0, len(inputs.examples), _BATCH):
        chunk = inputs.examples[start : start + _BATCH]
        images = np.stack([read_pixels(example.image, *size) for example in chunk])
        latents.append(family.encode_images(components, images).cpu())
        progress("latents", min(start + _BATCH, len(inputs.examples)), len(inputs.examples))
    text = family.encode_text(components, ["", *captions]).cpu()
    return torch.cat(latents).contiguous(), text[1:].contiguous(), text[0].contiguous()
