"""A LoRA file read whole: its pairs, ranks and scales, whatever names its tensors go by; numpy only."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from evals.content_hash import hash_file
from lifeos.errors import InputError
from lifeos.lora.families import Family, Shape
from lifeos.lora.key_formats import KOHYA_MAGNITUDE, KeyReading, read_keys
from lifeos.lora.safetensors_file import read_header


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
        """Return scale · B · A in ``weight_shape()``.

        Raises:
            InputError: there is a magnitude, which this alone would leave out.
        """
        if self.magnitude is not None:
            raise InputError(f"{self.name}: accepted a LoRA without DoRA, got a magnitude, which sampling would drop; "
                             "next: choose a LoRA trained without DoRA")
        up = self.up.reshape(self.up.shape[0], self.rank)
        product = up @ self.down.reshape(self.rank, -1)
        return (self.scale * product).astype(np.float32).reshape(self.weight_shape())

    def delta_norm(self) -> float:
        """Return the Frobenius norm of ``delta()`` without forming it: |BA|² = tr(BᵀB · AAᵀ), in float64."""
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
        """Return alpha of module ``component.module``: its own, else the component's, else its rank."""
        component, module = name.split(".", 1)
        pattern = self.values.get(f"{component}.alpha_pattern")
        own = pattern.get(module) if isinstance(pattern, dict) else None
        value = own if own is not None else self.values.get(f"{component}.lora_alpha")
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else float(rank)

    def targets(self, component: str) -> tuple[str, ...] | None:
        """Return the module names a component says it targets, or None when it does not say."""
        value = self.values.get(f"{component}.target_modules")
        if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
            return tuple(value)
        return None


def read_lora(path: Path, family: Family, base_modules: Mapping[str, Shape]) -> LoraFile:
    """Read a LoRA file.

    Raises:
        NotSafetensorsError: the file is not whole or not safetensors.
        InputError: there is no such file.
    """
    container = read_header(path)
    tensors = container.read()
    keys = read_keys(tensors, family.lora_components, family.kohya_prefixes, base_modules)
    alphas = AdapterMetadata.read(container.metadata)
    modules: dict[str, LoraModule] = {}
    broken: dict[str, str] = {}
    for name, module in keys.modules.items():
        absent = [part for part in ("down", "up") if part not in module.parts]
        if absent:
            broken[name] = f"has no {absent[0]} matrix"
            continue
        down, up = tensors[module.parts["down"]], tensors[module.parts["up"]]
        reason = _why_no_pair(down, up)
        if reason is None:
            alpha = float(down.shape[0]) if alphas is None else alphas.alpha(name, down.shape[0])
            if "alpha" in module.parts:
                value = tensors[module.parts["alpha"]]
                reason = None if value.size == 1 else "has an alpha that is not one number"
                alpha = float(value.reshape(-1)[0]) if value.size == 1 else math.nan
        magnitude = None
        if reason is None and "magnitude" in module.parts:
            key = module.parts["magnitude"]
            magnitude = _read_magnitude(key, tensors[key], up.shape[0])
            reason = f"has a magnitude {tensors[key].shape}, not one an output" if magnitude is None else None
        if reason is None:
            modules[name] = LoraModule(name, down.astype(np.float32, copy=False), up.astype(np.float32, copy=False),
                                       alpha, magnitude)
        else:
            broken[name] = reason
    return LoraFile(Path(path), hash_file(path), container.metadata, keys, modules, broken, tensors)


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
