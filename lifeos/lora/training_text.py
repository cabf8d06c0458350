"""The text that a trainer left, whichever wrote it: progress bars, key=value, or JSON lines as lifeos writes."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lifeos.errors import InputError

LOSSES = ("loss", "avr_loss", "train_loss", "step_loss")
"""Names under which trainers log it."""
_LARGEST_BYTES = 256 << 20
_NUMBER = r"[-+]?(?:nan|inf(?:inity)?|\d+\.?\d*(?:e[-+]?\d+)?|\.\d+)"


@dataclass(frozen=True)
class TrainingText:
    """A training log.

    Args:
        path: the file.
        text: its content; bytes that are no UTF-8 are replaced.
    """

    path: Path
    text: str

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """Its lines; each state of a progress bar, which carriage returns part, is one."""
        return tuple(line for line in re.split(r"[\r\n]+", self.text) if line.strip())

    def figures(self, name: str) -> list[float]:
        """Return every value logged under a name, in order: ``name=1e-4``, ``name: 1e-4`` or ``"name": 1e-4``.

        Values are finite, infinite or NaN, as they were written.
        """
        pattern = re.compile(rf'(?<![\w./*]){re.escape(name)}"?\s*[=:]\s*({_NUMBER})(?![\w.])', re.IGNORECASE)
        return [float(match.group(1)) for match in pattern.finditer(self.text)]


def read_training_text(path: Path) -> TrainingText:
    """Read a training log.

    Raises:
        InputError: no such file, none that can be read, an empty one, or one above 256 MiB.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if size > _LARGEST_BYTES:
            raise InputError(f"{path}: accepted a log of up to {_LARGEST_BYTES} bytes, got {size}; next: cut it")
        text = path.read_bytes().decode("utf-8-sig", errors="replace")
    except OSError as error:
        raise InputError(f"{path}: accepted a readable log, got {error.strerror}; next: check the path") from error
    if not text.strip():
        raise InputError(f"{path}: accepted a training log, got an empty file; next: name the right one")
    return TrainingText(path, text)
