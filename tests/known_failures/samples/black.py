"""Finished images, one of which was decoded wrongly."""

import warnings

import numpy as np
from PIL import Image

PROMPTS, SEEDS = 8, 3


def sdxl_vae_fp16_black_samples(place, decoded):
    folder = place.folder / "images"
    folder.mkdir()
    # Pictures of the persona that nobody trained on: the best samples there are.
    pictures = place.demo_pictures()
    for prompt in range(PROMPTS):
        for seed in range(SEEDS):
            with Image.open(pictures[prompt * SEEDS + seed]) as image:
                values = np.asarray(image.convert("RGB"), dtype=np.float16) / 255
            if (prompt, seed) == (0, 0) and decoded == "nan":
                values = np.full_like(values, np.nan)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                # As diffusers' numpy_to_pil rounds: NaN become 0.
                pixels = (values * 255).round().astype("uint8")
            Image.fromarray(pixels).save(folder / f"B{prompt + 1:02}_seed{seed}.png")
    return {"images": folder, "persona": place.demo_persona()}
