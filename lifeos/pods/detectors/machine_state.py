"""Known failures that the environment of a rented machine shows."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from evals.known_failures import detects

if TYPE_CHECKING:
    from lifeos.pods.probe.gates import PodMachine

_TRUE = {"1", "on", "yes", "true"}
"""How huggingface_hub reads a variable that switches something on (``constants._is_true``)."""
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - asked for its size alone
_DOCKER_DEFAULT_BYTES = 64 << 20
"""What a container gets without ``--shm-size``."""
_SD_SCRIPTS = ("library", "0.0.0")
"""What an installed sd-scripts calls itself: its ``setup.py`` names no version."""


@detects("hf-transfer-env-without-package")
def hf_transfer_missing(variables: Mapping[str, str], installed: Mapping[str, str]) -> str | None:
    """Return whether fast downloads are asked for and what would make them is not installed."""
    value = variables.get("HF_HUB_ENABLE_HF_TRANSFER", "")
    hub = installed.get("huggingface-hub", "")
    # From 1.0 on the variable is deprecated and only warned about.
    if value.lower() not in _TRUE or "hf-transfer" in installed or not hub.startswith("0."):
        return None
    return f"HF_HUB_ENABLE_HF_TRANSFER={value} and hf_transfer is not installed"


@detects("shm-64mb-dataloader")
def shared_memory_too_small(machine: "PodMachine", installed: Mapping[str, str]) -> str | None:
    """Return whether sd-scripts, whose workers hand pictures over in shared memory, has no more than Docker's default.

    lifeos itself reads pictures in its own process and needs none.
    """
    name, version = _SD_SCRIPTS
    if installed.get(name) != version:
        return None
    try:
        total = machine.space(_SHARED_MEMORY).total
    except OSError:  # no such file system: no Linux
        return None
    if total > _DOCKER_DEFAULT_BYTES:
        return None
    return f"{_SHARED_MEMORY.as_posix()} has {total / 2**20:.0f} MiB, and sd-scripts loads with up to 8 workers"
