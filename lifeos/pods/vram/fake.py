"""A run on fake tensors, watched: what ``steps`` does, as a trace."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lifeos.lora.families.component_files import built_by
from lifeos.lora.recipe import Recipe
from lifeos.lora.sample_plan import SamplePlan
from lifeos.pods.vram.builders import ConfigBuilder
from lifeos.pods.vram.cuda_semantics import TracedDevice, cuda_semantics
from lifeos.pods.vram.steps import sampling_steps, training_steps
from lifeos.pods.vram.tracer import WEIGHTS, WORKSPACE, StorageWatch, Trace
from lifeos.progress import Progress, silent

GPU = TracedDevice("cpu")
CUBLAS = "cublas"
"""Operator of the allocation that stands for cuBLAS's workspace, whose size the GPU decides."""


class FakeWatch(StorageWatch):
    """Watches fake tensors."""

    def begin(self, phase: str) -> None:
        """See ``steps.Watch.begin``."""
        self.trace.begin(phase)

    @contextlib.contextmanager
    def with_numbers(self) -> Iterator[None]:
        """See ``steps.Watch.with_numbers``."""
        from torch.utils._python_dispatch import _disable_current_modes

        with _disable_current_modes():
            yield


def trace_training(
    base: Path, recipe: Recipe, size: tuple[int, int], has_flash: bool = True, progress: Progress = silent
) -> Trace:
    """Trace ``steps.training_steps``; arguments and errors as there, ``has_flash`` as in ``cuda_semantics``."""
    return _traced(lambda watch: training_steps(base, recipe, size, GPU, watch), has_flash, progress, "training step")


def trace_sampling(
    base: Path, plan: SamplePlan, images: int, has_flash: bool = True, progress: Progress = silent
) -> Trace:
    """Trace ``steps.sampling_steps``; arguments and errors as there, ``has_flash`` as in ``cuda_semantics``."""
    return _traced(lambda watch: sampling_steps(base, plan, images, GPU, watch), has_flash, progress, "sampling")


def _traced(run: Callable[[FakeWatch], None], has_flash: bool, progress: Progress, stage: str) -> Trace:
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    watch = FakeWatch(progress, stage)

    def place(tensor: Any) -> None:
        watch.add(tensor, WEIGHTS, "to")

    # One that PyTorch makes at the first product and keeps.
    watch.trace.allocate(1, WORKSPACE, "", CUBLAS)
    with torch.random.fork_rng(devices=[]), FakeTensorMode(allow_non_fake_inputs=True), \
            cuda_semantics(place, watch.remove, has_flash), built_by(ConfigBuilder()):  # fmt: skip
        run(watch)
    return watch.trace
