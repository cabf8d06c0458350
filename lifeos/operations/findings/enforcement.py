"""What may be named as holding a rule: a gate of the manifest, or a test file that is there."""

from collections.abc import Callable
from pathlib import Path

from lifeos.manifest import load_manifest


def enforcer(root: Path) -> Callable[[str], bool]:
    """Return whether a name enforces anything in a checkout.

    Args:
        root: with ``gates/manifest.toml`` and ``tests/``.

    Raises:
        InputError: the manifest cannot be read.
    """
    root = Path(root)
    gates = {row.id for row in load_manifest(root / "gates" / "manifest.toml").gates}

    def enforces(name: str) -> bool:
        if name in gates:
            return True
        file = (root / name).resolve()
        return file.suffix == ".py" and file.is_relative_to((root / "tests").resolve()) and file.is_file()

    return enforces
