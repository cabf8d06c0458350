"""What a sweep asks of whoever draws its images, be it this process or a cluster; no torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lifeos.lora.sample_plan import SamplePlan
from lifeos.progress import Progress

if TYPE_CHECKING:
    from lifeos.lora.sample import PlannedImages
    from lifeos.lora.store import ImageStore


@dataclass(frozen=True)
class RenderTask:
    """Images of one plan with one LoRA.

    Args:
        plan: prompts, seeds and how each is sampled.
        base: base model folder.
        lora: LoRA file, or None for the base alone.
    """

    plan: SamplePlan
    base: Path
    lora: Path | None


def planned_tasks(tasks: Sequence[RenderTask], store: "ImageStore") -> list["PlannedImages"]:
    """Name every image of each task; each base and each LoRA is read once, however many tasks share it.

    Raises:
        InputError: a base or a LoRA cannot be read.
    """
    from evals.content_hash import hash_file
    from lifeos.lora.families import base_hash
    from lifeos.lora.sample import named_images

    of_base, of_lora = cache(base_hash), cache(hash_file)
    return [
        named_images(task.plan, task.base, task.lora, store, of_base(task.base),
                     None if task.lora is None else of_lora(task.lora))
        for task in tasks
    ]  # fmt: skip


@dataclass(frozen=True)
class Rendering:
    """What it took: images ``made`` by this call and ``reused`` (each different image once), and wall ``seconds``."""

    made: int
    reused: int
    seconds: float


class RenderEngine(Protocol):
    """Draws what tasks lack in the image store ``artifacts/samples``."""

    def render(self, tasks: Sequence[RenderTask], artifacts: Path, progress: Progress) -> Rendering:
        """Draw every image that the store lacks; when this returns, the store holds all of them.

        Args:
            tasks: may share images; a shared one is drawn once.
            artifacts: data folder; images go to its ``samples``.
            progress: called with ("sampling", done, total) over the different images of all tasks.

        Raises:
            InputError: a base, LoRA, prompt, sampler or size cannot be used, or what draws was lost for good; images
                drawn until then stay.
        """
        ...
