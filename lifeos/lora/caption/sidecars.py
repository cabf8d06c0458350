"""Which pictures of a folder get a caption file, which keep theirs, and which are refused; and the writing of one."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lifeos.errors import InputError
from lifeos.lora.dataset import IMAGE_SUFFIXES
from lifeos.lora.dataset_lint.finding import printable
from lifeos.lora.dataset_lint.folder import read_folder

Status = Literal["written", "to write", "kept", "refused"]


@dataclass(frozen=True)
class Sidecar:
    """One picture and its caption file.

    Args:
        image: the picture.
        path: its caption file.
        status: ``to write``, ``kept`` (it has one) or ``refused``.
        reason: why it is refused, else empty.
    """

    image: Path
    path: Path
    status: Status
    reason: str = ""


def plan_sidecars(folder: Path, *, force: bool) -> list[Sidecar]:
    """Return the pictures of a folder by name, as training lists them.

    Args:
        folder: subfolders are not looked into, and a link that leads out of it is not followed.
        force: write where there is a caption already.

    Raises:
        InputError: no such folder, it cannot be listed, or there is no picture in it.
    """
    if not folder.is_dir():
        raise InputError(f"{printable(str(folder))}: accepted a folder of images, got none there; next: check the path")
    images = read_folder(folder).images
    if not images:
        raise InputError(
            f"{printable(str(folder))}: accepted images ({', '.join(IMAGE_SUFFIXES)}), got none; next: check the folder"
        )
    inside = folder.resolve()
    owners: dict[Path, list[str]] = {}
    for image in images:
        owners.setdefault(image.with_suffix(".txt"), []).append(image.name)
    planned = []
    for image in images:
        path = image.with_suffix(".txt")
        others = [name for name in owners[path] if name != image.name]
        reason = _refusal(image, path, others, inside)
        kept = os.path.lexists(path) and not force
        status: Status = "refused" if reason else "kept" if kept else "to write"
        planned.append(Sidecar(image, path, status, reason))
    return planned


def write_sidecar(sidecar: Sidecar, caption: str, *, force: bool) -> tuple[Status, str]:
    """Write one caption, whole or not at all; return what became of it and why.

    Without ``force`` a file that came to lie there since the folder was listed is kept.
    """
    from evals.atomic import write_text

    if not force and os.path.lexists(sidecar.path):
        return "kept", "it came to lie there meanwhile"
    try:
        write_text(sidecar.path, caption + "\n")
    except OSError as error:
        return "refused", f"{sidecar.path.name} cannot be written: {error.strerror}"
    return "written", ""


def _refusal(image: Path, path: Path, others: list[str], inside: Path) -> str:
    if others:
        return f"it shares {path.name} with {others[0]}"
    try:
        leads_out = not image.resolve().is_relative_to(inside)
    except (OSError, RuntimeError):
        return "a link that leads nowhere"
    if leads_out:
        return "a link that leads out of the folder"
    if not image.is_file():
        return "no regular file"
    if path.is_symlink():
        return f"{path.name} is a link"
    return f"{path.name} is no regular file" if path.exists() and not path.is_file() else ""
