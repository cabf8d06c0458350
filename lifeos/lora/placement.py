"""Where a recipe is trained or a plan drawn, and in which arithmetic: the one place that decides by device.

Everything random is drawn from CPU generators and brought over, so that noise is the same on every device.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lifeos.errors import InputError
from lifeos.lora.recipe import Recipe


@dataclass(frozen=True)
class Placement:
    """Where a recipe is trained.

    Args:
        device: ``cpu`` or ``cuda``.
        dtype: arithmetic of the frozen weights: ``float32``, ``bfloat16`` or ``float16``.
        offload: whether what a step does not need leaves the GPU.
    """

    device: str
    dtype: str
    offload: bool

    @property
    def load_dtype(self) -> str:
        """What ``Family.load`` is given: float32 on a processor, so that what is encoded once is encoded in float32."""
        return "float32" if self.device == "cpu" else self.dtype

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """Return torch's mixed precision for a forward pass; it does nothing in float32."""
        import torch

        computed = torch.float16 if self.dtype == "float16" else torch.bfloat16
        context: contextlib.AbstractContextManager[Any] = torch.autocast(
            self.device, dtype=computed, enabled=self.dtype != "float32"
        )
        return context

    def bring(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return tensors on the device; what is None stays so."""
        # Copies that wait: what CUDA does with memory that is not pinned, and freed meanwhile, is not promised.
        return {name: None if each is None else each.to(self.device) for name, each in values.items()}

    def norm(self, tensors: Sequence[Any]) -> Any:
        """Return the Euclidean norm of all tensors together, float64 without dimensions, on the device."""
        import torch

        if self.device == "cuda":
            # Few kernels for all of them.
            return torch.nn.utils.get_total_norm([each.float() for each in tensors]).double()
        return torch.stack([each.float().square().sum() for each in tensors]).double().sum().sqrt()

    def release(self) -> None:
        """Give the GPU back what nothing holds any more."""
        import torch

        if self.device == "cuda":
            torch.cuda.empty_cache()


def place(recipe: Recipe) -> Placement:
    """Return where a recipe is trained.

    Raises:
        InputError: it asks for a GPU and PyTorch sees none.
    """
    require_device(recipe.device, "the recipe")
    return Placement(recipe.device, recipe.effective_dtype, recipe.offload)


def require_device(device: str, where: str = "[sampler] of persona.toml") -> None:
    """Refuse a device that is not here; PyTorch is imported for a GPU only.

    Args:
        device: ``cpu`` or ``cuda``.
        where: what asks for it.

    Raises:
        InputError: it is ``cuda``, and PyTorch sees no GPU.
    """
    if device != "cuda":
        return
    import torch

    if not torch.cuda.is_available():
        raise InputError(f"device: accepted a machine with a GPU that PyTorch sees, got none with torch "
                         f"{torch.__version__}; next: lifeos gate pod on the GPU machine, or device = \"cpu\" in "
                         f"{where}")  # fmt: skip


def clear_device(device: str) -> None:
    """Give back what a base that is done with still holds of a GPU, before another one takes its place.

    A release trains and draws in one process, and models die in cycles of references, whenever the collector comes by.
    """
    if device != "cuda":
        return
    import gc

    import torch

    gc.collect()
    torch.cuda.empty_cache()


@contextlib.contextmanager
def compiling(asked: bool) -> Iterator[None]:
    """Turn a compiler that is absent or fails into one line; does nothing where nothing is compiled.

    Raises:
        InputError: ``torch.compile`` could not do it.
    """
    try:
        yield
    except Exception as error:
        # No public class covers what torch.compile raises: no compiler, no Triton, an operator that it fails on.
        if not asked or not type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            raise
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
        raise InputError(f"compile: accepted a machine where torch.compile works, got {reason}; next: compile = false "
                         "in the recipe") from error
