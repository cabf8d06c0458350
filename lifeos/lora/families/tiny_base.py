"""tiny-base: the classes of Stable Diffusion at a size that trains on a processor."""

from typing import ClassVar

from lifeos.lora.families.stable_diffusion import StableDiffusion


class TinyBase(StableDiffusion):
    """See ``lifeos.lora.families.Family`` for what each member promises."""

    name = "tiny_base"
    architecture = "tiny-base/lora"
    base_model_version = "tiny_base"
    resolution_fallback = 128
    # Demo personas are calibrated on its images.
    keeps_rounding = True
    kohya_prefixes: ClassVar[dict[str, str]] = {
        "lora_unet_": "unet",
        "lora_te_": "text_encoder",
        "lora_te1_": "text_encoder",
    }
