"""A base of random weights in a family's layout, small enough to train a few steps: it proves code, not quality.

A family without an entry in ``RANDOM_BASES`` has none, and what asks for one is not applicable to it.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lifeos.errors import InputError

IMAGE_SIDE, CONTEXT = 32, 20
CAPTION_WORDS = ("a", "photo", "of", "zeph", "person", "facing", "left", "right", "red", "blue", "background", ",")
"""Words that are one token each; every other text is spelled in bytes."""


def write_random_base(family: str, folder: Path, seed: int = 0) -> Path:
    """Write a random base of a family in diffusers layout; returns the folder.

    Images of 32 pixels, latents of 8x8 cells, 20 tokens of context for CLIP, float16 shards.

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
    from diffusers import StableDiffusionPipeline

    with _seeded(seed):
        tokenizer = clip_tokenizer()
        pipeline = StableDiffusionPipeline(
            vae=_autoencoder(8), text_encoder=_clip(tokenizer, text_width), tokenizer=tokenizer,
            unet=_unet(cross_attention_dim=text_width), scheduler=_noise_schedule("v_prediction"),
            safety_checker=None, feature_extractor=None, image_encoder=None, requires_safety_checker=False)
    return _save(pipeline, folder)


def write_stable_diffusion_15(folder: Path, seed: int) -> Path:
    """Write a StableDiffusionPipeline that predicts noise."""
    from diffusers import StableDiffusionPipeline

    with _seeded(seed):
        tokenizer = clip_tokenizer()
        pipeline = StableDiffusionPipeline(
            vae=_autoencoder(4), text_encoder=_clip(tokenizer, 16), tokenizer=tokenizer,
            unet=_unet(channels=4, cross_attention_dim=16), scheduler=_noise_schedule("epsilon"),
            safety_checker=None, feature_extractor=None, image_encoder=None, requires_safety_checker=False)
    return _save(pipeline, folder)


def write_stable_diffusion_xl(folder: Path, seed: int) -> Path:
    """Write a StableDiffusionXLPipeline: two text encoders, sizes as input."""
    from diffusers import StableDiffusionXLPipeline

    with _seeded(seed):
        tokenizers = clip_tokenizer(), clip_tokenizer()
        unet = _unet(channels=4, cross_attention_dim=40, addition_embed_type="text_time", addition_time_embed_dim=4,
                     projection_class_embeddings_input_dim=4 * 6 + 16, use_linear_projection=True)
        pipeline = StableDiffusionXLPipeline(
            vae=_autoencoder(4), text_encoder=_clip(tokenizers[0], 16), tokenizer=tokenizers[0],
            text_encoder_2=_clip(tokenizers[1], 24, projected=True), tokenizer_2=tokenizers[1],
            unet=unet, scheduler=_noise_schedule("epsilon"))
    return _save(pipeline, folder)


def write_stable_diffusion_3(folder: Path, seed: int, with_t5: bool = True) -> Path:
    """Write a StableDiffusion3Pipeline with a constant shift of 3; published ones may come without T5."""
    from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline

    with _seeded(seed):
        tokenizers = clip_tokenizer(), clip_tokenizer()
        transformer = SD3Transformer2DModel(
            sample_size=8, patch_size=2, in_channels=8, out_channels=8, num_layers=2, attention_head_dim=8,
            num_attention_heads=2, caption_projection_dim=16, joint_attention_dim=48, pooled_projection_dim=32,
            pos_embed_max_size=16, qk_norm="rms_norm")
        pipeline = StableDiffusion3Pipeline(
            vae=_autoencoder(8, shift=0.0609), transformer=transformer,
            text_encoder=_clip(tokenizers[0], 16, projected=True), tokenizer=tokenizers[0],
            text_encoder_2=_clip(tokenizers[1], 24, projected=True), tokenizer_2=tokenizers[1],
            text_encoder_3=_t5(48) if with_t5 else None, tokenizer_3=_t5_tokenizer() if with_t5 else None,
            scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0))
    return _save(pipeline, folder)


def write_flux(folder: Path, seed: int, guidance_embeds: bool = True) -> Path:
    """Write a FluxPipeline whose noise levels move with the image's size; schnell is without ``guidance_embeds``."""
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel

    with _seeded(seed):
        tokenizer = clip_tokenizer()
        transformer = FluxTransformer2DModel(
            patch_size=1, in_channels=32, num_layers=2, num_single_layers=2, attention_head_dim=16,
            num_attention_heads=2, joint_attention_dim=48, pooled_projection_dim=16, guidance_embeds=guidance_embeds,
            axes_dims_rope=(4, 6, 6))
        pipeline = FluxPipeline(
            vae=_autoencoder(8, shift=0.1159), transformer=transformer, text_encoder=_clip(tokenizer, 16),
            tokenizer=tokenizer, text_encoder_2=_t5(48), tokenizer_2=_t5_tokenizer(),
            scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True))
    return _save(pipeline, folder)


RANDOM_BASES: dict[str, Callable[[Path, int], Path]] = {
    "tiny_base": write_stable_diffusion, "sd15": write_stable_diffusion_15, "sdxl": write_stable_diffusion_xl,
    "sd3": write_stable_diffusion_3, "flux": write_flux,
}  # fmt: skip
"""Family -> writer."""


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def _save(pipeline: Any, folder: Path) -> Path:
    import torch

    pipeline.to(torch.float16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipeline.save_pretrained(str(folder), max_shard_size="200KB")
    return folder


def _unet(channels: int = 8, **settings: Any) -> Any:
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=8, in_channels=channels, out_channels=channels, block_out_channels=(16, 32), layers_per_block=1,
        attention_head_dim=4, norm_num_groups=4, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), **settings)


def _autoencoder(latent_channels: int, shift: float | None = None) -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        in_channels=3, out_channels=3, latent_channels=latent_channels, block_out_channels=(8, 16, 16),
        layers_per_block=1, norm_num_groups=4, sample_size=IMAGE_SIDE, scaling_factor=0.5, shift_factor=shift,
        mid_block_add_attention=False, down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3)


def _clip(tokenizer: Any, width: int, projected: bool = False) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=width, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=CONTEXT, projection_dim=16, bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    return (CLIPTextModelWithProjection if projected else CLIPTextModel)(config)


def _t5(width: int) -> Any:
    from transformers import T5Config, T5EncoderModel

    return T5EncoderModel(T5Config(vocab_size=len(_t5_tokenizer()), d_model=width, d_kv=8, d_ff=32, num_layers=2,
                                   num_heads=2, decoder_start_token_id=0))


def _t5_tokenizer() -> Any:
    from transformers import T5Tokenizer

    # The mark in front of a word, then letters: enough to tell captions apart.
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -20.0), ("\u2581", -3.0)]
    pieces += [(letter, -4.0) for letter in "abcdefghijklmnopqrstuvwxyz,."]
    return T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=512)


def _noise_schedule(prediction_type: str) -> Any:
    from diffusers import DDPMScheduler

    return DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear",
                         prediction_type=prediction_type, clip_sample=False, steps_offset=1)


def clip_tokenizer(tokens: int = CONTEXT) -> Any:
    """Return a CLIP tokenizer that pads texts to ``tokens`` and knows ``CAPTION_WORDS``."""
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
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=tokens)


def _byte_symbols() -> list[str]:
    """Return the 256 symbols of CLIP's byte-level alphabet."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(code) for code in kept] + [chr(256 + index) for index in range(256 - len(kept))]
