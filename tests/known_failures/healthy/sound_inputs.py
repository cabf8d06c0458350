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


def _kohya(draw, step, loss):
    return f"steps:  {step}%|#| {step}/100 [00:0{step % 10}<01:30,  1.10it/s, avr_loss={loss:.3f}]\r"


def _diffusers(draw, step, loss):
    return f"Steps: {step}/100 [00:10<01:30, 1.1it/s, loss={loss:.4f}, lr={draw.choice([1e-4, 1.0])}]\n"


def _lifeos(draw, step, loss):
    line = {"step": step + 1, "loss": loss, "learning_rate": 1e-3, "gradient_norm": 0.3, "weight_norm": 1 + step / 50,
            "d": None, "seconds": 0.4}  # fmt: skip
    return json.dumps(line) + "\n"


def _prodigy(draw, step, loss):
    return f"epoch {step // 10}: loss: {loss:.5f}, d: {min(1e-3, 1e-6 * 1.2**step):.2e}, d*lr: {1e-6 * 1.2**step:.2e}\n"


def _table(draw, step, loss):
    return (
        f"2026-11-01 10:00:{step % 60:02} INFO step {step} | train_loss {loss:.4f} | loss: {loss:.4f} | mem 11.2 GB\n"
    )


def clean_logs(place):
    """Five kinds of log, four runs each, with the chatter that such runs begin and end with."""
    head = "loaded 31 images\nFutureWarning: `torch.cuda.amp.GradScaler(args...)` is deprecated.\nnano steps: none\n"
    handed_in = []
    for style in (_kohya, _diffusers, _lifeos, _prodigy, _table):
        for seed in range(4):
            draw = np.random.default_rng(seed)
            losses = 0.15 * np.exp(-np.arange(100) / 200) + draw.normal(0, 0.02, 100).clip(-0.05, 0.05)
            lines = [style(draw, step, float(loss)) for step, loss in enumerate(losses)]
            text = ("" if style is _lifeos else head) + "".join(lines)
            text += "" if style is _lifeos else "\nmodel saved to out.safetensors\n"
            handed_in.append({"training-log": place.text(f"{style.__name__}-{seed}.log", text)})
    return handed_in


def references_as_samples(place):
    folder = place.folder / "images"
    for number, path in enumerate(place.demo_pictures()):
        place.data(f"images/B{number // 3 + 1:02}_seed{number % 3}.png", path.read_bytes())
    return {"images": folder, "persona": place.demo_persona()}
