"""What training was like, a line a step, and the signs by which it is stopped before more is paid for."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from evals.atomic import write_text
from lifeos.errors import InputError
from lifeos.lora.recipe import Recipe

LOG_NAME = "training-log.jsonl"
_FIRST_LOOK, _GROWTH = 100, 10.0
# The first step warms caches up and allocates.
_PACE_FROM, _PACE_STEPS, _FEWEST_STEPS = 2, 20, 5


@dataclass(frozen=True)
class LogEntry:
    """One optimizer step.

    Args:
        step: how many steps are done, from 1.
        loss: mean over its batches.
        learning_rate: after the schedule.
        gradient_norm: of the whole gradient, before it is clipped.
        weight_norm: of all LoRA weights, after the step.
        d: Prodigy's estimate of its step size; None for other optimizers.
        seconds: wall time of the step.
    """

    step: int
    loss: float
    learning_rate: float
    gradient_norm: float
    weight_norm: float
    d: float | None
    seconds: float


class TrainingLog:
    """The log of one run, in its folder; a resumed run drops the lines of steps that it repeats."""

    def __init__(self, folder: Path, start: int) -> None:
        """Open the log after ``start`` steps.

        Args:
            folder: of the run.
            start: steps that a checkpoint holds; later lines, and one that a kill tore, go.
        """
        self._path = Path(folder) / LOG_NAME
        kept = [entry for entry in read_log(folder) if entry.step <= start]
        write_text(self._path, "".join(_line(entry) for entry in kept))

    def add(self, entry: LogEntry) -> None:
        """Append one line; it is not forced to the disk, since a step that is lost is made again."""
        with self._path.open("a", encoding="ascii", newline="\n") as file:
            file.write(_line(entry))


def read_log(folder: Path) -> list[LogEntry]:
    """Return the entries of a run folder's log up to the first line that is not whole; none where there is no log."""
    try:
        lines = (Path(folder) / LOG_NAME).read_bytes().split(b"\n")[:-1]
    except OSError:
        return []
    entries = []
    for line in lines:
        try:
            entries.append(LogEntry(**json.loads(line)))
        except (ValueError, TypeError):
            break
    return entries


def expected_seconds(entries: Sequence[LogEntry]) -> float | None:
    """Return how long a step of this run takes where nothing disturbs it: the median of its steps 2 to 21.

    What a run itself took is known of every recipe and machine; a table of GPUs (``lifeos.pods.throughput``) is not.
    None before there are five of them.
    """
    first = [each.seconds for each in entries if _PACE_FROM <= each.step < _PACE_FROM + _PACE_STEPS]
    return median(first) if len(first) >= _FEWEST_STEPS else None


def prodigy_d(optimizer: Any) -> float | None:
    """Return Prodigy's estimate of its step size, or None for an optimizer without one."""
    value = optimizer.param_groups[0].get("d")
    return None if value is None else float(value)


def first_look(steps: int) -> int:
    """Return after how many of so many steps Prodigy's d must have grown: a tenth of them, 100 at least."""
    return max(_FIRST_LOOK, steps // 10)


def least_d(first: float, coefficient: float = 1.0) -> float:
    """Return what Prodigy's d must have come to by then: ten times its start, less where ``d_coefficient`` says so."""
    return _GROWTH * first * min(1.0, coefficient)


def require_healthy(entry: Mapping[str, Any] | LogEntry, recipe: Recipe, first_d: float | None) -> None:
    """Stop a run that cannot become anything.

    Args:
        entry: the step just done.
        recipe: of the run.
        first_d: Prodigy's d before the first step; None for other optimizers.

    Raises:
        InputError: a norm is not finite (known failure ``loss-nan-run-completes``), or Prodigy's d has not grown
            tenfold by ``first_look`` after the warm-up (``prodigy-d-stuck-at-d0``): its first steps are a millionth of
            what training takes.
    """
    values = asdict(entry) if isinstance(entry, LogEntry) else dict(entry)
    for name in ("loss", "gradient_norm", "weight_norm"):
        if not math.isfinite(values[name]):
            raise InputError(f"training: accepted a finite {name}, got {values[name]} at step {values['step']} of "
                             f"{recipe.steps} (known failure loss-nan-run-completes); next: lower "
                             "optimizer.learning_rate or use dtype = \"float32\" in the recipe")
    if first_d is None or values["d"] is None:
        return
    look = recipe.optimizer.warmup_steps + first_look(recipe.steps)
    least = least_d(first_d, recipe.optimizer.d_coefficient)
    if values["step"] == look and values["d"] < least:
        raise InputError(f"training: accepted Prodigy's d above {least:.1e} after {look} steps, got {values['d']:.1e} "
                         "(known failure prodigy-d-stuck-at-d0): nothing is learnt; next: drop "
                         "optimizer.learning_rate and raise optimizer.d_coefficient in the recipe")


def _line(entry: LogEntry) -> str:
    return json.dumps(asdict(entry), sort_keys=True) + "\n"
