"""A random base and a random LoRA of every family, and the pipeline that diffusers makes of the base."""

import importlib
import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evals.atomic import write_bytes, write_text
from lifeos.lora.families import FAMILIES, get_family
from lifeos.lora.families.random_base import write_random_base
from lifeos.lora.safetensors_file import encode


@pytest.fixture(scope="session")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Family -> folder of a random base."""
    folder = tmp_path_factory.mktemp("bases")
    return {family: write_random_base(family, folder / family) for family in FAMILIES}


@pytest.fixture(scope="session")
def small_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three noisy 32 px pictures with captions."""
    folder, generator = tmp_path_factory.mktemp("pictures"), np.random.default_rng(1)
    for index, side in enumerate(("left", "right", "left")):
        pixels = generator.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
        write_text(folder / f"{index}.txt", f"a photo of zeph person, facing {side}\n")
    return folder


@pytest.fixture
def plain_pipeline():
    """Return the pipeline whose class ``model_index.json`` names, as diffusers loads it."""

    def load(base: Path, **parts):
        import torch

        name = json.loads((base / "model_index.json").read_text(encoding="utf-8"))["_class_name"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pipeline = getattr(importlib.import_module("diffusers"), name).from_pretrained(
                str(base), **{"torch_dtype": torch.float32, **parts}, local_files_only=True
            )
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    return load


@pytest.fixture
def random_lora(bases, tmp_path):
    """Write a LoRA of rank 2 and alpha 4 with a random pair for every module of the full preset."""

    def write(family: str) -> Path:
        kind, generator, tensors = get_family(family), np.random.default_rng(5), {}
        for name, shape in sorted(kind.expected_modules(bases[family], "full").items()):
            down = generator.normal(0, 0.2, (2, *shape[1:]))
            up = generator.normal(0, 0.2, (shape[0], 2, *(1 for _ in shape[2:])))
            for part, array in (("lora_A", down), ("lora_B", up)):
                tensors[f"{name}.{part}.weight"] = ("F32", array.astype(np.float32))
        component = kind.lora_components[0]
        adapter = {f"{component}.r": 2, f"{component}.lora_alpha": 4, f"{component}.peft_type": "LORA",
                   f"{component}.target_modules": sorted(kind.target_suffixes("full"))}  # fmt: skip
        path = tmp_path / f"{family}.safetensors"
        write_bytes(path, encode(tensors, {"format": "pt", "lora_adapter_metadata": json.dumps(adapter)}))
        return path

    return write
