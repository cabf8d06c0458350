"""How images are decoded: in tiles, in a type, one by one: each against diffusers' own autoencoder and pipeline."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL

from lifeos.errors import InputError
from lifeos.lora.families import FAMILIES, get_family
from lifeos.lora.sample_plan import image_key
from tests.lifeos.lora.families.test_families import ours, plan_for

pytestmark = pytest.mark.filterwarnings("ignore")

LATENT_CHANNELS = {"tiny_base": 8, "sd15": 4, "sdxl": 4, "sd3": 8, "flux": 8}


def pipeline_pixels(pipeline, plan):
    request, rows, columns = plan.requests()[0], plan.height // 4, plan.width // 4
    noise = torch.randn((1, LATENT_CHANNELS[plan.family], rows, columns),
                        generator=torch.Generator().manual_seed(request.seed))  # fmt: skip
    if plan.family == "flux":
        noise = pipeline._pack_latents(noise, 1, 8, rows, columns)
    images = pipeline([request.prompt.text], num_inference_steps=plan.steps, guidance_scale=plan.guidance,
                      width=plan.width, height=plan.height, latents=noise, output_type="np").images  # fmt: skip
    return (images * 255).round().astype(int)


@pytest.mark.parametrize("family", FAMILIES)
def test_images_in_tiles_are_those_of_the_diffusers_pipeline(bases, family, plain_pipeline, tmp_path):
    plan = plan_for(family, width=64, height=48, seeds=(0,), prompts=plan_for(family).prompts[:1], vae_tiling=True)
    pipeline, kind = plain_pipeline(bases[family]), get_family(family)
    if kind.weighs_by_snr:
        pipeline.scheduler = kind.make_scheduler(kind.load(bases[family]), plan.sampler)
    whole = pipeline_pixels(pipeline, plan)
    pipeline.vae.enable_tiling()
    tiled = pipeline_pixels(pipeline, plan)
    assert np.abs(ours(plan, bases[family], None, tmp_path / "tiled") - tiled).max() <= 2
    # Else the image was no larger than a tile, and nothing was tiled.
    assert np.abs(whole - tiled).max() > 2


@pytest.mark.parametrize(("family", "dtype"), [
    *((family, "bfloat16") for family in FAMILIES), ("tiny_base", "float16"), ("sd15", "float16"),
])  # fmt: skip
def test_a_type_is_that_of_diffusers_autoencoder(bases, family, dtype):
    kind, kept = get_family(family), getattr(torch, dtype)
    latents = torch.randn((2, LATENT_CHANNELS[family], 8, 8), generator=torch.Generator().manual_seed(3))
    components = kind.load(bases[family])
    whole = kind.decode_latents(components, latents)
    kind.prepare_decoding(components, dtype, False, False)
    decoded = kind.decode_latents(components, latents)
    vae = AutoencoderKL.from_pretrained(str(bases[family] / "vae"), torch_dtype=kept, local_files_only=True).eval()
    with torch.no_grad():
        unscaled = latents / vae.config.scaling_factor + (vae.config.shift_factor or 0.0)
        theirs = vae.decode(unscaled.to(kept)).sample
    assert decoded.dtype == torch.float32
    assert torch.equal(decoded, theirs.float())
    assert not torch.equal(decoded, whole)


@pytest.mark.parametrize("family", FAMILIES)
def test_one_by_one_moves_pixels_as_little_as_the_batch_does(bases, family, tmp_path, monkeypatch):
    plan, counts = plan_for(family), []
    together = ours(plan, bases[family], None, tmp_path / "together")
    decode = AutoencoderKL._decode
    monkeypatch.setattr(AutoencoderKL, "_decode", lambda self, z, *more, **named: (
        counts.append(len(z)), decode(self, z, *more, **named))[1])  # fmt: skip
    sliced = replace(plan, vae_slicing=True)
    # The store is another: in the same one nothing would be drawn, their keys are equal.
    assert np.abs(ours(sliced, bases[family], None, tmp_path / "sliced") - together).max() <= 2
    assert counts == [1, 1, 1, 1]
    assert sliced.content_hash == plan.content_hash
    assert image_key(sliced, sliced.requests()[0], "b", None) == image_key(plan, plan.requests()[0], "b", None)


@pytest.mark.parametrize(("family", "reason"), [
    ("sdxl", "overflows to black"), ("sd3", "float32 or bfloat16 for sd3"), ("flux", "float32 or bfloat16 for flux"),
])  # fmt: skip
def test_float16_is_refused_where_it_may_overflow(bases, family, reason, tmp_path):
    with pytest.raises(InputError, match=reason) as refused:
        ours(plan_for(family, vae_dtype="float16"), bases[family], None, tmp_path / "images")
    assert "\n" not in str(refused.value)
    assert not list(tmp_path.rglob("*.png"))


def test_an_sdxl_autoencoder_that_says_it_does_not_overflow_may(bases, tmp_path):
    base = shutil.copytree(bases["sdxl"], tmp_path / "sdxl")
    config = base / "vae" / "config.json"
    values = {**json.loads(config.read_text(encoding="utf-8")), "force_upcast": False}
    config.write_text(json.dumps(values), encoding="utf-8")
    assert ours(plan_for("sdxl", vae_dtype="float16"), base, None, tmp_path / "images").std() > 0
