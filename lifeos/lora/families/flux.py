"""FLUX.1: a guidance-distilled transformer over packed latents, T5 for the words, CLIP for their sum."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from lifeos.lora.families import Shape
from lifeos.lora.families.component_files import (
    load_component,
    load_tokenizer,
    read_config,
    require_pipeline,
    torch_dtype,
)
from lifeos.lora.families.flow_matching import FlowMatching, first_tokens, read_t5, t5_dtype, t5_tokens
from lifeos.lora.families.library_imports import import_libraries

_ATTENTION = ("attn.to_q", "attn.to_k", "attn.to_v", "attn.to_out.0",
              "attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj", "attn.to_add_out")  # fmt: skip
# proj_out of the single blocks; the final layer of that name comes with them.
_FEEDFORWARD = ("ff.net.0.proj", "ff.net.2", "ff_context.net.0.proj", "ff_context.net.2", "proj_mlp", "proj_out")
_MODULATION = ("norm1.linear", "norm1_context.linear", "norm.linear")
# What the diffusers pipeline reads of a prompt unless told otherwise.
_T5_TOKENS = 512


@dataclass
class Components:
    """The loaded parts of a base."""

    transformer: Any
    vae: Any
    text_encoder: Any
    text_encoder_2: Any
    tokenizer: Any
    tokenizer_2: Any
    scheduler_config: dict[str, Any]


class Flux(FlowMatching):
    """See ``lifeos.lora.families.Family`` for what each member promises."""

    name = "flux"
    architecture = "flux-1-dev/lora"
    base_model_version = "flux1"
    pipelines: tuple[str, ...] = ("FluxPipeline",)
    presets: ClassVar[dict[str, tuple[str, ...]]] = {
        "attention": _ATTENTION,
        "attention_feedforward": _ATTENTION + _FEEDFORWARD,
        "full": _ATTENTION + _FEEDFORWARD + _MODULATION,
    }
    patch = 2
    usual_guidance = 3.5
    lora_components: tuple[str, ...] = ("transformer", "text_encoder")
    text_components: tuple[str, ...] = ("text_encoder",)
    encoders: tuple[str, ...] = ("text_encoder", "text_encoder_2")
    kohya_prefixes: ClassVar[dict[str, str]] = {
        "lora_unet_": "transformer",
        "lora_te1_": "text_encoder",
    }

    def may_be_dead(self, modules: Mapping[str, Shape]) -> frozenset[str]:
        """See ``Family.may_be_dead``: none; text tokens of the last block are thrown away, but share its weights."""
        return frozenset()

    def load(self, base: Path, dtype: str = "float32", reader_dtype: str | None = None) -> Any:
        """See ``Family.load``."""
        import_libraries()
        import torch
        from diffusers import AutoencoderKL, FluxTransformer2DModel
        from transformers import CLIPTextModel, CLIPTokenizer, T5EncoderModel, T5Tokenizer

        require_pipeline(base, self.pipelines, self.name)
        kind = torch_dtype(dtype)
        return Components(
            load_component(FluxTransformer2DModel, base, "transformer", torch_dtype=kind),
            load_component(AutoencoderKL, base, "vae", torch_dtype=torch.float32),
            load_component(CLIPTextModel, base, "text_encoder", dtype=torch.float32),
            load_component(T5EncoderModel, base, "text_encoder_2", dtype=t5_dtype(reader_dtype or dtype)),
            load_tokenizer(CLIPTokenizer, base, "tokenizer"), load_tokenizer(T5Tokenizer, base, "tokenizer_2"),
            read_config(base, "scheduler", "scheduler_config.json"),
        )  # fmt: skip

    def tokenize(self, components: Any, prompts: Sequence[str]) -> dict[str, Any]:
        """See ``Family.tokenize``; CLIP reads the first tokens where T5 reads them all."""
        return {"tokenizer": first_tokens(components.tokenizer, prompts),
                "tokenizer_2": t5_tokens(components.tokenizer_2, _T5_TOKENS, prompts)}

    def embed_text(self, components: Any, tokens: Mapping[str, Any]) -> dict[str, Any]:
        """See ``Family.embed_text``: ``states`` ``[n, tokens, width]`` of T5, ``pooled`` ``[n, width]`` of CLIP."""
        clip = components.text_encoder
        pooled = clip(tokens["tokenizer"].to(clip.device)).pooler_output
        return {"states": read_t5(components.text_encoder_2, tokens["tokenizer_2"]), "pooled": pooled.float()}

    def predict(self, components: Any, noisy: Any, timesteps: Any, text: Mapping[str, Any], guidance: float) -> Any:
        """See ``Family.predict``: latents are packed two by two into tokens, and unpacked again."""
        import torch

        transformer, (count, channels, height, width) = components.transformer, noisy.shape
        rows, columns = height // 2, width // 2
        packed = noisy.reshape(count, channels, rows, 2, columns, 2).permute(0, 2, 4, 1, 3, 5)
        places = torch.zeros((rows, columns, 3), device=noisy.device, dtype=noisy.dtype)
        places[..., 1] = torch.arange(rows, device=noisy.device)[:, None]
        places[..., 2] = torch.arange(columns, device=noisy.device)[None, :]
        strength = None
        if transformer.config.guidance_embeds:
            strength = torch.full((count,), guidance, device=noisy.device, dtype=torch.float32)
        predicted = transformer(
            hidden_states=packed.reshape(count, rows * columns, channels * 4), timestep=timesteps.expand(count) / 1000,
            guidance=strength, pooled_projections=text["pooled"], encoder_hidden_states=text["states"],
            txt_ids=places.new_zeros((text["states"].shape[1], 3)), img_ids=places.reshape(-1, 3), return_dict=False,
        )[0]  # fmt: skip
        unpacked = predicted.reshape(count, rows, columns, channels, 2, 2).permute(0, 3, 1, 4, 2, 5)
        return unpacked.reshape(count, channels, height, width)

    def start(self, scheduler: Any, noise: Any, steps: int) -> Any:
        """See ``Family.start``: the base's levels fall evenly to one step above zero, not to the schedule's last."""
        import numpy as np

        levels = np.linspace(1.0, 1.0 / steps, steps)
        scheduler.set_timesteps(sigmas=levels, mu=self._mu(scheduler.config, tuple(noise.shape[1:])),
                                device=noise.device)
        return noise

    def classifier_free(self, components: Any) -> bool:
        """See ``Family.classifier_free``: dev takes its guidance as an input, schnell has none."""
        return False
