"""A Ray cluster draws: one actor a GPU, small shards, and whoever dies costs what it was drawing; imports no Ray."""

import importlib.util
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evals.content_hash import hash_json
from lifeos.child import obtain
from lifeos.errors import InputError
from lifeos.lora.sample import BATCH_SIZE
from lifeos.lora.store import ImageStore
from lifeos.parameter_sweep.rendering import Rendering, RenderTask, planned_tasks
from lifeos.progress import Progress

REAL_DRAW = "lifeos.parameter_sweep.ray_node:draw_with_lora"


class RayEngine:
    """A ``RenderEngine`` on the machines of a Ray cluster.

    Args:
        address: ``HOST:PORT`` of the cluster, or ``auto``; None: ``RAY_ADDRESS``, else a Ray of this machine alone that
            ends with the call.
        cpus: CPUs, and CPU threads, an actor; a plan of device ``cuda`` gives it one GPU besides.
        images_a_shard: images drawn in one go, which is one batch.
        patience_seconds: without any machine that draws, after which the call ends; and what each has for its first
            answer.
        draw: ``MODULE:FUNCTION`` of what draws, importable on every node.

    Raises:
        InputError: Ray is not installed, or an argument is outside what is accepted.
    """

    def __init__(
        self, address: str | None = None, *, cpus: int = 1, images_a_shard: int = BATCH_SIZE,
        patience_seconds: float = 300.0, draw: str = REAL_DRAW,
    ) -> None:  # fmt: skip
        """Check the arguments; nothing is connected yet."""
        if importlib.util.find_spec("ray") is None:
            raise InputError("engine ray: accepted an environment with ray, got none; next: lifeos install-extra sweep")
        address = address or os.environ.get("RAY_ADDRESS") or None
        # Ray Client gives no say in the node that an actor runs on.
        if address is not None and "://" in address:
            raise InputError(f"engine ray: address: accepted HOST:PORT or auto, got {address}; "
                             "next: run this on a machine of the cluster")  # fmt: skip
        for name, value in (("cpus", cpus), ("images_a_shard", images_a_shard)):
            if value < 1:
                raise InputError(f"engine ray: {name}: accepted 1 or more, got {value}; next: correct it")
        self._options: dict[str, Any] = {"address": address, "cpus": cpus, "images_a_shard": images_a_shard,
                                         "patience": patience_seconds, "draw": draw}  # fmt: skip

    def render(self, tasks: Sequence[RenderTask], artifacts: Path, progress: Progress) -> Rendering:
        """As ``RenderEngine.render``; a process of its own drives the cluster, and none is started for nothing."""
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
            request = {**self._options, "artifacts": str(artifacts), "tasks": asked, "lacking": lacking,
                       "total": len(keys)}  # fmt: skip
            folder = artifacts / "runs" / f"ray-{hash_json(sorted(keys))[:32]}"

            def known() -> dict[str, Any] | None:
                return {"made": 0} if all(store.has(key) for key in lacking) else None

            made = obtain(folder, "lifeos.parameter_sweep.ray_run", request, None, known=known, progress=progress,
                          grace_seconds=20.0)["made"]  # fmt: skip
            unseen = [key for key in lacking if not store.has(key)]
            if unseen:
                raise InputError(f"{store.folder}: accepted {len(lacking)} images that the nodes drew, got "
                                 f"{len(lacking) - len(unseen)}; next: the same command, or share it")  # fmt: skip
        return Rendering(made, len(keys) - made, time.monotonic() - started)
