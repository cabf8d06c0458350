"""How an image server samples: on x / sqrt(alpha), by noise levels sigma.

Written from the papers, without diffusers' schedulers, so that what agrees with ours agrees by the formula.
"""

import io
import itertools
import math
import threading
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from lifeos.lora.denoise import fuse_lora
from lifeos.lora.families import get_family
from lifeos.lora.lora_file import read_lora


def simple_levels(steps):
    """The schedule ``simple`` of both servers: every (1000 / steps)-th level from the noisiest, then none."""
    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=np.float64) ** 2
    kept = np.cumprod(1.0 - betas)
    sigmas = np.sqrt((1.0 - kept) / kept)
    places = [999 - int(step * (1000 / steps)) for step in range(steps)]
    return [float(sigmas[place]) for place in places] + [0.0], places


class SigmaSampler:
    """A base, loaded once for each LoRA and strength."""

    def __init__(self, base: Path, family: str = "tiny_base", dtype: str = "float32") -> None:
        self.base, self.family, self.dtype = base, get_family(family), dtype
        self._loaded, self._lock = {}, threading.Lock()

    def draw(self, text, seed, *, steps, cfg, sampler, width, height, unit=True, lora=None, strength=0.0,
             prediction="v_prediction"):  # fmt: skip
        """Return ``uint8 [height, width, 3]``."""
        with self._lock:
            return self._draw(text, seed, steps, cfg, sampler, width, height, unit, lora, strength, prediction)

    def _components(self, lora, strength):
        key = (None, 0.0) if not strength else (str(lora), strength)
        if key not in self._loaded:
            components = self.family.load(self.base)
            if strength:
                modules = read_lora(lora, self.family, self.family.modules(self.base)).modules
                fuse_lora(self.family, components, dict(modules), strength)
            self.family.prepare_sampling(components, "float32", "cpu")
            if self.dtype != "float32":
                import torch

                components.unet.to(getattr(torch, self.dtype))
            self._loaded[key] = components
        return self._loaded[key]

    def _draw(self, text, seed, steps, cfg, sampler, width, height, unit, lora, strength, prediction):
        import torch

        components = self._components(lora, strength)
        shape = (1, *self.family.latent_shape(components, width, height))
        noise = torch.randn(shape, generator=torch.Generator("cpu").manual_seed(seed))
        sigmas, places = simple_levels(steps)
        x = noise * (math.sqrt(1.0 + sigmas[0] ** 2) if unit else sigmas[0])
        words = self.family.encode_text(components, [text, ""])
        kind = getattr(torch, self.dtype)

        def denoised(x, sigma, place):
            scaled, answers = (x / math.sqrt(sigma**2 + 1.0)).to(kind), []
            for row in (0, 1) if cfg != 1.0 else (0,):
                inputs = {name: values[row : row + 1].to(kind) for name, values in words.items()}
                told = self.family.predict(components, scaled, torch.tensor(place), inputs, cfg).float()
                answers.append(x - sigma * told if prediction == "epsilon" else
                               x / (sigma**2 + 1.0) - told * sigma / math.sqrt(sigma**2 + 1.0))  # fmt: skip
            return answers[0] if cfg == 1.0 else answers[1] + cfg * (answers[0] - answers[1])

        before = None
        with torch.no_grad():
            for number, (now, then) in enumerate(itertools.pairwise(sigmas)):
                clean = denoised(x, now, places[number])
                if sampler == "euler" or then == 0.0:
                    x = x + (x - clean) / now * (then - now)
                else:
                    h, mixed = math.log(now / then), clean
                    if before is not None:
                        ratio = math.log(sigmas[number - 1] / now) / h
                        mixed = clean + (clean - before) / (2.0 * ratio)
                    x = then / now * x - math.expm1(-h) * mixed
                before = clean
            images = self.family.decode_latents(components, x)
        return (((images[0] / 2 + 0.5).clamp(0, 1) * 255).round()).permute(1, 2, 0).numpy().astype(np.uint8)


def as_png(pixels, text=None):
    """Return PNG bytes with text chunks, as servers write them."""
    info, buffer = PngInfo(), io.BytesIO()
    for name, value in (text or {}).items():
        info.add_text(name, value)
    Image.fromarray(pixels).save(buffer, format="PNG", pnginfo=info)
    return buffer.getvalue()
