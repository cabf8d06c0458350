"""Everything a training run depends on, read and hashed before torch is imported."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from evals.content_hash import hash_json
from lifeos.errors import InputError
from lifeos.lora.dataset import Example, dataset_hash, read_examples
from lifeos.lora.families import base_hash, get_family
from lifeos.lora.recipe import Recipe

TRAINING_REVISION = 1
"""Raised when a change of this code changes the weights that come out."""


@dataclass(frozen=True)
class TrainingInputs:
    """A recipe with what it points to.

    Args:
        recipe: the recipe.
        examples: its dataset.
        base_hash, dataset_hash: SHA-256 of what the recipe's folders hold.
        key: SHA-256 of all of it; equal keys give equal files on one machine.
    """

    recipe: Recipe
    examples: tuple[Example, ...]
    base_hash: str
    dataset_hash: str
    key: str


def read_inputs(recipe: Recipe, watch: str | None = None) -> TrainingInputs:
    """Read dataset and base of a recipe and hash them.

    Args:
        recipe: what to train.
        watch: ``Watcher.identity`` of whoever looks on; enters the key where looking may end the run. None: nobody.

    Raises:
        InputError: dataset, base or family cannot be used, the preset finds no module in the base, or the recipe asks
            for looks that nobody takes.
    """
    if recipe.sample_every is not None and watch is None:
        raise InputError(f"recipe: accepted sample_every = {recipe.sample_every} with a persona that judges the "
                         "samples, got none; next: lifeos retrain-lora RECIPE -o OUT --persona FOLDER")
    family = get_family(recipe.family)
    examples = tuple(read_examples(recipe))
    if not family.expected_modules(recipe.base, recipe.targets):
        raise InputError(f"{recipe.base}: accepted a base with modules for targets = {recipe.targets!r}, got none; "
                         "next: check base and family in the recipe")
    hashes = {"base": base_hash(recipe.base), "dataset": dataset_hash(examples)}
    if recipe.mask is not None and recipe.mask.folder is None:
        from evals.faces.pinned_models import read_pins

        # Another detector draws another box around the same face.
        hashes["face_detector"] = read_pins(recipe.mask.detector_folder)["detector"].sha256
    ending = {} if recipe.early_stop is None else {"watch": watch}
    key = hash_json({"revision": TRAINING_REVISION, "recipe": recipe.settings(), **hashes, **ending})
    return TrainingInputs(recipe, examples, hashes["base"], hashes["dataset"], key)


def derived_seed(seed: int, purpose: str, index: int = 0) -> int:
    """Return a seed in [0, 2**63) for one purpose and step: a resumed run needs no random state, only its step."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{index}".encode("ascii")).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def run_folder_for(artifacts: Path, inputs: TrainingInputs) -> Path:
    """Return the folder of this run below ``artifacts``: one for each key."""
    return Path(artifacts) / "runs" / inputs.key[:32]
