"""Optional packages that few commands need: installed on demand, pinned, on top of requirements.lock."""

import hashlib
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

from evals.atomic import write_text
from lifeos.errors import InputError
from lifeos.settings import project_root

EXTRAS = ("sweep",)
_BASE_LOCK = "requirements.lock"
_CONNECTIONS = ("--retries", "1", "--timeout", "15")


def lock_of(name: str, root: Path | None = None) -> Path:
    """Return the lock file of an extra, ``requirements-NAME.lock``.

    Raises:
        InputError: no such extra, or its lock is not there.
    """
    lock = (root or project_root()) / f"requirements-{name}.lock"
    if name not in EXTRAS or not lock.is_file():
        raise InputError(f"extra: accepted {', '.join(EXTRAS)}, got {name!r}; next: name one of them")
    return lock


def is_installed(lock: Path, environment: Path) -> bool:
    """Return whether an installation of a lock came to its end in this environment and still stands.

    bootstrap.py removes the marker when it changes the environment; a package that went or moved since shows by itself.
    """
    try:
        finished = _marker(lock, environment).read_text(encoding="ascii") == _lock_hash(lock)
    except (OSError, UnicodeDecodeError):
        return False
    return finished and all(_version(name) == version for name, version in pinned(lock).items())


def pinned(lock: Path) -> dict[str, str]:
    """Return name -> version of a lock's lines that hold for this Python and system."""
    from packaging.requirements import Requirement

    found = {}
    for line in lock.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate():
                found[requirement.name] = str(requirement.specifier).removeprefix("==")
    return found


def install(name: str, root: Path | None = None, environment: Path | None = None) -> bool:
    """Install an extra into this process's environment; returns False where it stands already.

    Nothing of requirements.lock is moved: pip is held to it.

    Args:
        name: one of ``EXTRAS``.
        root: of the checkout; None: this one.
        environment: folder that keeps the marker; None: ``sys.prefix``.

    Raises:
        InputError: no such extra, or pip could not install it.
    """
    lock, environment = lock_of(name, root), environment or Path(sys.prefix)
    if is_installed(lock, environment):
        return False
    marker = _marker(lock, environment)
    marker.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-qq", *_CONNECTIONS,
               "-r", str(lock), "-c", str(lock.with_name(_BASE_LOCK))]  # fmt: skip
    done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False)
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")] or done.stderr.splitlines()
        why = " ".join((said[-1] if said else f"status {done.returncode}").split())[:300]
        raise InputError(f"extra {name}: accepted what pip installs, got {why}; next: look at the network or pip's "
                         f"index, then lifeos install-extra {name}")  # fmt: skip
    write_text(marker, _lock_hash(lock))
    return True


def tests_that_need(name: str, root: Path) -> list[str]:
    """Return the test files, relative to ``root``, that skip without a package of an extra."""
    wanted = re.compile(r"importorskip\(\s*[\"'](" + "|".join(map(re.escape, pinned(lock_of(name, root)))) + r")\b")
    found = [path for path in (root / "tests").rglob("test_*.py") if wanted.search(path.read_text(encoding="utf-8"))]
    return sorted(path.relative_to(root).as_posix() for path in found)


def _marker(lock: Path, environment: Path) -> Path:
    # bootstrap.py knows this name too; it stands before the packages do and imports nothing of them.
    return environment / f"lifeos-extra-{lock.stem.removeprefix('requirements-')}"


def _lock_hash(lock: Path) -> str:
    text = f"{sys.version_info[:2]} {sys.platform} " + lock.read_text(encoding="utf-8")
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
