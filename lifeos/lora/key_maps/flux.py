"""The transformer of FLUX.1 checkpoints: double and single blocks, with query, key, value (and more) as one.

Read from kohya-ss/sd-scripts 48d368f, ``networks/convert_flux_lora.py``, and Comfy-Org/ComfyUI b3be02d,
``flux_to_diffusers`` in ``comfy/utils.py``.
"""

import re
from collections.abc import Mapping

from lifeos.lora.families import Shape
from lifeos.lora.key_maps import Layer

_DOUBLE = {
    "img_attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "txt_attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
    "img_attn.proj": ("attn.to_out.0",), "txt_attn.proj": ("attn.to_add_out",),
    "img_mlp.0": ("ff.net.0.proj",), "img_mlp.2": ("ff.net.2",),
    "txt_mlp.0": ("ff_context.net.0.proj",), "txt_mlp.2": ("ff_context.net.2",),
    "img_mod.lin": ("norm1.linear",), "txt_mod.lin": ("norm1_context.linear",),
}  # fmt: skip
_SINGLE = {
    "linear1": ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"),
    "linear2": ("proj_out",),
    "modulation.lin": ("norm.linear",),
}
_OUTSIDE_BLOCKS = {
    "img_in": "x_embedder", "txt_in": "context_embedder", "final_layer.linear": "proj_out",
    "time_in.in_layer": "time_text_embed.timestep_embedder.linear_1",
    "time_in.out_layer": "time_text_embed.timestep_embedder.linear_2",
    "guidance_in.in_layer": "time_text_embed.guidance_embedder.linear_1",
    "guidance_in.out_layer": "time_text_embed.guidance_embedder.linear_2",
    "vector_in.in_layer": "time_text_embed.text_embedder.linear_1",
    "vector_in.out_layer": "time_text_embed.text_embedder.linear_2",
    "final_layer.adaLN_modulation.1": "norm_out.linear",
}  # fmt: skip
_SWAPPED = "norm_out.linear"


def flux_layers(modules: Mapping[str, Shape]) -> list[Layer]:
    """Return the layers of a FLUX.1 transformer.

    Args:
        modules: names without component.
    """
    layers = [Layer(name, (module,), module == _SWAPPED) for name, module in _OUTSIDE_BLOCKS.items()
              if module in modules]  # fmt: skip
    for here, there, named in (
        ("transformer_blocks", "double_blocks", _DOUBLE), ("single_transformer_blocks", "single_blocks", _SINGLE),
    ):  # fmt: skip
        blocks = {int(found[1]) for name in modules if (found := re.match(rf"{here}\.(\d+)\.", name))}
        for block in sorted(blocks):
            for name, modules_of_it in named.items():
                parts = tuple(f"{here}.{block}.{module}" for module in modules_of_it)
                if all(part in modules for part in parts):
                    layers.append(Layer(f"{there}.{block}.{name}", parts))
    return layers
