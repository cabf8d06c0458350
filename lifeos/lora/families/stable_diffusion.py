"""The classes of Stable Diffusion at any size: a UNet that denoises, CLIP that reads, epsilon or velocity as target.

Sizes, channel counts, context length and prediction type all come from the base's configs. ``tiny_base``, ``sd15`` and
``sdxl`` are of this kind.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from lifeos.errors import InputError
from lifeos.lora.families import Shape
from lifeos.lora.families.adapters import TEXT_ATTENTION, add_adapters, fuse_deltas, prepare_text_encoders
from lifeos.lora.families.component_files import (
    component_modules,
    image_reduction,
    load_component,
    load_tokenizer,
    modules_ending,
    prepare_autoencoder,
    read_config,
    require_pipeline,
    torch_dtype,
)
from lifeos.lora.families.library_imports import import_libraries
from lifeos.lora.families.processor_linear import join_pairs, use_onednn
from lifeos.lora.families.xformers_attention import use_xformers

_ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
_FEEDFORWARD = ("ff.net.0.proj", "ff.net.2")
_CONVOLUTIONS = ("conv1", "conv2")
_PRESETS = {
    "attention": _ATTENTION,
    "attention_feedforward": _ATTENTION + _FEEDFORWARD,
    "full": _ATTENTION + _FEEDFORWARD + _CONVOLUTIONS,
}
# Trailing spacing starts from the noisiest step, which few-step sampling needs: Lin et al., arXiv 2305.08891, table 1.
_SAMPLERS: dict[str, tuple[str, dict[str, Any]]] = {
    "dpmsolver++": ("DPMSolverMultistepScheduler",
                    {"algorithm_type": "dpmsolver++", "solver_order": 2, "timestep_spacing": "trailing"}),
    # The same solver of the stochastic equation: fresh noise in every step undoes part of the errors of earlier ones.
    "sde-dpmsolver++": ("DPMSolverMultistepScheduler",
                        {"algorithm_type": "sde-dpmsolver++", "solver_order": 2, "timestep_spacing": "trailing"}),
    "ddim": ("DDIMScheduler", {"timestep_spacing": "trailing", "clip_sample": False, "set_alpha_to_one": True}),
    "euler": ("EulerDiscreteScheduler", {"timestep_spacing": "trailing"}),
}
_PLAIN_ATTENTION_TOKENS = 1024


@dataclass
class Components:
    """The loaded parts of a base, and its scheduler's config, from which each sampler is made.

    ``noise_scheduler`` is kept from preparing for training on, so that its table goes to the GPU once, not every step.
    """

    unet: Any
    vae: Any
    text_encoder: Any
    tokenizer: Any
    scheduler_config: dict[str, Any]
    noise_scheduler: Any = None


class StableDiffusion:
    """What the families of this kind share; see ``lifeos.lora.families.Family`` for what each member promises."""

    name: str
    architecture: str
    base_model_version: str
    resolution_fallback: int
    kohya_prefixes: ClassVar[dict[str, str]]
    samplers = tuple(_SAMPLERS)
    # The defaults of diffusers' pipelines.
    usual_guidance = 7.5
    pipelines: tuple[str, ...] = ("StableDiffusionPipeline",)
    """Pipeline classes that ``model_index.json`` may name."""
    lora_components: tuple[str, ...] = ("unet", "text_encoder")
    text_components: tuple[str, ...] = ("text_encoder",)
    weighs_by_snr = True
    keeps_rounding = False

    def modules(self, base: Path) -> dict[str, Shape]:
        """See ``Family.modules``."""
        require_pipeline(base, self.pipelines, self.name)
        return component_modules(base, self.lora_components, self.name)

    def may_be_dead(self, modules: Mapping[str, Shape]) -> frozenset[str]:
        """See ``Family.may_be_dead``: none, the last layer of the text encoder is read."""
        return frozenset()

    def target_suffixes(self, preset: str) -> tuple[str, ...]:
        """See ``Family.target_suffixes``."""
        if preset not in _PRESETS:
            raise InputError(f"targets: accepted {', '.join(_PRESETS)}, got {preset!r}; next: edit the recipe")
        return _PRESETS[preset]

    def expected_modules(self, base: Path, preset: str, text_encoders: bool = False) -> dict[str, Shape]:
        """See ``Family.expected_modules``."""
        modules = self.modules(base)
        expected = modules_ending(modules, "unet", self.target_suffixes(preset))
        for component in self.text_components if text_encoders else ():
            expected |= modules_ending(modules, component, TEXT_ATTENTION)
        return expected

    def image_size(self, base: Path) -> tuple[int, int]:
        """See ``Family.image_size``: latent side times the autoencoder's reduction."""
        require_pipeline(base, self.pipelines, self.name)
        unet, vae = read_config(base, "unet"), read_config(base, "vae")
        latent = unet.get("sample_size")
        side = latent * image_reduction(vae) if isinstance(latent, int) else self.resolution_fallback
        return side, side

    def prediction_type(self, base: Path) -> str:
        """See ``Family.prediction_type``."""
        return str(read_config(base, "scheduler", "scheduler_config.json").get("prediction_type", "epsilon"))

    def load(self, base: Path, dtype: str = "float32", reader_dtype: str | None = None) -> Any:
        """See ``Family.load``: float32 whatever ``dtype`` is, so that a LoRA is added before anything is rounded."""
        import_libraries()
        import torch
        from transformers import CLIPTextModel, CLIPTokenizer

        require_pipeline(base, self.pipelines, self.name)
        unet, vae = load_denoiser_and_autoencoder(base)
        text_encoder = load_component(CLIPTextModel, base, "text_encoder", dtype=torch.float32)
        tokenizer = load_tokenizer(CLIPTokenizer, base, "tokenizer")
        return Components(unet, vae, text_encoder, tokenizer, read_config(base, "scheduler", "scheduler_config.json"))

    def prepare_training(
        self, components: Any, dtype: str, channels_last: bool, device: str = "cpu", checkpointing: bool = False,
        text_encoders: bool = False, attention: str = "auto",
    ) -> None:  # fmt: skip
        """See ``Family.prepare_training``."""
        import torch
        from diffusers.models.attention_processor import Attention, AttnProcessor

        # In its type before it moves: a GPU that has room for it in 16 bits never holds it in 32.
        unet = components.unet.to(torch_dtype(dtype)).to(device)
        if channels_last:
            unet.to(memory_format=torch.channels_last)
        if attention == "xformers":
            use_xformers(unet, torch_dtype(dtype), device)
        # The fused attention's bfloat16 backward on a CPU took a quarter of each step; plain attention, whose memory
        # grows with the square of the tokens, made the whole step 15 % faster.
        small = unet.config.sample_size**2 <= _PLAIN_ATTENTION_TOKENS
        if attention == "auto" and device == "cpu" and dtype == "bfloat16" and small:
            unet.set_attn_processor(AttnProcessor())
        if device == "cpu" and dtype == "float32" and not self.keeps_rounding:
            use_onednn(unet)
        for layer in unet.modules():
            if isinstance(layer, Attention):
                # diffusers looks its processor's arguments up at every call: 2 % of a pass of a small SDXL.
                layer.forward = functools.partial(_attend, layer)
        if checkpointing:
            unet.enable_gradient_checkpointing()
        if text_encoders:
            prepare_text_encoders(components, self.text_components, (), torch_dtype(dtype), device)
        scheduler = self._noise_scheduler(components)
        scheduler.alphas_cumprod = scheduler.alphas_cumprod.to(device)

    def prepare_sampling(self, components: Any, dtype: str, device: str) -> None:
        """See ``Family.prepare_sampling``; channels last is 13 % faster on a CPU, except for bfloat16."""
        import torch

        components.vae.to(device, memory_format=torch.channels_last)
        if dtype == "bfloat16":
            components.unet.to(device, torch.bfloat16)
        else:
            components.unet.to(device, memory_format=torch.channels_last)
            if device == "cpu" and not self.keeps_rounding:
                use_onednn(components.unet)

    def prepare_decoding(self, components: Any, dtype: str, tiling: bool, slicing: bool) -> None:
        """See ``Family.prepare_decoding``."""
        prepare_autoencoder(components.vae, dtype, tiling, slicing)

    def place_text_encoders(self, components: Any, device: str) -> None:
        """See ``Family.place_text_encoders``."""
        for component in self.text_components:
            getattr(components, component).to(device)

    def place_autoencoder(self, components: Any, device: str) -> None:
        """See ``Family.place_autoencoder``."""
        components.vae.to(device)

    def add_lora(
        self, components: Any, rank: int, alpha: float, preset: str, seed: int, text_encoders: bool = False,
        dora: bool = False,
    ) -> dict[str, Any]:  # fmt: skip
        """See ``Family.add_lora``."""
        targets = [("unet", self.target_suffixes(preset))]
        if text_encoders:
            targets += [(component, TEXT_ATTENTION) for component in self.text_components]
        parameters = add_adapters(components, targets, rank=rank, alpha=alpha, seed=seed, dora=dora)
        join_pairs(components.unet)
        return parameters

    def fuse(self, components: Any, deltas: Mapping[str, Any], magnitudes: Mapping[str, Any] | None = None) -> None:
        """See ``Family.fuse``."""
        fuse_deltas(components, deltas, magnitudes)

    def encode_text(self, components: Any, prompts: Sequence[str]) -> dict[str, Any]:
        """See ``Family.encode_text``."""
        import torch

        with torch.no_grad():
            return self.embed_text(components, self.tokenize(components, prompts))

    def tokenize(self, components: Any, prompts: Sequence[str]) -> dict[str, Any]:
        """See ``Family.tokenize``."""
        limit = components.text_encoder.config.max_position_embeddings
        return {"tokenizer": clip_tokens(components.tokenizer, limit, prompts)}

    def embed_text(self, components: Any, tokens: Mapping[str, Any]) -> dict[str, Any]:
        """See ``Family.embed_text``: ``states`` ``[n, tokens, channels]`` of the last layer."""
        encoder = components.text_encoder
        ids = tokens["tokenizer"].to(next(encoder.parameters()).device)
        return {"states": encoder(ids)[0].float()}

    def encode_images(self, components: Any, images: Any) -> Any:
        """See ``Family.encode_images``: the mean of the posterior, so that equal pixels give equal latents."""
        import torch

        vae = components.vae
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).to(vae.device, torch.float32) / 127.5 - 1.0
        with torch.no_grad():
            return vae.encode(pixels).latent_dist.mean * vae.config.scaling_factor

    def decode_latents(self, components: Any, latents: Any) -> Any:
        """See ``Family.decode_latents``."""
        import torch

        with torch.no_grad():
            unscaled = (latents / components.vae.config.scaling_factor).to(components.vae.dtype)
            return components.vae.decode(unscaled, return_dict=False)[0].float()

    def draw_timesteps(
        self, components: Any, count: int, shape: Shape, generator: Any, sampling: str | None = None,
        shift: float | None = None,
    ) -> Any:  # fmt: skip
        """See ``Family.draw_timesteps``: uniform over the levels of the base's own schedule, as recipes must ask."""
        import torch

        levels = int(components.scheduler_config.get("num_train_timesteps", 1000))
        return torch.randint(levels, (count,), generator=generator)

    def predict(self, components: Any, noisy: Any, timesteps: Any, text: Mapping[str, Any], guidance: float) -> Any:
        """See ``Family.predict``."""
        return components.unet(noisy, timesteps, encoder_hidden_states=text["states"], return_dict=False)[0]

    def loss(
        self, components: Any, *, latents: Any, text: Mapping[str, Any], noise: Any, timesteps: Any,
        gamma: float | None, weight: Any | None = None,
    ) -> Any:  # fmt: skip
        """See ``Family.loss``: squared error, weighted by min-SNR (Hang et al., arXiv 2303.09556, section 3.4).

        The weight is min(SNR, gamma) / SNR for a noise prediction and min(SNR, gamma) / (SNR + 1) for a velocity.

        Raises:
            InputError: the scheduler predicts something else.
        """
        import torch

        scheduler = self._noise_scheduler(components)
        kind = scheduler.config.prediction_type
        if kind == "v_prediction":
            target = scheduler.get_velocity(latents, noise, timesteps)
        elif kind == "epsilon":
            target = noise
        else:
            raise InputError(f"base: accepted prediction type epsilon or v_prediction, got {kind!r}; next: check base")
        noisy = scheduler.add_noise(latents, noise, timesteps)
        prediction = self.predict(components, noisy, timesteps, text, 1.0).float()
        errors = (prediction - target).square()
        errors = (errors if weight is None else errors * weight).mean(dim=(1, 2, 3))
        if gamma is not None:
            kept = scheduler.alphas_cumprod.to(latents.device)[timesteps]
            snr = kept / (1.0 - kept)
            capped = torch.clamp(snr, max=gamma)
            # A schedule that ends in pure noise has SNR 0 there, where a noise prediction carries weight 1.
            weights = capped / (snr + 1.0) if kind == "v_prediction" else torch.where(snr > 0, capped / snr, 1.0)
            errors = errors * weights
        return errors

    def latent_shape(self, components: Any, width: int, height: int) -> tuple[int, int, int]:
        """See ``Family.latent_shape``.

        Raises:
            InputError: the size is no multiple of what autoencoder and denoiser divide it by.
        """
        reduction = image_reduction(dict(components.vae.config))
        step = reduction * 2 ** (len(components.unet.config.block_out_channels) - 1)
        if width % step or height % step:
            raise InputError(f"size: accepted multiples of {step}, got {width}x{height}; next: correct the size")
        return components.unet.config.in_channels, height // reduction, width // reduction

    def classifier_free(self, components: Any) -> bool:
        """See ``Family.classifier_free``."""
        return True

    def make_scheduler(self, components: Any, sampler: str) -> Any:
        """See ``Family.make_scheduler``.

        Raises:
            InputError: no such sampler.
        """
        import diffusers

        if sampler not in _SAMPLERS:
            raise InputError(f"sampler: accepted {', '.join(_SAMPLERS)}, got {sampler!r}; next: edit the persona")
        name, settings = _SAMPLERS[sampler]
        return getattr(diffusers, name).from_config(components.scheduler_config, **settings)

    def start(self, scheduler: Any, noise: Any, steps: int) -> Any:
        """See ``Family.start``."""
        scheduler.set_timesteps(steps, device=noise.device)
        return noise * scheduler.init_noise_sigma

    def model_input(self, scheduler: Any, latents: Any, timestep: Any) -> Any:
        """See ``Family.model_input``."""
        return scheduler.scale_model_input(latents, timestep)

    def _noise_scheduler(self, components: Any) -> Any:
        from diffusers import DDPMScheduler

        if components.noise_scheduler is None:
            components.noise_scheduler = DDPMScheduler.from_config(components.scheduler_config)
        return components.noise_scheduler


