"""A plan rendered into the image store: what exists is not made again, and a kill loses at most one batch."""

import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from evals.content_hash import hash_file
from lifeos.errors import InputError
from lifeos.lora.backends.image_server import DIFFUSERS
from lifeos.lora.families import base_hash, get_family
from lifeos.lora.sample_plan import BATCH_SIZE, ImageRequest, PlannedPrompt, SamplePlan, image_key
from lifeos.lora.store import ImageStore
from lifeos.processor import available_cores
from lifeos.progress import Progress, silent

if TYPE_CHECKING:
    from lifeos.lora.denoise import Denoiser

__all__ = ["BATCH_SIZE", "ImageRequest", "PlannedImages", "PlannedPrompt", "SamplePlan", "SampleResult", "SampledImage",
           "encode_references", "image_key", "missing_images", "named_images", "new_denoiser", "planned_images",
           "render_images", "round_trip", "sample_plan"]


@dataclass(frozen=True)
class SampledImage:
    """One image of a plan: what was asked for, the key, and the PNG file in the store."""

    request: ImageRequest
    key: str
    path: Path


@dataclass(frozen=True)
class SampleResult:
    """A plan that is rendered completely.

    Args:
        images: every image, in the plan's order.
        made: images this call rendered.
        reused: images that were there.
        sampling_seconds: wall time of rendering, model loading included; 0 when nothing was made.
        base_hash, lora_hash: what they were made with.
    """

    images: tuple[SampledImage, ...]
    made: int
    reused: int
    sampling_seconds: float
    base_hash: str
    lora_hash: str | None


@dataclass(frozen=True)
class PlannedImages:
    """Every image of a plan in its order, with what it is made from and where it will lie."""

    plan: SamplePlan
    base: Path
    lora: Path | None
    base_hash: str
    lora_hash: str | None
    images: tuple[SampledImage, ...]

    def lacking(self, store: ImageStore) -> list[SampledImage]:
        """Return the different images that the store has not, in order."""
        return [image for key, image in {image.key: image for image in self.images}.items() if not store.has(key)]

    def result(self, made: int, seconds: float) -> SampleResult:
        """Return the result of rendering ``made`` of them in ``seconds``; the others were there."""
        different = len({image.key for image in self.images})
        return SampleResult(self.images, made, different - made, seconds, self.base_hash, self.lora_hash)


def planned_images(plan: SamplePlan, base: Path, lora: Path | None, store: ImageStore) -> PlannedImages:
    """Read and hash base and LoRA, and name every image of a plan; arguments as for ``sample_plan``."""
    return named_images(plan, base, lora, store, base_hash(base), None if lora is None else hash_file(lora))


def named_images(
    plan: SamplePlan, base: Path, lora: Path | None, store: ImageStore, hash_of_base: str, hash_of_lora: str | None
) -> PlannedImages:
    """Name every image of a plan where base and LoRA were hashed already: many plans may share them."""
    keyed = [(request, image_key(plan, request, hash_of_base, hash_of_lora)) for request in plan.requests()]
    images = tuple(SampledImage(request, key, store.path_for(key)) for request, key in keyed)
    return PlannedImages(plan, Path(base), lora, hash_of_base, hash_of_lora, images)


def sample_plan(
    plan: SamplePlan, base: Path, lora: Path | None, store: ImageStore, progress: Progress = silent, *,
    batch_size: int | None = None, threads: int = 0,
) -> SampleResult:
    """Render in this process what a plan lacks; imports torch only when something is lacking.

    Args:
        plan: what to render.
        base: base model folder.
        lora: LoRA file, or None for the base alone.
        store: where images lie.
        progress: called with ("sampling", done, total).
        batch_size: images a batch, speed and memory only; None: as the plan says.
        threads: CPU threads; 0 means every core this process may use.

    Raises:
        InputError: base, LoRA, prompt, sampler or size cannot be used, pixels are not finite, or the plan's image
            server is not reached, fails, or does not show that it draws with this base and LoRA.
    """
    asked = planned_images(plan, base, lora, store)
    lacking = asked.lacking(store)
    if not lacking:
        return asked.result(0, 0.0)
    started = time.monotonic()
    render_images(asked, lacking, store, progress, batch_size=batch_size or plan.batch, threads=threads)
    return asked.result(len(lacking), time.monotonic() - started)


def missing_images(plan: SamplePlan, base: Path, lora: Path | None, store: ImageStore) -> int:
    """Return how many different images of a plan the store lacks."""
    return len(planned_images(plan, base, lora, store).lacking(store))


def encode_references(
    images: Sequence[npt.NDArray[np.uint8]], base: Path, family: str = "tiny_base", threads: int = 0
) -> npt.NDArray[np.float32]:
    """Return the base's scaled latents ``[n, c, h, w]`` of images ``[height, width, 3]`` of one size.

    Raises:
        InputError: base or family cannot be used.
    """
    latents: npt.NDArray[np.float32] = _through_base(images, base, family, threads)[0]
    return latents


def round_trip(
    images: Sequence[npt.NDArray[np.uint8]], base: Path, family: str = "tiny_base", threads: int = 0
) -> npt.NDArray[np.uint8]:
    """Return images as they come back from the base's autoencoder: ``uint8 [n, height, width, 3]``.

    What a base cannot draw is lost in this way from references as it is from samples, so the two can be compared.

    Raises:
        InputError: base or family cannot be used.
    """
    pixels: npt.NDArray[np.uint8] = _through_base(images, base, family, threads)[1]
    return pixels


