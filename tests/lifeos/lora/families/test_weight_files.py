"""Which files of a base are read, and one line for each way in which they can be missing, before anything is loaded."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lifeos.errors import InputError
from lifeos.lora.families import base_hash, get_family
from lifeos.lora.families.weight_files import WeightNames, choose_weights
from lifeos.lora.sample import sample_plan
from lifeos.lora.store import ImageStore
from tests.lifeos.lora.families.test_families import plan_for

pytestmark = pytest.mark.filterwarnings("ignore")
INDEX = "diffusion_pytorch_model.safetensors.index.json"


def first_shard(base: Path) -> Path:
    return min((base / "unet").glob("*-of-*.safetensors"))


def point_elsewhere(base, name):
    index = base / "unet" / INDEX
    named = json.loads(index.read_text(encoding="utf-8"))
    named["weight_map"] = dict.fromkeys(named["weight_map"], name)
    index.write_text(json.dumps(named), encoding="utf-8")


def only_a_pickle(base):
    for path in (base / "vae").glob("*.safetensors"):
        path.rename(path.with_suffix(".bin"))


DAMAGES = {
    "a component's folder": (lambda base: shutil.rmtree(base / "text_encoder_2"), "accepted a folder text_encoder_2"),
    "a shard": (lambda base: first_shard(base).unlink(), f"accepted every file that {INDEX} names, got none named"),
    "a cut shard": (lambda base: first_shard(base).write_bytes(first_shard(base).read_bytes()[:-9]), "truncated"),
    "an empty shard": (lambda base: first_shard(base).write_bytes(b""), "an empty file"),
    "a shard elsewhere": (lambda base: point_elsewhere(base, "other.safetensors"), "none named other.safetensors"),
    "a shard outside": (lambda base: point_elsewhere(base, "../vae/x.safetensors"), "accepted a weight_map"),
    "another shard": (lambda base: shutil.copy(max((base / "unet").glob("*-of-*.safetensors")), first_shard(base)),
                      "without it;"),
    "an index in halves": (lambda base: (base / "unet" / INDEX).write_text("{", "utf-8"), "accepted a weight_map"),
    "no weights": (lambda base: [path.unlink() for path in (base / "vae").glob("*.safetensors")],
                   "got no safetensors file there;"),
    "a pickle": (only_a_pickle, "but diffusion_pytorch_model.bin which is not read"),
    "no config": (lambda base: (base / "text_encoder" / "config.json").unlink(), "accepted a diffusers config"),
    "no vocabulary": (lambda base: [path.unlink() for path in (base / "tokenizer").iterdir()],
                      "a tokenizer's files"),
    "no schedule": (lambda base: (base / "scheduler" / "scheduler_config.json").unlink(), "a diffusers config"),
    "no index": (lambda base: (base / "model_index.json").unlink(), "accepted a diffusers config"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_base_of_which_something_is_missing_is_one_line_before_anything_is_loaded(bases, tmp_path, damage):
    base, kind = tmp_path / "base", get_family("sdxl")
    shutil.copytree(bases["sdxl"], base)
    kind.modules(base)
    act, said = DAMAGES[damage]
    act(base)
    for reads in (kind.modules, base_hash):
        with pytest.raises(InputError) as caught:
            reads(base)
        assert said in str(caught.value)
        assert "next: " in str(caught.value)
        assert "\n" not in str(caught.value)


def as_variant(base: Path, folder: Path, variant: str) -> Path:
    """Name a base's weights as published half-precision ones are."""
    shutil.copytree(base, folder)
    for path in list(folder.rglob("*.safetensors")):
        path.rename(path.with_name(path.name.replace(".safetensors", f".{variant}.safetensors")))
    for path in list(folder.rglob("*.safetensors.index.json")):
        named = path.read_text(encoding="utf-8").replace(".safetensors\"", f".{variant}.safetensors\"")
        path.with_name(path.name.replace(".json", f".{variant}.json")).write_text(named, encoding="utf-8")
        path.unlink()
    return folder


@pytest.mark.parametrize("family", ["sdxl", "sd3"])
def test_a_base_of_half_precision_files_alone_is_loaded(bases, tmp_path, family):
    base, kind = as_variant(bases[family], tmp_path / "base", "fp16"), get_family(family)
    assert kind.modules(base) == kind.modules(bases[family])
    images = []
    for each, place in ((base, "a"), (bases[family], "b")):
        result = sample_plan(plan_for(family), each, None, ImageStore(tmp_path / place), threads=1)
        images.append(np.stack([np.asarray(Image.open(image.path)) for image in result.images]))
    np.testing.assert_array_equal(*images)


def test_a_second_format_or_precision_beside_the_first_is_neither_read_nor_hashed(bases, tmp_path):
    base, kind = tmp_path / "base", get_family("sd15")
    shutil.copytree(bases["sd15"], base)
    for component, stem in (("unet", "diffusion_pytorch_model"), ("text_encoder", "model")):
        for name in (f"{stem}.fp16.safetensors", f"{stem}.bin", "pytorch_model.bin", f"{stem}.non_ema.safetensors"):
            (base / component / name).write_bytes(b"not read")
        (base / component / "onnx").mkdir()
        (base / component / "onnx" / f"{stem}.safetensors").write_bytes(b"not read")
    assert kind.modules(base) == kind.modules(bases["sd15"])
    assert base_hash(base) == base_hash(bases["sd15"])
    kind.load(base)
    (base / "vae" / "config.json").write_text("{}", encoding="utf-8")
    assert base_hash(base) != base_hash(bases["sd15"])


def test_a_safety_checker_is_not_needed(bases, tmp_path):
    base = tmp_path / "base"
    shutil.copytree(bases["sd15"], base)
    index = json.loads((base / "model_index.json").read_text(encoding="utf-8"))
    index |= {"safety_checker": ["stable_diffusion", "Checker"], "feature_extractor": ["transformers", "Extractor"]}
    (base / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    get_family("sd15").load(base)
    before = base_hash(base)
    (base / "safety_checker").mkdir()
    (base / "safety_checker" / "model.safetensors").write_bytes(b"not read")
    assert base_hash(base) == before


@pytest.mark.parametrize(("names", "expected"), [
    (["model.safetensors", "model.fp16.safetensors"], WeightNames(("model.safetensors",), None, "")),
    (["model.fp16.safetensors", "model.bin"], WeightNames(("model.fp16.safetensors",), None, "fp16")),
    (["model.bf16.safetensors"], WeightNames(("model.bf16.safetensors",), None, "bf16")),
    (["model.safetensors.index.fp16.json", "model.fp16-00001-of-00002.safetensors",
      "model.fp16-00002-of-00002.safetensors"],
     WeightNames(("model.fp16-00001-of-00002.safetensors", "model.fp16-00002-of-00002.safetensors"),
                 "model.safetensors.index.fp16.json", "fp16")),
    (["diffusion_pytorch_model.non_ema.safetensors", "adapter_model.safetensors", "model.bin"], None),
])  # fmt: skip
def test_the_names_decide(names, expected):
    assert choose_weights(names) == expected
