"""The transformer of Stable Diffusion 3 checkpoints: ``joint_blocks``, with query, key and value as one.

Read from Comfy-Org/ComfyUI b3be02d, ``mmdit_to_diffusers`` in ``comfy/utils.py``, and kohya-ss/sd-scripts 48d368f,
``networks/lora_sd3.py``, whose names those are after ``lora_unet_``.
"""

import re
from collections.abc import Mapping

from lifeos.lora.families import Shape
from lifeos.lora.key_maps import Layer

_STACKED = {
    "x_block.attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "context_block.attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
    "x_block.attn2.qkv": ("attn2.to_q", "attn2.to_k", "attn2.to_v"),
}
_SINGLE = {
    "x_block.attn.proj": "attn.to_out.0", "x_block.attn2.proj": "attn2.to_out.0",
    "context_block.attn.proj": "attn.to_add_out",
    "x_block.mlp.fc1": "ff.net.0.proj", "x_block.mlp.fc2": "ff.net.2",
    "context_block.mlp.fc1": "ff_context.net.0.proj", "context_block.mlp.fc2": "ff_context.net.2",
    "x_block.adaLN_modulation.1": "norm1.linear", "context_block.adaLN_modulation.1": "norm1_context.linear",
}  # fmt: skip
_OUTSIDE_BLOCKS = {
    "context_embedder": "context_embedder", "x_embedder.proj": "pos_embed.proj", "final_layer.linear": "proj_out",
    "t_embedder.mlp.0": "time_text_embed.timestep_embedder.linear_1",
    "t_embedder.mlp.2": "time_text_embed.timestep_embedder.linear_2",
    "y_embedder.mlp.0": "time_text_embed.text_embedder.linear_1",
    "y_embedder.mlp.2": "time_text_embed.text_embedder.linear_2",
    "final_layer.adaLN_modulation.1": "norm_out.linear",
}  # fmt: skip
_SWAPPED = "norm_out.linear"


def sd3_layers(modules: Mapping[str, Shape]) -> list[Layer]:
    """Return the layers of a joint transformer; of the last block the context is only modulated, with halves swapped.

    Args:
        modules: names without component -> shape.
    """
    layers = [Layer(name, (module,), module == _SWAPPED) for name, module in _OUTSIDE_BLOCKS.items()
              if module in modules]  # fmt: skip
    blocks = {int(found[1]) for name in modules if (found := re.match(r"transformer_blocks\.(\d+)\.", name))}
    for block in sorted(blocks):
        here, there = f"transformer_blocks.{block}.", f"joint_blocks.{block}."
        for name, stacked in _STACKED.items():
            if all(here + part in modules for part in stacked):
                layers.append(Layer(there + name, tuple(here + part for part in stacked)))
        for name, single in _SINGLE.items():
            shape = modules.get(here + single)
            if shape is not None:
                # Scale and shift only, where every other modulation has six parts.
                swapped = single == "norm1_context.linear" and shape[0] == 2 * shape[1]
                layers.append(Layer(there + name, (here + single,), swapped))
    return layers
