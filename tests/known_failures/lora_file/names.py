"""LoRA files of tiny-base whose numbers are sound and whose names or scales are not."""

import json

import numpy as np

_KOHYA = {"A.weight": "lora_down.weight", "B.weight": "lora_up.weight"}


def _kohya(tensors, tail=""):
    """The same tensors by kohya's names, without alphas."""
    written = {}
    for name, tensor in tensors.items():
        module, part = name.removeprefix("unet.").split(".lora_")
        written[f"lora_unet_{module.replace('.', '_')}{tail}.{_KOHYA[part]}"] = tensor
    return written


def alpha_not_saved(place, adapter_metadata):
    # A converter from kohya's names that keeps the metadata and drops the .alpha tensors.
    metadata = {"ss_network_dim": "4", "ss_network_alpha": "8.0"}
    if adapter_metadata:
        metadata["lora_adapter_metadata"] = json.dumps({"unet.r": 4, "unet.lora_alpha": 8})
    return {"lora": place.lora("lora.safetensors", place.attention_lora(rank=4), metadata)}


def mixed_rank_no_alpha(place, alphas):
    tensors = _kohya({name: tensor for name, tensor in place.attention_lora(rank=4).items() if "attn1" in name})
    tensors |= _kohya({name: tensor for name, tensor in place.attention_lora(rank=2).items() if "attn2" in name})
    if alphas:
        downs = {name: tensor for name, tensor in tensors.items() if name.endswith(".lora_down.weight")}
        tensors |= {f"{name.split('.')[0]}.alpha": np.array(len(down), np.float32) for name, down in downs.items()}
    return {"lora": place.lora("lora.safetensors", tensors)}


def comfy_lora_key_not_loaded(place, tail):
    return {"lora": place.lora("lora.safetensors", _kohya(place.attention_lora(), tail))}


def diffusers_prefix_silent_noop(place, prefix):
    tensors = {name.replace("unet.", prefix, 1): tensor for name, tensor in place.attention_lora().items()}
    return {"lora": place.lora("lora.safetensors", tensors)}


def dora_or_lycoris_keys(place, algorithm):
    draw, tensors = np.random.default_rng(0), {}
    for module, (rows, columns) in place.attention_shapes().items():
        stem = f"lora_unet_{module.removeprefix('unet.').replace('.', '_')}"
        shapes = {"lora_down.weight": (2, columns), "lora_up.weight": (rows, 2)}
        if algorithm == "loha":
            shapes = {f"hada_w{each}_{part}": shape for each in (1, 2)
                      for part, shape in (("a", (rows, 2)), ("b", (2, columns)))}  # fmt: skip
        tensors |= {f"{stem}.{part}": draw.normal(0, 0.1, shape).astype(np.float32) for part, shape in shapes.items()}
        tensors[f"{stem}.alpha"] = np.array(2.0, np.float32)
    return {"lora": place.lora("lora.safetensors", tensors)}


def lora_trained_on_other_base(place, text_width):
    tensors, draw = place.attention_lora(), np.random.default_rng(0)
    for name in [name for name in tensors if name.endswith(("attn2.to_k.lora_A.weight", "attn2.to_v.lora_A.weight"))]:
        tensors[name] = draw.normal(0, 0.1, (2, text_width)).astype(np.float32)
    return {"lora": place.lora("lora.safetensors", tensors)}


def partial_lora_loads_quietly(place, kept):
    tensors = {name: tensor for name, tensor in place.attention_lora().items() if f".{kept}" in name}
    return {"lora": place.lora("lora.safetensors", tensors)}


def safetensors_truncated(place, share):
    path = place.lora("lora.safetensors", place.attention_lora())
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return {"lora": path}
