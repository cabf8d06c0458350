"""A run on fake tensors, watched: what ``steps`` does, as a trace."""

import contextlib
import gc
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lifeos.lora.families.component_files import built_by
from lifeos.lora.placement import Placement
from lifeos.lora.recipe import Recipe
from lifeos.lora.sample_plan import SamplePlan
from lifeos.pods.vram.builders import ConfigBuilder
from lifeos.pods.vram.cuda_semantics import TracedDevice, cuda_semantics
from lifeos.pods.vram.eight_bit import EightBitAdamW
from lifeos.pods.vram.steps import sampling_steps, training_steps
from lifeos.pods.vram.tracer import WEIGHTS, WORKSPACE, StorageWatch, Trace
from lifeos.progress import Progress, silent

GPU = TracedDevice("cpu")
CUBLAS = "cublas"
"""Operator of the allocation that stands for cuBLAS's workspace, whose size the GPU decides."""


class FakeWatch(StorageWatch):
    """Watches fake tensors.

    A second step allocates what the first did, and differs where the optimizer finds its state already made. So the
    optimizer alone runs twice, and the events of the rest are repeated: half the time of two steps.
    """

    _whole: tuple[int, int]
    _optimizing: tuple[int, int]

    def begin(self, phase: str) -> None:
        """See ``steps.Watch.begin``."""
        self.trace.begin(phase)

    @contextlib.contextmanager
    def with_numbers(self) -> Iterator[None]:
        """See ``steps.Watch.with_numbers``."""
        from torch.utils._python_dispatch import _disable_current_modes

        with _disable_current_modes():
            yield

    def placement(self, device: str, recipe: Recipe) -> Placement:
        """See ``steps.Watch.placement``."""
        return _TracedPlacement(device, recipe.effective_dtype, recipe.offload, self.trace)

    def eight_bit(self, recipe: Recipe, optimizer: Any) -> Any:
        """See ``steps.Watch.eight_bit``: bitsandbytes computes on GPUs only, its state has known shapes."""
        return EightBitAdamW(optimizer.param_groups)

    def first_step(self, step: Callable[[], object], optimizer: Any) -> None:
        """See ``steps.Watch.first_step``."""
        optimize, begin = optimizer.step, self.position

        def marked() -> None:
            start = self.position
            optimize()
            self._optimizing = start, self.position

        optimizer.step = marked
        step()
        del optimizer.step
        self._whole = begin, self.position

    def second_step(self, step: Callable[[], object], optimizer: Any) -> None:
        """See ``steps.Watch.second_step``: concluded from the first."""
        import torch

        trace, end = self.trace, self.position
        (begin, _), (start, stop) = self._whole, self._optimizing
        before, after = trace.events[begin:start], trace.events[stop:end]
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = torch.empty_like(parameter)
        alone = self.position
        optimizer.step()
        steady = trace.events[alone:]
        optimizer.zero_grad(set_to_none=True)
        del trace.events[end:]
        trace.repeat([*before, *steady, *after])


@dataclass(frozen=True)
class _TracedPlacement(Placement):
    """A GPU that PyTorch takes for the processor, and whose emptied cache the trace must know of."""

    trace: Trace

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """See ``Placement.autocast``."""
        return Placement("cpu", self.dtype, self.offload).autocast()

    def release(self) -> None:
        """See ``Placement.release``."""
        self.trace.release()


def trace_training(
    base: Path, recipe: Recipe, size: tuple[int, int], has_flash: bool = True, progress: Progress = silent
) -> Trace:
    """Trace ``steps.training_steps``; arguments and errors as there, ``has_flash`` as in ``cuda_semantics``."""
    return watched(lambda watch: training_steps(base, recipe, size, GPU, watch), has_flash, progress, "training step")


def trace_sampling(
    base: Path, plan: SamplePlan, has_flash: bool = True, progress: Progress = silent
) -> Trace:
    """Trace ``steps.sampling_steps``; arguments and errors as there, ``has_flash`` as in ``cuda_semantics``."""
    return watched(lambda watch: sampling_steps(base, plan, GPU, watch), has_flash, progress, "sampling")


def watched(
    run: Callable[[FakeWatch], None], has_flash: bool = True, progress: Progress = silent, stage: str = "tracing"
) -> Trace:
    """Return the trace of a function that runs on fake tensors and says by its watch when memory counts.

    Args:
        run: called once; models are built by it, with ``component_files.load_component`` or ``ConfigBuilder``.
        has_flash: as in ``cuda_semantics``.
        progress: called with (``stage``, operators, 0).
        stage: name of the work.
    """
    watch = FakeWatch(progress, stage)

    def place(tensor: Any) -> None:
        watch.add(tensor, WEIGHTS, "to")

    # One that PyTorch makes at the first product and keeps.
    watch.trace.allocate(1, WORKSPACE, "", CUBLAS)
    with warnings.catch_warnings(), _without_collector():
        # Of libraries on import, of kernels that are replaced, of a type that is converted: nothing a reader can mend.
        warnings.simplefilter("ignore")
        import torch
        from torch._subclasses.fake_tensor import FakeTensorMode

        with torch.random.fork_rng(devices=[]), FakeTensorMode(allow_non_fake_inputs=True), \
                cuda_semantics(place, watch.remove, has_flash), built_by(ConfigBuilder()):  # fmt: skip
            run(watch)
    watch.trace.settle()
    return watch.trace


@contextlib.contextmanager
def _without_collector() -> Iterator[None]:
    # Some tensors die in cycles, whenever the collector comes by: the same run would give another trace.
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
