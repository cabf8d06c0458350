"""LoRA pairs on the loaded models of a base: trainable beside the weights, or added to them."""

from collections.abc import Mapping, Sequence
from typing import Any

from lifeos.lora.families.component_files import published_name, weight_of

TEXT_ATTENTION = ("q_proj", "k_proj", "v_proj", "out_proj")
"""Modules of a CLIP text encoder that carry a LoRA: what diffusers' scripts train there; kohya's add fc1 and fc2."""


def add_adapters(
    components: Any, targets: Sequence[tuple[str, tuple[str, ...]]], *, rank: int, alpha: float, seed: int,
    dora: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Add trainable pairs with peft; returns ``component.module.lora_A|lora_B.weight`` -> float32 parameter, sorted.

    A is drawn as peft draws it (Kaiming), B is zero, a magnitude is the norm of the weights it stands for.

    Args:
        components: loaded parts of a base, attributes by name.
        targets: component and the endings of its modules that carry a pair, in the order of drawing.
        rank, alpha: of every pair.
        seed: of A.
        dora: add ``component.module.lora_magnitude_vector`` too.
    """
    import torch
    from peft import LoraConfig

    parameters = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for component, endings in targets:
            config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=sorted(endings), lora_dropout=0.0, bias="none",
                                use_dora=dora)
            getattr(components, component).add_adapter(config)
    for component, _ in targets:
        for name, parameter in getattr(components, component).named_parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.float()
                # As peft writes it to files: a magnitude is named without the ".weight" that it has in memory.
                short = name.replace("_vector.default.weight", "_vector").replace(".default.", ".")
                parameters[f"{component}.{published_name(component, short)}"] = parameter
    return dict(sorted(parameters.items()))


def prepare_text_encoders(
    components: Any, trained: Sequence[str], frozen: Sequence[str], dtype: Any, device: str
) -> None:
    """Bring text encoders that run at every step onto a device, those that learn into the type that computes.

    The others stay in the type they were loaded in: transformers itself does not run all of T5 in float16.

    Args:
        components: loaded parts of a base, attributes by name.
        trained: text encoders that will carry a LoRA.
        frozen: the rest of them; one that the base lacks is None.
        dtype: torch type.
        device: where to.
    """
    for component in trained:
        getattr(components, component).to(device, dtype)
    for component in frozen:
        if getattr(components, component) is not None:
            getattr(components, component).to(device)


def fuse_deltas(
    components: Any, deltas: Mapping[str, Any], magnitudes: Mapping[str, Any] | None = None
) -> None:
    """Add arrays to the weights they are named after, in place; weights of 16 bits are added to in float32.

    Where there is a magnitude m, the weights become m (W + delta) / |W + delta|, the norm taken over all that goes into
    one output (DoRA: arXiv 2402.09353, equation 5).
    """
    import torch

    for name, delta in deltas.items():
        component, module = name.split(".", 1)
        weight = weight_of(getattr(components, component), module)
        change = torch.from_numpy(delta).reshape(weight.shape).to(weight.device)
        magnitude = None if magnitudes is None else magnitudes.get(name)
        if magnitude is None and weight.dtype == torch.float32:
            weight.data.add_(change)
            continue
        changed = weight.data.float() + change
        if magnitude is not None:
            share = torch.from_numpy(magnitude).to(weight.device) / changed.flatten(1).norm(dim=1)
            changed *= share.view(-1, *[1] * (changed.dim() - 1))
        weight.data.copy_(changed)
