"""The steps of ``lifeos.pods.vram.steps`` on a real GPU: random weights, the numbers of torch.cuda."""

import contextlib
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from lifeos.lora.families.component_files import built_by
from lifeos.lora.optimizer import build_optimizer
from lifeos.lora.placement import Placement
from lifeos.lora.recipe import Recipe
from lifeos.pods.vram.builders import ConfigBuilder
from lifeos.pods.vram.prediction import Part, Question
from lifeos.pods.vram.steps import sampling_steps, training_steps


@dataclass
class Measured:
    """What torch.cuda counted.

    Args:
        peak_bytes, reserved_bytes: ``max_memory_allocated`` and ``max_memory_reserved`` of the whole run.
        step_seconds: wall time of the second optimizer step, the first one warms up; None for sampling.
    """

    peak_bytes: int = 0
    reserved_bytes: int = 0
    step_seconds: float | None = None


@dataclass
class DeviceWatch:
    """See ``steps.Watch``: reads the counters of ``memory`` (``torch.cuda`` or what stands for it) and nothing else."""

    memory: Any
    measured: Measured = field(default_factory=Measured)

    def begin(self, phase: str) -> None:
        """See ``Watch.begin``: phases are not told apart."""

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """See ``Watch.watching``."""
        self.memory.empty_cache()
        self.memory.reset_peak_memory_stats()
        yield
        self.memory.synchronize()
        self.measured.peak_bytes = self.memory.max_memory_allocated()
        self.measured.reserved_bytes = self.memory.max_memory_reserved()

    def labelled(self, kind: str) -> AbstractContextManager[None]:
        """See ``Watch.labelled``."""
        return contextlib.nullcontext()

    def with_numbers(self) -> AbstractContextManager[None]:
        """See ``Watch.with_numbers``: tensors have numbers here."""
        return contextlib.nullcontext()

    def relabel(self, tensor: Any, kind: str) -> None:
        """See ``Watch.relabel``."""

    def is_zero(self, tensor: Any) -> None:
        """See ``Watch.is_zero``: B is zero here too, until the first step."""

    def follow(self, name: str, model: Any) -> None:
        """See ``Watch.follow``."""

    def placement(self, device: str, recipe: Recipe) -> Placement:
        """See ``Watch.placement``."""
        return Placement(device, recipe.effective_dtype, recipe.offload)

    def eight_bit(self, recipe: Recipe, optimizer: Any) -> Any:
        """See ``Watch.eight_bit``: bitsandbytes' own."""
        return build_optimizer(recipe.optimizer, [{"params": group["params"]} for group in optimizer.param_groups])

    def first_step(self, step: Callable[[], object], optimizer: Any) -> None:
        """See ``Watch.first_step``."""
        step()

    def second_step(self, step: Callable[[], object], optimizer: Any) -> None:
        """See ``Watch.second_step``; its time is taken."""
        self.memory.synchronize()
        started = time.perf_counter()
        step()
        self.memory.synchronize()
        self.measured.step_seconds = time.perf_counter() - started


def measure(asked: Question, part: Part, device: str = "cuda", memory: Any = None) -> Measured:
    """Run a question's steps on a device and return what its allocator counted.

    Args:
        asked: the question.
        part: of it.
        device: ``cuda``; another one where ``memory`` stands for its counters.
        memory: what counts; ``torch.cuda`` when absent.
    """
    import torch

    watch = DeviceWatch(torch.cuda if memory is None else memory)
    with asked.architecture.folder() as folder, built_by(ConfigBuilder()):
        if part == "training":
            training_steps(folder, asked.recipe, asked.size, device, watch)
        else:
            sampling_steps(folder, asked.sampling.plan(asked.architecture.family), device, watch)
    return watch.measured
