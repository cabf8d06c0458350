"""What a release costs without lifeos: a diffusers pipeline, then face embedding; run as a process of its own.

``python -m benchmarks.bare_diffusers JOB.json`` renders a plan in batches, embeds the faces, writes the pixels, and
prints its seconds as JSON.
"""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lifeos.lora.sample_plan import ImageRequest, SamplePlan


def load_pipeline(plan: SamplePlan, base: Path) -> Any:
    """Return the ``StableDiffusionPipeline`` of a base as its documentation loads it, with the plan's sampler."""
    import torch
    from diffusers import StableDiffusionPipeline

    dtype = torch.bfloat16 if plan.dtype == "bfloat16" else torch.float32
    pipeline = StableDiffusionPipeline.from_pretrained(str(base), torch_dtype=dtype, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    family, parts = _family_and_parts(pipeline, plan)
    pipeline.scheduler = family.make_scheduler(parts, plan.sampler)
    return pipeline


def render(
    pipeline: Any, plan: SamplePlan, requests: Sequence[ImageRequest], batch_size: int
) -> npt.NDArray[np.uint8]:
    """Return ``uint8 [n, height, width, 3]`` from pipeline calls of ``batch_size`` prompts each.

    All noise is that of lifeos, so the images are the same within the rounding of the pipeline's type.
    """
    from lifeos.lora.denoise import initial_noise, noise_generators

    family, parts = _family_and_parts(pipeline, plan)
    shape, pictures = family.latent_shape(parts, plan.width, plan.height), []
    for start in range(0, len(requests), batch_size):
        batch = requests[start : start + batch_size]
        generators = noise_generators([request.seed for request in batch])
        pictures += pipeline(
            [request.prompt.text for request in batch],
            num_inference_steps=plan.steps,
            guidance_scale=plan.guidance,
            width=plan.width,
            height=plan.height,
            latents=initial_noise(shape, generators).to(pipeline.unet.dtype),
            generator=generators,
        ).images
    return np.stack([np.asarray(picture, dtype=np.uint8) for picture in pictures])


def quiet() -> None:
    """Silence what diffusers and transformers print while loading."""
    import diffusers.utils.logging
    import transformers.utils.logging

    for logging in (diffusers.utils.logging, transformers.utils.logging):
        logging.set_verbosity_error()
        logging.disable_progress_bar()


def _family_and_parts(pipeline: Any, plan: SamplePlan) -> tuple[Any, Any]:
    from lifeos.lora.families import get_family
    from lifeos.lora.families.stable_diffusion import Components

    parts = Components(pipeline.unet, pipeline.vae, pipeline.text_encoder, pipeline.tokenizer,
                       dict(pipeline.scheduler.config))  # fmt: skip
    return get_family(plan.family), parts


def _main(job: dict[str, Any]) -> dict[str, float]:
    import torch

    from evals.faces import measure_face, open_backend

    quiet()
    torch.set_num_threads(job["threads"])
    plan, lora = SamplePlan.from_json(job["plan"]), Path(job["lora"])
    started = time.perf_counter()
    pipeline = load_pipeline(plan, Path(job["base"]))
    pipeline.load_lora_weights(str(lora.parent), weight_name=lora.name, adapter_name="persona")
    pixels = render(pipeline, plan, plan.requests(), job["batch_size"])
    rendered = time.perf_counter()
    backend = open_backend(job["face_backend"], Path(job["face_folder"]))
    faces = sum(measure_face(backend, image).embedding is not None for image in pixels)
    embedded = time.perf_counter()
    np.save(job["pixels"], pixels)
    return {"sampling": rendered - started, "embedding": embedded - rendered, "faces": faces,
            "saving": time.perf_counter() - embedded}  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(_main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))))
