"""How far long work has come: bars on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from lifeos.progress import silent

_STAGES = {"latents": "reading training images", "training": "training", "sampling": "sampling images"}
# Without a terminal a line a step would flood a log; a line every so often shows life.
_PLAIN_SECONDS = 15.0


@contextmanager
def show_progress(
    stream: TextIO | None = None, news: Callable[[], list[str]] = list
) -> Iterator[Callable[[str, int, int], None]]:
    """Give a progress function: bars on a terminal, a line now and then elsewhere (default stream: stderr).

    ``news`` is asked at every call, and at the end, for lines that belong above the bars.
    """
    stream = stream or sys.stderr
    if not stream.isatty():
        yield _plain_progress(stream, news)
        _print_lines(stream, news())
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(file=stream)) as bars:
        tasks: dict[str, Any] = {}

        def show(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(_STAGES.get(stage, stage), total=total)
            bars.update(tasks[stage], completed=done, total=total)
            _print_above(bars.console, news())

        yield show
        _print_above(bars.console, news())


def _print_lines(stream: TextIO, lines: list[str]) -> None:
    for line in lines:
        print(line, file=stream, flush=True)


def _print_above(console: Any, lines: list[str]) -> None:
    for line in lines:
        console.print(line, markup=False, highlight=False)


def _plain_progress(stream: TextIO, news: Callable[[], list[str]]) -> Callable[[str, int, int], None]:
    last: dict[str, float] = {}

    def show(stage: str, done: int, total: int) -> None:
        _print_lines(stream, news())
        now = time.monotonic()
        if stage in last and done != total and now - last[stage] < _PLAIN_SECONDS:
            return
        last[stage] = now
        print(f"{_STAGES.get(stage, stage)}: {done} of {total}", file=stream, flush=True)

    return show


@contextmanager
def show_operators(stream: TextIO | None = None) -> Iterator[Callable[[str, int, int], None]]:
    """Give a progress function for work whose length nobody knows: a count on a terminal, silence elsewhere."""
    stream = stream or sys.stderr
    if not stream.isatty():
        yield silent
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(file=stream), transient=True) as counts:
        task = counts.add_task("reading configs", total=None)
        yield lambda stage, done, _: counts.update(task, description=f"tracing {stage}: {done} operators")
