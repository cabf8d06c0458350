"""What git says of a checkout."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# Files that a run itself writes: they make no checkout dirty.
_OWN_FILES = ("eval_history.jsonl", "champion.json")
_GIT_SECONDS = 30


def git_state(root: Path, own: Sequence[Path] = ()) -> dict[str, Any]:
    """Return ``git_commit``, ``git_dirty`` and ``git_changed`` of a checkout; all unknown where git does not answer.

    Args:
        root: of the checkout.
        own: files and folders that runs write to; with the history and champion files they are left out.
    """
    try:
        commit = git_output(root, "rev-parse", "HEAD").strip()
        status = git_output(root, "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all")
    except (OSError, subprocess.SubprocessError):
        return {"git_commit": None, "git_dirty": None, "git_changed": []}
    changed = [entry[3:] for entry in status.split("\0") if entry]
    left_out = [path.absolute() for path in own]
    kept = [
        name
        for name in changed
        if Path(name).name not in _OWN_FILES
        and not any((root / name).absolute().is_relative_to(path) for path in left_out)
    ]
    return {"git_commit": commit, "git_dirty": bool(kept), "git_changed": kept}


def git_output(root: Path, *arguments: str) -> str:
    """Return what git prints; bytes that are no UTF-8 are replaced.

    Raises:
        OSError: git is not there.
        subprocess.SubprocessError: it fails or does not answer in time.
    """
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, timeout=_GIT_SECONDS, check=True)
    return done.stdout.decode("utf-8", "replace")
