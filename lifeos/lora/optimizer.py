"""The optimizer of a recipe and the course of its learning rate."""

import contextlib
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

from lifeos.errors import InputError
from lifeos.lora.recipe import OptimizerSettings


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


def build_optimizer(settings: OptimizerSettings, parameters: list[Any]) -> Any:
    """Return a torch optimizer over parameters, or over groups of them.

    Raises:
        InputError: an optimizer that is not built here.
    """
    import torch

    if settings.name == "adamw":
        return torch.optim.AdamW(parameters, lr=settings.base_learning_rate, betas=settings.betas,
                                 weight_decay=settings.weight_decay, foreach=False)
    if settings.name != "prodigy":
        raise InputError(f"optimizer.name: accepted prodigy or adamw, got {settings.name!r}; next: edit the recipe")
    from prodigyopt import Prodigy

    with contextlib.redirect_stdout(io.StringIO()):  # its constructor prints
        return Prodigy(parameters, lr=settings.base_learning_rate, betas=settings.betas,
                       weight_decay=settings.weight_decay, decouple=True, use_bias_correction=settings.bias_correction,
                       safeguard_warmup=settings.safeguard_warmup, d_coef=settings.d_coefficient)


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
