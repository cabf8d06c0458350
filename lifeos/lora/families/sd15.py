"""Stable Diffusion 1.x, and what is fine-tuned from it."""

from typing import ClassVar

from lifeos.lora.families.stable_diffusion import StableDiffusion


class StableDiffusion15(StableDiffusion):
    """See ``lifeos.lora.families.Family`` for what each member promises."""

    name = "sd15"
    architecture = "stable-diffusion-v1/lora"
    base_model_version = "sd_v1"
    resolution_fallback = 512
    kohya_prefixes: ClassVar[dict[str, str]] = {
        "lora_unet_": "unet",
        "lora_te_": "text_encoder",
        "lora_te1_": "text_encoder",
    }
