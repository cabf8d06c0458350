"""A random base in the layout of the real one, a dataset, and LoRA files made without torch."""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evals.atomic import write_text
from lifeos.lora.families.tiny_base import TinyBase
from lifeos.lora.recipe import Recipe
from lifeos.lora.safetensors_file import encode

WORDS = ("a", "photo", "of", "zeph", "person", "facing", "left", "right", "red", "blue", "background", ",")
CONTEXT = 20


def _byte_symbols() -> list[str]:
    """The 256 symbols of CLIP's byte-level alphabet."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(code) for code in kept] + [chr(256 + index) for index in range(256 - len(kept))]


def _make_tokenizer():
    from transformers import CLIPTokenizer

    symbols = _byte_symbols()
    vocabulary = {symbol: index for index, symbol in enumerate([*symbols, *(symbol + "</w>" for symbol in symbols)])}
    merges: list[tuple[str, str]] = []
    for word in WORDS:
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


def _make_base(folder: Path, seed: int, cross_attention: int = 16) -> Path:
    import torch
    from diffusers import AutoencoderKL, DDPMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tokenizer = _make_tokenizer()
        text_encoder = CLIPTextModel(CLIPTextConfig(
            vocab_size=len(tokenizer), hidden_size=cross_attention, intermediate_size=32, num_hidden_layers=2,
            num_attention_heads=2, max_position_embeddings=CONTEXT, projection_dim=16,
            bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id))
        unet = UNet2DConditionModel(
            sample_size=8, in_channels=8, out_channels=8, block_out_channels=(16, 32), layers_per_block=1,
            cross_attention_dim=cross_attention, attention_head_dim=4, norm_num_groups=4,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"))
        vae = AutoencoderKL(
            in_channels=3, out_channels=3, latent_channels=8, block_out_channels=(8, 16, 16), layers_per_block=1,
            norm_num_groups=4, sample_size=32, scaling_factor=0.5, mid_block_add_attention=False,
            down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3)
        scheduler = DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear",
                                  prediction_type="v_prediction", clip_sample=False)
    pipeline = StableDiffusionPipeline(
        vae=vae, text_encoder=text_encoder, tokenizer=tokenizer, unet=unet, scheduler=scheduler, safety_checker=None,
        feature_extractor=None, image_encoder=None, requires_safety_checker=False)
    pipeline.to(torch.float16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipeline.save_pretrained(str(folder), max_shard_size="200KB")
    return folder


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base of 32 px images, 8x8x8 latents, context 20, float16 shards."""
    return _make_base(tmp_path_factory.mktemp("base") / "tiny", seed=0)


@pytest.fixture(scope="session")
def other_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same names, another text width."""
    return _make_base(tmp_path_factory.mktemp("other") / "wide", seed=1, cross_attention=24)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five noisy 32 px pictures with captions."""
    folder = tmp_path_factory.mktemp("dataset")
    generator = np.random.default_rng(0)
    for index in range(5):
        pixels = generator.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index:04d}.png")
        side = "left" if index % 2 else "right"
        write_text(folder / f"{index:04d}.txt", f"a photo of zeph person, facing {side}\n")
    return folder


@pytest.fixture
def recipe(base: Path, dataset: Path) -> Recipe:
    """Six steps of everything, on one thread."""
    return Recipe.model_validate({"base": base, "dataset": dataset, "trigger": "zeph", "steps": 6, "batch_size": 2,
                                  "rank": 2, "alpha": 4.0, "checkpoint_every": 2, "threads": 1,
                                  "optimizer": {"name": "adamw", "learning_rate": 1e-2}})


WriteLora = Callable[..., Path]


@pytest.fixture
def write_lora(base: Path, tmp_path: Path) -> WriteLora:
    """Write a LoRA for the base with random matrices in any key format; ``edit`` changes the tensors first."""

    def write(style: str = "diffusers", preset: str = "full", rank: int = 2, edit=None, metadata=None) -> Path:
        generator = np.random.default_rng(3)
        tensors = {}
        for module, shape in sorted(TinyBase().expected_modules(base, preset).items()):
            down = generator.normal(0, 0.1, (rank, *shape[1:])).astype(np.float32)
            up = generator.normal(0, 0.1, (shape[0], rank, *[1] * (len(shape) - 2))).astype(np.float32)
            names = {
                "diffusers": (f"{module}.lora_A.weight", f"{module}.lora_B.weight"),
                "diffusers_old": (f"{module}.lora.down.weight", f"{module}.lora.up.weight"),
                "peft": (f"base_model.model.{module.removeprefix('unet.')}.lora_A.weight",
                         f"base_model.model.{module.removeprefix('unet.')}.lora_B.weight"),
                "kohya": ("lora_" + module.replace(".", "_") + ".lora_down.weight",
                          "lora_" + module.replace(".", "_") + ".lora_up.weight"),
            }[style]
            tensors[names[0]], tensors[names[1]] = ("F32", down), ("F32", up)
            if style == "kohya":
                tensors["lora_" + module.replace(".", "_") + ".alpha"] = ("F32", np.array(1.0, np.float32))
        if edit is not None:
            tensors = edit(tensors)
        path = tmp_path / f"{style}-{preset}-{rank}.safetensors"
        path.write_bytes(encode(tensors, metadata or {}))
        return path

    return write
