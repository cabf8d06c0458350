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


def write_event_file(folder: Path, points: Sequence[CurvePoint], log: Sequence[LogEntry]) -> None:
    """Write one file a look: the last point and the steps since the one before it; nothing without the package.

    The writer is closed after each: it hands events to a thread, and its ``flush`` does not wait for them.

    Args:
        folder: of the run.
        points: all so far, at least one.
        log: entries up to the last point.
    """
    if not writes_events():
        return
    from tensorboardX import SummaryWriter

    last, before = points[-1], points[-2].step if len(points) > 1 else 0
    # Steps that a killed run wrote and this one repeats are taken off the chart. Two looks within one second would
    # share a name without the suffix.
    writer = SummaryWriter(str(folder / EVENTS_FOLDER), purge_step=before + 1, filename_suffix=f".{last.step:08d}")
    try:
        for entry in log:
            if entry.step > before:
                _scalars(writer, "training", {**asdict(entry), "step": None}, entry.step)
        point = asdict(last)
        _scalars(writer, "judge", {name: point[name] for name in _LOOK}, last.step)
    finally:
        writer.close()


def _scalars(writer: Any, group: str, values: dict[str, Any], step: int) -> None:
    for name, value in values.items():
        if value is not None:
            writer.add_scalar(f"{group}/{name}", value, step)
