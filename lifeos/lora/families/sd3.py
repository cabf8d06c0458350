"""Stable Diffusion 3 and 3.5: a joint transformer, two CLIP encoders and, where the base has one, T5."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from lifeos.lora.families import Shape
from lifeos.lora.families.component_files import (
    has_component,
    load_component,
    load_tokenizer,
    read_config,
    require_pipeline,
    torch_dtype,
)
from lifeos.lora.families.flow_matching import FlowMatching, first_tokens, read_t5, t5_dtype, t5_tokens
from lifeos.lora.families.library_imports import import_libraries
from lifeos.lora.families.sdxl import read_clip_pair
from lifeos.lora.families.stable_diffusion import clip_tokens

_ATTENTION = ("attn.to_q", "attn.to_k", "attn.to_v", "attn.to_out.0",
              "attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj", "attn.to_add_out",
              "attn2.to_q", "attn2.to_k", "attn2.to_v", "attn2.to_out.0")  # fmt: skip
_FEEDFORWARD = ("ff.net.0.proj", "ff.net.2", "ff_context.net.0.proj", "ff_context.net.2")
_MODULATION = ("norm1.linear", "norm1_context.linear")
# What the diffusers pipeline reads of a prompt unless told otherwise.
_T5_TOKENS = 256


@dataclass
class Components:
    """The loaded parts of a base; ``text_encoder_3`` and its tokenizer are None where the base has no T5."""

    transformer: Any
    vae: Any
    text_encoder: Any
    text_encoder_2: Any
    text_encoder_3: Any
    tokenizer: Any
    tokenizer_2: Any
    tokenizer_3: Any
    scheduler_config: dict[str, Any]


class StableDiffusion3(FlowMatching):
    """See ``lifeos.lora.families.Family`` for what each member promises."""

    name = "sd3"
    architecture = "stable-diffusion-3/lora"
    base_model_version = "sd3"
    pipelines: tuple[str, ...] = ("StableDiffusion3Pipeline",)
    presets: ClassVar[dict[str, tuple[str, ...]]] = {
        "attention": _ATTENTION,
        "attention_feedforward": _ATTENTION + _FEEDFORWARD,
        "full": _ATTENTION + _FEEDFORWARD + _MODULATION,
    }
    patch = 2
    # The default of diffusers' pipeline, as flux's.
    usual_guidance = 7.0
    lora_components: tuple[str, ...] = ("transformer", "text_encoder", "text_encoder_2")
    text_components: tuple[str, ...] = ("text_encoder", "text_encoder_2")
    encoders: tuple[str, ...] = ("text_encoder", "text_encoder_2", "text_encoder_3")
    kohya_prefixes: ClassVar[dict[str, str]] = {
        "lora_unet_": "transformer",
        "lora_te1_": "text_encoder",
        "lora_te2_": "text_encoder_2",
    }

    def may_be_dead(self, modules: Mapping[str, Shape]) -> frozenset[str]:
        """See ``Family.may_be_dead``.

        The last block throws its text tokens away, so what only makes their query changes nothing. Both encoders are
        read to the last layer but one, and their last layers through the pooled output.
        """
        prefix, ending = "transformer.transformer_blocks.", ".attn.add_q_proj"
        blocks = {name: int(name.removeprefix(prefix).split(".", 1)[0]) for name in modules
                  if name.startswith(prefix) and name.endswith(ending)}
        return frozenset(name for name, block in blocks.items() if block == max(blocks.values()))

    def load(self, base: Path, dtype: str = "float32", reader_dtype: str | None = None) -> Any:
        """See ``Family.load``."""
        import_libraries()
        import torch
        from diffusers import AutoencoderKL, SD3Transformer2DModel
        from transformers import CLIPTextModelWithProjection, CLIPTokenizer, T5EncoderModel, T5Tokenizer

        require_pipeline(base, self.pipelines, self.name)
        kind, with_t5 = torch_dtype(dtype), has_component(base, "text_encoder_3")
        t5 = t5_dtype(reader_dtype or dtype)
        return Components(
            load_component(SD3Transformer2DModel, base, "transformer", torch_dtype=kind),
            load_component(AutoencoderKL, base, "vae", torch_dtype=torch.float32),
            load_component(CLIPTextModelWithProjection, base, "text_encoder", dtype=torch.float32),
            load_component(CLIPTextModelWithProjection, base, "text_encoder_2", dtype=torch.float32),
            load_component(T5EncoderModel, base, "text_encoder_3", dtype=t5) if with_t5 else None,
            load_tokenizer(CLIPTokenizer, base, "tokenizer"), load_tokenizer(CLIPTokenizer, base, "tokenizer_2"),
            load_tokenizer(T5Tokenizer, base, "tokenizer_3") if with_t5 else None,
            read_config(base, "scheduler", "scheduler_config.json"),
        )  # fmt: skip

    def tokenize(self, components: Any, prompts: Sequence[str]) -> dict[str, Any]:
        """See ``Family.tokenize``; CLIP reads the first tokens where T5 reads them all."""
        names = ("tokenizer", "tokenizer_2")
        if components.tokenizer_3 is None:
            return {name: clip_tokens(getattr(components, name), getattr(components, name).model_max_length, prompts)
                    for name in names}
        tokens = {name: first_tokens(getattr(components, name), prompts) for name in names}
        return {**tokens, "tokenizer_3": t5_tokens(components.tokenizer_3, _T5_TOKENS, prompts)}

    def embed_text(self, components: Any, tokens: Mapping[str, Any]) -> dict[str, Any]:
        """See ``Family.embed_text``.

        ``states`` ``[n, tokens, channels]``: both CLIP encoders side by side, filled up with zeros to T5's width, then
        T5's tokens (zeros where there is no T5); ``pooled`` ``[n, channels of both]``.
        """
        import torch

        states, pooled = read_clip_pair(components, tokens)
        clip = torch.cat(states, dim=-1)
        width = components.transformer.config.joint_attention_dim
        clip = torch.nn.functional.pad(clip, (0, width - clip.shape[-1]))
        if components.text_encoder_3 is None:
            t5 = clip.new_zeros((len(clip), _T5_TOKENS, width))
        else:
            t5 = read_t5(components.text_encoder_3, tokens["tokenizer_3"])
        return {"states": torch.cat([clip, t5.to(clip.device)], dim=1), "pooled": torch.cat(pooled, dim=-1)}

    def predict(self, components: Any, noisy: Any, timesteps: Any, text: Mapping[str, Any], guidance: float) -> Any:
        """See ``Family.predict``."""
        return components.transformer(
            hidden_states=noisy, timestep=timesteps.expand(len(noisy)), encoder_hidden_states=text["states"],
            pooled_projections=text["pooled"], return_dict=False,
        )[0]  # fmt: skip

    def classifier_free(self, components: Any) -> bool:
        """See ``Family.classifier_free``."""
        return True
