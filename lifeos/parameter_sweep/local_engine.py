"""This machine draws: all tasks of a call in one child process, one after another, each with all cores."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lifeos.child import child_main
from lifeos.lora.sample import SampleResult, sample_plan
from lifeos.lora.sample_plan import SamplePlan
from lifeos.lora.store import ImageStore
from lifeos.parameter_sweep.rendering import Rendering, RenderTask, planned_tasks, render_in_child
from lifeos.progress import Progress, progress_writer


class LocalEngine:
    """A ``RenderEngine`` on this machine: its processor, or its GPU where the plan says so."""

    def render(self, tasks: Sequence[RenderTask], artifacts: Path, progress: Progress) -> Rendering:
        """As ``RenderEngine.render``; one child draws all: each that starts takes seconds until torch is there."""
        return render_in_child(tasks, artifacts, progress, "lifeos.parameter_sweep.local_engine", {})


def draw_tasks(
    tasks: Sequence[RenderTask], store: ImageStore, progress: Progress,
    sample: Callable[..., SampleResult] = sample_plan,
) -> int:  # fmt: skip
    """Draw in this process what tasks lack; returns how many images were made.

    Args:
        tasks: may share images; a shared one is drawn once.
        store: where images lie.
        progress: called with ("sampling", done, total) over the different images of all tasks.
        sample: called as ``sample_plan``, which hashes base and LoRA anew for every task: a file may have changed.

    Raises:
        InputError: what ``sample_plan`` raises.
    """
    keys = [{image.key for image in planned.images} for planned in planned_tasks(tasks, store)]
    different = {key for of_task in keys for key in of_task}
    lacking = {key for key in different if not store.has(key)}
    total, made = len(different), 0
    for task, of_task in zip(tasks, keys, strict=True):
        own = lacking & of_task
        if not own:
            continue
        # Sampling counts what it finds there, which this count holds already.
        before = total - len(lacking) - (len(of_task) - len(own))
        made += sample(task.plan, task.base, task.lora, store, _from(before, total, progress)).made
        lacking -= own
    return made


def walk(request: dict[str, Any], _: Path) -> dict[str, Any]:
    """Draw what ``render_in_child`` asks for; says how many images were ``made``.

    Raises:
        InputError: as ``draw_tasks``.
    """
    tasks = [RenderTask(SamplePlan.from_json(task["plan"]), Path(task["base"]),
                        None if task["lora"] is None else Path(task["lora"])) for task in request["tasks"]]  # fmt: skip
    store = ImageStore(Path(request["artifacts"]) / "samples")
    return {"made": draw_tasks(tasks, store, progress_writer(request["progress"]))}


def _from(before: int, total: int, progress: Progress) -> Progress:
    return lambda stage, done, _: progress(stage, before + done, total)


if __name__ == "__main__":
    sys.exit(child_main(sys.argv[1:], walk))
