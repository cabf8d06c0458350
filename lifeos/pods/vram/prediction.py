"""What a recipe takes of a GPU, predicted once for equal questions: the answer is kept by what it depends on."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from evals.atomic import write_json
from evals.content_hash import hash_file, hash_json
from lifeos.errors import InputError
from lifeos.lora.families import get_family
from lifeos.lora.recipe import Recipe
from lifeos.lora.sample_plan import BATCH_SIZE, SamplePlan, VaeDtype
from lifeos.pods.spec import Gpu
from lifeos.pods.vram.architecture import Architecture
from lifeos.pods.vram.replay import Usage
from lifeos.pods.vram.scratch import cublas_workspace
from lifeos.progress import Progress, silent

CACHE_FOLDER = "vram"
PICTURES = 32
"""Assumed of a dataset, and of prompts where nobody says: their texts are encoded together."""
MOST_PIXELS = 2**28
"""Pixels of a batch: 64 pictures of 2048 x 2048. More is a typing error, and refused before anything is traced."""
_PACKAGES = ("torch", "diffusers", "transformers", "peft", "prodigyopt")
_UNMODELLED: tuple[tuple[str, str], ...] = (
    ("compile", "a compiled model allocates as its compiler decides"),
)

Part = Literal["training", "sampling"]


@dataclass(frozen=True)
class Sampling:
    """How pictures are drawn: pixels, guidance, sampler, arithmetic (``auto``: what the GPU computes), images at once.

    ``images`` is as many as the sampler draws at once unless it is told otherwise; ``prompts`` are encoded together;
    the autoencoder decodes as in ``SamplePlan``. None: what the family does. On ``device`` ``cpu`` nothing of it is
    predicted, because it takes no memory of the GPU.
    """

    width: int | None = None
    height: int | None = None
    guidance: float | None = None
    sampler: str | None = None
    dtype: str = "auto"
    images: int = BATCH_SIZE
    prompts: int = PICTURES
    vae_dtype: VaeDtype = "float32"
    vae_tiling: bool = False
    vae_slicing: bool = False
    device: str = "cuda"

    def plan(self, family: str) -> SamplePlan:
        """Return the plan that is run for its memory; its prompts are blank.

        Raises:
            InputError: a number outside its range, or ``question`` left something open.
        """
        from lifeos.pods.vram.steps import plan_for

        return plan_for(
            family, self.width or 0, self.height or 0, self.dtype, guidance=self.guidance, sampler=self.sampler,
            prompts=self.prompts, batch=self.images, vae_dtype=self.vae_dtype, vae_tiling=self.vae_tiling,
            vae_slicing=self.vae_slicing,
        )  # fmt: skip


@dataclass(frozen=True)
class Question:
    """What is predicted.

    Args:
        architecture: of the base.
        recipe: with its ``dtype`` and what the memory depends on.
        size: (width, height) in pixels that is trained.
        sampling: with nothing left open.
        has_flash: whether the GPU runs flash attention.
    """

    architecture: Architecture
    recipe: Recipe
    size: tuple[int, int]
    sampling: Sampling
    has_flash: bool

    def key(self, part: Part) -> str:
        """Return what a prediction is kept under: SHA-256 of all it depends on, the code and libraries included."""
        if part == "training":
            asked: dict[str, Any] = {"recipe": _relevant(self.recipe), "size": list(self.size)}
        else:
            asked = vars(self.sampling)
        return hash_json({"part": part, "asked": asked, "family": self.architecture.family, "flash": self.has_flash,
                          "configs": self.architecture.configs, "code": code_revision()})


@dataclass(frozen=True)
class Prediction:
    """What training and sampling take, and what of the question was assumed.

    Args:
        training: of the recipe.
        sampling: None where the processor draws.
        assumed: lines of text.
        beside: whether images are drawn while training holds its memory (``sample_every``); else one after the other.
    """

    training: Usage
    sampling: Usage | None
    assumed: tuple[str, ...]
    beside: bool = False

    @property
    def usages(self) -> dict[str, Usage]:
        """Those of training and, where the GPU draws, of sampling, by name."""
        return {"training": self.training} | ({} if self.sampling is None else {"sampling": self.sampling})

    @property
    def peak_bytes(self) -> int:
        """Most that is allocated by either, or by both where one runs beside the other."""
        return (sum if self.beside else max)(usage.peak_bytes for usage in self.usages.values())

    @property
    def reserved_bytes(self) -> int:
        """Most that is reserved by either, or by both: at most that, since one may use what the other has let go."""
        return (sum if self.beside else max)(usage.reserved_bytes for usage in self.usages.values())

    def room(self, part: str, limit: int) -> int:
        """Return what a part may reserve of ``limit`` bytes: less what runs beside it."""
        others = [usage.reserved_bytes for name, usage in self.usages.items() if name != part]
        return limit - sum(others) if self.beside else limit


def unmodelled(recipe: Recipe) -> list[str]:
    """Return ``key: why`` for everything a recipe asks for that moves memory and is in no prediction."""
    fields = type(recipe).model_fields
    return [f"{name}: {why}" for name, why in _UNMODELLED if getattr(recipe, name) != fields[name].default]


def question(architecture: Architecture, recipe: Recipe, gpu: Gpu, sampling: Sampling | None = None) -> Question:
    """Fill in what a recipe leaves to the base and the GPU.

    Raises:
        InputError: the base is of another family or incomplete, the preset or a size is impossible or absurd.
    """
    family = get_family(recipe.family)
    family.target_suffixes(recipe.targets)
    with architecture.folder() as folder:
        own = family.image_size(folder)
    size = trained_size(recipe, own)
    _require_sane("batch_size x picture", recipe.batch_size, size)
    given = sampling or Sampling()
    filled = replace(
        given, width=given.width or own[0], height=given.height or own[1],
        guidance=family.usual_guidance if given.guidance is None else given.guidance,
        sampler=family.samplers[0] if given.sampler is None else given.sampler, dtype=_dtype(given.dtype, gpu),
    )  # fmt: skip
    _require_sane("images at once x picture", filled.images, (filled.width or 0, filled.height or 0))
    dtype = _dtype(recipe.dtype, gpu)
    # Beyond two batches a step holds what it held.
    update = {"dtype": dtype, "gradient_accumulation": min(2, recipe.gradient_accumulation), "resolution": None,
              "attention": "auto"}  # fmt: skip
    return Question(architecture, recipe.model_copy(update=update), size, filled, gpu.capability >= (8, 0))


def trained_size(recipe: Recipe, own: tuple[int, int]) -> tuple[int, int]:
    """Return (width, height) of the largest pictures a recipe trains; ``own`` is the base's size."""
    from lifeos.lora.buckets import sizes_of_recipe

    return own if recipe.resolution is None else max(sizes_of_recipe(recipe.resolution), key=math.prod, default=own)


