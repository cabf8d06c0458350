"""Questions about the random bases: every family at a size that is traced in a moment."""

import pytest

from lifeos.lora.families.random_base import write_random_base
from lifeos.lora.recipe import Recipe
from lifeos.pods.spec import load_gpus
from lifeos.pods.vram.architecture import architecture_of

FAMILIES = ("tiny_base", "sd15", "sdxl", "sd3", "flux")


@pytest.fixture(scope="session")
def random_bases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bases")
    return {family: architecture_of(write_random_base(family, folder / family), family) for family in FAMILIES}


@pytest.fixture(scope="session")
def ampere():
    return load_gpus()["A100 80GB"]


@pytest.fixture(scope="session")
def make_recipe():
    def make(family, **settings):
        usual = {"base": "base", "dataset": "dataset", "trigger": "zeph", "family": family, "steps": 10,
                 "batch_size": 1, "rank": 4, "targets": "attention", "dtype": "bfloat16", "device": "cuda",
                 "optimizer": {"name": "adamw"}}  # fmt: skip
        return Recipe.model_validate({**usual, **settings})

    return make
