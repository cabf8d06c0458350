"""Known failures of how a LoRA file names the modules of a CLIP text encoder."""

import re

from evals.known_failures import detects
from lifeos.lora.lora_file import LoraFile
from lifeos.pods.asked_set import AskedSet

_FLAT = re.compile(r"^(?:text_encoder(?:_\d)?\.|lora_te\d?_)encoder[._]layers[._]")
"""As transformers from 5.6 on names a layer; before, ``text_model`` stood between."""


@detects("clip-flatten-te-lora-dropped")
def text_encoder_named_for_newer_transformers(lora: LoraFile, asked: AskedSet) -> str | None:
    """Return whether text-encoder tensors lack ``text_model`` and the pod installs a transformers that has it."""
    from packaging.version import Version

    pinned = next((one.pinned for one in asked.asked if one.name == "transformers"), None)
    flat = sorted(name for name in lora.tensors if _FLAT.match(name))
    if not flat or pinned is None or pinned >= Version("5.6"):
        return None
    return f"{len(flat)} text-encoder tensors are named without text_model, first {flat[0]}, for transformers {pinned}"
