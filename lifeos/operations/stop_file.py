"""The kill switch: a file of this name in the project's folder, and nothing starts or goes on."""

import os
from pathlib import Path

STOP_FILE = "STOP"


def stop_asked(root: Path) -> bool:
    """Return whether anything of that name is there: a link that leads nowhere says stop, too."""
    return os.path.lexists(root / STOP_FILE)
