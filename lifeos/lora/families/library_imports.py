"""What every base is loaded with, imported while the garbage collector rests."""

import functools
import gc


@functools.cache
def import_libraries() -> None:
    """Import the models of diffusers and of transformers' CLIP, and peft; the first call of a process only.

    Their 4,000 modules make objects that stay. To search those for garbage over and over took .9 of 3.0 s of processor
    time here, and .3 of .6 s while a LoRA is added to SDXL; from then on the collector leaves them out.
    """
    running = gc.isenabled()
    gc.disable()
    try:
        import peft
        from diffusers import AutoencoderKL, UNet2DConditionModel
        from transformers import CLIPTextModel, CLIPTokenizer

        del peft, AutoencoderKL, UNet2DConditionModel, CLIPTextModel, CLIPTokenizer
    finally:
        gc.freeze()
        if running:
            gc.enable()
