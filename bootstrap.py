"""Makes .venv when it is missing or the lock changed, then runs `lifeos ...` in it. Standard library only."""

import contextlib
import hashlib
import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent
LOCKS = ("requirements.lock", "requirements-no-deps.lock")
MARKER = "lifeos-lock"
EXTRA_MARKERS = "lifeos-extra-*"
OLDEST = (3, 11)


def main(arguments: list[str]) -> int:
    """Make the environment if need be and hand over to it; returns the exit status."""
    if sys.version_info < OLDEST:
        found = ".".join(map(str, sys.version_info[:3]))
        return _complain(f"Python 3.11 or newer is needed, got {found}; next: install one from python.org", 2)
    environment = ROOT / ".venv"
    if not is_ready(environment):
        with only_one(ROOT / ".venv.lock"):
            # Whoever waited finds it done.
            if not is_ready(environment):
                code = build(environment)
                if code != 0:
                    return code
    return hand_over([str(python_of(environment)), "-m", "lifeos", *arguments])


def python_of(environment: Path) -> Path:
    """Return where the environment's Python lies."""
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def lock_hash(root: Path = ROOT) -> str:
    """Return one SHA-256 over the lock files and the Python that installs them."""
    digest = hashlib.sha256(f"{sys.version_info[:2]} {sys.platform}".encode("ascii"))
    for name in LOCKS:
        # Line ends are no difference: a Windows checkout may have converted them.
        digest.update((root / name).read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()


def is_ready(environment: Path) -> bool:
    """Return whether an installation came to its end with the locks of today."""
    try:
        return (environment / MARKER).read_text(encoding="ascii") == lock_hash() and python_of(environment).exists()
    except (OSError, UnicodeDecodeError):
        return False


def build(environment: Path) -> int:
    """Install the locks; the marker comes last, so an installation that was interrupted is done again from nothing."""
    print("lifeos: making .venv (once; a few minutes and about 1.5 GB)", file=sys.stderr, flush=True)
    marker = environment / MARKER
    was_whole = marker.exists() and python_of(environment).exists()
    marker.unlink(missing_ok=True)
    # What follows may move a package that an extra was installed with (lifeos/extras.py).
    for extra in environment.glob(EXTRA_MARKERS):
        extra.unlink()
    if not was_whole:
        venv.EnvBuilder(with_pip=True, clear=True, symlinks=os.name != "nt").create(environment)
    pip = [str(python_of(environment)), "-m", "pip", "--disable-pip-version-check", "install", "-qq"]
    for arguments in (["-r", str(ROOT / LOCKS[0])], ["--no-deps", "-r", str(ROOT / LOCKS[1])]):
        code = subprocess.run([*pip, *arguments], check=False).returncode
        if code != 0:
            return _complain("pip could not install the lock; next: read its message, then the same command", code)
    temporary = environment / f"{MARKER}.new"
    temporary.write_text(lock_hash(), encoding="ascii")
    os.replace(temporary, marker)
    return 0


def hand_over(command: list[str]) -> int:
    """Run the command in place of this process where the system can, else as a child; returns its exit status."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
    if os.name != "nt":
        sys.stdout.flush()
        sys.stderr.flush()
        os.execve(command[0], command, environment)  # noqa: S606 - no shell is what is wanted
    try:
        return subprocess.run(command, env=environment, check=False).returncode
    except KeyboardInterrupt:
        return 130


def _complain(message: str, code: int) -> int:
    print(f"lifeos: {message}", file=sys.stderr)
    return code


@contextlib.contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Let one process at a time build the environment; the system frees the lock when its holder dies."""
    with path.open("a+b") as file:
        if os.name == "nt":
            import msvcrt
            import time

            while True:
                try:
                    file.seek(0)
                    msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
                    break
                except OSError:
                    time.sleep(0.5)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
