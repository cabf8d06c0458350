"""From noise to pixels: the sampling loop on a base's parts, equal to the diffusers pipeline within rounding.

What the pipeline does anew for every call is done once here: text is encoded once a distinct prompt, the empty prompt
once, and the LoRA is added to the weights instead of running beside them at every step.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lifeos.errors import InputError
from lifeos.lora.families import Family
from lifeos.lora.lora_file import LoraModule
from lifeos.lora.sample_plan import ImageRequest, SamplePlan


def load_for(plan: SamplePlan, family: Family, base: Path) -> Any:
    """Load a base as a plan samples it.

    Denoiser and CLIP in float32, so that a LoRA is added before anything is rounded; T5, which carries none, in the
    plan's type: in float32 it is larger than most denoisers.

    Raises:
        InputError: as ``Family.load``.
    """
    return family.load(base, reader_dtype=plan.dtype)


def fuse_lora(family: Family, components: Any, modules: Mapping[str, LoraModule], strength: float) -> None:
    """Add ``strength`` times a LoRA to the float32 weights of a loaded base, in place.

    A DoRA's magnitudes stay as they are at every strength: ``strength`` turns the direction only, as diffusers does.
    """
    deltas = {name: strength * module.product() for name, module in modules.items()}
    magnitudes = {name: module.magnitude for name, module in modules.items() if module.magnitude is not None}
    family.fuse(components, deltas, magnitudes)


def noise_generators(seeds: Sequence[int]) -> list[Any]:
    """Return one CPU generator an image; all noise of an image comes from its own, so no batch size changes it."""
    import torch

    return [torch.Generator("cpu").manual_seed(seed) for seed in seeds]


def initial_noise(shape: tuple[int, int, int], generators: Sequence[Any]) -> Any:
    """Return float32 noise ``[n, *shape]``, each image from its generator, which a stochastic sampler draws on from."""
    import torch

    return torch.cat([torch.randn((1, *shape), generator=generator) for generator in generators])


class Denoiser:
    """A base with a LoRA fused in, ready for one plan."""

    def __init__(self, family: Family, components: Any, plan: SamplePlan, requests: Sequence[ImageRequest]) -> None:
        """Encode the prompts and bring the denoiser into the plan's type and device.

        Raises:
            InputError: a prompt is too long, or the size, the sampler or the autoencoder's type is none the base knows.
        """
        import torch

        self._family, self._components, self._plan = family, components, plan
        self._shape = family.latent_shape(components, plan.width, plan.height)
        texts = sorted({request.prompt.text for request in requests} | {""})
        self._dtype = torch.bfloat16 if plan.dtype == "bfloat16" else torch.float32
        family.place_text_encoders(components, plan.device)
        embedded = family.encode_text(components, texts)
        # They can be larger than the denoiser, and have nothing more to do.
        family.place_text_encoders(components, "cpu")
        self._text = {name: values.to(plan.device, self._dtype) for name, values in embedded.items()}
        self._row = {text: row for row, text in enumerate(texts)}
        self._guided = plan.guidance > 1.0 and family.classifier_free(components)
        # Before it moves: a GPU that has room for an autoencoder in 16 bits never holds it in 32.
        family.prepare_decoding(components, plan.vae_dtype, plan.vae_tiling, plan.vae_slicing)
        family.prepare_sampling(components, plan.dtype, plan.device)
        family.make_scheduler(components, plan.sampler)

    def render(self, requests: Sequence[ImageRequest]) -> npt.NDArray[np.uint8]:
        """Return ``uint8 [n, height, width, 3]`` images of one batch.

        Raises:
            InputError: the denoiser or the autoencoder gave something that is not finite.
        """
        import torch

        plan, guided, family = self._plan, self._guided, self._family
        # A fresh scheduler a batch: multistep samplers keep a history.
        scheduler = family.make_scheduler(self._components, plan.sampler)
        rows = [self._row[request.prompt.text] for request in requests]
        if guided:
            rows = [self._row[""]] * len(rows) + rows
        text = {name: values[rows] for name, values in self._text.items()}
        generators = noise_generators([request.seed for request in requests])
        latents = family.start(scheduler, initial_noise(self._shape, generators).to(plan.device), plan.steps)
        with torch.no_grad():
            for timestep in scheduler.timesteps:
                batch = torch.cat([latents, latents]) if guided else latents
                batch = family.model_input(scheduler, batch, timestep).to(self._dtype)
                prediction = family.predict(self._components, batch, timestep, text, plan.guidance).float()
                if guided:
                    plain, prompted = prediction.chunk(2)
                    prediction = plain + plan.guidance * (prompted - plain)
                latents = scheduler.step(prediction, timestep, latents, generator=generators, return_dict=False)[0]
            images = family.decode_latents(self._components, latents)
        if not bool(torch.isfinite(images).all()):
            raise InputError(f"sampling: accepted finite pixels, got NaN or infinity in the batch of prompt "
                             f"{requests[0].prompt.id}; next: inspect the LoRA and lower the strength")
        return to_pixels(images)


def to_pixels(images: Any) -> npt.NDArray[np.uint8]:
    """Return ``uint8 [n, height, width, 3]`` of float images ``[n, 3, height, width]`` in [-1, 1], rounded."""
    scaled = ((images.float() / 2.0 + 0.5).clamp(0.0, 1.0) * 255.0).round()
    pixels: npt.NDArray[np.uint8] = scaled.permute(0, 2, 3, 1).cpu().numpy().astype(np.uint8)
    return pixels
