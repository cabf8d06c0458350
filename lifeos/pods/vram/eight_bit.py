"""bitsandbytes' 8-bit AdamW by the shapes of its state: the package itself runs on a GPU only."""

from typing import Any

BLOCK = 256
"""Numbers that share one scale."""
LEAST = 4096
"""Parameters with fewer numbers keep a float32 state."""


class EightBitAdamW:
    """State of ``bitsandbytes.optim.AdamW8bit`` (0.50: block size 256, ``min_8bit_size`` 4096), made in the first step.

    Two moments a parameter: a byte a number and a float32 scale a block, or float32 throughout below ``LEAST``. Beside
    them two tables of 256 float32 numbers. A step allocates nothing else.
    """

    def __init__(self, groups: list[dict[str, Any]]) -> None:
        """``groups``: as another optimizer holds them, ``params`` and ``lr`` each."""
        self.param_groups = groups
        self.state: dict[Any, dict[str, Any]] = {}

    def step(self) -> None:
        """Make the state of every parameter that has a gradient and no state yet."""
        import torch

        tables: dict[str, Any] = {}
        for parameter in self._parameters():
            if parameter.grad is None or parameter in self.state:
                continue
            if not tables:
                tables = {f"qmap{moment}": torch.zeros(256) for moment in (1, 2)}
            count = parameter.numel()
            state: dict[str, Any] = dict(tables)
            for moment in (1, 2):
                is_small = count < LEAST
                state[f"state{moment}"] = torch.zeros_like(parameter, dtype=torch.float32 if is_small else torch.uint8)
                if not is_small:
                    state[f"absmax{moment}"] = torch.zeros(-(-count // BLOCK))
            self.state[parameter] = state

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop every gradient."""
        for parameter in self._parameters():
            parameter.grad = None

    def _parameters(self) -> list[Any]:
        return [parameter for group in self.param_groups for parameter in group["params"]]
