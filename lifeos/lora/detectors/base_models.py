"""Known failures that the files of a base show, looked at by their names alone."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from evals.known_failures import detects

if TYPE_CHECKING:
    from packaging.version import Version

    from lifeos.persona import Persona

_OF_ADAPTERS = (".base_layer.", ".lora_A.", ".lora_B.")


@detects("fused-save-unreadable")
def adapters_saved_with_the_base(persona: "Persona") -> str | None:
    """Return weights of a base that peft's layers hold, which no plain model has; None where the base is not here."""
    for folder in sorted(path for path in persona.base.glob("*") if path.is_dir()):
        names = [name for name in _names(folder) if any(mark in name for mark in _OF_ADAPTERS)]
        if names:
            return f"{folder.name}: {len(names)} weights belong to an adapter's layers, first {names[0]}"
    return None


@detects("clip-flatten-checkpoint-random-init")
def flat_text_encoder_for_old_transformers(
    persona: "Persona", pod_version: "Callable[[str], Version | None]"
) -> str | None:
    """Return whether the base's text encoder was saved flat and the pod's transformers looks for ``text_model.``.

    ``CLIPTextModel`` lost that part of its names in transformers 5.6.0: ``models/clip/modeling_clip.py`` of the wheels.
    """
    from packaging.version import Version

    flat = [name for name in _names(persona.base / "text_encoder") if name.startswith("encoder.layers.")]
    version = pod_version("transformers")
    if not flat or version is None or version >= Version("5.6"):
        return None
    return f"text_encoder holds {len(flat)} weights without text_model. ({flat[0]}); the pod has transformers {version}"


def _names(folder: Path) -> list[str]:
    from lifeos.lora.safetensors_file import read_header

    return sorted(name for path in sorted(folder.glob("*.safetensors")) for name in read_header(path).entries)
