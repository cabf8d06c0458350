"""Progress from whoever works to whoever watches: a function inside one process, a file of JSON lines between two."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

Progress = Callable[[str, int, int], None]
"""Called with (stage, done, total); cheap, called often, must not raise."""

_WRITE_SECONDS = 0.2


def silent(stage: str, done: int, total: int) -> None:
    """Say nothing."""


def progress_writer(path: Path | str | None) -> Progress:
    """Return a progress function that appends to a file, at most a few lines a second and stage; None: silence."""
    if path is None:
        return silent
    file, last = Path(path), dict[str, float]()

    def write(stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if done not in (0, total) and now - last.get(stage, 0.0) < _WRITE_SECONDS:
            return
        last[stage] = now
        with file.open("a", encoding="utf-8", newline="\n") as lines:
            lines.write(json.dumps({"stage": stage, "done": done, "total": total}) + "\n")

    return write


def show_new(path: Path, offset: int, progress: Progress) -> int:
    """Hand on the whole lines that another process wrote behind byte ``offset``; return the offset for the next call.

    A line that is no progress is passed over; a file that is not there yet has no lines.
    """
    try:
        with path.open("rb") as file:
            file.seek(offset)
            block = file.read()
    except OSError:
        return offset
    whole = block[: block.rfind(b"\n") + 1]
    for line in whole.splitlines():
        with suppress(ValueError, KeyError, TypeError):
            event = json.loads(line)
            progress(event["stage"], int(event["done"]), int(event["total"]))
    return offset + len(whole)
