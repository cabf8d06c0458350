"""Who may look at a LoRA while it is trained, and end the run; looking never changes what is trained.

This room trains and knows no persona. Whoever judges hands in a ``Watcher`` and gets finished bytes, no tensor.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class Ending:
    """A run that ends before its last step, or whose last step is not the one that is kept.

    Args:
        lora: bytes of the finished file.
        step: after how many steps it lay there.
        reason: why, in one line.
    """

    lora: bytes
    step: int
    reason: str


class Watcher(Protocol):
    """What training asks of whoever looks."""

    @property
    def identity(self) -> str:
        """SHA-256 over everything that its endings depend on: part of the training key where a run may end early."""

    def holds(self, folder: Path, step: int) -> bool:
        """Return whether every look up to ``step`` that an ending may depend on lies in the run's folder.

        Where not, the run begins anew instead of going on from there.
        """

    def begin(self, folder: Path, step: int) -> None:
        """Open what lies in the run's folder and forget what was seen after ``step`` steps: they will be repeated."""

    def after(self, step: int, encode: Callable[[], bytes]) -> Ending | None:
        """Look, if it is time, and say whether the run ends; ``encode`` gives the LoRA file of this step.

        Raises:
            InputError: what was drawn cannot be used, or the run ends with nothing to keep.
        """

    def close(self) -> None:
        """Put away what only a run that goes on needs."""


@dataclass(frozen=True)
class WatchRequest:
    """A watcher to be made in the child process that trains.

    Args:
        module: run with ``-m`` in place of ``lifeos.lora.train_once``; makes the watcher and trains.
        identity: ``Watcher.identity``.
        values: JSON that the module makes it from.
    """

    module: str
    identity: str
    values: Mapping[str, Any]
