"""A Ray cluster draws: one actor a GPU, small shards, and whoever dies costs what it was drawing; imports no Ray."""

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lifeos.errors import InputError
from lifeos.lora.sample import BATCH_SIZE
from lifeos.parameter_sweep.rendering import Rendering, RenderTask, render_in_child
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
        return render_in_child(tasks, artifacts, progress, "lifeos.parameter_sweep.ray_run", self._options,
                               grace_seconds=20.0)  # fmt: skip
