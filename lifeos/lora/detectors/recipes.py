"""Known failures of a recipe on a kind of pod, or on the GPU that is there."""

import re
from typing import TYPE_CHECKING

from evals.known_failures import detects
from lifeos.errors import InputError

if TYPE_CHECKING:
    from lifeos.lora.recipe import Recipe
    from lifeos.pods.probe.gates import PodMachine
    from lifeos.pods.spec import Pod

_GTX_16 = re.compile(r"GTX 16[56]0")


@detects("bf16-on-turing")
def bfloat16_not_in_hardware(recipe: "Recipe", declared_pod: "Pod | None") -> str | None:
    """Return whether the recipe asks a GPU for bfloat16 that it does not compute in hardware."""
    if declared_pod is None or recipe.device != "cuda" or recipe.dtype != "bfloat16" or declared_pod.gpu.bf16:
        return None
    gpu = declared_pod.gpu
    capability = ".".join(map(str, gpu.capability))
    return f'dtype = "bfloat16" on a {gpu.name}, which has no bfloat16 (compute capability {capability})'


@detects("fp16-nan-gtx16")
def float16_on_gtx_16(recipe: "Recipe", machine: "PodMachine") -> str | None:
    """Return whether the recipe trains in float16 on a GTX 1650 or 1660."""
    if recipe.device != "cuda" or recipe.dtype != "float16":
        return None
    found = machine.read()
    if found.problem is not None:
        raise InputError(found.problem)
    named = next((gpu.name for gpu in found.gpus if _GTX_16.search(gpu.name)), None)
    return None if named is None else f'dtype = "float16" on a {named}'
