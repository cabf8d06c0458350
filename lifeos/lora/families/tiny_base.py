"""The Stable Diffusion component classes at any size: tiny-base, and every base in the same layout.

Sizes, channel counts, context length and prediction type all come from the base's configs.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from lifeos.errors import InputError
from lifeos.lora.families import Shape
from lifeos.lora.safetensors_file import read_header

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
    """The loaded parts of a base, and its scheduler's config, from which each sampler is made."""

    unet: Any
    vae: Any
    text_encoder: Any
    tokenizer: Any
    scheduler_config: dict[str, Any]


class TinyBase:
    """See ``lifeos.lora.families.Family`` for what each member promises."""

    name = "tiny_base"
    architecture = "tiny-base/lora"
    base_model_version = "tiny_base"
    resolution_fallback = 128
    samplers = tuple(_SAMPLERS)
    may_be_dead: tuple[str, ...] = ()
    lora_components: tuple[str, ...] = ("unet", "text_encoder")
    kohya_prefixes: ClassVar[dict[str, str]] = {
        "lora_unet_": "unet",
        "lora_te_": "text_encoder",
        "lora_te1_": "text_encoder",
    }

    def modules(self, base: Path) -> dict[str, Shape]:
        """See ``Family.modules``."""
        found: dict[str, Shape] = {}
        for component in self.lora_components:
            folder = Path(base) / component
            shards = sorted(folder.glob("*.safetensors"))
            if not shards:
                raise InputError(f"{folder}: accepted a base of family {self.name}, got no safetensors file there; "
                                 "next: check base and family in the recipe")
            for shard in shards:
                for key, entry in read_header(shard).entries.items():
                    if key.endswith(".weight") and len(entry.shape) in (2, 4) and "embedding" not in key.split(".")[-2]:
                        found[f"{component}.{key.removesuffix('.weight')}"] = entry.shape
        return found

    def target_suffixes(self, preset: str) -> tuple[str, ...]:
        """See ``Family.target_suffixes``."""
        if preset not in _PRESETS:
            raise InputError(f"targets: accepted {', '.join(_PRESETS)}, got {preset!r}; next: edit the recipe")
        return _PRESETS[preset]

    def expected_modules(self, base: Path, preset: str) -> dict[str, Shape]:
        """See ``Family.expected_modules``; presets touch the denoiser only."""
        endings = tuple(f".{suffix}" for suffix in self.target_suffixes(preset))
        return {name: shape for name, shape in self.modules(base).items()
                if name.startswith("unet.") and name.endswith(endings)}

    def image_size(self, base: Path) -> tuple[int, int]:
        """See ``Family.image_size``: latent side times the autoencoder's reduction."""
        unet, vae = _read_config(base, "unet"), _read_config(base, "vae")
        latent = unet.get("sample_size")
        side = latent * _reduction(vae) if isinstance(latent, int) else self.resolution_fallback
        return side, side

    def prediction_type(self, base: Path) -> str:
        """See ``Family.prediction_type``."""
        return str(_read_config(base, "scheduler", "scheduler_config.json").get("prediction_type", "epsilon"))

    def load(self, base: Path) -> Components:
        """See ``Family.load``.

        Raises:
            InputError: a component is absent, cannot be read, or would be left with random weights.
        """
        import torch
        from diffusers import AutoencoderKL, UNet2DConditionModel
        from transformers import CLIPTextModel, CLIPTokenizer

        _quiet()
        base = Path(base)
        for component in ("unet", "vae", "text_encoder"):
            _read_config(base, component)
        try:
            unet = _load_complete(UNet2DConditionModel, base / "unet", torch_dtype=torch.float32)
            vae = _load_complete(AutoencoderKL, base / "vae", torch_dtype=torch.float32)
            text_encoder = _load_complete(CLIPTextModel, base / "text_encoder", dtype=torch.float32)
            tokenizer = CLIPTokenizer.from_pretrained(str(base / "tokenizer"), local_files_only=True)
        except (OSError, ValueError, RuntimeError) as error:
            raise InputError(f"{base}: accepted a base of family {self.name}, got {str(error)[:200]}; "
                             "next: fetch the base again") from error
        for model in (unet, vae, text_encoder):
            model.eval().requires_grad_(False)
        return Components(unet, vae, text_encoder, tokenizer,
                          _read_config(base, "scheduler", "scheduler_config.json"))

    def prepare_training(self, components: Components, dtype: str, channels_last: bool) -> None:
        """See ``Family.prepare_training``."""
        import torch
        from diffusers.models.attention_processor import AttnProcessor

        unet = components.unet
        if channels_last:
            unet.to(memory_format=torch.channels_last)
        if dtype == "bfloat16":
            unet.to(torch.bfloat16)
            # The fused attention's bfloat16 backward on a CPU took a quarter of each step; plain attention, whose
            # memory grows with the square of the tokens, made the whole step 15 % faster.
            if unet.config.sample_size**2 <= _PLAIN_ATTENTION_TOKENS:
                unet.set_attn_processor(AttnProcessor())

    def prepare_sampling(self, components: Components, dtype: str, device: str) -> None:
        """See ``Family.prepare_sampling``; channels last is 13 % faster on a CPU, except for bfloat16."""
        import torch

        components.vae.to(device, memory_format=torch.channels_last)
        if dtype == "bfloat16":
            components.unet.to(device, torch.bfloat16)
        else:
            components.unet.to(device, memory_format=torch.channels_last)

    def add_lora(self, components: Components, rank: int, alpha: float, preset: str, seed: int) -> dict[str, Any]:
        """See ``Family.add_lora``; A is drawn as peft draws it (Kaiming), B is zero."""
        import torch
        from peft import LoraConfig

        config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=sorted(self.target_suffixes(preset)),
                            lora_dropout=0.0, bias="none")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            components.unet.add_adapter(config)
        parameters = {}
        for name, parameter in components.unet.named_parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.float()
                parameters[f"unet.{name.replace('.default.', '.')}"] = parameter
        return dict(sorted(parameters.items()))

    def fuse(self, components: Components, deltas: dict[str, Any]) -> None:
        """See ``Family.fuse``."""
        import torch

        for name, delta in deltas.items():
            component, module = name.split(".", 1)
            weight = getattr(components, component).get_submodule(module).weight
            weight.data.add_(torch.from_numpy(delta).reshape(weight.shape).to(weight.device, weight.dtype))

    def encode_text(self, components: Components, prompts: Sequence[str]) -> Any:
        """See ``Family.encode_text``.

        Raises:
            InputError: a prompt has more tokens than the text encoder reads; the pipeline would cut it silently.
        """
        import torch

        tokenizer = components.tokenizer
        limit = min(tokenizer.model_max_length, components.text_encoder.config.max_position_embeddings)
        for prompt in prompts:
            count = len(tokenizer(prompt).input_ids)
            if count > limit:
                raise InputError(f"prompt {prompt!r}: accepted {limit} tokens, got {count}; next: shorten it")
        tokens = tokenizer(list(prompts), padding="max_length", max_length=limit, truncation=True, return_tensors="pt")
        with torch.no_grad():
            device = next(components.text_encoder.parameters()).device
            return components.text_encoder(tokens.input_ids.to(device))[0].float()

    def encode_images(self, components: Components, images: Any) -> Any:
        """See ``Family.encode_images``: the mean of the posterior, so that equal pixels give equal latents."""
        import torch

        vae = components.vae
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).to(vae.device, torch.float32) / 127.5 - 1.0
        with torch.no_grad():
            return vae.encode(pixels).latent_dist.mean * vae.config.scaling_factor

    def decode_latents(self, components: Components, latents: Any) -> Any:
        """See ``Family.decode_latents``."""
        import torch

        with torch.no_grad():
            return components.vae.decode(latents / components.vae.config.scaling_factor, return_dict=False)[0]

    def timestep_count(self, components: Components) -> int:
        """See ``Family.timestep_count``."""
        return int(components.scheduler_config.get("num_train_timesteps", 1000))

    def predict(self, components: Components, noisy: Any, timesteps: Any, text: Any) -> Any:
        """See ``Family.predict``."""
        return components.unet(noisy, timesteps, encoder_hidden_states=text, return_dict=False)[0]

    def loss(
        self, components: Components, *, latents: Any, text: Any, noise: Any, timesteps: Any, gamma: float | None
    ) -> Any:
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
        prediction = self.predict(components, scheduler.add_noise(latents, noise, timesteps), timesteps, text).float()
        errors = (prediction - target).square().mean(dim=(1, 2, 3))
        if gamma is not None:
            kept = scheduler.alphas_cumprod.to(latents.device)[timesteps]
            snr = kept / (1.0 - kept)
            capped = torch.clamp(snr, max=gamma)
            # A schedule that ends in pure noise has SNR 0 there, where a noise prediction carries weight 1.
            weights = capped / (snr + 1.0) if kind == "v_prediction" else torch.where(snr > 0, capped / snr, 1.0)
            errors = errors * weights
        return errors.mean()

    def latent_shape(self, components: Components, width: int, height: int) -> tuple[int, int, int]:
        """See ``Family.latent_shape``.

        Raises:
            InputError: the size is no multiple of what autoencoder and denoiser divide it by.
        """
        reduction = _reduction(dict(components.vae.config))
        step = reduction * 2 ** (len(components.unet.config.block_out_channels) - 1)
        if width % step or height % step:
            raise InputError(f"size: accepted multiples of {step}, got {width}x{height}; next: correct the size")
        return components.unet.config.in_channels, height // reduction, width // reduction

    def make_scheduler(self, components: Components, sampler: str) -> Any:
        """See ``Family.make_scheduler``."""
        import diffusers

        if sampler not in _SAMPLERS:
            raise InputError(f"sampler: accepted {', '.join(_SAMPLERS)}, got {sampler!r}; next: edit the persona")
        name, settings = _SAMPLERS[sampler]
        return getattr(diffusers, name).from_config(components.scheduler_config, **settings)

    def _noise_scheduler(self, components: Components) -> Any:
        from diffusers import DDPMScheduler

        return DDPMScheduler.from_config(components.scheduler_config)


def _read_config(base: Path, component: str, name: str = "config.json") -> dict[str, Any]:
    path = Path(base) / component / name
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: accepted a diffusers config, got none that can be read; next: check base") from error
    if not isinstance(config, dict):
        raise InputError(f"{path}: accepted a mapping, got {type(config).__name__}; next: fetch the base again")
    return config


def _reduction(vae_config: dict[str, Any]) -> int:
    return int(2 ** (len(vae_config.get("block_out_channels", [0])) - 1))


def _quiet() -> None:
    import diffusers.utils.logging
    import transformers.utils.logging

    for logging in (diffusers.utils.logging, transformers.utils.logging):
        logging.set_verbosity_error()
        logging.disable_progress_bar()


def _load_complete(kind: Any, folder: Path, **types: Any) -> Any:
    model, info = kind.from_pretrained(str(folder), local_files_only=True, use_safetensors=True,
                                       output_loading_info=True, **types)
    # transformers leaves an absent weight random with only a warning.
    missing = [key for key in info["missing_keys"] if not key.endswith("position_ids")]
    if missing:
        raise ValueError(f"{folder.name} without {missing[0]} and {len(missing) - 1} more weights")
    return model
