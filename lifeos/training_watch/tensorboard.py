"""The log and the curve of a run as TensorBoard event files; the numbers are those of the JSON lines beside them."""

from collections.abc import Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lifeos.lora.training_log import LogEntry
from lifeos.training_watch.curve import CurvePoint

EVENTS_FOLDER = "tensorboard"
ABSENT = "TensorBoard: tensorboardX is not installed, so there are no event files; next: pip install tensorboardX"
_LOOK = ("likeness", "face_rate", "skin_z", "copy_nearest", "copies", "seconds_per_step")


def writes_events() -> bool:
    """Return whether the package that writes event files is there."""
    return find_spec("tensorboardX") is not None


class EventFiles:
    """Writes what is new after each look; does nothing where the package is absent."""

    def __init__(self) -> None:
        """Write nothing yet."""
        self._writer: Any = None
        self._step = 0

    def add(self, folder: Path, points: Sequence[CurvePoint], log: Sequence[LogEntry]) -> None:
        """Append the last point and the steps since the one before it.

        Args:
            folder: of the run.
            points: all so far, at least one.
            log: entries up to the last point.
        """
        if not writes_events():
            return
        if self._writer is None:
            from tensorboardX import SummaryWriter

            self._step = points[-2].step if len(points) > 1 else 0
            # Steps that a killed run wrote and this one repeats are taken off the chart.
            self._writer = SummaryWriter(str(folder / EVENTS_FOLDER), purge_step=self._step + 1)
        for entry in log:
            if entry.step > self._step:
                values = {name: value for name, value in asdict(entry).items() if name != "step"}
                self._scalars("training", values, entry.step)
        point = asdict(points[-1])
        self._scalars("judge", {name: point[name] for name in _LOOK}, points[-1].step)
        self._writer.flush()
        self._step = points[-1].step

    def _scalars(self, group: str, values: dict[str, Any], step: int) -> None:
        for name, value in values.items():
            if value is not None:
                self._writer.add_scalar(f"{group}/{name}", value, step)
