"""A LoRA file read whole: its pairs, ranks and scales, whatever names its tensors go by; numpy only."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from evals.content_hash import hash_file
from lifeos.lora.families import Family, Shape
from lifeos.lora.key_formats import KOHYA_MAGNITUDE, KeyReading, ModuleKeys, read_keys
from lifeos.lora.key_maps import Layer, checkpoint_layers
from lifeos.lora.safetensors_file import read_header
from lifeos.lora.stacked import Pair, split, swap_halves


@dataclass(frozen=True)
class LoraModule:
    """One LoRA pair.

    Args:
        name: ``component.module``.
        down: A, float32 ``[rank, in]`` or ``[rank, in, kh, kw]``.
        up: B, float32 ``[out, rank]`` or ``[out, rank, 1, 1]``.
        alpha: as a loader would take it: tensor, then adapter metadata, then the rank.
        magnitude: DoRA's, float32 ``[out]``: the norm that each row of the changed weight is given; None without DoRA.
    """

    name: str
    down: npt.NDArray[np.float32]
    up: npt.NDArray[np.float32]
    alpha: float
    magnitude: npt.NDArray[np.float32] | None = None

    @property
    def rank(self) -> int:
        """Inner dimension of the pair."""
        return int(self.down.shape[0])

    @property
    def scale(self) -> float:
        """What the product is multiplied by: alpha / rank."""
        return self.alpha / self.rank

    def weight_shape(self) -> Shape:
        """Shape of the weight this pair adds to."""
        return (self.up.shape[0], *self.down.shape[1:])

    def delta(self) -> npt.NDArray[np.float32]:
        """Return what the pair adds to its weight, ``product()``.

        Raises:
            ValueError: there is a magnitude: what is added then depends on the weight.
        """
        if self.magnitude is not None:
            raise ValueError(f"{self.name}: a module must be without DoRA to have a delta, but got a magnitude")
        return self.product()

    def product(self) -> npt.NDArray[np.float32]:
        """Return scale · B · A in ``weight_shape()``; with a magnitude, what is added before the norm is set."""
        up = self.up.reshape(self.up.shape[0], self.rank)
        product = up @ self.down.reshape(self.rank, -1)
        return (self.scale * product).astype(np.float32).reshape(self.weight_shape())

    def delta_norm(self) -> float:
        """Return the Frobenius norm of ``product()`` without forming it: |BA|² = tr(BᵀB · AAᵀ), in float64."""
        up = self.up.reshape(self.up.shape[0], self.rank).astype(np.float64)
        down = self.down.reshape(self.rank, -1).astype(np.float64)
        square = float(np.sum((up.T @ up) * (down @ down.T)))
        return abs(self.scale) * math.sqrt(max(square, 0.0)) if math.isfinite(square) else math.nan


@dataclass(frozen=True)
class LoraFile:
    """A LoRA file that was read whole.

    Args:
        path: the file.
        sha256: of its bytes.
        metadata: its text metadata.
        keys: what the tensor names say.
        modules: complete pairs with agreeing ranks, by name.
        broken: module name -> why it is no pair.
        tensors: every tensor by its own name.
    """

    path: Path
    sha256: str
    metadata: Mapping[str, str]
    keys: KeyReading
    modules: Mapping[str, LoraModule]
    broken: Mapping[str, str]
    tensors: Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class AdapterMetadata:
    """What peft's adapter metadata says of ranks and scales; ``values`` is the JSON object as it was written."""

    values: Mapping[str, Any]

    @classmethod
    def read(cls, metadata: Mapping[str, str]) -> "AdapterMetadata | None":
        """Return it from a file's text metadata, or None when there is none or it is no JSON object."""
        try:
            values = json.loads(metadata["lora_adapter_metadata"])
        except (KeyError, ValueError, RecursionError):
            return None
        return cls(values) if isinstance(values, dict) else None

    def alpha(self, name: str, rank: int) -> float:
        """Return alpha of module ``component.module``: its own, else the component's, else its rank.

        As peft finds it: the first key of ``alpha_pattern`` that is the whole name after ``^``, or an end of the name
        behind a dot.

        Raises:
            ValueError: a key before that is a regular expression, which is not tried on names from a file, or the
                scale is another function of alpha.
        """
        component, module = name.split(".", 1)
        if self.values.get(f"{component}.use_rslora"):
            raise ValueError("is scaled by alpha / sqrt(rank) (use_rslora), which is not read")
        pattern = self.values.get(f"{component}.alpha_pattern")
        own = next((value for key, value in pattern.items() if _names(key, module)), None) if isinstance(
            pattern, dict) else None  # fmt: skip
        value = own if own is not None else self.values.get(f"{component}.lora_alpha")
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else float(rank)

    def targets(self, component: str) -> tuple[str, ...] | None:
        """Return the module names a component says it targets, or None when it does not say."""
        value = self.values.get(f"{component}.target_modules")
        if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
            return tuple(value)
        return None


def _names(key: str, module: str) -> bool:
    if re.fullmatch(r"\^?[\w.-]+", key) is None:
        raise ValueError(f"has an alpha that a regular expression finds: {key[:60]!r}")
    return key[1:] == module if key.startswith("^") else module == key or module.endswith(f".{key}")


