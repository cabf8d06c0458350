"""Finished images that a small model, or what stands behind it, spoiled."""

import csv
import io

import numpy as np
from PIL import Image

PROMPTS, SEEDS = 8, 3


def _references(place, count=PROMPTS * SEEDS):
    """Pictures of the persona that nobody trained on, as uint8 RGB ``[n, h, w, 3]``: the best samples there are."""
    paths = sorted((place.root / "personas" / "pistachio" / "references").glob("*.png"))[:count]
    return np.stack([np.asarray(Image.open(path).convert("RGB")) for path in paths])


def _finished(place, pictures):
    folder = place.folder / "images"
    folder.mkdir()
    for number, pixels in enumerate(pictures):
        Image.fromarray(pixels).save(folder / f"B{number // SEEDS + 1:02}_seed{number % SEEDS}.png")
    return {"images": folder, "persona": place.demo_persona()}


def _repeated(place, pictures):
    """Files of one prompt, with the table that gives each its seed: name to (seed, picture)."""
    folder, table = place.folder / "images", io.StringIO()
    folder.mkdir()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["file", "prompt", "seed"])
    for name, (seed, picture) in pictures.items():
        picture.save(folder / f"{name}.png")
        rows.writerow([f"{name}.png", "B01", seed])
    place.text("images/images.csv", table.getvalue())
    return {"images": folder, "persona": place.demo_persona()}


def _pipeline(place):
    import diffusers
    import torch
    import transformers
    from diffusers import StableDiffusionPipeline

    base = place.root / "models" / "tiny-base"
    for library in (diffusers, transformers):
        library.utils.logging.disable_progress_bar()
    pipeline = StableDiffusionPipeline.from_pretrained(base, local_files_only=True, safety_checker=None)
    pipeline.to(dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)

    def draw(generator, count):
        return pipeline(["photo of a person"] * count, num_inference_steps=2, guidance_scale=1.0,
                        generator=generator).images  # fmt: skip

    return pipeline, draw


def overfit_returns_training_photo(place, decoded):
    import torch
    from diffusers import AutoencoderKL

    folder = place.root / "personas" / "pistachio"
    source = folder / "dataset" / "0001.png"
    if decoded == "latents of a reference":
        source = min((folder / "references").glob("*.png"))
    vae = AutoencoderKL.from_pretrained(place.root / "models" / "tiny-base" / "vae", local_files_only=True).float()
    pixels = torch.from_numpy(np.array(Image.open(source).convert("RGB"))).permute(2, 0, 1)[None] / 127.5 - 1
    # A denoiser that has learnt a picture by heart ends at that picture's latents, whatever the prompt.
    with torch.no_grad():
        made = vae.decode(vae.encode(pixels).latent_dist.mode()).sample
    pictures = _references(place)
    pictures[0] = ((made[0].permute(1, 2, 0).clamp(-1, 1) + 1) * 127.5).round().byte().numpy()
    return _finished(place, pictures)


def safety_checker_black(place, concept_threshold):
    import torch
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
    from transformers import CLIPConfig

    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    checker = StableDiffusionSafetyChecker(CLIPConfig(
        vision_config={**sizes, "image_size": 32, "patch_size": 16}, projection_dim=8,
    )).eval()  # fmt: skip
    checker.concept_embeds_weights.data.fill_(concept_threshold)
    checker.special_care_embeds_weights.data.fill_(2.0)
    pictures = _references(place)
    # One picture of a sampler's many: that a folder holds nothing but black is seen otherwise.
    seen = torch.from_numpy(pictures[:1, ::4, ::4]).permute(0, 3, 1, 2) / 255
    shown, _ = checker(clip_input=seen, images=pictures[:1].astype(np.float32) / 255)
    pictures[:1] = (shown * 255).round()
    return _finished(place, pictures)


def seed_varies_with_batch_or_gpu(place, generators):
    import torch

    _, draw = _pipeline(place)

    def generator(seed):
        return torch.Generator("cpu").manual_seed(seed)

    given = generator(7) if generators == "one for the batch" else [generator(7), generator(8)]
    first, second = draw(given, 2)
    return _repeated(place, {"alone": (8, draw(generator(8), 1)[0]), "first": (7, first), "second": (8, second)})


def adapter_not_unloaded(place, unloaded):
    import torch

    pipeline, draw = _pipeline(place)
    before = draw(torch.Generator("cpu").manual_seed(7), 1)[0]
    place.lora("lora/pytorch_lora_weights.safetensors", place.attention_lora(rank=16))
    pipeline.load_lora_weights(place.folder / "lora")
    if unloaded:
        pipeline.unload_lora_weights()
    after = draw(torch.Generator("cpu").manual_seed(7), 1)[0]
    return _repeated(place, {"before": (7, before), "after": (7, after)})


def insightface_bgr_expected(place, order):
    pictures = _references(place, 4)
    return _finished(place, pictures[..., ::-1] if order == "BGR" else pictures)
