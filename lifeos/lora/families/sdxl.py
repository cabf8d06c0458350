"""Stable Diffusion XL: two text encoders read to their last layer but one, sizes as a further input."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from lifeos.errors import InputError
from lifeos.lora.families import Shape
from lifeos.lora.families.component_files import (
    image_reduction,
    load_component,
    load_tokenizer,
    read_config,
    require_pipeline,
)
from lifeos.lora.families.library_imports import import_libraries
from lifeos.lora.families.stable_diffusion import StableDiffusion, clip_tokens, load_denoiser_and_autoencoder


@dataclass
class Components:
    """The loaded parts of a base; ``zero_empty``: whether the empty prompt is embedded as zeros."""

    unet: Any
    vae: Any
    text_encoder: Any
    text_encoder_2: Any
    tokenizer: Any
    tokenizer_2: Any
    scheduler_config: dict[str, Any]
    zero_empty: bool
    noise_scheduler: Any = None


class StableDiffusionXL(StableDiffusion):
    """See ``lifeos.lora.families.Family`` for what each member promises."""

    name = "sdxl"
    architecture = "stable-diffusion-xl-v1-base/lora"
    base_model_version = "sdxl_base_v1-0"
    resolution_fallback = 1024
    usual_guidance = 5.0
    pipelines: tuple[str, ...] = ("StableDiffusionXLPipeline",)
    lora_components: tuple[str, ...] = ("unet", "text_encoder", "text_encoder_2")
    text_components: tuple[str, ...] = ("text_encoder", "text_encoder_2")
    kohya_prefixes: ClassVar[dict[str, str]] = {
        "lora_unet_": "unet",
        "lora_te1_": "text_encoder",
        "lora_te2_": "text_encoder_2",
    }

    def may_be_dead(self, modules: Mapping[str, Shape]) -> frozenset[str]:
        """See ``Family.may_be_dead``: the first encoder's last layer, which nothing reads."""
        return last_layer("text_encoder", modules)

    def load(self, base: Path, dtype: str = "float32", reader_dtype: str | None = None) -> Any:
        """See ``Family.load``; the autoencoder stays float32: in float16 its activations overflow to black images."""
        import_libraries()
        import torch
        from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

        require_pipeline(base, self.pipelines, self.name)
        unet, vae = load_denoiser_and_autoencoder(base)
        index = read_config(base, "", "model_index.json")
        return Components(
            unet, vae,
            load_component(CLIPTextModel, base, "text_encoder", dtype=torch.float32),
            load_component(CLIPTextModelWithProjection, base, "text_encoder_2", dtype=torch.float32),
            load_tokenizer(CLIPTokenizer, base, "tokenizer"), load_tokenizer(CLIPTokenizer, base, "tokenizer_2"),
            read_config(base, "scheduler", "scheduler_config.json"),
            bool(index.get("force_zeros_for_empty_prompt", True)),
        )  # fmt: skip

    def prepare_decoding(self, components: Any, dtype: str, tiling: bool, slicing: bool) -> None:
        """See ``Family.prepare_decoding``.

        Raises:
            InputError: float16, and the autoencoder's config says ``force_upcast``: it overflows there.
        """
        if dtype == "float16" and components.vae.config.force_upcast:
            raise InputError("vae_dtype: accepted float32 or bfloat16 for an SDXL autoencoder with force_upcast, which "
                             "overflows to black in float16, got 'float16'; next: edit the persona")
        super().prepare_decoding(components, dtype, tiling, slicing)

    def tokenize(self, components: Any, prompts: Sequence[str]) -> dict[str, Any]:
        """See ``Family.tokenize``."""
        pairs = (("tokenizer", components.text_encoder), ("tokenizer_2", components.text_encoder_2))
        return {
            name: clip_tokens(getattr(components, name), encoder.config.max_position_embeddings, prompts)
            for name, encoder in pairs
        }

    def embed_text(self, components: Any, tokens: Mapping[str, Any]) -> dict[str, Any]:
        """See ``Family.embed_text``.

        ``states`` ``[n, tokens, channels of both]`` of the last layer but one, ``pooled`` ``[n, channels]`` of the
        second encoder. The tokens of the empty prompt give zeros where ``model_index.json`` says so, in training as in
        sampling: the pipeline guides away from zeros then, and a caption that is dropped should train just that.
        """
        import torch

        states, pooled = read_clip_pair(components, tokens)
        text = {"states": torch.cat(states, dim=-1), "pooled": pooled[1]}
        if not components.zero_empty:
            return text
        nothing = self.tokenize(components, [""])
        empty = torch.stack([(ids == nothing[name]).all(dim=1) for name, ids in tokens.items()]).all(dim=0)
        return {name: values.masked_fill(empty.view(-1, *[1] * (values.dim() - 1)).to(values.device), 0.0)
                for name, values in text.items()}

    def predict(self, components: Any, noisy: Any, timesteps: Any, text: Mapping[str, Any], guidance: float) -> Any:
        """See ``Family.predict``: original and target size are those of the image, and nothing was cropped."""
        import torch

        reduction = image_reduction(dict(components.vae.config))
        height, width = noisy.shape[2] * reduction, noisy.shape[3] * reduction
        # (height, width, 0, 0, height, width), filled in where it is: a copy would wait for the call before.
        sizes = torch.zeros((1, 6), device=noisy.device, dtype=text["pooled"].dtype)
        sizes[:, 0::4], sizes[:, 1::4] = height, width
        added = {"text_embeds": text["pooled"], "time_ids": sizes.expand(len(noisy), -1)}
        return components.unet(noisy, timesteps, encoder_hidden_states=text["states"], added_cond_kwargs=added,
                               return_dict=False)[0]


def read_clip_pair(components: Any, tokens: Mapping[str, Any]) -> tuple[list[Any], list[Any]]:
    """Return the last layer but one ``[n, tokens, channels]`` and the first output of both CLIP encoders, float32."""
    states, pooled = [], []
    for encoder, name in ((components.text_encoder, "tokenizer"), (components.text_encoder_2, "tokenizer_2")):
        ids = tokens[name].to(next(encoder.parameters()).device)
        output = encoder(ids, output_hidden_states=True)
        states.append(output.hidden_states[-2].float())
        pooled.append(output[0].float())
    return states, pooled


def last_layer(component: str, modules: Mapping[str, Shape]) -> frozenset[str]:
    """Return the modules of the last layer of a CLIP text encoder."""
    prefix = f"{component}.text_model.encoder.layers."
    layers = {name: int(name.removeprefix(prefix).split(".", 1)[0]) for name in modules if name.startswith(prefix)}
    return frozenset(name for name, layer in layers.items() if layer == max(layers.values()))
