"""Inputs in which nothing is wrong: each function gives options of `lifeos gate`, or a list of such options."""

import json

import numpy as np


def shipped_requirements(place):
    pods = ("a40", "a100-80", "h100", "h200", "l40s", "rtx4090", "t4")
    return [{"requirements": place.root / "requirements-pod.txt", "pod": pod} for pod in pods]


def demo_recipe_and_dataset(place):
    return {"persona": place.root / "personas" / "pistachio", "recipe": place.root / "personas/pistachio/recipe.toml"}


def attention_lora_in_three_formats(place):
    tensors = place.attention_lora()
    peft, kohya = {}, {}
    for name, tensor in tensors.items():
        module, part = name.removeprefix("unet.").split(".lora_")
        peft[f"base_model.model.{module}.lora_{part}"] = tensor
        kohya_part = {"A.weight": "lora_down.weight", "B.weight": "lora_up.weight"}[part]
        kohya[f"lora_unet_{module.replace('.', '_')}.{kohya_part}"] = tensor
    for module in {name.split(".")[0] for name in kohya}:
        kohya[f"{module}.alpha"] = np.array(2.0, np.float32)
    written = {"diffusers": tensors, "peft": peft, "kohya": kohya}
    return [{"lora": place.lora(f"{style}.safetensors", kept)} for style, kept in written.items()]


def clean_logs(place):
    steps = [
        f"steps:  {n}%|#| {n}/100 [00:0{n % 10}<01:30,  1.10it/s, avr_loss={0.14 - n / 2000:.3f}]" for n in range(100)
    ]
    kohya = "\r".join(steps) + "\nsaving checkpoint: out.safetensors\nmodel saved.\n"
    bar = [
        f"Steps: {n}/100 [00:10<01:30, 1.1it/s, loss={0.1 + n % 7 / 100:.4f}, lr=1.0, d*lr={1e-6 * 1.2**n:.2e}]"
        for n in range(100)
    ]
    lines = [
        {"step": n, "loss": 0.2 - n / 1000, "learning_rate": 1.0, "gradient_norm": 0.3, "weight_norm": 1.0 + n / 50,
         "d": min(1e-3, 1e-6 * 1.15**n), "seconds": 0.4}
        for n in range(1, 130)
    ]  # fmt: skip
    texts = {"kohya": kohya, "diffusers": "\n".join(bar), "lifeos": "".join(json.dumps(line) + "\n" for line in lines)}
    return [{"training-log": place.text(f"{name}.log", text)} for name, text in texts.items()]


def references_as_samples(place):
    folder = place.folder / "images"
    for number, path in enumerate(sorted((place.root / "personas/pistachio/references").glob("*.png"))):
        place.data(f"images/B{number // 3 + 1:02}_seed{number % 3}.png", path.read_bytes())
    return {"images": folder, "persona": place.demo_persona()}
