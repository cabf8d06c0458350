"""The tracked files of a checkout, listed once and read once."""

import subprocess
from pathlib import Path


class Checkout:
    """What the guardrails look at.

    Args:
        root: of the checkout.

    Attributes:
        tracked: names of tracked files with ``/``, or None where git does not answer.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self.tracked = _tracked(self.root)
        self._read: dict[str, bytes | None] = {}

    def read(self, name: str) -> bytes | None:
        """Return a file's bytes, or None where there is no plain readable file."""
        if name not in self._read:
            path = self.root / name
            try:
                self._read[name] = None if path.is_symlink() or not path.is_file() else path.read_bytes()
            except OSError:
                self._read[name] = None
        return self._read[name]

    def text(self, name: str) -> str | None:
        """Return a file's text with ``\\n`` line ends, or None where it cannot be read or is no UTF-8."""
        data = self.read(name)
        try:
            return None if data is None else data.decode("utf-8").replace("\r\n", "\n")
        except UnicodeDecodeError:
            return None


def _tracked(root: Path) -> frozenset[str] | None:
    from lifeos.git import git_output

    try:
        # Asked of the folder itself: a copy without .git inside another repository has no tracked files.
        if git_output(root, "rev-parse", "--show-prefix").strip():
            return None
        listing = git_output(root, "ls-files", "-z")
    except (OSError, subprocess.SubprocessError):
        return None
    return frozenset(name for name in listing.split("\0") if name)
