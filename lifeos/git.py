"""What git says of a checkout."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# Files that a run itself writes: they make no checkout dirty.
_OWN_FILES = ("eval_history.jsonl", "champion.json")
_GIT_SECONDS = 30
PACK_FILE = "lifeos-pack.json"
_CODE = ("evals", "lifeos", "gates")


def git_state(root: Path, own: Sequence[Path] = ()) -> dict[str, Any]:
    """Return ``git_commit``, ``git_dirty`` and ``git_changed`` of a checkout; all unknown where nothing answers.

    Where git does not, what ``lifeos pod unpack`` laid out answers for itself.

    Args:
        root: of the checkout.
        own: files and folders that runs write to; with the history and champion files they are left out.
    """
    if not (root / ".git").exists() and (root / PACK_FILE).is_file():
        # Git would answer for whatever checkout this folder happens to lie in.
        return _packed_state(root, own)
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


def _packed_state(root: Path, own: Sequence[Path]) -> dict[str, Any]:
    """Return what a project says of itself that came as an archive of ``lifeos pod pack``, without git.

    It is its commit as long as every file is the packed one, and no code stands beside them.
    """
    from evals.content_hash import hash_file

    try:
        pack = json.loads((root / PACK_FILE).read_text(encoding="utf-8"))
        commit, files, changed = pack["commit"], pack["files"], list(pack["changed"])
    except (OSError, ValueError, KeyError, TypeError):
        return {"git_commit": None, "git_dirty": None, "git_changed": []}
    left_out = [path.absolute() for path in own]
    for name, packed in files.items():
        path = root / name
        if path.name in _OWN_FILES or any(path.absolute().is_relative_to(each) for each in left_out):
            continue
        if not path.is_file() or hash_file(path) != packed["sha256"]:
            changed.append(name)
    for folder in _CODE:
        changed += [
            path.relative_to(root).as_posix()
            for path in sorted((root / folder).rglob("*"))
            if path.suffix in (".py", ".toml") and path.relative_to(root).as_posix() not in files
        ]
    return {"git_commit": commit, "git_dirty": bool(changed), "git_changed": sorted(set(changed))}


def git_output(root: Path, *arguments: str) -> str:
    """Return what git prints; bytes that are no UTF-8 are replaced.

    Raises:
        OSError: git is not there.
        subprocess.SubprocessError: it fails or does not answer in time.
    """
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, timeout=_GIT_SECONDS, check=True)
    return done.stdout.decode("utf-8", "replace")
