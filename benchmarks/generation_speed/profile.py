"""Where the time of one long training run of ours goes: ``python -m benchmarks.generation_speed.profile JOB.json``.

A run of its own: on a GPU each look at the clock waits for the GPU, which the timed runs do not.
"""

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.generation_speed.stages import Stages

LOAD, REST = "load", "the rest"


def training_places() -> dict[tuple[Any, str], str]:
    """Return what ``train_lora`` calls, by stage."""
    import torch

    from lifeos.lora import conditioning, train
    from lifeos.lora.families.sdxl import StableDiffusionXL

    return {
        (train, "read_inputs"): "hash base and pictures",
        (StableDiffusionXL, "load"): LOAD,
        (conditioning, "encode_views"): "encode latents",
        (StableDiffusionXL, "encode_text"): "encode text",
        (train, "_prepare"): "add LoRA, to the device",
        (train, "_batch_loss"): "forward",
        (torch.Tensor, "backward"): "backward",
        (torch.nn.utils, "clip_grad_norm_"): "optimizer",
        (torch.optim.AdamW, "step"): "optimizer",
        (train, "_encode_file"): "save",
        (train, "write_bytes"): "save",
    }


def sampling_places() -> dict[tuple[Any, str], str]:
    """Return what ``sample_plan`` calls, by stage."""
    from lifeos.lora import denoise, sample
    from lifeos.lora.families.sdxl import StableDiffusionXL
    from lifeos.lora.store import ImageStore

    return {
        (sample, "base_hash"): LOAD,
        (StableDiffusionXL, "load"): LOAD,
        (denoise, "fuse_lora"): LOAD,
        (StableDiffusionXL, "prepare_sampling"): LOAD,
        (StableDiffusionXL, "encode_text"): "encode text",
        (StableDiffusionXL, "predict"): "denoise",
        (StableDiffusionXL, "decode_latents"): "decode",
        (sample, "encode_png"): "PNG",
        (ImageStore, "put"): "PNG",
    }


def _main(job: dict[str, Any]) -> None:
    stages = Stages()
    with stages.stage("import"):
        from lifeos.lora.families.library_imports import import_libraries

        import_libraries()
        import torch

        from lifeos.lora.families.component_files import quiet
        from lifeos.lora.recipe import load_recipe
        from lifeos.lora.train import train_lora

        places = training_places()
        quiet()
    recipe, folder = load_recipe(Path(job["recipe"])), Path(job["folder"])
    if recipe.device == "cuda":
        stages.synchronize = torch.cuda.synchronize
    with stages.of(places), stages.stage(REST):
        train_lora(recipe, folder / "lora.safetensors", folder / "run")
    from evals.atomic import write_json

    write_json(folder / "answer.json", stages.to_json())


if __name__ == "__main__":
    _main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
