"""LoRA files with one fault in their numbers or names."""

import itertools

import numpy as np


def nan_in_lora(place, number):
    tensors = place.attention_lora()
    tensors[min(tensors)][0, 0] = float(number)
    return {"lora": place.lora("lora.safetensors", tensors)}


def clip_flatten_te_lora_dropped(place, transformers):
    tensors = place.attention_lora()
    draw = np.random.default_rng(1)
    # As diffusers saves it today; tiny-base's text encoder has 2 layers of width 128.
    for layer, projection in itertools.product(range(2), ("q_proj", "k_proj", "v_proj", "out_proj")):
        module = f"text_encoder.encoder.layers.{layer}.self_attn.{projection}"
        tensors[f"{module}.lora_A.weight"] = draw.normal(0, 0.1, (2, 128)).astype(np.float32)
        tensors[f"{module}.lora_B.weight"] = draw.normal(0, 0.1, (128, 2)).astype(np.float32)
    requirements = place.text("requirements.txt", f"diffusers==0.35.2\ntransformers=={transformers}\n")
    return {"lora": place.lora("lora.safetensors", tensors), "requirements": requirements, "pod": "a40"}
