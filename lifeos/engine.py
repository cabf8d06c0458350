"""What the release asks of the heavy rooms: train, inspect, sample, look for faces. Torch is imported by what it calls.

A test hands in another module with the same functions; a run with another engine is recorded as a simulation.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evals.verdict import Verdict
from lifeos.progress import Progress
from lifeos.training_watch.inputs import WatchInputs

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from evals.faces import FaceBackend
    from evals.images import RgbImage
    from lifeos.lora.recipe import Recipe
    from lifeos.lora.sample_plan import SamplePlan
    from lifeos.lora.training_inputs import TrainingInputs

IDENTITY = "lifeos"


@dataclass(frozen=True)
class Trained:
    """A LoRA file that a recipe led to; ``made`` is False when it lay there already."""

    path: Path
    made: bool


@dataclass(frozen=True)
class Rendered:
    """One image of a plan: prompt id, seed, PNG file, and the key it is stored under."""

    prompt: str
    seed: int
    path: Path
    key: str


@dataclass(frozen=True)
class Sampled:
    """Every image of a plan in its order, and how many of them this call made."""

    images: tuple[Rendered, ...]
    made: int


def training_hash(recipe: Path, watch: WatchInputs) -> str:
    """Return the hash of everything a training run depends on; raises ``InputError`` for a recipe that cannot run.

    ``watch`` says who looks on, where the recipe asks for looks.
    """
    from lifeos.lora.recipe import load_recipe

    return _inputs(load_recipe(recipe), watch).key


def training_images(recipe: Path) -> Path:
    """Return the folder of images a recipe trains on."""
    from lifeos.lora.recipe import load_recipe

    return load_recipe(recipe).dataset


def train(recipe: Path, artifacts: Path, progress: Progress, watch: WatchInputs) -> Trained:
    """Train in this process, going on from the last checkpoint; the finished file stays under ``artifacts``."""
    from lifeos.lora.recipe import load_recipe
    from lifeos.lora.train import FINISHED_NAME, finished_result, train_lora
    from lifeos.lora.training_inputs import run_folder_for
    from lifeos.training_watch.child import watcher_of

    loaded = load_recipe(recipe)
    inputs = _inputs(loaded, watch)
    folder = run_folder_for(artifacts, inputs)
    if (done := finished_result(folder, inputs)) is not None:
        return Trained(done.path, made=False)
    watcher = watcher_of(loaded, watch, artifacts, sys.modules[__name__], progress)
    result = train_lora(loaded, folder / FINISHED_NAME, folder, progress, watcher=watcher)
    return Trained(result.path, made=not result.reused)


def is_trained(recipe: Path, artifacts: Path, watch: WatchInputs) -> bool:
    """Return whether the finished LoRA of a recipe lies under ``artifacts``."""
    from lifeos.lora.recipe import load_recipe
    from lifeos.lora.train import finished_result
    from lifeos.lora.training_inputs import run_folder_for

    inputs = _inputs(load_recipe(recipe), watch)
    return finished_result(run_folder_for(artifacts, inputs), inputs) is not None


def inspect(lora: Path, base: Path, family: str) -> dict[str, Verdict]:
    """Return the verdicts of the weights gates; numpy only."""
    from lifeos.lora.families import get_family
    from lifeos.lora.weights import inspect_lora

    return dict(inspect_lora(lora, base, get_family(family)).verdicts)


def sample(plan: "SamplePlan", base: Path, lora: Path | None, store: Path, progress: Progress) -> Sampled:
    """Render in this process what the plan lacks in the image store."""
    from lifeos.lora.sample import sample_plan
    from lifeos.lora.store import ImageStore

    result = sample_plan(plan, base, lora, ImageStore(store), progress)
    images = tuple(
        Rendered(image.request.prompt.id, image.request.seed, image.path, image.key) for image in result.images
    )
    return Sampled(images, result.made)


def missing(plan: "SamplePlan", base: Path, lora: Path | None, store: Path) -> int:
    """Return how many images of a plan the store lacks."""
    from lifeos.lora.sample import missing_images
    from lifeos.lora.store import ImageStore

    return missing_images(plan, base, lora, ImageStore(store))


def round_trip(images: "Sequence[RgbImage]", base: Path, family: str) -> "NDArray[np.uint8]":
    """Return images ``u8[h,w,3]`` of one size as they come back from the base's autoencoder, ``u8[n,h,w,3]``."""
    from lifeos.lora.sample import round_trip as through_base

    return through_base(images, base, family)


def open_faces(backend: str, folder: Path) -> "FaceBackend":
    """Open the face models."""
    from evals.faces import open_backend
    from lifeos.processor import available_cores

    # The child has every core to itself: two threads halve the 33 ms that one embedding takes.
    return open_backend(backend, folder, threads=available_cores())


def _inputs(recipe: "Recipe", watch: WatchInputs) -> "TrainingInputs":
    from lifeos.lora.training_inputs import read_inputs
    from lifeos.training_watch.inputs import watch_identity

    return read_inputs(recipe, watch_identity(recipe, watch))
