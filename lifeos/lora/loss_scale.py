"""Loss scaling for float16, whose gradients vanish below 6e-8: enlarged before they are computed, restored after.

Rules and constants are those of ``torch.amp.GradScaler``, which refuses gradients that are float16 themselves
(``full_float16``), and skips a step whose gradients overflow, where a run must end after as many steps as it says.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_GROWTH_INTERVAL = 2000


@dataclass
class LossScale:
    """The factor on the loss; a power of two, so that restoring is exact.

    Args:
        factor: on the loss, at least 1.
        steps: how many steps it has held since it changed.
    """

    factor: float = 65536.0
    steps: int = 0

    def restore(self, parameters: Iterable[Any]) -> bool:
        """Divide gradients by the factor, in place, and move the factor.

        It is halved when a gradient is not finite, and doubled after 2000 steps without that.

        Returns:
            Whether all are finite. If not, the step must be computed again; a factor below 1 says that scaling does
            not help.
        """
        import torch

        gradients = [each.grad for each in parameters if each.grad is not None]
        finite = bool(torch.stack([gradient.isfinite().all() for gradient in gradients]).all())
        for gradient in gradients:
            gradient.mul_(1.0 / self.factor)
        self.steps = self.steps + 1 if finite else 0
        if not finite:
            self.factor /= 2.0
        elif self.steps == _GROWTH_INTERVAL:
            self.factor, self.steps = self.factor * 2.0, 0
        return finite

    def state(self) -> dict[str, float]:
        """Return what a checkpoint keeps."""
        return {"factor": self.factor, "steps": float(self.steps)}

    def resume(self, state: Mapping[str, float]) -> None:
        """Go on from what a checkpoint kept."""
        self.factor, self.steps = state["factor"], int(state["steps"])
