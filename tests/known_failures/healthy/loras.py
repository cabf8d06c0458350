"""Sound LoRA files for a small random base of each family, in each format; the text encoders' half is there too."""

import numpy as np

from lifeos.lora.families import get_family
from lifeos.lora.families.random_base import write_random_base

TEXT_ATTENTION = ("q_proj", "k_proj", "v_proj", "out_proj")
ENDINGS = {
    "diffusers": (".lora_A.weight", ".lora_B.weight"),
    "peft": (".lora_A.weight", ".lora_B.weight"),
    "kohya": (".lora_down.weight", ".lora_up.weight"),
}


def loras_of_sd15(place):
    return _loras(place, "sd15")


def loras_of_sdxl_with_the_layer_that_nothing_reads(place):
    return _loras(place, "sdxl")


def loras_of_sd3(place):
    return _loras(place, "sd3")


def loras_of_flux(place):
    return _loras(place, "flux")


def loras_of_old_names_and_several_ranks(place):
    """Attention processors of old diffusers; ranks that differ, with their alphas."""
    old, mixed = {}, {}
    for name, tensor in place.attention_lora(rank=4).items():
        module, part = name.split(".lora_")
        attention, projection = module.removesuffix(".0").rsplit(".", 1)
        old[f"{attention}.processor.{projection}_lora.{'down' if part[0] == 'A' else 'up'}.weight"] = tensor
    for rank, kind in ((4, "attn1"), (2, "attn2")):
        for name, tensor in place.attention_lora(rank=rank).items():
            if f".{kind}." in name:
                mixed[name] = tensor
                mixed[f"{name.split('.lora_')[0]}.alpha"] = np.array(rank / 2, np.float32)
    return [{"lora": place.lora("old.safetensors", old)}, {"lora": place.lora("mixed.safetensors", mixed)}]


def _loras(place, name):
    family = get_family(name)
    base = write_random_base(name, place.folder / "base")
    persona = place.demo_persona()
    path = persona / "persona.toml"
    text = path.read_text(encoding="utf-8").replace('base = "models/tiny-base"', f'base = "{base.as_posix()}"')
    path.write_text(text.replace('family = "tiny_base"', f'family = "{name}"'), encoding="utf-8")
    # These bases read 20 tokens.
    for caption in (persona / "dataset").glob("*.txt"):
        caption.write_text("photo of a pstch person", encoding="utf-8")
    modules, draw = family.modules(base), np.random.default_rng(0)
    dead = family.may_be_dead(modules)
    targets = family.expected_modules(base, "attention") | {
        module: shape
        for module, shape in modules.items()
        if module.split(".")[0] in family.text_components and module.endswith(TEXT_ATTENTION)
    }
    pairs = {}
    for module, shape in targets.items():
        up = np.zeros((shape[0], 2)) if module in dead else draw.normal(0, 0.1, (shape[0], 2))
        pairs[module] = draw.normal(0, 0.1, (2, *shape[1:])).astype(np.float32), up.astype(np.float32)
    return [
        {"lora": place.lora(f"{style}.safetensors", _named(pairs, style, family)), "persona": persona, "pod": "a40"}
        for style in ENDINGS
    ]


def _named(pairs, style, family):
    prefixes, tensors = {component: prefix for prefix, component in family.kohya_prefixes.items()}, {}
    for module, pair in pairs.items():
        component, inner = module.split(".", 1)
        if style == "kohya":
            stem = prefixes[component] + inner.replace(".", "_")
            tensors[f"{stem}.alpha"] = np.array(2.0, np.float32)
        else:
            stem = module if style == "diffusers" else f"base_model.model.{module}"
        tensors |= {stem + ending: matrix for ending, matrix in zip(ENDINGS[style], pair, strict=True)}
    return tensors