def predict(asked: Question, gpu: Gpu, folder: Path, progress: Progress = silent) -> Prediction:
    """Predict, or find what was predicted before.

    Args:
        asked: the question.
        gpu: for cuBLAS's workspace.
        folder: where answers are kept.
        progress: called with (stage, operators, 0) while it traces.

    Raises:
        InputError: the base cannot be built, or a step refuses something.
    """
    training = predict_part(asked, "training", gpu, folder, progress)
    on_gpu = asked.sampling.device == "cuda"
    sampling = predict_part(asked, "sampling", gpu, folder, progress) if on_gpu else None
    return Prediction(training, sampling, tuple(_assumed(asked)), asked.recipe.sample_every is not None)


def predict_part(asked: Question, part: Part, gpu: Gpu, folder: Path, progress: Progress = silent) -> Usage:
    """Predict training or sampling alone; arguments and errors as for ``predict``."""
    workspace = cublas_workspace(gpu.capability)
    path = Path(folder) / CACHE_FOLDER / f"{asked.key(part)[:40]}.json"
    try:
        return Usage.from_json(json.loads(path.read_text(encoding="utf-8"))[str(workspace)])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    from lifeos.pods.vram.fake import CUBLAS
    from lifeos.pods.vram.replay import replay
    from lifeos.pods.vram.scratch import CUBLAS_BYTES, CUBLAS_BYTES_HOPPER

    trace = _trace(asked, part, progress)
    usages = {str(size): replay(trace, {CUBLAS: size}) for size in (CUBLAS_BYTES, CUBLAS_BYTES_HOPPER)}
    # Whole or not at all: an interrupted trace leaves nothing.
    write_json(path, {size: usage.to_json() for size, usage in usages.items()}, durable=False)
    return usages[str(workspace)]


@cache
def code_revision() -> str:
    """Return one SHA-256 over the code that predictions come from, and the versions of the libraries under it."""
    here = Path(__file__).parent
    lora = here.parents[1] / "lora"
    files = [*here.glob("*.py"), *lora.glob("*.py"), *(lora / "families").glob("*.py")]
    packages = [[name, version(name)] for name in _PACKAGES]
    return hash_json([[path.name, hash_file(path)] for path in sorted(files)] + packages)


def _trace(asked: Question, part: Part, progress: Progress) -> Any:
    from lifeos.pods.vram.fake import trace_sampling, trace_training

    with asked.architecture.folder() as folder:
        if part == "training":
            return trace_training(folder, asked.recipe, asked.size, asked.has_flash, progress)
        return trace_sampling(folder, asked.sampling.plan(asked.architecture.family), asked.has_flash, progress)


def _relevant(recipe: Recipe) -> dict[str, Any]:
    """Return the settings of a recipe that memory can depend on: not its data, its seed or how long it runs."""
    settings = recipe.settings()
    for name in ("trigger", "name", "seed", "steps", "threads", "save_dtype", "caption_dropout"):
        settings.pop(name, None)
    settings["optimizer"] = {"name": recipe.optimizer.name}
    return settings


def _dtype(dtype: str, gpu: Gpu) -> str:
    return dtype if dtype != "auto" else "bfloat16" if gpu.bf16 else "float32"


def _assumed(asked: Question) -> Iterator[str]:
    if asked.architecture.assumed:
        yield asked.architecture.assumed
    if asked.sampling.device == "cpu":
        yield "sampling on the processor, as [sampler] says (device), without memory of the GPU"
    else:
        yield (f"sampling {asked.sampling.images} at once, {asked.sampling.width}x{asked.sampling.height}, "
               f"{asked.sampling.prompts} prompts encoded together, {asked.sampling.dtype}, autoencoder "
               f"{asked.sampling.vae_dtype}{', in tiles' if asked.sampling.vae_tiling else ''}"
               f"{', one by one' if asked.sampling.vae_slicing else ''}")
        if asked.recipe.sample_every is not None:
            yield "looks (sample_every) drawn beside the training, each holding what it has reserved"
    yield f"{PICTURES} pictures whose captions are encoded together"


def _require_sane(what: str, count: int, size: tuple[int, int]) -> None:
    pixels = count * size[0] * size[1]
    if not 0 < pixels <= MOST_PIXELS:
        raise InputError(f"{what}: accepted 1 to {MOST_PIXELS} pixels, got {count} x {size[0]}x{size[1]} = {pixels}; "
                         "next: edit the recipe")
