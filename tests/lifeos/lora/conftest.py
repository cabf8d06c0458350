"""A random base in the layout of the real one, a dataset, and LoRA files made without torch."""

import inspect
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evals.atomic import write_text
from lifeos.lora.families import FAMILIES
from lifeos.lora.families.random_base import write_random_base, write_stable_diffusion
from lifeos.lora.families.tiny_base import TinyBase
from lifeos.lora.recipe import Recipe
from lifeos.lora.safetensors_file import encode


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base of 32 px images, 8x8x8 latents, context 20, float16 shards."""
    return write_random_base("tiny_base", tmp_path_factory.mktemp("base") / "tiny", seed=0)


@pytest.fixture(scope="session")
def other_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same names, another text width."""
    return write_stable_diffusion(tmp_path_factory.mktemp("other") / "wide", seed=1, text_width=24)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five noisy 32 px pictures with captions."""
    folder = tmp_path_factory.mktemp("dataset")
    generator = np.random.default_rng(0)
    for index in range(5):
        pixels = generator.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index:04d}.png")
        side = "left" if index % 2 else "right"
        write_text(folder / f"{index:04d}.txt", f"a photo of zeph person, facing {side}\n")
    return folder


@pytest.fixture
def recipe(base: Path, dataset: Path) -> Recipe:
    """Six steps of everything, on one thread."""
    return Recipe.model_validate({"base": base, "dataset": dataset, "trigger": "zeph", "steps": 6, "batch_size": 2,
                                  "rank": 2, "alpha": 4.0, "checkpoint_every": 2, "threads": 1,
                                  "optimizer": {"name": "adamw", "learning_rate": 1e-2}})


WriteLora = Callable[..., Path]


@pytest.fixture
def write_lora(base: Path, tmp_path: Path) -> WriteLora:
    """Write a LoRA for the base with random matrices in any key format; ``edit`` changes the tensors first."""

    def write(style: str = "diffusers", preset: str = "full", rank: int = 2, edit=None, metadata=None) -> Path:
        generator = np.random.default_rng(3)
        tensors = {}
        for module, shape in sorted(TinyBase().expected_modules(base, preset).items()):
            down = generator.normal(0, 0.1, (rank, *shape[1:])).astype(np.float32)
            up = generator.normal(0, 0.1, (shape[0], rank, *[1] * (len(shape) - 2))).astype(np.float32)
            names = {
                "diffusers": (f"{module}.lora_A.weight", f"{module}.lora_B.weight"),
                "diffusers_old": (f"{module}.lora.down.weight", f"{module}.lora.up.weight"),
                "peft": (f"base_model.model.{module.removeprefix('unet.')}.lora_A.weight",
                         f"base_model.model.{module.removeprefix('unet.')}.lora_B.weight"),
                "kohya": ("lora_" + module.replace(".", "_") + ".lora_down.weight",
                          "lora_" + module.replace(".", "_") + ".lora_up.weight"),
            }[style]
            tensors[names[0]], tensors[names[1]] = ("F32", down), ("F32", up)
            if style == "kohya":
                tensors["lora_" + module.replace(".", "_") + ".alpha"] = ("F32", np.array(1.0, np.float32))
        if edit is not None:
            tensors = edit(tensors)
        path = tmp_path / f"{style}-{preset}-{rank}.safetensors"
        path.write_bytes(encode(tensors, metadata or {}))
        return path

    return write


@pytest.fixture(scope="session")
def random_bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Family -> folder of a random base."""
    folder = tmp_path_factory.mktemp("random")
    return {family: write_random_base(family, folder / family) for family in FAMILIES}


@pytest.fixture
def with_numbers() -> Callable[..., Callable]:
    """Return a function of diffusers with sizes of the published model replaced by those of a random base."""

    def replace(function: Callable, before: str, after: str) -> Callable:
        source = textwrap.dedent(inspect.getsource(function))
        assert source.count(before) == 1
        namespace = dict(vars(inspect.getmodule(function)))
        exec(source.replace(before, after), namespace)
        return namespace[function.__name__]

    return replace
