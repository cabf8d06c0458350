"""Random Stable Diffusion XL bases in diffusers layout: the published shape, an eighth of its widths, or the tests'."""

import copy
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any, Literal

Size = Literal["tiny", "small", "full"]
SIZES: tuple[Size, ...] = ("tiny", "small", "full")
RESOLUTION: dict[Size, int] = {"tiny": 32, "small": 256, "full": 1024}
"""Side of a picture in pixels."""

_WIDTH_DIVISOR, _TOKENS = 8, 77
_FINISHED = "finished"


def random_base(size: Size, folder: Path) -> Path:
    """Return a random SDXL base in ``folder``, written there first unless it lies there whole.

    ``tiny`` is that of the tests. ``full`` has the published architecture (``lifeos/pods/vram/bases/sdxl.toml``), 6.9
    GB in float16; ``small`` the same with every width divided by 8, for pictures of 256 pixels. Both read 77 tokens.
    """
    folder = Path(folder)
    if is_whole(folder):
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    if size == "tiny":
        from lifeos.lora.families.random_base import write_random_base

        write_random_base("sdxl", folder)
    else:
        _write(folder, configs(size))
    (folder / _FINISHED).touch()
    return folder


def is_whole(folder: Path) -> bool:
    """Return whether ``random_base`` wrote a base in ``folder`` to its end."""
    return (folder / _FINISHED).is_file()


def configs(size: Size) -> dict[str, dict[str, Any]]:
    """Return the config of each component of ``small`` or ``full``.

    Raises:
        ValueError: ``size`` is neither.
    """
    from lifeos.pods.vram.architecture import published

    if size not in ("small", "full"):
        raise ValueError(f"size must be small or full, but got {size!r}")
    found = {name.split("/")[0]: copy.deepcopy(config) for name, config in published("sdxl").configs.items()}
    if size == "full":
        return found
    unet, vae = found["unet"], found["vae"]
    for part in (unet, vae):
        part["block_out_channels"] = [width // _WIDTH_DIVISOR for width in part["block_out_channels"]]
        part["sample_size"] = part["sample_size"] * RESOLUTION["small"] // RESOLUTION["full"]
        # 32 groups do not divide 40 channels.
        part["norm_num_groups"] = 8
    # Heads of 40 channels, where the published ones have 64.
    unet["attention_head_dim"] = [1, 2, 4]
    for name in ("cross_attention_dim", "addition_time_embed_dim", "projection_class_embeddings_input_dim"):
        unet[name] //= _WIDTH_DIVISOR
    for name in ("text_encoder", "text_encoder_2"):
        for key in ("hidden_size", "intermediate_size", "projection_dim"):
            found[name][key] //= _WIDTH_DIVISOR
        found[name]["num_attention_heads"] = 4
    return found


def _write(folder: Path, parts: dict[str, dict[str, Any]]) -> None:
    import torch
    from diffusers import AutoencoderKL, EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    from lifeos.lora.families.random_base import clip_tokenizer

    # On a GPU 3.5 billion numbers are drawn in seconds.
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizers = clip_tokenizer(_TOKENS), clip_tokenizer(_TOKENS)
    torch.manual_seed(0)
    with torch.device(device):
        unet = UNet2DConditionModel(**parts["unet"]).half()
        vae = AutoencoderKL(**parts["vae"]).half()
        encoders = []
        for kind, name, tokenizer in (
            (CLIPTextModel, "text_encoder", tokenizers[0]),
            (CLIPTextModelWithProjection, "text_encoder_2", tokenizers[1]),
        ):
            ids = {f"{token}_token_id": getattr(tokenizer, f"{token}_token_id") for token in ("bos", "eos", "pad")}
            encoders.append(kind(CLIPTextConfig(**parts[name], **ids)).half())
    pipeline = StableDiffusionXLPipeline(
        vae=vae, text_encoder=encoders[0], tokenizer=tokenizers[0], text_encoder_2=encoders[1],
        tokenizer_2=tokenizers[1], unet=unet, scheduler=EulerDiscreteScheduler(**parts["scheduler"]))  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipeline.save_pretrained(str(folder), max_shard_size="5GB")


if __name__ == "__main__":
    random_base(next(size for size in SIZES if size == sys.argv[1]), Path(sys.argv[2]))
