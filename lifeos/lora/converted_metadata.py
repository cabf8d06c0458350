"""What a converted file says about itself in the words of its loaders, and what they do with it that its names hide."""

import hashlib
import json
from collections.abc import Iterable, Mapping

from lifeos.lora.adapter_config import ADAPTER_CONFIG, adapter_config, short_number
from lifeos.lora.families import Family
from lifeos.lora.hand_over import STAMPS, Judgement
from lifeos.lora.key_formats import WrittenFormat
from lifeos.lora.lora_file import LoraFile, LoraModule

# True of other bytes only.
_DROPPED = ("lora_adapter_metadata", "sshs_model_hash", "sshs_legacy_hash", "modelspec.hash_sha256", *STAMPS)
_DIFFUSERS = "https://github.com/huggingface/diffusers"
# ``modelspec.implementation`` names the code whose variables the tensors are named after; as sd-scripts fills it in.
_KOHYA_IMPLEMENTATIONS = {"sdxl": "https://github.com/Stability-AI/generative-models",
                          "flux": "https://github.com/black-forest-labs/flux"}  # fmt: skip
_KOHYA_NETWORKS = {"sd3": "networks.lora_sd3", "flux": "networks.lora_flux"}


def converted_metadata(
    read: LoraFile, family: Family, key_format: WrittenFormat, tensors_hash: str, judgement: Judgement | None
) -> dict[str, str]:
    """Return the source's metadata, less what is true of other bytes, and what is true of the new ones.

    ``modelspec.hash_sha256`` is the hash of all bytes behind the header, with 0x: Stability-AI/ModelSpec 02f6279.
    A1111 takes ``sshs_model_hash``, the same without, before it hashes a file itself: its
    ``extensions-builtin/Lora/network.py``, f2844bd; ``ss_base_model_version`` tells it SDXL.

    Args:
        read: the source.
        family: of the base.
        key_format: of the new file.
        tensors_hash: ``data_hash`` of the new file.
        judgement: what the history says of the source; None: nothing.
    """
    source = {name: value for name, value in read.metadata.items() if name not in _DROPPED}
    title = source.get("ss_output_name", read.path.stem)
    kohya = key_format == "kohya"
    absent = {
        "modelspec.sai_model_spec": "1.0.0", "modelspec.architecture": family.architecture, "modelspec.title": title,
        "ss_base_model_version": family.base_model_version, "ss_output_name": title,
        "ss_network_dim": _one_or_dynamic(short_number(pair.rank) for pair in read.modules.values()),
        "ss_network_alpha": _one_or_dynamic(short_number(pair.alpha) for pair in read.modules.values()),
        "lifeos.family": family.name,
    }  # fmt: skip
    own = absent | source | ({} if judgement is None else judgement.metadata()) | {
        "format": "pt", "modelspec.hash_sha256": f"0x{tensors_hash}", "lifeos.source_sha256": read.sha256,
        "modelspec.implementation": _KOHYA_IMPLEMENTATIONS.get(family.name, _DIFFUSERS) if kohya else _DIFFUSERS,
        "ss_network_module": _KOHYA_NETWORKS.get(family.name, "networks.lora") if kohya else "networks.lora",
    }  # fmt: skip
    if kohya:
        return own | {"sshs_model_hash": tensors_hash}
    components = sorted({name.split(".", 1)[0] for name in read.modules})
    adapters = {f"{component}.{name}": value for component in components
                for name, value in adapter_config(read.modules, component).items()}  # fmt: skip
    return own | {"lora_adapter_metadata": json.dumps(adapters, sort_keys=True)}


def data_hash(content: bytes) -> str:
    """Return the SHA-256 of what stands behind the header of a safetensors file."""
    return hashlib.sha256(memoryview(content)[8 + int.from_bytes(content[:8], "little") :]).hexdigest()


def loader_notes(family: Family, key_format: WrittenFormat, modules: Mapping[str, LoraModule]) -> list[str]:
    """Return what loaders do with a file that its names do not show; ``docs/convert-lora.md`` says what was read.

    Args:
        family: of the base.
        key_format: of the file.
        modules: its pairs.
    """
    notes = []
    if key_format == "kohya":
        if family.name == "sd3":
            notes.append("diffusers 0.42.1 takes kohya's file for SD3 and loads nothing of it: it needs --to diffusers")
        outside = [name for name in modules if name.startswith("transformer.") and "transformer_blocks." not in name]
        if family.name == "flux" and outside:
            notes.append("diffusers 0.42.1 drops what lies outside Flux's blocks from a kohya file "
                         f"({outside[0].split('.', 1)[1]}): it needs --to diffusers")  # fmt: skip
        if any(pair.magnitude is not None for pair in modules.values()):
            notes.append("DoRA: diffusers 0.42.1 drops dora_scale, A1111 f2844bd does not know it, ComfyUI 9c0cf36 "
                         "divides by the norm of the unchanged weight: their images are others")  # fmt: skip
    elif key_format == "diffusers" and family.lora_components[0] == "unet":
        notes.append("ComfyUI does not load the names that diffusers gives a UNet's attention: it needs --to kohya")
    elif key_format == "diffusers" and any(pair.scale != 1.0 for pair in modules.values()):
        notes.append("ComfyUI reads no alpha from metadata and takes alpha / rank for 1: it needs --to kohya")
    elif key_format == "peft":
        notes.append(f"peft reads alpha from {ADAPTER_CONFIG} beside the file; diffusers' pipelines read no peft file")
    return notes


def _one_or_dynamic(values: Iterable[int | float]) -> str:
    found = sorted(set(values))
    return f"{found[0]:g}" if len(found) == 1 else "Dynamic"
