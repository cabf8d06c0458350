"""Exhausted GPU memory, answered by the memory estimator: the changes with which the recipe is predicted to fit.

Training itself names changes without knowing what they save; it lies below the estimator, which traces it.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from lifeos.errors import InputError

if TYPE_CHECKING:
    from lifeos.lora.recipe import Recipe


@contextlib.contextmanager
def shortage_answered(recipe: "Recipe", artifacts: Path) -> Iterator[None]:
    """Add to a message of exhausted GPU memory what is predicted to fit on this machine's first GPU.

    Args:
        recipe: that is trained in the block, its base a folder.
        artifacts: data folder; predictions are kept in it.

    Raises:
        InputError: whatever the block raises; one of exhausted GPU memory says more.
    """
    from lifeos.lora.shortages import MEMORY_COMPLAINT

    try:
        yield
    except InputError as error:
        if recipe.device != "cuda" or MEMORY_COMPLAINT not in str(error):
            raise
        raise InputError(f"{error}; {_predicted(recipe, artifacts)}") from error


def _predicted(recipe: "Recipe", artifacts: Path) -> str:
    from lifeos.pods.probe.nvml import read_machine
    from lifeos.pods.vram.fit import out_of_memory_advice

    machine = read_machine()
    if not machine.gpus:
        return f"what fits cannot be predicted here: {machine.problem}"
    gpu = machine.gpus[0]
    try:
        # The child that ran out has ended: what is free now is all that the next one can have.
        lines = out_of_memory_advice(recipe, gpu.free_bytes, artifacts, gpu.capability)
    except InputError as problem:
        return f"what fits cannot be predicted: {problem}"
    return f"predicted for {gpu.name}, unmeasured: {'; '.join(lines)}"
