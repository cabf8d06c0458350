"""The optimizer of a recipe and the course of its learning rate."""

import contextlib
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

from lifeos.errors import InputError
from lifeos.lora.recipe import OptimizerSettings

# The usual 1e-8 is zero in float16, and the first step of A, whose gradient is zero while B is, divides by it: NaN.
# With this one the weights' norm went as in float32 over 60 steps of a random tiny_base (8.62 to 9.01); with 2.4e-3,
# below which the running square is zero, it stayed at 8.62.
_FLOAT16_EPS = 1e-4


def learning_rates(settings: OptimizerSettings) -> tuple[float, ...]:
    """Return the learning rate of each group of parameters before the schedule: of all, or of denoiser and text."""
    rate, text = settings.base_learning_rate, settings.text_encoder_learning_rate
    return (rate,) if text is None or text == rate else (rate, text)


def parameter_groups(
    settings: OptimizerSettings, parameters: Mapping[str, Any], text_components: Sequence[str]
) -> list[Any]:
    """Return what ``build_optimizer`` takes: the parameters, or one group for each of ``learning_rates``.

    Args:
        settings: of the optimizer.
        parameters: ``component.module...`` -> parameter.
        text_components: components whose parameters have the second rate.
    """
    rates = learning_rates(settings)
    if len(rates) == 1:
        return list(parameters.values())
    text = [each for name, each in parameters.items() if name.split(".", 1)[0] in text_components]
    denoiser = [each for name, each in parameters.items() if name.split(".", 1)[0] not in text_components]
    return [{"params": denoiser, "lr": rates[0]}, {"params": text, "lr": rates[1]}]


def build_optimizer(
    settings: OptimizerSettings, parameters: list[Any], device: str = "cpu", keeps_rounding: bool = True
) -> Any:
    """Return a torch optimizer over parameters, or over groups of them.

    AdamW takes its step for each parameter after the other on a processor, for all together on ``cuda``: with
    ``fused``, not ``foreach``, which takes as much memory as the parameters besides (``torch.optim.AdamW``).

    Args:
        settings: of the optimizer.
        parameters: what ``parameter_groups`` returns.
        device: where they lie.
        keeps_rounding: ``Family.keeps_rounding``; without it float32 parameters on a processor are fused too: 1,120
            small ones took 4 ms a step instead of 21 on one thread.

    Raises:
        InputError: bitsandbytes is needed and cannot be imported.
    """
    import torch

    shared = {"lr": settings.base_learning_rate, "betas": settings.betas, "weight_decay": settings.weight_decay}
    if settings.name == "adamw":
        first = parameters[0]["params"][0] if isinstance(parameters[0], dict) else parameters[0]
        eps = _FLOAT16_EPS if first.dtype == torch.float16 else 1e-8
        fused = device == "cuda" or (first.dtype == torch.float32 and not keeps_rounding)
        how = {"fused": True} if fused else {"foreach": False}
        return torch.optim.AdamW(parameters, eps=eps, **how, **shared)
    if settings.name == "adamw8bit":
        return _adamw8bit()(parameters, **shared)
    from prodigyopt import Prodigy

    with contextlib.redirect_stdout(io.StringIO()):  # its constructor prints
        return Prodigy(parameters, lr=settings.base_learning_rate, betas=settings.betas,
                       weight_decay=settings.weight_decay, decouple=True, use_bias_correction=settings.bias_correction,
                       safeguard_warmup=settings.safeguard_warmup, d_coef=settings.d_coefficient)


def _adamw8bit() -> Any:
    try:
        from bitsandbytes.optim import AdamW8bit
    # Its libraries are loaded on import, and one that is absent or of another CUDA is an OSError or RuntimeError.
    except (ImportError, OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError(f"optimizer.name: accepted adamw8bit where bitsandbytes can be imported, got {reason}; next: "
                         "lifeos gate pod on the GPU machine, or optimizer.name = \"adamw\" in the recipe") from error
    return AdamW8bit


def learning_rate_factor(settings: OptimizerSettings, step: int, steps: int) -> float:
    """Return what the learning rate is multiplied by in step ``step`` of ``steps``, in (0, 1].

    It rises linearly over the warm-up, the first step at one part of it, then follows the schedule.
    """
    warmup = settings.warmup_steps
    if step < warmup:
        return (step + 1) / warmup
    done, length = step - warmup, steps - warmup
    if settings.schedule == "cosine":
        return 0.5 * (1.0 + math.cos(math.pi * done / length))
    if settings.schedule == "cosine_with_restarts":
        return 0.5 * (1.0 + math.cos(math.pi * (done * settings.schedule_cycles % length) / length))
    return 1.0 - done / length if settings.schedule == "linear" else 1.0