def read_lora(
    path: Path, family: Family, base_modules: Mapping[str, Shape], alphas: AdapterMetadata | None = None
) -> LoraFile:
    """Read a LoRA file.

    A pair of a checkpoint's layer that holds several modules comes as one pair a module; a module that it leaves alone
    is not there.

    Args:
        path: the file.
        family: of the base.
        base_modules: ``Family.modules`` of the base.
        alphas: in place of what the file's own metadata say.

    Raises:
        NotSafetensorsError: the file is not whole or not safetensors.
        InputError: there is no such file.
    """
    container = read_header(path)
    tensors = container.read()
    layers = checkpoint_layers(family.name, base_modules)
    keys = read_keys(tensors, family.lora_components, family.kohya_prefixes, base_modules, layers)
    alphas = alphas or AdapterMetadata.read(container.metadata)
    modules: dict[str, LoraModule] = {}
    broken: dict[str, str] = {}
    for name, module in list(keys.modules.items()):
        try:
            whole = _read_pair(module, tensors, alphas)
            pair = whole if module.layer is None else _of_layer(whole, module, module.layer, base_modules)
        except ValueError as error:
            broken[name] = str(error)
            continue
        if pair is None:
            del keys.modules[name]
        else:
            modules[name] = LoraModule(name, pair.down, pair.up, pair.alpha, pair.magnitude)
    return LoraFile(Path(path), hash_file(path), container.metadata, keys, modules, broken, tensors)


def _read_pair(module: ModuleKeys, tensors: Mapping[str, npt.NDArray[Any]], alphas: AdapterMetadata | None) -> Pair:
    """Return the pair that a module's tensors are; ValueError says why they are none."""
    absent = [part for part in ("down", "up") if part not in module.parts]
    if absent:
        raise ValueError(f"has no {absent[0]} matrix")
    down, up = tensors[module.parts["down"]], tensors[module.parts["up"]]
    reason = _why_no_pair(down, up)
    if reason is not None:
        raise ValueError(reason)
    alpha = float(down.shape[0]) if alphas is None else alphas.alpha(module.name, down.shape[0])
    if "alpha" in module.parts:
        value = tensors[module.parts["alpha"]]
        if value.size != 1:
            raise ValueError("has an alpha that is not one number")
        alpha = float(value.reshape(-1)[0])
    magnitude = None
    if "magnitude" in module.parts:
        key = module.parts["magnitude"]
        magnitude = _read_magnitude(key, tensors[key], up.shape[0])
        if magnitude is None:
            raise ValueError(f"has a magnitude {tensors[key].shape}, not one an output")
    return Pair(down.astype(np.float32, copy=False), up.astype(np.float32, copy=False), alpha, magnitude)


def _of_layer(pair: Pair, module: ModuleKeys, layer: Layer, base_modules: Mapping[str, Shape]) -> Pair | None:
    """Return the part of a checkpoint layer's pair that is one module's, None where it leaves that alone."""
    sizes, outputs = [base_modules[part][0] for part in layer.parts], len(pair.up)
    if outputs != sum(sizes):
        raise ValueError(f"is part of {layer.name}, which has {sum(sizes)} outputs in this base, not {outputs}")
    # kohya may write B of a linear layer as a convolution.
    pair = pair._replace(up=pair.up.reshape(outputs, -1))
    if layer.swapped:
        norms = None if pair.magnitude is None else swap_halves(pair.magnitude)
        pair = pair._replace(up=swap_halves(pair.up), magnitude=norms)
    return split(pair, sizes)[layer.parts.index(module.name)]


def _why_no_pair(down: npt.NDArray[Any], up: npt.NDArray[Any]) -> str | None:
    if not (np.issubdtype(down.dtype, np.floating) and np.issubdtype(up.dtype, np.floating)):
        return "is not of a floating type"
    if down.ndim not in (2, 4) or up.ndim not in (2, 4) or 0 in down.shape or 0 in up.shape:
        return f"has shapes {down.shape} and {up.shape}"
    if up.shape[1] != down.shape[0] or up.shape[2:] not in ((), (1, 1)):
        return f"has ranks that disagree: {down.shape} and {up.shape}"
    return None


def _read_magnitude(key: str, tensor: npt.NDArray[Any], out: int) -> npt.NDArray[np.float32] | None:
    """Return ``[out]``, or None where the tensor is no norm of each output.

    peft holds ``[out]`` for a linear layer and ``[1, out, 1, 1]`` for a convolution. ``dora_scale`` is
    ``[out, 1, ...]``; LyCORIS also trains ``[1, in, ...]``, a norm of each input, which peft's layers do not know.
    """
    if not np.issubdtype(tensor.dtype, np.floating):
        return None
    if key.endswith(KOHYA_MAGNITUDE):
        fits = tensor.ndim in (2, 4) and tensor.shape == (out, *[1] * (tensor.ndim - 1))
    else:
        fits = tensor.shape in ((out,), (1, out, 1, 1))
    return tensor.reshape(out).astype(np.float32, copy=False) if fits else None
