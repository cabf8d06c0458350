"""Five training steps of the recipe's family on random weights: once as ``retrain-lora`` trains, once on the GPU.

The first walk runs where the recipe says. The second puts the same denoiser, LoRA, loss and optimizer on the GPU
whatever it says, so that a pod that cannot train there is found now.
"""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evals.verdict import Verdict, failed, passed

if TYPE_CHECKING:
    from lifeos.lora.recipe import Recipe
    from lifeos.pods.probe.child import Stage

STEPS = 5
_IMAGES = 4


def smoke_settings(recipe: "Recipe") -> dict[str, Any]:
    """Return the part of a recipe that decides which code runs, as JSON for ``probe``."""
    kept = {"family", "targets", "optimizer", "min_snr_gamma", "caption_dropout", "gradient_clip", "dtype",
            "device", "attention", "channels_last"}  # fmt: skip
    settings = recipe.model_dump(mode="json", include=kept)
    return {name: "none" if value is None else value for name, value in settings.items()}


def probe(request: dict[str, Any], stage: "Stage") -> dict[str, Any]:
    """Train twice; runs in the child.

    Args:
        request: ``settings`` from ``smoke_settings``, and ``device``: ``"cuda"`` on a pod.
        stage: told what comes next.
    """
    from lifeos.lora.families import get_family
    from lifeos.lora.families.random_base import write_random_base
    from lifeos.lora.recipe import Recipe
    from lifeos.lora.train import train_lora
    from lifeos.lora.weights import inspect_lora

    with tempfile.TemporaryDirectory(prefix="lifeos-smoke-") as name:
        folder = Path(name)
        stage("writing a random base")
        base = write_random_base(request["settings"]["family"], folder / "base")
        dataset = _write_dataset(folder / "dataset")
        recipe = Recipe.model_validate({
            **request["settings"], "base": base, "dataset": dataset, "trigger": "zeph", "steps": STEPS, "batch_size": 2,
            "rank": 2, "checkpoint_every": 2, "save_dtype": "float32", "threads": 1,
        })  # fmt: skip
        stage("training as retrain-lora does")
        result = train_lora(recipe, folder / "lora.safetensors", folder / "run")
        verdicts = inspect_lora(result.path, base, get_family(recipe.family)).verdicts
        file = {gate: [verdict.outcome.value, verdict.reason] for gate, verdict in verdicts.items()}
        stage(f"training on {request.get('device', 'cuda')}")
        return {"steps": result.steps, "file": file, "device": _train_on(recipe, request.get("device", "cuda"))}


def training_verdict(body: dict[str, Any]) -> Verdict:
    """Judge the answer of ``probe``: the file is whole and works; on the GPU the loss is finite and weights move."""
    for gate, (outcome, reason) in body["file"].items():
        if outcome != "passed":
            return failed(f"five steps give a LoRA that does not pass {gate}: {reason}")
    device = body["device"]
    losses = device["losses"]
    if len(losses) != STEPS or any(loss is None for loss in losses):
        return failed(f"five steps on {device['name']} in {device['dtype']} give a loss that is not finite; next: "
                      "dtype = \"float32\" in the recipe")  # fmt: skip
    moved = float(device["moved"])
    if not moved > 0.0:
        return failed(f"five steps on {device['name']} move no weight; next: check [optimizer] in the recipe",
                      value=moved, threshold=0.0)  # fmt: skip
    return passed(f"five steps work here and on {device['name']} in {device['dtype']}", value=moved, threshold=0.0)


def _write_dataset(folder: Path) -> Path:
    import numpy as np
    from PIL import Image

    from lifeos.lora.families.random_base import IMAGE_SIDE

    folder.mkdir()
    generator = np.random.default_rng(0)
    for index in range(_IMAGES):
        pixels = generator.integers(0, 256, (IMAGE_SIDE, IMAGE_SIDE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
        side = "left" if index % 2 else "right"
        (folder / f"{index}.txt").write_text(f"a photo of zeph person, facing {side}", encoding="utf-8")
    return folder


def _train_on(recipe: "Recipe", device: str) -> dict[str, Any]:
    import math

    import numpy as np
    import torch

    from lifeos.lora.dataset import read_dataset, read_pixels
    from lifeos.lora.families import get_family
    from lifeos.lora.optimizer import build_optimizer
    from lifeos.pods.probe.matmul import computes_bfloat16

    on_gpu = device.startswith("cuda")
    dtype: str = recipe.effective_dtype
    if on_gpu and recipe.dtype == "auto":
        # What auto comes to is asked of the processor; the GPU's own answer counts here.
        dtype = "bfloat16" if computes_bfloat16(torch.cuda.get_device_capability()) else "float32"
    family = get_family(recipe.family)
    components = family.load(recipe.base)
    examples = read_dataset(recipe.dataset, recipe.trigger, recipe.repeats)
    size = family.image_size(recipe.base)
    pictures = np.stack([read_pixels(example.image, *size) for example in examples])
    latents = family.encode_images(components, pictures).to(device)
    text = family.encode_text(components, [example.caption for example in examples])
    text = {name: values.to(device) for name, values in text.items()}
    family.prepare_training(components, dtype, recipe.channels_last)
    family.prepare_sampling(components, dtype, device)
    parameters = family.add_lora(components, rank=2, alpha=2.0, preset=recipe.targets, seed=0)
    before = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    optimizer = build_optimizer(recipe.optimizer, list(parameters.values()), device.split(":", maxsplit=1)[0])
    generator = torch.Generator().manual_seed(0)
    losses: list[float | None] = []
    for _ in range(STEPS):
        noise = torch.randn(latents.shape, generator=generator).to(device)
        timesteps = family.draw_timesteps(components, len(examples), tuple(latents.shape[1:]), generator).to(device)
        with torch.autocast(device.split(":", maxsplit=1)[0], dtype=torch.bfloat16, enabled=dtype == "bfloat16"):
            loss = family.loss(components, latents=latents, text=text, noise=noise, timesteps=timesteps,
                               gamma=recipe.min_snr_gamma).mean()  # fmt: skip
        value = float(loss.detach())
        losses.append(value if math.isfinite(value) else None)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    moves = [float((parameter.detach() - before[name]).abs().max()) for name, parameter in parameters.items()]
    moved = max(moves) if all(math.isfinite(move) for move in moves) else 0.0
    name = torch.cuda.get_device_name() if on_gpu else device
    return {"name": name, "dtype": dtype, "losses": losses, "moved": moved}
