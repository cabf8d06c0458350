"""Transformers that predict the velocity from image to noise: what ``sd3`` and ``flux`` share.

A noisy latent is ``(1 - sigma) * image + sigma * noise``, the target ``noise - image`` (rectified flow: Esser et al.,
arXiv 2403.03206, section 2), and noise levels are drawn logit-normally (section 3.1), moved towards noise for larger
images as the base's scheduler says (section 5.3.2).
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from lifeos.errors import InputError
from lifeos.lora.families import Shape
from lifeos.lora.families.adapters import TEXT_ATTENTION, add_adapters, fuse_deltas, prepare_text_encoders
from lifeos.lora.families.component_files import (
    component_modules,
    image_reduction,
    modules_ending,
    prepare_autoencoder,
    read_config,
    require_pipeline,
    torch_dtype,
)
from lifeos.lora.families.xformers_attention import use_xformers

_LEVELS = 1000.0


class FlowMatching:
    """What the families of this kind share; see ``lifeos.lora.families.Family`` for what each member promises."""

    name: str
    architecture: str
    base_model_version: str
    resolution_fallback = 1024
    kohya_prefixes: ClassVar[dict[str, str]]
    pipelines: tuple[str, ...]
    """Pipeline classes that ``model_index.json`` may name."""
    presets: ClassVar[dict[str, tuple[str, ...]]]
    """Preset -> endings of module names."""
    patch: int
    """Latent cells a side that become one token."""
    usual_guidance: float
    samplers: tuple[str, ...] = ("flow_euler",)
    lora_components: tuple[str, ...]
    text_components: tuple[str, ...]
    encoders: tuple[str, ...]
    """Every text encoder, also those that carry no LoRA."""
    weighs_by_snr = False
    keeps_rounding = False

    def modules(self, base: Path) -> dict[str, Shape]:
        """See ``Family.modules``."""
        require_pipeline(base, self.pipelines, self.name)
        return component_modules(base, self.lora_components, self.name)

    def target_suffixes(self, preset: str) -> tuple[str, ...]:
        """See ``Family.target_suffixes``."""
        if preset not in self.presets:
            raise InputError(f"targets: accepted {', '.join(self.presets)}, got {preset!r}; next: edit the recipe")
        return self.presets[preset]

    def expected_modules(self, base: Path, preset: str, text_encoders: bool = False) -> dict[str, Shape]:
        """See ``Family.expected_modules``."""
        modules = self.modules(base)
        expected = modules_ending(modules, "transformer", self.target_suffixes(preset))
        for component in self.text_components if text_encoders else ():
            expected |= modules_ending(modules, component, TEXT_ATTENTION)
        return expected

    def image_size(self, base: Path) -> tuple[int, int]:
        """See ``Family.image_size``: of the denoiser where it says so, else of the autoencoder."""
        require_pipeline(base, self.pipelines, self.name)
        latent, vae = read_config(base, "transformer").get("sample_size"), read_config(base, "vae")
        if isinstance(latent, int):
            return latent * image_reduction(vae), latent * image_reduction(vae)
        side = vae.get("sample_size")
        return (side, side) if isinstance(side, int) else (self.resolution_fallback, self.resolution_fallback)

    def prediction_type(self, base: Path) -> str:
        """See ``Family.prediction_type``."""
        return "flow"

    def prepare_training(
        self, components: Any, dtype: str, channels_last: bool, device: str = "cpu", checkpointing: bool = False,
        text_encoders: bool = False, attention: str = "auto",
    ) -> None:  # fmt: skip
        """See ``Family.prepare_training``; there is no convolution that a memory layout would speed up."""
        components.transformer.to(device, torch_dtype(dtype))
        if attention == "xformers":
            use_xformers(components.transformer, torch_dtype(dtype), device)
        if checkpointing:
            components.transformer.enable_gradient_checkpointing()
        if text_encoders:
            frozen = tuple(component for component in self.encoders if component not in self.text_components)
            prepare_text_encoders(components, self.text_components, frozen, torch_dtype(dtype), device)

    def prepare_sampling(self, components: Any, dtype: str, device: str) -> None:
        """See ``Family.prepare_sampling``."""
        components.vae.to(device)
        components.transformer.to(device, torch_dtype(dtype))

    def prepare_decoding(self, components: Any, dtype: str, tiling: bool, slicing: bool) -> None:
        """See ``Family.prepare_decoding``.

        Raises:
            InputError: float16.
        """
        if dtype == "float16":
            raise InputError(f"vae_dtype: accepted float32 or bfloat16 for {self.name}, whose weights are published in "
                             "bfloat16 and may pass float16's range, got 'float16'; next: edit the persona")
        prepare_autoencoder(components.vae, dtype, tiling, slicing)

    def place_text_encoders(self, components: Any, device: str) -> None:
        """See ``Family.place_text_encoders``."""
        for component in self.encoders:
            if getattr(components, component) is not None:
                getattr(components, component).to(device)

    def place_autoencoder(self, components: Any, device: str) -> None:
        """See ``Family.place_autoencoder``."""
        components.vae.to(device)

    def add_lora(
        self, components: Any, rank: int, alpha: float, preset: str, seed: int, text_encoders: bool = False,
        dora: bool = False,
    ) -> dict[str, Any]:  # fmt: skip
        """See ``Family.add_lora``; T5 carries none: it reads for every persona alike and is larger than most bases."""
        targets = [("transformer", self.target_suffixes(preset))]
        if text_encoders:
            targets += [(component, TEXT_ATTENTION) for component in self.text_components]
        return add_adapters(components, targets, rank=rank, alpha=alpha, seed=seed, dora=dora)

    def fuse(self, components: Any, deltas: Mapping[str, Any], magnitudes: Mapping[str, Any] | None = None) -> None:
        """See ``Family.fuse``."""
        fuse_deltas(components, deltas, magnitudes)

    def tokenize(self, components: Any, prompts: Sequence[str]) -> dict[str, Any]:
        """See ``Family.tokenize``."""
        raise NotImplementedError

    def embed_text(self, components: Any, tokens: Mapping[str, Any]) -> dict[str, Any]:
        """See ``Family.embed_text``."""
        raise NotImplementedError

    def encode_text(self, components: Any, prompts: Sequence[str]) -> dict[str, Any]:
        """See ``Family.encode_text``."""
        import torch

        with torch.no_grad():
            return self.embed_text(components, self.tokenize(components, prompts))

    def encode_images(self, components: Any, images: Any) -> Any:
        """See ``Family.encode_images``: the mean of the posterior, so that equal pixels give equal latents."""
        import torch

        vae = components.vae
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).to(vae.device, torch.float32) / 127.5 - 1.0
        with torch.no_grad():
            mean = vae.encode(pixels).latent_dist.mean
        return (mean - (vae.config.shift_factor or 0.0)) * vae.config.scaling_factor

    def decode_latents(self, components: Any, latents: Any) -> Any:
        """See ``Family.decode_latents``."""
        import torch

        config = components.vae.config
        with torch.no_grad():
            unscaled = latents / config.scaling_factor + (config.shift_factor or 0.0)
            return components.vae.decode(unscaled.to(components.vae.dtype), return_dict=False)[0].float()

    def draw_timesteps(
        self, components: Any, count: int, shape: Shape, generator: Any, sampling: str | None = None,
        shift: float | None = None,
    ) -> Any:  # fmt: skip
        """See ``Family.draw_timesteps``: 1000 sigma, sigma logit-normal and shifted as the scheduler's config says.

        A scheduler with ``use_dynamic_shifting`` moves noise levels with the number of image tokens; another one by
        its constant ``shift``. Sampling visits the levels that training drew. ``uniform`` draws every sigma alike
        before the shift; ``flux_shift`` moves by the number of tokens whatever the scheduler says.
        """
        import torch

        if sampling == "uniform":
            drawn = torch.rand((count,), generator=generator)
        else:
            drawn = torch.sigmoid(torch.randn((count,), generator=generator))
        if shift is not None:
            factor = shift
        elif sampling == "flux_shift":
            factor = math.exp(self._mu(components.scheduler_config, shape))
        else:
            factor = self.shift_factor(components.scheduler_config, shape)
        return _LEVELS * factor * drawn / (1.0 + (factor - 1.0) * drawn)

    def shift_factor(self, scheduler_config: Mapping[str, Any], shape: Shape) -> float:
        """Return s of ``s * sigma / (1 + (s - 1) * sigma)``, by which noise levels are moved.

        Args:
            scheduler_config: of a FlowMatchEulerDiscreteScheduler.
            shape: ``(channels, height, width)`` of the latents.
        """
        if scheduler_config.get("use_dynamic_shifting"):
            return math.exp(self._mu(scheduler_config, shape))
        return float(scheduler_config.get("shift", 1.0))

    def predict(self, components: Any, noisy: Any, timesteps: Any, text: Mapping[str, Any], guidance: float) -> Any:
        """See ``Family.predict``."""
        raise NotImplementedError

    def loss(
        self, components: Any, *, latents: Any, text: Mapping[str, Any], noise: Any, timesteps: Any,
        gamma: float | None, weight: Any | None = None,
    ) -> Any:  # fmt: skip
        """See ``Family.loss``: squared error of the velocity; the drawing of noise levels carries the weighting."""
        sigma = (timesteps / _LEVELS).to(latents.device, latents.dtype)[:, None, None, None]
        noisy = (1.0 - sigma) * latents + sigma * noise
        # A distilled base takes its guidance as an input; at 1 it predicts what it was not distilled to exaggerate.
        prediction = self.predict(components, noisy, timesteps.to(latents.device), text, 1.0).float()
        errors = (prediction - (noise - latents)).square()
        return (errors if weight is None else errors * weight).mean(dim=(1, 2, 3))

    def latent_shape(self, components: Any, width: int, height: int) -> tuple[int, int, int]:
        """See ``Family.latent_shape``."""
        reduction = image_reduction(dict(components.vae.config))
        step = reduction * self.patch
        if width % step or height % step:
            raise InputError(f"size: accepted multiples of {step}, got {width}x{height}; next: correct the size")
        return components.vae.config.latent_channels, height // reduction, width // reduction

    def make_scheduler(self, components: Any, sampler: str) -> Any:
        """See ``Family.make_scheduler``.

        Raises:
            InputError: no such sampler.
        """
        from diffusers import FlowMatchEulerDiscreteScheduler

        if sampler not in self.samplers:
            raise InputError(f"sampler: accepted {', '.join(self.samplers)}, got {sampler!r}; next: edit the persona")
        return FlowMatchEulerDiscreteScheduler.from_config(components.scheduler_config)

    def start(self, scheduler: Any, noise: Any, steps: int) -> Any:
        """See ``Family.start``; the first level of a flow is noise itself."""
        dynamic = scheduler.config.use_dynamic_shifting
        moved = {"mu": self._mu(scheduler.config, tuple(noise.shape[1:]))} if dynamic else {}
        scheduler.set_timesteps(steps, device=noise.device, **moved)
        return noise

    def model_input(self, scheduler: Any, latents: Any, timestep: Any) -> Any:
        """See ``Family.model_input``."""
        return latents

    def _mu(self, config: Mapping[str, Any], shape: Shape) -> float:
        tokens = (shape[1] // self.patch) * (shape[2] // self.patch)
        low, high = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
        at_low, at_high = config.get("base_shift", 0.5), config.get("max_shift", 1.15)
        return float(at_low + (at_high - at_low) * (tokens - low) / (high - low))


def t5_tokens(tokenizer: Any, limit: int, prompts: Sequence[str]) -> Any:
    """Return int64 ids ``[n, limit]`` of prompts, padded.

    Raises:
        InputError: a prompt has more tokens; the pipeline would cut it silently.
    """
    for prompt in prompts:
        count = len(tokenizer(prompt).input_ids)
        if count > limit:
            raise InputError(f"prompt {prompt!r}: accepted {limit} tokens, got {count}; next: shorten it")
    return tokenizer(list(prompts), padding="max_length", max_length=limit, truncation=True,
                     return_tensors="pt").input_ids


def first_tokens(tokenizer: Any, prompts: Sequence[str]) -> Any:
    """Return int64 ids of as much of each prompt as CLIP reads: T5 beside it reads the whole."""
    limit = tokenizer.model_max_length
    return tokenizer(list(prompts), padding="max_length", max_length=limit, truncation=True,
                     return_tensors="pt").input_ids


def t5_dtype(dtype: str) -> Any:
    """Return the torch type that T5 is loaded in beside a denoiser of ``dtype``: bfloat16 where that has 16 bits."""
    return torch_dtype("float32" if dtype == "float32" else "bfloat16")


def read_t5(encoder: Any, ids: Any) -> Any:
    """Return T5's last layer ``[n, tokens, width]``, float32; without gradients, since it carries no LoRA.

    Whatever type the denoiser computes in, T5 computes in its own: transformers does not run all of it in float16.
    """
    import torch

    device = encoder.device
    with torch.no_grad(), torch.autocast(device.type, enabled=False):
        return encoder(ids.to(device))[0].float()
