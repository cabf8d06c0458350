"""Known failures that a training log shows."""

import math

from evals.known_failures import detects
from lifeos.lora.training_text import LOSSES, TrainingText


@detects("loss-nan-run-completes")
def loss_not_finite(log: TrainingText) -> str | None:
    """Return where a loss is NaN or infinite."""
    for name in LOSSES:
        values = log.figures(name)
        bad = [number for number, value in enumerate(values, 1) if not math.isfinite(value)]
        if bad:
            return f"{log.path.name}: {name} is {values[bad[0] - 1]} in {len(bad)} of {len(values)} readings"
    return None
