"""What a result says of where it was taken: words and numbers, no name of host or user, no path."""

import os
import platform
import re
import tempfile
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lifeos.pods.probe.nvml import gpu_names
from lifeos.processor import available_cores

# A machine with this much to do besides is too busy to time anything on.
BUSY_LOAD = 0.5
# Two parts or more behind a slash or a drive that no word, digit or colon stands before: links are none.
_PATH = re.compile(r"(?<![\w:/.\\])(?:[A-Za-z]:[\\/]|/)(?:[^\s/\\:'\",;]+[\\/])+([^\s/\\:'\",;]*)")


def machine(cpuinfo: Path = Path("/proc/cpuinfo")) -> dict[str, Any]:
    """Return processor, ``cores`` and how many of them are used (``threads``), memory, GPUs, system and Python.

    Args:
        cpuinfo: where Linux describes the processor.
    """
    import psutil

    return {
        "processor": processor_name(cpuinfo),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "threads": available_cores(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "gpus": gpu_names(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def machine_words(known: dict[str, Any]) -> str:
    """Return what tells one machine from another, in words; ratios of two machines are two series."""
    gpus, few = ", ".join(known["gpus"]) or "no GPU", known["threads"] < known["cores"]
    cores = f"{known['threads']} of {known['cores']} cores" if few else f"{known['cores']} cores"
    return f"{known['processor']}, {cores}, {known['memory_gib']} GiB, {gpus}, {known['system']}"


def processor_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the processor's name as the system gives it."""
    try:
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() in ("model name", "Model") and value.strip():
                return " ".join(value.split())
    except OSError:
        pass
    return platform.processor() or platform.machine() or "unknown processor"


def load_average() -> float | None:
    """Return how many processes waited over the last minute; None where the system does not tell (Windows)."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def versions_of(packages: Iterable[str]) -> dict[str, str | None]:
    """Return the installed version of each distribution, None where it is not installed."""
    found: dict[str, str | None] = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def without_paths(text: str, *folders: Path) -> str:
    """Return a text in which folders of this machine are words.

    Args:
        text: a message.
        folders: known ones, which may hold spaces: each becomes its last name. Any other absolute path becomes the
            name of its file.
    """
    known = {str(folder.absolute()): folder.name for folder in folders}
    known |= {str(Path.home()): "~", tempfile.gettempdir(): "temporary folder"}
    for folder in sorted(known, key=len, reverse=True):
        if len(Path(folder).parts) > 1:
            text = text.replace(folder, known[folder])
    return _PATH.sub(r"\1", text)
