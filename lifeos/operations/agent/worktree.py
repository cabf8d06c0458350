"""A throw-away copy of the checkout for an agent to work in, and what it changed there."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from evals.atomic import write_text

MOST_COPIED_BYTES = 256 << 20
_PLACE = "worktree.txt"
_LEFT_ALONE = (".git",)


@contextmanager
def throw_away_worktree(root: Path, record: Path, reads: Sequence[str]) -> Iterator[Path]:
    """Give a folder with the tracked files of HEAD, and today's state of what the agent may read; remove it afterwards.

    It lies outside the checkout, so that no agent finds the checkout's files by going up. Where git does not answer it
    holds what may be read and nothing else.

    Args:
        root: the checkout.
        record: folder of the run; the place is written there, and what an earlier kill left behind is removed.
        reads: files and folders below the checkout that may differ from HEAD or are ignored by git.

    Raises:
        OSError: the folder cannot be made.
    """
    note = record / _PLACE
    if note.exists():
        _remove(root, Path(note.read_text(encoding="utf-8").strip()))
    outer = Path(tempfile.mkdtemp(prefix="lifeos-agent-"))
    place = outer / "worktree"
    write_text(note, f"{outer}\n")
    try:
        if not _add(root, place):
            place.mkdir()
        for name in reads:
            _copy(root / name, place / name)
        yield place
    finally:
        _remove(root, outer)
        note.unlink(missing_ok=True)


def fingerprint(folder: Path, besides: Sequence[str] = ()) -> dict[str, str]:
    """Return what lies in a folder: each name with ``/`` to the hash of its bytes, or where a link leads.

    Args:
        folder: to look at.
        besides: names of files and folders in it that are left out.
    """
    found: dict[str, str] = {}
    for current, folders, files in os.walk(folder):
        inside = Path(current).relative_to(folder)
        folders[:] = sorted(
            name for name in folders
            if (inside / name).as_posix() not in (*besides, *_LEFT_ALONE) and not (Path(current) / name).is_symlink()
        )  # fmt: skip
        links = [path.name for path in Path(current).iterdir() if path.is_symlink()]
        for name in sorted({*files, *links}):
            place = (inside / name).as_posix()
            if place in (*besides, *_LEFT_ALONE):
                continue
            path = Path(current) / name
            found[place] = f"link to {os.readlink(path)}" if path.is_symlink() else _digest(path)
    return found


def refs_of(root: Path) -> dict[str, str]:
    """Return where every branch and tag of the repository points: a worktree shares them with the checkout."""
    from lifeos.git import git_output

    try:
        listed = git_output(root, "for-each-ref", "--format=%(refname) %(objectname)")
    except (OSError, subprocess.SubprocessError):
        return {}
    return dict(line.split(" ", 1) for line in listed.splitlines() if " " in line)


def differences(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Return what was added, changed or deleted, in order of names."""
    lines = []
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            how = "added" if name not in before else "deleted" if name not in after else "changed"
            lines.append(f"{name} ({how})")
    return lines


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"unreadable: {error.strerror}"


def _add(root: Path, place: Path) -> bool:
    try:
        subprocess.run(
            ["git", "-c", f"core.hooksPath={os.devnull}", "worktree", "add", "--quiet", "--detach", str(place), "HEAD"],
            cwd=root, check=True, capture_output=True, timeout=300,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def _copy(source: Path, target: Path) -> None:
    """Copy a file or folder as it is today; links are left out, and so is what would be more than 256 MiB."""
    if source.is_symlink() or not source.exists():
        return
    if source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.stat().st_size <= MOST_COPIED_BYTES:
            shutil.copyfile(source, target)
        return
    left = MOST_COPIED_BYTES
    for path in sorted(source.rglob("*")):
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= left:
            left -= path.stat().st_size
            copied = target / path.relative_to(source)
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copied)


def _remove(root: Path, outer: Path) -> None:
    if not outer.name.startswith("lifeos-agent-"):
        return
    shutil.rmtree(outer, ignore_errors=True)
    with suppress(OSError, subprocess.SubprocessError):
        subprocess.run(["git", "worktree", "prune"], cwd=root, check=False, capture_output=True, timeout=60)