def load_denoiser_and_autoencoder(base: Path) -> tuple[Any, Any]:
    """Load a UNet and its autoencoder in float32.

    Raises:
        InputError: one cannot be read whole, or the autoencoder's latents are normalised by channel.
    """
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel

    unet = load_component(UNet2DConditionModel, base, "unet", torch_dtype=torch.float32)
    vae = load_component(AutoencoderKL, base, "vae", torch_dtype=torch.float32)
    if vae.config.latents_mean is not None:
        raise InputError(f"{base}: accepted an autoencoder with one scaling factor, got latents_mean; "
                         "next: choose a base that diffusers' plain Stable Diffusion pipelines sample")
    return unet, vae


def clip_tokens(tokenizer: Any, limit: int, prompts: Sequence[str]) -> Any:
    """Return int64 ids ``[n, tokens]`` of prompts, padded to what the text encoder reads.

    Args:
        tokenizer: a CLIP tokenizer.
        limit: positions of the text encoder.
        prompts: texts.

    Raises:
        InputError: a prompt has more tokens; the pipeline would cut it silently.
    """
    limit = min(tokenizer.model_max_length, limit)
    for prompt in prompts:
        count = len(tokenizer(prompt).input_ids)
        if count > limit:
            raise InputError(f"prompt {prompt!r}: accepted {limit} tokens, got {count}; next: shorten it")
    return tokenizer(list(prompts), padding="max_length", max_length=limit, truncation=True,
                     return_tensors="pt").input_ids


def _attend(layer: Any, *given: Any, **named: Any) -> Any:
    return layer.processor(layer, *given, **named)
