"""Known failures of how a LoRA file names the modules of a CLIP text encoder."""

from evals.known_failures import detects
from lifeos.lora.lora_file import LoraFile

_FLAT = (".encoder.layers.", ".encoder_layers_")
"""How transformers from 5.6 on names a layer below the component, with dots or as kohya's tools write them."""


@detects("clip-flatten-te-lora-dropped")
def text_encoder_without_text_model(lora: LoraFile) -> str | None:
    """Return whether text-encoder modules lack ``text_model``, which published bases and loaders have."""
    named = [name for name in lora.keys.modules if name.startswith("text_encoder")]
    flat = [name for name in named if name.removeprefix(name.split(".", 1)[0]).startswith(_FLAT)]
    if not flat:
        return None
    return f"{len(flat)} of {len(named)} text-encoder modules are named without text_model, first {flat[0]}"
