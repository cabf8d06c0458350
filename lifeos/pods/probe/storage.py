"""Does what is paid for outlive the pod: caches and outputs on the persistent volume, and room enough on it."""

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from evals.verdict import Verdict, failed, not_evaluated, passed

GIB = 1024**3
NEEDED_GIB = 10.0
"""Free space asked for where nothing else is known: a base of 2 billion parameters in 16 bits (4 GiB) beside its
download (another 4), checkpoints, images and reports."""
_COUNTED_FILES = 200_000

DeviceOf = Callable[[Path], int]
"""Gives the number of the file system that a path lies on."""


class Space(NamedTuple):
    """Bytes of a file system."""

    total: int
    free: int


SpaceOf = Callable[[Path], Space]


def device_of(path: Path) -> int:
    """Return the number of the file system that an existing path lies on."""
    return os.stat(path).st_dev


def space_of(path: Path) -> Space:
    """Return the space of the file system that an existing path lies on, as this user may use it."""
    usage = shutil.disk_usage(path)
    return Space(usage.total, usage.free)


def hub_cache(environment: Mapping[str, str]) -> Path:
    """Return where huggingface_hub keeps models: ``HF_HUB_CACHE``, else ``hub`` below ``HF_HOME`` or its defaults."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if environment.get(name):
            return Path(environment[name]).expanduser()
    home = environment.get("HF_HOME")
    if not home:
        cache = environment.get("XDG_CACHE_HOME") or "~/.cache"
        home = f"{cache}/huggingface"
    return Path(home).expanduser() / "hub"


def persistence_verdict(
    volume: Path, places: Mapping[str, Path], device: DeviceOf = device_of, container: Path = Path("/")
) -> Verdict:
    """Judge whether every place lies on the volume, the volume is mounted, and the places can be written to.

    Args:
        volume: where the pod mounts its persistent volume.
        places: what must lie on it, by the name to call it.
        device: file system of a path.
        container: root of the disk that goes with the pod; a volume that is this very path persists as a whole.
    """
    if not volume.is_dir():
        return failed(f"no volume is mounted at {volume}; next: attach one to the pod, or correct volume_path")
    if volume.resolve() != container.resolve() and device(volume) == device(container):
        return failed(
            f"{volume} lies on the disk of the container, which goes with the pod; next: attach the volume at {volume}"
        )
    for name, place in places.items():
        existing = _existing(place.resolve())
        # Not the prefix alone: a folder of the volume may be a link or another mount.
        if not place.resolve().is_relative_to(volume.resolve()) or device(existing) != device(volume):
            return failed(f"{name} is {place}, not on the volume {volume}: it goes with the pod; next: {_move(name)}")
        try:
            with tempfile.NamedTemporaryFile(dir=existing, prefix=".lifeos-probe-"):
                pass
        except OSError as error:
            return failed(f"{name}: {existing} cannot be written to: {error.strerror}; next: mount the volume writable")
    return passed(f"{' and '.join(places)} lie on the volume {volume}")


def disk_verdict(
    places: Mapping[str, Path],
    volume: Path | None = None,
    volume_gib: float | None = None,
    needed_gib: float = NEEDED_GIB,
    space: SpaceOf = space_of,
) -> Verdict:
    """Judge whether every place has room: at least ``needed_gib`` free on its file system.

    A network volume may show the space of the whole cluster instead of what was rented. Where the file system is more
    than twice as large as the declared volume, free is what was declared less what lies on it, counted.

    Args:
        places: what is written, by the name to call it.
        volume, volume_gib: mount point and size of the declared pod's volume; None: no pod was declared.
        needed_gib: threshold.
        space: space of a path's file system.
    """
    least: tuple[float, str] | None = None
    for name, place in places.items():
        existing = _existing(place.resolve())
        there = space(existing)
        free = there.free / GIB
        on_volume = volume is not None and existing.is_relative_to(volume.resolve())
        if on_volume and volume is not None and volume_gib and there.total > 2 * volume_gib * GIB:
            used = used_bytes(volume)
            if used is None:
                return not_evaluated(
                    f"{volume} shows {there.total / GIB:.0f} GiB for a volume of {volume_gib:g} and holds too many "
                    "files to count; next: look at the provider's page for what is left, and remove what is old"
                )
            free = min(free, volume_gib - used / GIB)
        said = f"{free:.1f} GiB are free for {name} ({existing})"
        if least is None or free < least[0]:
            least = (free, said)
    if least is None:
        return not_evaluated("nothing was named that writes to a disk")
    figures: dict[str, Any] = {"value": least[0], "threshold": needed_gib, "threshold_source": "probe"}
    if least[0] < needed_gib:
        return failed(
            f"{least[1]}, {needed_gib:g} are needed; next: remove what is old or rent a larger volume", **figures
        )
    return passed(least[1], **figures)


def used_bytes(folder: Path, most_files: int = _COUNTED_FILES) -> int | None:
    """Return the bytes of all files below a folder, links not followed; None for more than ``most_files`` of them."""
    used, count = 0, 0
    for parent, _, names in os.walk(folder, onerror=lambda error: None):
        for name in names:
            count += 1
            if count > most_files:
                return None
            try:
                used += os.lstat(os.path.join(parent, name)).st_size
            except OSError:
                continue
    return used


def _existing(path: Path) -> Path:
    return next(parent for parent in (path, *path.parents) if parent.exists())


def _move(name: str) -> str:
    return "export HF_HOME=<volume>/huggingface" if name == "HF_HOME" else "set artifacts in lifeos.toml"