def new_denoiser(
    asked: PlannedImages, requests: Sequence[ImageRequest], load: Callable[[], Any] | None = None
) -> "Denoiser":
    """Return a base with the LoRA of a plan fused in, the prompts of ``requests`` encoded.

    Args:
        asked: the plan, its base and its LoRA; a LoRA that does not fit is refused before the base is loaded.
        requests: whose prompts it will be able to draw.
        load: returns the components of the base, which are changed in place; None: loaded from its folder.

    Raises:
        InputError: the plan's device is not here, or base, LoRA, prompt, sampler or size cannot be used.
    """
    from lifeos.lora.denoise import Denoiser, fuse_lora, load_for
    from lifeos.lora.lora_file import read_lora
    from lifeos.lora.placement import clear_device, require_device

    require_device(asked.plan.device)
    clear_device(asked.plan.device)
    plan, family = asked.plan, get_family(asked.plan.family)
    modules = {}
    if asked.lora is not None and plan.strength != 0.0:
        base_modules = family.modules(asked.base)
        lora = read_lora(asked.lora, family, base_modules)
        homeless = sorted(set(lora.keys.modules) - set(base_modules)) + list(lora.keys.unknown) + sorted(lora.broken)
        if homeless or not lora.modules:
            raise InputError(f"{asked.lora}: accepted a LoRA that fits {asked.base.name}, got {len(homeless)} tensors "
                             "without a place; next: lifeos gate predeploy --lora FILE")
        modules = dict(lora.modules)
    components = load_for(plan, family, asked.base) if load is None else load()
    fuse_lora(family, components, modules, plan.strength)
    return Denoiser(family, components, plan, requests)


def render_images(
    asked: PlannedImages, images: Sequence[SampledImage], store: ImageStore, progress: Progress = silent, *,
    batch_size: int = BATCH_SIZE, threads: int = 0,
    denoiser_of: "Callable[[PlannedImages, Sequence[ImageRequest]], Denoiser]" = new_denoiser,
) -> None:  # fmt: skip
    """Render some images of a plan into the store, whether they lie there or not.

    Args:
        asked: the plan they are of.
        images: at least one; in this order.
        store: where they go.
        progress: called with ("sampling", done, total), total being the different images of the plan.
        batch_size, threads: as for ``sample_plan``.
        denoiser_of: returns what draws them; default: the base is loaded for this call alone.

    Raises:
        InputError: base, LoRA, prompt, sampler or size cannot be used, pixels are not finite, memory runs out, or an
            image server fails.
    """
    if asked.plan.backend != DIFFUSERS:
        from lifeos.lora.backends.drawing import draw_on_server

        draw_on_server(asked, list(images), store, progress)
        return
    from lifeos.lora.shortages import sampling_memory_told
    from lifeos.lora.train import limited_threads

    total = len({image.key for image in asked.images})
    done = total - len(images)
    progress("sampling", done, total)
    with limited_threads(threads or available_cores()), sampling_memory_told(asked.plan):
        denoiser = denoiser_of(asked, [image.request for image in images])
        for start in range(0, len(images), batch_size):
            batch = images[start : start + batch_size]
            pixels = denoiser.render([image.request for image in batch])
            store.put_all([(image.key, encode_png(picture), image_facts(asked, image))
                           for image, picture in zip(batch, pixels, strict=True)])  # fmt: skip
            done += len(batch)
            progress("sampling", done, total)


def encode_png(picture: npt.NDArray[np.uint8]) -> bytes:
    """Return ``uint8 [height, width, 3]`` as PNG bytes without any metadata."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG", compress_level=6)
    return buffer.getvalue()


def image_facts(asked: PlannedImages, image: SampledImage) -> dict[str, Any]:
    """Return what is stored inside an image: what it was made from and how."""
    plan, request = asked.plan, image.request
    return {"base": asked.base_hash, "lora": asked.lora_hash, "strength": request.strength,
            "prompt": request.prompt.text, "seed": request.seed, "sampler": plan.sampler, "steps": plan.steps,
            "guidance": plan.guidance, "width": plan.width, "height": plan.height, "dtype": plan.dtype,
            "vae_dtype": plan.vae_dtype, "vae_tiling": plan.vae_tiling,
            **({} if plan.device == "cpu" else {"device": plan.device})}  # fmt: skip


def _through_base(images: Sequence[npt.NDArray[np.uint8]], base: Path, family: str, threads: int) -> tuple[Any, Any]:
    import torch

    from lifeos.lora.denoise import to_pixels
    from lifeos.lora.train import limited_threads

    kind = get_family(family)
    latents, pixels = [], []
    with limited_threads(threads or available_cores()):
        components = kind.load(base)
        for start in range(0, len(images), BATCH_SIZE):
            encoded = kind.encode_images(components, np.stack(images[start : start + BATCH_SIZE]))
            latents.append(encoded.cpu())
            pixels.append(to_pixels(kind.decode_latents(components, encoded)))
    return torch.cat(latents).numpy(), np.concatenate(pixels)
