"""A base of random weights in a family's layout, small enough to train a few steps: it proves code, not quality.

A family without an entry in ``RANDOM_BASES`` has none, and what asks for one is not applicable to it.
"""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lifeos.errors import InputError

IMAGE_SIDE, CONTEXT = 32, 20
CAPTION_WORDS = ("a", "photo", "of", "zeph", "person", "facing", "left", "right", "red", "blue", "background", ",")
"""Words that are one token each; every other text is spelled in bytes."""


def write_random_base(family: str, folder: Path, seed: int = 0) -> Path:
    """Write a random base of a family in diffusers layout; returns the folder.

    Images of 32 pixels, latents 8x8x8, 20 tokens of context, float16 shards.

    Args:
        family: a key of ``RANDOM_BASES``.
        folder: where to write; made when absent.
        seed: of the weights.

    Raises:
        InputError: the family has no random base.
    """
    if family not in RANDOM_BASES:
        raise InputError(f"family: accepted {', '.join(RANDOM_BASES)}, got {family!r}; next: choose one of them")
    return RANDOM_BASES[family](Path(folder), seed)


def write_stable_diffusion(folder: Path, seed: int, text_width: int = 16) -> Path:
    """Write a StableDiffusionPipeline that predicts velocity; ``text_width`` is the width of its text embeddings."""
    import torch
    from diffusers import AutoencoderKL, DDPMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tokenizer = _tokenizer()
        text_encoder = CLIPTextModel(CLIPTextConfig(
            vocab_size=len(tokenizer), hidden_size=text_width, intermediate_size=32, num_hidden_layers=2,
            num_attention_heads=2, max_position_embeddings=CONTEXT, projection_dim=16,
            bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id))
        unet = UNet2DConditionModel(
            sample_size=8, in_channels=8, out_channels=8, block_out_channels=(16, 32), layers_per_block=1,
            cross_attention_dim=text_width, attention_head_dim=4, norm_num_groups=4,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"))
        vae = AutoencoderKL(
            in_channels=3, out_channels=3, latent_channels=8, block_out_channels=(8, 16, 16), layers_per_block=1,
            norm_num_groups=4, sample_size=IMAGE_SIDE, scaling_factor=0.5, mid_block_add_attention=False,
            down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3)
        scheduler = DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear",
                                  prediction_type="v_prediction", clip_sample=False, steps_offset=1)
    pipeline = StableDiffusionPipeline(
        vae=vae, text_encoder=text_encoder, tokenizer=tokenizer, unet=unet, scheduler=scheduler, safety_checker=None,
        feature_extractor=None, image_encoder=None, requires_safety_checker=False)
    pipeline.to(torch.float16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipeline.save_pretrained(str(folder), max_shard_size="200KB")
    return folder


RANDOM_BASES: dict[str, Callable[[Path, int], Path]] = {"tiny_base": write_stable_diffusion}
"""Family -> writer."""


def _tokenizer() -> Any:
    from transformers import CLIPTokenizer

    symbols = _byte_symbols()
    vocabulary = {symbol: index for index, symbol in enumerate([*symbols, *(symbol + "</w>" for symbol in symbols)])}
    merges: list[tuple[str, str]] = []
    for word in CAPTION_WORDS:
        pieces = [*word[:-1], word[-1] + "</w>"]
        while len(pieces) > 1:
            pair = (pieces[0], pieces[1])
            if pair not in merges:
                merges.append(pair)
            vocabulary.setdefault("".join(pair), len(vocabulary))
            pieces[:2] = ["".join(pair)]
    vocabulary["<|startoftext|>"] = len(vocabulary)
    vocabulary["<|endoftext|>"] = len(vocabulary)
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=CONTEXT)


def _byte_symbols() -> list[str]:
    """Return the 256 symbols of CLIP's byte-level alphabet."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(code) for code in kept] + [chr(256 + index) for index in range(256 - len(kept))]
