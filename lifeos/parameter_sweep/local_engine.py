"""This machine draws: one child process a task, one after another, each with all cores."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from lifeos.lora.sample import SampleResult
from lifeos.lora.sample_once import sample_once
from lifeos.lora.store import ImageStore
from lifeos.parameter_sweep.rendering import Rendering, RenderTask, planned_tasks
from lifeos.progress import Progress


class LocalEngine:
    """A ``RenderEngine`` on the processor of this machine."""

    def __init__(self, sample: Callable[..., SampleResult] = sample_once) -> None:
        """Draw with ``sample``, called as ``sample_once``."""
        self._sample = sample

    def render(self, tasks: Sequence[RenderTask], artifacts: Path, progress: Progress) -> Rendering:
        """As ``RenderEngine.render``; a task of which every image is there starts no child."""
        started = time.monotonic()
        store = ImageStore(artifacts / "samples")
        keys = [{image.key for image in planned.images} for planned in planned_tasks(tasks, store)]
        different = {key for of_task in keys for key in of_task}
        lacking = {key for key in different if not store.has(key)}
        total, made = len(different), 0
        progress("sampling", total - len(lacking), total)
        for task, of_task in zip(tasks, keys, strict=True):
            own = lacking & of_task
            if not own:
                continue
            # The child counts what it finds there, which this count holds already.
            before = total - len(lacking) - (len(of_task) - len(own))
            made += self._sample(task.plan, task.base, task.lora, artifacts, _from(before, total, progress)).made
            lacking -= own
        progress("sampling", total, total)
        return Rendering(made, total - made, time.monotonic() - started)


def _from(before: int, total: int, progress: Progress) -> Progress:
    return lambda stage, done, _: progress(stage, before + done, total)
