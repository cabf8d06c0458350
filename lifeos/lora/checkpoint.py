"""Checkpoints without pickle: tensors in safetensors, everything else as JSON in its metadata; one file, atomic."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evals.atomic import write_bytes
from lifeos.errors import InputError
from lifeos.lora.safetensors_file import encode, read_header

_NAME = re.compile(r"checkpoint-(\d{8})\.safetensors")
_KEPT = 2
_DTYPES = {"torch.float32": "F32", "torch.float16": "F16", "torch.uint8": "U8"}


@dataclass(frozen=True)
class Checkpoint:
    """State after ``step`` optimizer steps of the run with this ``key``.

    Random state is not part of it: every draw is a function of (seed, step).

    Args:
        key: training key of the run.
        step: steps done.
        parameters: name -> float32 or float16 tensor.
        optimizer: an optimizer's ``state_dict()``; its tensors are float32, float16 or uint8.
        average: name -> float32 tensor, the moving average of the parameters; empty where none is kept.
        loss_scale: state of the loss scale; empty where none is used.
    """

    key: str
    step: int
    parameters: Mapping[str, Any]
    optimizer: Mapping[str, Any]
    average: Mapping[str, Any] = field(default_factory=dict)
    loss_scale: Mapping[str, float] = field(default_factory=dict)


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint and remove all but the newest two; returns its path.

    Raises:
        OSError: the folder cannot be written.
        ValueError: the optimizer state holds something other than tensors of those types and JSON scalars.
    """
    import torch

    tensors = {f"parameter.{name}": _typed(tensor) for name, tensor in checkpoint.parameters.items()}
    tensors |= {f"average.{name}": _typed(tensor) for name, tensor in checkpoint.average.items()}
    scalars: dict[str, dict[str, Any]] = {}
    for index, state in checkpoint.optimizer["state"].items():
        for name, value in state.items():
            if isinstance(value, torch.Tensor):
                tensors[f"optimizer.{index}.{name}"] = _typed(value)
            elif isinstance(value, Mapping):
                # bitsandbytes keeps what is quantised one level down.
                tensors |= {f"optimizer.{index}.{name}.{inner}": _typed(each) for inner, each in value.items()}
            else:
                scalars.setdefault(str(index), {})[name] = _pack(value)
    groups = [_pack_all(group) for group in checkpoint.optimizer["param_groups"]]
    state_json = json.dumps({"scalars": scalars, "groups": groups}, sort_keys=True, allow_nan=False)
    metadata = {"key": checkpoint.key, "step": str(checkpoint.step), "optimizer": state_json}
    if checkpoint.loss_scale:
        metadata["loss_scale"] = json.dumps(_pack_all(checkpoint.loss_scale), sort_keys=True)
    path = Path(folder) / f"checkpoint-{checkpoint.step:08d}.safetensors"
    # What a kill left half written is of no use, and the room may be needed.
    for torn in Path(folder).glob(".checkpoint-*.tmp"):
        torn.unlink(missing_ok=True)
    write_bytes(path, encode(tensors, metadata))
    for old in _checkpoints(folder)[_KEPT:]:
        old.unlink(missing_ok=True)
    return path


def load_newest_checkpoint(folder: Path, key: str) -> Checkpoint | None:
    """Return the newest readable checkpoint of this key, or None.

    A file that is damaged or belongs to another key is passed over: the run then repeats steps, and ends the same.
    """
    for path in _checkpoints(folder):
        try:
            return _load(path, key)
        except (InputError, KeyError, ValueError):
            continue
    return None


def newest_step(folder: Path) -> int | None:
    """Return after how many steps the newest checkpoint was written, whole or not; None where there is none."""
    found = _checkpoints(folder)
    return int(found[0].stem.rpartition("-")[2]) if found else None


def remove_checkpoints(folder: Path) -> None:
    """Delete every checkpoint of a folder; other files stay."""
    for path in _checkpoints(folder):
        path.unlink(missing_ok=True)


def _checkpoints(folder: Path) -> list[Path]:
    folder = Path(folder)
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if _NAME.fullmatch(path.name)), reverse=True)


def _load(path: Path, key: str) -> Checkpoint:
    import torch

    container = read_header(path)
    if container.metadata["key"] != key:
        raise ValueError("checkpoint of another run")
    stored = json.loads(container.metadata["optimizer"])
    parameters: dict[str, Any] = {}
    average: dict[str, Any] = {}
    state: dict[int, dict[str, Any]] = {
        int(index): {name: _unpack(value) for name, value in values.items()}
        for index, values in stored["scalars"].items()
    }
    for name, array in container.read().items():
        tensor = torch.from_numpy(array.copy())
        if container.entries[name].dtype == "F16":
            tensor = tensor.half()
        if name.startswith("parameter."):
            parameters[name.removeprefix("parameter.")] = tensor
        elif name.startswith("average."):
            average[name.removeprefix("average.")] = tensor
        else:
            _, index, field, *inner = name.split(".")
            kept = state.setdefault(int(index), {})
            if inner:
                kept.setdefault(field, {})[inner[0]] = tensor
            else:
                kept[field] = tensor
    groups = [{name: _unpack(value) for name, value in group.items()} for group in stored["groups"]]
    optimizer = {"state": state, "param_groups": groups}
    scale = json.loads(container.metadata.get("loss_scale", "{}"))
    return Checkpoint(key, int(container.metadata["step"]), parameters, optimizer, average,
                      {name: _unpack(value) for name, value in scale.items()})  # fmt: skip


def _typed(tensor: Any) -> tuple[str, Any]:
    dtype = _DTYPES.get(str(tensor.dtype))
    if dtype is None:
        raise ValueError(f"checkpoint tensors must be float32, float16 or uint8, but got {tensor.dtype}")
    return dtype, tensor.detach().cpu().contiguous().numpy()


def _pack_all(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _pack(value) for name, value in values.items()}


def _pack(value: Any) -> Any:
    # Floats travel as hexadecimal text: exact, and infinities have a form.
    if isinstance(value, float):
        return {"float": value.hex()}
    if isinstance(value, list | tuple):
        return [_pack(item) for item in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    raise ValueError(f"optimizer state must be numbers, text or tensors, but got {type(value).__name__}")


def _unpack(value: Any) -> Any:
    if isinstance(value, dict):
        return float.fromhex(value["float"])
    return [_unpack(item) for item in value] if isinstance(value, list) else value
