"""An SDXL base whose autoencoder overflows in float16, as the published one does: nothing here computes it there."""

import shutil

import numpy as np
import pytest
from PIL import Image

from lifeos.lora import sample_plan as sample_plan_module
from lifeos.lora.families import get_family
from lifeos.lora.recipe import Recipe
from lifeos.lora.sample import round_trip, sample_plan
from lifeos.lora.store import ImageStore
from lifeos.lora.train import train_lora
from tests.lifeos.lora.families.original_layout import tensors_of
from tests.lifeos.lora.families.test_families import plan_for

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def overflowing(bases, tmp_path_factory):
    """First layers 300,000 times as large: their sums pass 65,504, and the norm of the last layer divides it away."""
    from safetensors.numpy import save_file

    base = tmp_path_factory.mktemp("overflow") / "sdxl"
    shutil.copytree(bases["sdxl"], base)
    tensors = tensors_of(base, "vae")
    for name in ("encoder.conv_in.weight", "decoder.conv_in.weight"):
        tensors[name] = np.clip(tensors[name].astype(np.float32) * 300_000, -60_000, 60_000).astype(np.float16)
    for path in (base / "vae").glob("*.safetensors*"):
        path.unlink()
    save_file(tensors, base / "vae" / "diffusion_pytorch_model.safetensors")
    return base


def test_the_base_does_overflow_in_float16(overflowing):
    import torch
    from diffusers import AutoencoderKL

    vae = AutoencoderKL.from_pretrained(str(overflowing / "vae"), torch_dtype=torch.float16, local_files_only=True)
    generator = torch.Generator().manual_seed(0)
    latents, pixels = (torch.randn(shape, generator=generator) for shape in ((1, 4, 8, 8), (1, 3, 32, 32)))
    with torch.no_grad():
        half = vae.decode(latents.half()).sample, vae.encode(pixels.half()).latent_dist.mean
        vae.float()
        whole = vae.decode(latents).sample, vae.encode(pixels).latent_dist.mean
    assert not any(torch.isfinite(each).all() for each in half)
    assert all(torch.isfinite(each).all() for each in whole)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_sampled_images_are_whole(overflowing, tmp_path, dtype):
    result = sample_plan(plan_for("sdxl", dtype=dtype), overflowing, None, ImageStore(tmp_path), threads=1)
    for image in result.images:
        # A decoder that overflowed is refused as not finite, or black: one colour.
        assert len(np.unique(np.asarray(Image.open(image.path)))) > 20


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_training_reads_finite_latents(overflowing, small_dataset, tmp_path, dtype):
    from lifeos.lora.safetensors_file import read_header

    recipe = Recipe.model_validate({
        "base": overflowing, "dataset": small_dataset, "trigger": "zeph", "family": "sdxl", "steps": 1,
        "batch_size": 1, "rank": 2, "threads": 1, "dtype": dtype, "optimizer": {"name": "adamw", "learning_rate": 1e-3},
    })  # fmt: skip
    train_lora(recipe, tmp_path / "x.safetensors", tmp_path / "run")
    kept = next((tmp_path / "run").rglob("latents-*.safetensors"))
    for latents in read_header(kept).read().values():
        assert np.isfinite(latents).all()
        assert latents.std() > 0


def test_references_come_back_whole(overflowing, small_dataset):
    pictures = [np.asarray(Image.open(path)) for path in sorted(small_dataset.glob("*.png"))]
    assert len(np.unique(round_trip(pictures, overflowing, "sdxl", threads=1))) > 20


@pytest.mark.parametrize("family", ["sd15", "sdxl", "sd3", "flux"])
def test_the_autoencoder_stays_in_float32_whatever_the_denoiser_computes_in(bases, family):
    import torch

    kind = get_family(family)
    for prepare in (lambda parts: kind.prepare_training(parts, "bfloat16", False),
                    lambda parts: kind.prepare_sampling(parts, "bfloat16", "cpu")):  # fmt: skip
        components = kind.load(bases[family], "bfloat16")
        prepare(components)
        assert {each.dtype for each in components.vae.parameters()} == {torch.float32}
        denoiser = getattr(components, kind.lora_components[0])
        assert torch.bfloat16 in {each.dtype for each in denoiser.parameters()}


@pytest.mark.parametrize(("family", "encoder"), [("sd3", "text_encoder_3"), ("flux", "text_encoder_2")])
def test_t5_is_read_in_bfloat16_beside_a_denoiser_in_it_as_the_diffusers_pipeline_reads_it(
    bases, family, encoder, plain_pipeline
):
    import torch

    from lifeos.lora.denoise import load_for

    kind, text = get_family(family), "photo of a zeph person"
    half, whole = (load_for(plan_for(family, dtype=dtype), kind, bases[family]) for dtype in ("bfloat16", "float32"))
    types = [{each.dtype for each in getattr(components, encoder).parameters()} for components in (half, whole)]
    assert types == [{torch.bfloat16}, {torch.float32}]
    for components in (half, whole):
        # What a LoRA is added to stays whole until it is added.
        names = [name for name in kind.lora_components if name != encoder]
        assert {each.dtype for name in names for each in getattr(components, name).parameters()} == {torch.float32}
    pipeline = plain_pipeline(bases[family], torch_dtype=torch.bfloat16)
    with torch.no_grad():
        # As its own call does: with gradients another kernel attends, which rounds otherwise.
        read = pipeline._get_t5_prompt_embeds(text, max_sequence_length=256 if family == "sd3" else 512)
    ours = kind.encode_text(half, [text])["states"][:, -read.shape[1]:]
    assert torch.equal(ours, read.float())
    assert not torch.equal(kind.encode_text(whole, [text])["states"][:, -read.shape[1]:], ours)


@pytest.mark.parametrize(("family", "moves"), [
    ("tiny_base", False), ("sd15", False), ("sdxl", False), ("sd3", True), ("flux", True),
])  # fmt: skip
def test_only_images_whose_t5_was_read_otherwise_have_other_keys(family, moves, monkeypatch):
    def keys():
        plans = [plan_for(family, dtype=dtype) for dtype in ("float32", "bfloat16")]
        return [sample_plan_module.image_key(plan, plan.requests()[0], "b", None) for plan in plans]

    now = keys()
    monkeypatch.setattr(sample_plan_module, "_READING_REVISION", 0)
    before = keys()
    assert [new != old for new, old in zip(now, before, strict=True)] == [False, moves]
