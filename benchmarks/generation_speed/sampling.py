"""The same images by lifeos and by a plain loop over a diffusers pipeline; each in a process of its own.

``python -m benchmarks.generation_speed.sampling JOB.json`` draws what the job says, writes PNG files and one array of
all pixels, and leaves its seconds by stage in ``answer``.
"""

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.generation_speed.profile import LOAD, sampling_places
from benchmarks.generation_speed.stages import Stages
from benchmarks.generation_speed.work import Work, sampled
from lifeos.lora.sample_plan import ImageRequest, PlannedPrompt, SamplePlan

GUIDANCE = 5.0
IMAGES = "images"
_B_DEVIATION = 0.05


def plan_of(work: Work, dtype: str) -> SamplePlan:
    """Return what is drawn: SDXL's usual guidance under Euler's sampler."""
    prompts, seeds = sampled(work.images)
    return SamplePlan(
        prompts=tuple(PlannedPrompt(f"P{number}", text) for number, text in enumerate(prompts)),
        seeds=tuple(range(seeds)), sampler="euler", steps=work.sampling_steps, guidance=GUIDANCE,
        width=work.resolution, height=work.resolution, dtype=dtype, family="sdxl", device=work.device,
    )  # fmt: skip


def write_random_lora(base: Path, rank: int, path: Path) -> Path:
    """Write a LoRA of random numbers on the attention of a base, strong enough to change every image."""
    import numpy as np

    from evals.atomic import write_bytes
    from lifeos.lora.families import get_family
    from lifeos.lora.safetensors_file import encode

    random, tensors = np.random.default_rng(0), {}
    for name, shape in sorted(get_family("sdxl").expected_modules(base, "attention").items()):
        down = random.normal(0.0, shape[1] ** -0.5, (rank, shape[1])).astype(np.float32)
        up = random.normal(0.0, _B_DEVIATION, (shape[0], rank)).astype(np.float32)
        tensors[f"{name}.lora_A.weight"], tensors[f"{name}.lora_B.weight"] = ("F32", down), ("F32", up)
    write_bytes(path, encode(tensors, {}))
    return path


def draw_ours(
    work: Work, plan: SamplePlan, base: Path, lora: Path, folder: Path, stages: Stages, places: dict[Any, str]
) -> Any:
    """Draw by ``sample_plan``, stages counted in ``places``; returns ``uint8 [n, height, width, 3]``."""
    import numpy as np

    from evals.images import read_image
    from lifeos.lora.sample import sample_plan
    from lifeos.lora.store import ImageStore

    with stages.of(places), stages.stage(IMAGES):
        result = sample_plan(plan, base, lora, ImageStore(folder), batch_size=work.sampling_batch, threads=work.threads)
    return np.stack([read_image(image.path) for image in result.images])


def draw_theirs(plan: SamplePlan, base: Path, lora: Path, folder: Path, stages: Stages) -> Any:
    """Draw one image a call, as the script's README draws; returns ``uint8 [n, height, width, 3]``."""
    import numpy as np
    import torch
    from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline

    from lifeos.lora.denoise import initial_noise

    dtype = torch.bfloat16 if plan.dtype == "bfloat16" else torch.float32
    with stages.stage(LOAD):
        pipeline = StableDiffusionXLPipeline.from_pretrained(str(base), dtype=dtype, local_files_only=True,
                                                             add_watermarker=False)  # fmt: skip
        pipeline.scheduler = EulerDiscreteScheduler.from_config(pipeline.scheduler.config, timestep_spacing="trailing")
        pipeline = pipeline.to(plan.device)
        pipeline.load_lora_weights(str(lora.parent), weight_name=lora.name)
        pipeline.set_progress_bar_config(disable=True)
    reduction = pipeline.vae_scale_factor
    shape = (pipeline.unet.config.in_channels, plan.height // reduction, plan.width // reduction)
    folder.mkdir(parents=True, exist_ok=True)
    pixels = []
    with stages.stage(IMAGES):
        for number, request in enumerate(plan.requests()):
            pixels.append(_one(pipeline, plan, request, shape, dtype, initial_noise))
            pixels[-1].save(folder / f"{number:04d}.png")
    return np.stack([np.asarray(picture, dtype=np.uint8) for picture in pixels])


def difference(ours: Any, theirs: Any) -> dict[str, float]:
    """Return how far two arrays of images differ, in levels of 255: the largest and the mean."""
    import numpy as np

    apart = np.abs(ours.astype(np.int16) - theirs.astype(np.int16))
    return {"largest": float(apart.max()), "mean": float(apart.mean())}


def _one(pipeline: Any, plan: SamplePlan, request: ImageRequest, shape: Any, dtype: Any, initial_noise: Any) -> Any:
    import torch

    # The noise the pipeline would draw in float32; in 16 bits it would draw other numbers, hence other images.
    generator = torch.Generator("cpu").manual_seed(request.seed)
    return pipeline(request.prompt.text, generator=generator, latents=initial_noise(shape, [generator]).to(dtype),
                    num_inference_steps=plan.steps, guidance_scale=plan.guidance, width=plan.width,
                    height=plan.height).images[0]  # fmt: skip


def _main(job: dict[str, Any]) -> None:
    # The libraries of both sides, before either looks at the clock: ours are imported within loading otherwise.
    import numpy as np
    import torch
    from diffusers import AutoencoderKL, StableDiffusionXLPipeline, UNet2DConditionModel  # noqa: F401
    from peft import LoraConfig  # noqa: F401
    from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer  # noqa: F401

    from evals.atomic import write_json
    from lifeos.lora.families.component_files import quiet

    quiet()
    work = Work.from_json(job["work"])
    plan, base, lora, folder = plan_of(work, job["dtype"]), Path(job["base"]), Path(job["lora"]), Path(job["folder"])
    torch.set_num_threads(work.threads)
    stages = Stages(torch.cuda.synchronize if work.device == "cuda" else lambda: None)
    if job["side"] == "ours":
        places = {place: name for place, name in sampling_places().items() if job["profile"] or name == LOAD}
        pixels = draw_ours(work, plan, base, lora, folder / "images", stages, places)
    else:
        pixels = draw_theirs(plan, base, lora, folder / "images", stages)
    np.save(folder / "pixels.npy", pixels)
    write_json(folder / "answer.json", {"images": len(pixels), **stages.to_json()})


if __name__ == "__main__":
    _main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
