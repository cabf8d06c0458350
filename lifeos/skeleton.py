"""A persona's folder as ``lifeos init`` lays it out: settings and no photographs yet."""

import re
from collections.abc import Mapping
from pathlib import Path

from evals.content_hash import hash_bytes, hash_json
from lifeos.errors import InputError

SKELETON = "SKELETON.md"
_DIGEST = re.compile(r"^skeleton sha256=([0-9a-f]{64})$", re.MULTILINE)


def skeleton_digest(files: Mapping[str, bytes]) -> str:
    """Return one SHA-256 over names and bytes, line ends of Windows counted as ``\\n``."""
    return hash_json([[name, hash_bytes(files[name].replace(b"\r\n", b"\n"))] for name in sorted(files)])


def is_skeleton(folder: Path) -> bool:
    """Return whether no photographs were put into the folder yet."""
    return (folder / SKELETON).is_file()


def is_untouched(folder: Path) -> bool:
    """Return whether a folder is a skeleton in which nothing was edited or added: only then may it be replaced."""
    if not is_skeleton(folder) or folder.is_symlink():
        return False
    stated = _DIGEST.search((folder / SKELETON).read_text(encoding="utf-8", errors="replace"))
    others = [path for path in folder.iterdir() if path.name != SKELETON]
    if stated is None or not all(path.is_file() and not path.is_symlink() for path in others):
        return False
    return stated.group(1) == skeleton_digest({path.name: path.read_bytes() for path in others})


def refuse_skeleton(folder: Path) -> None:
    """Say that photographs are missing where they are.

    Raises:
        InputError: the folder is a skeleton.
    """
    if is_skeleton(folder):
        raise InputError(
            f"{folder}: accepted a persona with photographs, got none yet; next: lifeos new-persona FOLDER --name "
            f'"{folder.name}"'
        )
