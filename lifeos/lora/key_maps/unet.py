"""The UNet of Stable Diffusion checkpoints, which number their blocks through: ``input_blocks.4.1``.

Read from kohya-ss/sd-scripts 48d368f, ``make_unet_conversion_map`` in ``library/sdxl_model_util.py``, and from
Comfy-Org/ComfyUI b3be02d, ``unet_to_diffusers`` in ``comfy/utils.py``, which also places samplers by what stands before
them in their block.
"""

import re
from collections.abc import Mapping

from lifeos.lora.families import Shape
from lifeos.lora.key_maps import Layer

_RESNET = {"conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "conv2": "out_layers.3",
           "conv_shortcut": "skip_connection"}  # fmt: skip
_OUTSIDE_BLOCKS = {
    "conv_in": "input_blocks.0.0", "conv_out": "out.2",
    "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2",
}  # fmt: skip
_BLOCK = re.compile(r"(down_blocks|up_blocks)\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)")
_MIDDLE = re.compile(r"mid_block\.(resnets|attentions)\.(\d+)\.(.+)")


def unet_layers(modules: Mapping[str, Shape]) -> list[Layer]:
    """Return the layers of a UNet.

    Args:
        modules: names without component; the number of layers in a block is read from them.
    """
    in_first_block = {name.split(".")[3] for name in modules if name.startswith("down_blocks.0.resnets.")}
    layers_per_block = len(in_first_block)
    layers = []
    for module in modules:
        name = _checkpoint_name(module, modules, layers_per_block)
        if name is not None:
            layers.append(Layer(name, (module,)))
    return layers


def _checkpoint_name(module: str, modules: Mapping[str, Shape], layers_per_block: int) -> str | None:
    if module in _OUTSIDE_BLOCKS:
        return _OUTSIDE_BLOCKS[module]
    middle = _MIDDLE.fullmatch(module)
    if middle is not None:
        kind, index, rest = middle[1], int(middle[2]), middle[3]
        return f"middle_block.1.{rest}" if kind == "attentions" else _resnet(f"middle_block.{2 * index}", rest)
    block = _BLOCK.fullmatch(module)
    if block is None:
        return None
    side, number, kind, index, rest = block[1], int(block[2]), block[3], int(block[4]), block[5]
    # Each block of diffusers has one entry more: the downsampler going down, one more layer going up.
    first = number * (layers_per_block + 1)
    if kind == "downsamplers":
        return f"input_blocks.{first + layers_per_block + 1}.0.op"
    if kind == "upsamplers":
        attended = any(name.startswith(f"up_blocks.{number}.attentions.") for name in modules)
        return f"output_blocks.{first + layers_per_block}.{2 if attended else 1}.{rest}"
    entry = f"input_blocks.{first + index + 1}" if side == "down_blocks" else f"output_blocks.{first + index}"
    return f"{entry}.1.{rest}" if kind == "attentions" else _resnet(f"{entry}.0", rest)


def _resnet(entry: str, rest: str) -> str | None:
    return f"{entry}.{_RESNET[rest]}" if rest in _RESNET else None
