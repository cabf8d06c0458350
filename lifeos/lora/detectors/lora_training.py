"""Known failures of a training that its LoRA file shows."""

import re

from evals.known_failures import detects
from evals.verdict import Outcome
from lifeos.lora.lora_file import LoraFile
from lifeos.lora.weights import WeightsReport
from lifeos.persona import Persona

_BLOCK = re.compile(r"(.*\.\d+)\.")
"""What gradient checkpointing wraps: a module's name up to the last number that has something below it."""


@detects("gradckpt-reentrant-no-grad")
def blocks_without_gradient(lora: LoraFile, weights: WeightsReport) -> str | None:
    """Return whether blocks of the denoiser never moved while others learnt: B is 0 in all of theirs, A is not."""
    # What a family lets be dead (the last layer of SDXL's first text encoder) does not fail that gate.
    if weights.verdicts["weights_effect"].outcome is not Outcome.FAILED:
        return None
    blocks: dict[str, list[bool]] = {}
    for name, module in lora.modules.items():
        if name.startswith("text_encoder"):
            continue
        block = _BLOCK.match(name)
        never_moved = not module.up.any() and bool(module.down.any())
        blocks.setdefault(block.group(1) if block else name, []).append(never_moved)
    dead = [name for name, modules in blocks.items() if all(modules)]
    learnt = [name for name, modules in blocks.items() if not any(modules)]
    # A denoiser whose way down alone is dead has an entry of its own (unet-only-down-blocks-zero).
    if dead and set(dead) == {name for name in blocks if name.startswith("unet.down_blocks.")}:
        return None
    # One that moved in part had a gradient: something else is wrong with it.
    if not dead or not learnt or len(dead) + len(learnt) < len(blocks):
        return None
    return f"{len(dead)} of {len(blocks)} blocks never got a gradient, first {min(dead)}"


@detects("vpred-base-trained-as-epsilon")
def trained_for_another_prediction(lora: LoraFile, persona: Persona) -> str | None:
    """Return whether the file was trained for another kind of prediction than its base makes."""
    from lifeos.lora.families import get_family
    from lifeos.lora.lora_metadata import PREDICTION_NAMES

    said = lora.metadata.get("modelspec.prediction_type")
    base = PREDICTION_NAMES.get(get_family(persona.family).prediction_type(persona.base))
    if said not in PREDICTION_NAMES.values() or base is None or said == base:
        return None
    return f"{lora.path.name} was trained to predict {said}, and the base {persona.base.name} predicts {base}"
