"""What peft is told about a LoRA beside its tensors, ranks, alphas, targets; diffusers keeps it in the metadata."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from lifeos.lora.lora_file import LoraModule

ADAPTER_CONFIG = "adapter_config.json"
"""Name of the file beside a peft file."""

_TEXT_PREFIX = "text_model."


def adapter_config(modules: Mapping[str, LoraModule], component: str) -> dict[str, Any]:
    """Return the ``peft.LoraConfig`` of one component's modules, as JSON types.

    Rank and alpha are the most common ones; what differs stands in ``rank_pattern`` and ``alpha_pattern``. There a name
    of a denoiser follows ``^``, which keeps ``proj_out`` apart from ``single_transformer_blocks.0.proj_out``. Names of
    a text encoder do not, and have no ``text_model.`` in front: transformers 5 dropped it from the models, diffusers
    drops it from tensor names only, and peft finds no module by a name that has it.

    Args:
        modules: ``component.module`` -> pair; those of other components are passed over.
        component: that the configuration is for; at least one module is its own.
    """
    own = {name.split(".", 1)[1]: module for name, module in sorted(modules.items())
           if name.startswith(f"{component}.")}  # fmt: skip
    ranks = {name: module.rank for name, module in own.items()}
    alphas = {name: short_number(module.alpha) for name, module in own.items()}
    rank = Counter(ranks.values()).most_common(1)[0][0]
    alpha = Counter(alphas.values()).most_common(1)[0][0]
    return {
        "peft_type": "LORA",
        "r": rank,
        "lora_alpha": alpha,
        "rank_pattern": {_pattern(component, name): value for name, value in ranks.items() if value != rank},
        "alpha_pattern": {_pattern(component, name): value for name, value in alphas.items() if value != alpha},
        "target_modules": sorted(name.removeprefix(_TEXT_PREFIX) for name in own),
        "use_dora": any(module.magnitude is not None for module in own.values()),
        "lora_dropout": 0.0,
        "bias": "none",
    }


def short_number(value: float) -> int | float:
    """Return the shortest number that is this one in float32: kohya holds alpha so, and .1 comes back as .1."""
    short = float(str(np.float32(value)))
    return int(short) if short.is_integer() else short


def _pattern(component: str, name: str) -> str:
    return name.removeprefix(_TEXT_PREFIX) if component.startswith("text_encoder") else f"^{name}"
