"""What a sweep asks of whoever draws its images, be it this process or a cluster; no torch."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from evals.content_hash import hash_json
from lifeos.child import obtain
from lifeos.errors import InputError
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


def render_in_child(
    tasks: Sequence[RenderTask], artifacts: Path, progress: Progress, module: str, options: Mapping[str, Any], *,
    grace_seconds: float = 0.0,
) -> Rendering:  # fmt: skip
    """Do what ``RenderEngine.render`` asks in one child for all tasks; none is started where every image is there.

    Args:
        tasks, artifacts, progress: as for ``RenderEngine.render``.
        module: the child; gets ``options``, ``tasks``, keys ``lacking`` and ``total``; says how many it ``made``.
        options: JSON of the engine's own.
        grace_seconds: see ``obtain``.

    Raises:
        InputError: as ``RenderEngine.render``, or the store lacks an image that was said to be drawn.
    """
    from lifeos.lora.store import ImageStore

    started, artifacts = time.monotonic(), Path(artifacts).resolve()
    store = ImageStore(artifacts / "samples")
    planned = planned_tasks(tasks, store)
    keys = {image.key for task in planned for image in task.images}
    asked = [
        {"plan": task.plan.to_json(), "base": str(task.base.resolve()), "base_hash": task.base_hash,
         "lora": None if task.lora is None else str(Path(task.lora).resolve()), "lora_hash": task.lora_hash}
        for task in planned
    ]  # fmt: skip
    lacking = sorted(key for key in keys if not store.has(key))
    progress("sampling", len(keys) - len(lacking), len(keys))
    made = 0
    if lacking:
        request = {**options, "artifacts": str(artifacts), "tasks": asked, "lacking": lacking, "total": len(keys)}
        folder = artifacts / "runs" / f"{module.rpartition('.')[2].partition('_')[0]}-{hash_json(sorted(keys))[:32]}"

        def known() -> dict[str, Any] | None:
            return {"made": 0} if all(store.has(key) for key in lacking) else None

        answer = obtain(folder, module, request, None, known=known, progress=progress, grace_seconds=grace_seconds)
        made = answer["made"]
        unseen = [key for key in lacking if not store.has(key)]
        if unseen:
            raise InputError(f"{store.folder}: accepted {len(lacking)} images that were drawn, got "
                             f"{len(lacking) - len(unseen)}; next: the same command, or share it with every node")
    progress("sampling", len(keys), len(keys))
    return Rendering(made, len(keys) - made, time.monotonic() - started)
