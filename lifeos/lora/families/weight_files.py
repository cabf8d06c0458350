"""Which files of a base are read: of the formats and precisions that published folders hold, one for each part."""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lifeos.errors import InputError
from lifeos.lora.safetensors_file import TensorFile, read_header

NEVER_LOADED = frozenset({"safety_checker", "feature_extractor", "image_encoder"})
"""Components of published pipelines that no family here loads: they may be absent and enter no hash."""
VARIANTS = ("", "fp16", "bf16")
"""Marks in the names of weight files, in the order they are looked for; the first has none."""
# diffusers reads the parts before the whole where both lie there, transformers the whole.
_STEMS = {"diffusion_pytorch_model": ("parts", "whole"), "model": ("whole", "parts")}
_WEIGHT_SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".msgpack", ".h5", ".onnx", ".onnx_data", ".gguf")


@dataclass(frozen=True)
class WeightNames:
    """Names of the files that hold a component's weights.

    Args:
        files: the safetensors files, sorted.
        index: the file that says which tensor lies in which of them; None where one file holds all.
        variant: as diffusers and transformers call it; empty for none.
    """

    files: tuple[str, ...]
    index: str | None
    variant: str

    @property
    def loading(self) -> dict[str, str]:
        """What ``from_pretrained`` is told so that it reads these files."""
        return {"variant": self.variant} if self.variant else {}


def choose_weights(names: Collection[str]) -> WeightNames | None:
    """Return the files of a component's folder that are loaded, by their names alone; None where there are none.

    Weights without a variant come before ``fp16``, and that before ``bf16``.

    Args:
        names: of all files in the folder.
    """
    for variant in VARIANTS:
        for stem, order in _STEMS.items():
            dotted = f".{variant}" if variant else ""
            numbered = r"-\d{5}-of-\d{5}"
            part = re.compile(rf"{stem}({numbered}{re.escape(dotted)}|{re.escape(dotted)}{numbered})\.safetensors")
            parts = tuple(sorted(name for name in names if part.fullmatch(name)))
            index, whole = f"{stem}.safetensors.index{dotted}.json", f"{stem}{dotted}.safetensors"
            found = {"parts": WeightNames(parts, index, variant) if index in names else None,
                     "whole": WeightNames((whole,), None, variant) if whole in names else None}  # fmt: skip
            for kind in order:
                if found[kind] is not None:
                    return found[kind]
    return None


def holds_weights(component: str) -> bool:
    """Return whether a component of a pipeline is a model, by its name; the others are schedulers and tokenizers."""
    return component != "scheduler" and not component.startswith("tokenizer")


def is_weight_file(name: str) -> bool:
    """Return whether a file holds weights in any format, by its name: one that is not chosen is not read."""
    return name.endswith(_WEIGHT_SUFFIXES) or ".safetensors.index." in name or name.endswith(".bin.index.json")


def weight_files(folder: Path) -> WeightNames:
    """Return the weights of a component that lies on the disk, each file of which is there and whole.

    Raises:
        InputError: there are none, none in safetensors, or a file that the index names is absent or not whole.
    """
    return _checked(folder)[0]


def weight_headers(folder: Path) -> list[TensorFile]:
    """Return the headers of a component's weights; raises as ``weight_files``."""
    return _checked(folder)[1]


def _checked(folder: Path) -> tuple[WeightNames, list[TensorFile]]:
    names = {path.name for path in folder.glob("*") if path.is_file()}
    chosen = choose_weights(names)
    if chosen is None or not (chosen.files or chosen.index):
        foreign = sorted(name for name in names if is_weight_file(name))
        others = f", but {foreign[0]} which is not read" if foreign else ""
        raise InputError(f"{folder}: accepted the weights of a base, got no safetensors file there{others}; "
                         "next: check base and family in the recipe, or fetch the base again")
    if chosen.index is None:
        return chosen, [read_header(folder / chosen.files[0])]
    shards = _shards(folder / chosen.index)
    absent = sorted(set(shards.values()) - names)
    if absent:
        if not chosen.files:
            raise InputError(f"{folder}: accepted the files that {chosen.index} names, got no safetensors file there; "
                             "next: fetch the base again")
        raise InputError(f"{folder}: accepted every file that {chosen.index} names, got none named {absent[0][:80]}; "
                         "next: fetch the base again")
    chosen = WeightNames(tuple(sorted(set(shards.values()))), chosen.index, chosen.variant)
    headers = {name: read_header(folder / name) for name in chosen.files}
    for tensor, shard in shards.items():
        if tensor not in headers[shard].entries:
            raise InputError(f"{folder / shard}: accepted tensor {tensor[:80]!r} as {chosen.index} says, got a file "
                             "without it; next: fetch the base again")
    return chosen, list(headers.values())


def _shards(index: Path) -> dict[str, str]:
    try:
        named: Any = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        shards = dict(named) if isinstance(named, Mapping) else {}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        shards = {}
    # A name with a folder in it would lead out of the component's own.
    if not shards or not all(isinstance(name, str) and Path(name).name == name for name in shards.values()):
        raise InputError(f"{index}: accepted a weight_map of tensors to files beside it, got none that can be read; "
                         "next: fetch the base again")
    return shards
