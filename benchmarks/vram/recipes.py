"""The recipes of the table in docs/vram.md: what is predicted, and run on a GPU where there is one."""

from dataclasses import dataclass, field
from typing import Any, Literal

from lifeos.lora.recipe import Recipe
from lifeos.pods.spec import Gpu
from lifeos.pods.vram.architecture import Architecture, architecture_of, published
from lifeos.pods.vram.prediction import Question, Sampling, question


@dataclass(frozen=True)
class Case:
    """One row: a base (a file of ``bases/`` or ``tiny_base``), training or sampling, what differs from the usual."""

    name: str
    base: str
    part: Literal["training", "sampling"]
    settings: dict[str, Any] = field(hash=False)


def _train(name: str, base: str, **settings: Any) -> Case:
    return Case(name, base, "training", settings)


CASES: tuple[Case, ...] = (
    _train("tiny-base, batch 8", "tiny_base", batch_size=8),
    _train("SD 1.5, 512", "sd15"),
    _train("SD 1.5, 512, no checkpointing", "sd15", gradient_checkpointing=False),
    _train("SDXL, 1024", "sdxl"),
    _train("SDXL, 1024, Prodigy", "sdxl", optimizer={"name": "prodigy"}),
    _train("SDXL, 1024, AdamW in 8 bits", "sdxl", optimizer={"name": "adamw8bit"}),
    _train("SDXL, 1024, no checkpointing", "sdxl", gradient_checkpointing=False),
    _train("SDXL, 1024, batch 4", "sdxl", batch_size=4),
    _train("SDXL, 1024, targets full", "sdxl", targets="full"),
    _train("SDXL, 1024, float32", "sdxl", dtype="float32"),
    _train("SDXL, 1024, latents not kept", "sdxl", cache_latents=False),
    _train("SDXL, 1024, no offload", "sdxl", offload=False),
    _train("SDXL, 1024, text encoders too", "sdxl", train_text_encoder=True),
    _train("SDXL, 1024, DoRA", "sdxl", dora=True),
    _train("SDXL, 768", "sdxl", resolution={"sides": [768]}),
    _train("SD 3.5 medium, 1024", "sd35_medium"),
    _train("SD 3.5 large, 1024", "sd35_large"),
    _train("FLUX.1 dev, 1024", "flux_dev"),
    _train("FLUX.1 dev, 1024, Prodigy", "flux_dev", optimizer={"name": "prodigy"}),
    _train("FLUX.1 dev, 1024, no checkpointing", "flux_dev", gradient_checkpointing=False),
    *(Case(f"{name}, one image", base, "sampling", {"images": 1}) for name, base in (
        ("tiny-base", "tiny_base"), ("SD 1.5", "sd15"), ("SDXL", "sdxl"), ("SD 3.5 medium", "sd35_medium"),
        ("SD 3.5 large", "sd35_large"), ("FLUX.1 dev", "flux_dev"))),
    Case("SDXL, four images", "sdxl", "sampling", {"images": 4}),
    Case("SDXL, four images, slicing", "sdxl", "sampling", {"images": 4, "vae_slicing": True}),
    Case("SDXL, four images, autoencoder bfloat16", "sdxl", "sampling", {"images": 4, "vae_dtype": "bfloat16"}),
    Case("SDXL, twelve images", "sdxl", "sampling", {"images": 12}),
    Case("SDXL, twelve images, slicing", "sdxl", "sampling", {"images": 12, "vae_slicing": True}),
    Case("SDXL, one image of 1536", "sdxl", "sampling", {"images": 1, "width": 1536, "height": 1536}),
    Case("SDXL, one image of 1536, tiling", "sdxl", "sampling",
         {"images": 1, "width": 1536, "height": 1536, "vae_tiling": True}),
)  # fmt: skip
"""Rank 32, attention, bfloat16, batch 1, checkpointing, AdamW, offload, all kept, unless the name says otherwise."""


def question_of(case: Case, gpu: Gpu) -> Question:
    """Return the question that a case asks of a GPU."""
    architecture = _architecture(case.base)
    settings: dict[str, Any] = {
        "base": "base", "dataset": "dataset", "trigger": "zeph", "family": architecture.family, "steps": 10,
        "batch_size": 1, "rank": 32, "targets": "attention", "dtype": "bfloat16", "device": "cuda",
        "gradient_checkpointing": True, "optimizer": {"name": "adamw"}, "offload": True,
    }  # fmt: skip
    is_training = case.part == "training"
    recipe = Recipe.model_validate({**settings, **(case.settings if is_training else {})})
    return question(architecture, recipe, gpu, Sampling(**({} if is_training else case.settings)))


def _architecture(base: str) -> Architecture:
    if base != "tiny_base":
        return published(base)
    from lifeos.settings import project_root

    return architecture_of(project_root() / "models" / "tiny-base", "tiny_base")
