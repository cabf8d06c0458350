"""Bad LoRAs made when needed: from a good one, breaking one thing and leaving the rest as it was, or by ten steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file


def scaled(good: Path, out: Path, strength: float) -> Path:
    """A LoRA whose effect is `strength` times the good one's: what a slipped strength slider ships."""
    return _rewrite(good, out, lambda name, value: value * np.asarray(strength, value.dtype) if _is_up(name) else value)


def with_nan(good: Path, out: Path) -> Path:
    """One NaN in one tensor."""

    def poison(name: str, value: np.ndarray) -> np.ndarray:
        if name != first:
            return value
        spoiled = value.copy()
        spoiled.flat[0] = np.nan
        return spoiled

    first = _names(good)[0]
    return _rewrite(good, out, poison)


def half_of_keys(good: Path, out: Path) -> Path:
    """Every second module is missing, as after an interrupted conversion."""
    modules = sorted({name.rsplit(".lora", 1)[0] for name in _names(good)})
    dropped = set(modules[::2])
    return _rewrite(good, out, lambda name, value: None if name.rsplit(".lora", 1)[0] in dropped else value)


def wrong_base(good: Path, out: Path) -> Path:
    """The same modules with the widths of another base: twice the input of every down matrix."""
    return _rewrite(good, out, lambda name, value: value if _is_up(name) else np.concatenate([value, value], axis=1))


def ten_steps(persona: Path, out: Path) -> Path:
    """Stopped after 10 steps: made by training, which takes two seconds, where a file would take a megabyte."""
    from lifeos.lora.recipe import load_recipe
    from lifeos.lora.train import train_lora

    changes = {"steps": 10, "rank": 8, "threads": 1}
    train_lora(load_recipe(persona / "recipe.toml").model_copy(update=changes), out, out.parent / "run-ten_steps")
    return out


def _is_up(name: str) -> bool:
    return "lora_B" in name or "lora.up" in name or "lora_up" in name


def _names(path: Path) -> list[str]:
    with safe_open(str(path), "numpy") as file:
        return sorted(file.keys())


def _rewrite(good: Path, out: Path, change) -> Path:  # type: ignore[no-untyped-def]
    with safe_open(str(good), "numpy") as file:
        metadata = file.metadata()
        tensors = {name: change(name, file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
    save_file({k: np.ascontiguousarray(v) for k, v in tensors.items() if v is not None}, str(out), metadata=metadata)
    return out
