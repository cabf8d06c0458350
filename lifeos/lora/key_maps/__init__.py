"""How published checkpoints name what diffusers names: the layouts in which kohya's tools and ComfyUI keep a LoRA.

A checkpoint's weight may hold several modules of diffusers, their outputs stacked (query, key and value as one), and a
modulation may hold its halves the other way round. One file a layout; each says whose source it was read from.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from lifeos.lora.families import Shape


@dataclass(frozen=True)
class Layer:
    """A weight of a checkpoint and the modules of diffusers that lie in it.

    Args:
        name: in the checkpoint, without component and ``.weight``: ``double_blocks.0.img_attn.qkv``.
        parts: ``component.module`` of each module, in the order in which their outputs are stacked.
        swapped: the halves of its output stand the other way round than in diffusers.
    """

    name: str
    parts: tuple[str, ...]
    swapped: bool = False

    @property
    def component(self) -> str:
        """Component of the base that it belongs to."""
        return self.parts[0].split(".", 1)[0]


WRITES_CHECKPOINT_NAMES = ("sdxl", "sd3", "flux")
"""Families for which kohya-ss/sd-scripts trains the checkpoint's own classes, so that its files have their names.

For Stable Diffusion 1.x it trains classes that are named as in diffusers (``library/original_unet.py``), for SDXL those
of the checkpoint (``library/sdxl_original_unet.py``; ``networks/lora.py`` brings diffusers' names to them).
"""


def checkpoint_layers(family: str, modules: Mapping[str, Shape]) -> tuple[Layer, ...]:
    """Return the layers of a base as its family's published checkpoints name them, sorted by name.

    Text encoders keep their names. A module that no published layout names is its own layer.

    Args:
        family: a family's name.
        modules: ``component.module`` of a base -> shape of its weight.
    """
    from lifeos.lora.key_maps.flux import flux_layers
    from lifeos.lora.key_maps.sd3 import sd3_layers
    from lifeos.lora.key_maps.unet import unet_layers

    layouts = {"sd3": ("transformer", sd3_layers), "flux": ("transformer", flux_layers)}
    denoiser, layout = layouts.get(family, ("unet", unet_layers))
    prefix = f"{denoiser}."
    inner = {name.removeprefix(prefix): shape for name, shape in modules.items() if name.startswith(prefix)}
    found = [Layer(layer.name, tuple(prefix + part for part in layer.parts), layer.swapped) for layer in layout(inner)]
    named = {part for layer in found for part in layer.parts}
    found += [Layer(name.split(".", 1)[1], (name,)) for name in modules if name not in named]
    return tuple(sorted(found, key=lambda layer: (layer.component, layer.name)))
