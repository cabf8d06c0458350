"""Resumable training state in safetensors: weights, moving average, AdamW moments, step. No pickle anywhere."""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file


def save(
    path: Path,
    step: int,
    modules: dict[str, torch.nn.Module],
    optimizers: dict[str, torch.optim.Optimizer],
    averages: dict[str, list[torch.Tensor]],
    facts: dict[str, object] | None = None,
) -> None:
    """Write the state to `path` in one rename; `facts` (JSON) are for people."""
    tensors: dict[str, torch.Tensor] = {}
    for name, module in modules.items():
        tensors |= {
            f"module/{name}/{key}": value.detach().cpu().contiguous() for key, value in module.state_dict().items()
        }
    for name, optimizer in optimizers.items():
        for index, state in optimizer.state_dict()["state"].items():
            for key, value in state.items():
                tensors[f"optimizer/{name}/{index}/{key}"] = torch.as_tensor(value).detach().cpu().contiguous().clone()
    for name, values in averages.items():
        tensors |= {f"average/{name}/{i}": value.detach().cpu().contiguous() for i, value in enumerate(values)}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    save_file(tensors, str(partial), metadata={"step": str(step), "facts": json.dumps(facts or {})})
    os.replace(partial, path)


def load(
    path: Path,
    modules: dict[str, torch.nn.Module],
    optimizers: dict[str, torch.optim.Optimizer],
    averages: dict[str, list[torch.Tensor]],
) -> int:
    """Restore a state written by `save` in place and return its step; 0 where there is no file."""
    from safetensors import safe_open

    if not path.exists():
        return 0
    tensors = load_file(str(path))
    for name, module in modules.items():
        prefix = f"module/{name}/"
        module.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
    for name, optimizer in optimizers.items():
        prefix = f"optimizer/{name}/"
        state: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith(prefix):
                index, field = key.removeprefix(prefix).split("/")
                state.setdefault(int(index), {})[field] = value
        whole = optimizer.state_dict()
        own = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        # A file holds no strides, and CUDA's fused AdamW refuses moments that lie otherwise than their weights.
        whole["state"] = {
            index: {
                k: torch.empty_like(own[index]).copy_(v) if v.shape == own[index].shape else v for k, v in row.items()
            }
            for index, row in state.items()
        }
        optimizer.load_state_dict(whole)
    for name, values in averages.items():
        for i, value in enumerate(values):
            value.copy_(tensors[f"average/{name}/{i}"])
    with safe_open(str(path), "pt") as file:
        return int(file.metadata()["step"])
