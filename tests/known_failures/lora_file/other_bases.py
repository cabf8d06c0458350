"""LoRA files of SDXL and Flux, with bases of a few modules in their layout: names and shapes are all that is read."""

import json

import numpy as np

_ATTENTION = ("q_proj", "k_proj", "v_proj", "out_proj")


def _persona(place, family, pipeline, modules):
    """A copy of the demo persona on a base that holds ``modules``: component to module to shape."""
    index = {"_class_name": pipeline, **{component: ["diffusers", "Model"] for component in modules}}
    place.text("base/model_index.json", json.dumps(index))
    for component, shapes in modules.items():
        place.text(f"base/{component}/config.json", "{}")
        weights = {f"{module}.weight": np.ones(shape, np.float32) for module, shape in shapes.items()}
        (place.folder / "base" / component).mkdir(parents=True, exist_ok=True)
        place.lora(f"base/{component}/model.safetensors", weights)
    persona = place.demo_persona()
    path = persona / "persona.toml"
    text = path.read_text(encoding="utf-8")
    text = text.replace('base = "models/tiny-base"', f'base = "{(place.folder / "base").as_posix()}"')
    path.write_text(text.replace('family = "tiny_base"', f'family = "{family}"'), encoding="utf-8")
    return persona


def _text_encoder(layers):
    return {f"text_model.encoder.layers.{layer}.self_attn.{projection}": (8, 8)
            for layer in range(layers) for projection in _ATTENTION}  # fmt: skip


def _sdxl(place):
    unet = {f"down_blocks.1.attentions.0.transformer_blocks.0.attn2.{projection}": (16, 12 if "k" in projection else 16)
            for projection in ("to_q", "to_k", "to_out.0")}  # fmt: skip
    modules = {"unet": unet, "text_encoder": _text_encoder(2),
               "text_encoder_2": {**_text_encoder(2), "text_projection": (8, 8)}}  # fmt: skip
    return _persona(place, "sdxl", "StableDiffusionXLPipeline", modules)


def _pair(stem, shape, draw, up_is_zero=False):
    rows, columns = shape
    up = np.zeros((rows, 2)) if up_is_zero else draw.normal(0, 0.1, (rows, 2))
    return {
        f"{stem}.lora_down.weight": draw.normal(0, 0.1, (2, columns)).astype(np.float32),
        f"{stem}.lora_up.weight": up.astype(np.float32),
        f"{stem}.alpha": np.array(2.0, np.float32),
    }


def _encoder_pairs(prefix, draw, zero_layer=None):
    tensors = {}
    for module, shape in _text_encoder(2).items():
        zero = zero_layer is not None and f".layers.{zero_layer}." in module
        tensors |= _pair(prefix + module.replace(".", "_"), shape, draw, zero)
    return tensors


def sdxl_te1_last_layer_legit_zero(place, zero_layer):
    tensors = _encoder_pairs("lora_te1_", np.random.default_rng(0), zero_layer)
    return {"lora": place.lora("lora.safetensors", tensors), "persona": _sdxl(place)}


def te2_text_projection_key(place, diffusers):
    draw = np.random.default_rng(0)
    tensors = _encoder_pairs("lora_te2_", draw) | _pair("lora_te2_text_projection", (8, 8), draw)
    return {"lora": place.lora("lora.safetensors", tensors), "persona": _sdxl(place), **_pod(place, diffusers)}


def te_lora_dropped_by_prefix(place, diffusers):
    transformer = {"transformer_blocks.0.attn.to_q": (16, 16)}
    persona = _persona(place, "flux", "FluxPipeline", {"transformer": transformer, "text_encoder": _text_encoder(2)})
    tensors = _encoder_pairs("lora_te1_", np.random.default_rng(0))
    return {"lora": place.lora("lora.safetensors", tensors), "persona": persona, **_pod(place, diffusers)}


def _pod(place, diffusers):
    requirements = place.text("requirements.txt", f"torch==2.10.0\ndiffusers=={diffusers}\n")
    return {"requirements": requirements, "pod": "a40"}
