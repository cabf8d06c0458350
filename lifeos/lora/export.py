"""The same LoRA under the names that ComfyUI, A1111 and kohya's tools load, with alpha as tensors."""

from pathlib import Path

import numpy as np

from evals.atomic import write_bytes
from lifeos.errors import InputError
from lifeos.lora.families import Family
from lifeos.lora.lora_file import read_lora
from lifeos.lora.safetensors_file import encode, read_header


def export_kohya(lora: Path, out: Path, base: Path, family: Family) -> Path:
    """Write a LoRA of any known key format in kohya's; numbers and their types stay, alpha becomes a tensor a module.

    ComfyUI does not know diffusers' names for attention (``to_q.lora_A``) and reads no alpha from metadata.
    ``lora_adapter_metadata`` is left out: diffusers refuses a file that states alpha both ways.

    Raises:
        InputError: the file cannot be read or a module has no home in ``base``.
    """
    modules = family.modules(base)
    read = read_lora(lora, family, modules)
    stray = sorted(set(read.keys.modules) - set(modules)) + list(read.keys.unknown) + sorted(read.broken)
    if stray or not read.modules:
        raise InputError(f"{lora}: accepted a LoRA that fits {base.name}, got {len(stray)} tensors without a place; "
                         "next: lifeos gate predeploy --lora FILE")
    types = {name: entry.dtype for name, entry in read_header(lora).entries.items()}
    prefixes = {component: prefix for prefix, component in reversed(family.kohya_prefixes.items())}
    tensors = {}
    for name, module in read.modules.items():
        component, inner = name.split(".", 1)
        stem = prefixes[component] + inner.replace(".", "_")
        parts = read.keys.modules[name].parts
        tensors[f"{stem}.lora_down.weight"] = (types[parts["down"]], module.down)
        tensors[f"{stem}.lora_up.weight"] = (types[parts["up"]], module.up)
        tensors[f"{stem}.alpha"] = ("F32", np.array(module.alpha, dtype=np.float32))
    metadata = {key: value for key, value in read.metadata.items() if key != "lora_adapter_metadata"}
    write_bytes(out, encode(tensors, metadata))
    return Path(out)
