"""What looks at a run in another process have seen, line by line."""

from collections.abc import Callable
from pathlib import Path

from lifeos.training_watch.curve import CURVE_NAME, read_curve


def news_of(folder: Path) -> Callable[[], list[str]]:
    """Return a function that gives the lines of the looks that came into a run's folder since it was last asked.

    A look that is repeated after a kill is no news.
    """
    told = max((point.step for point in read_curve(folder)), default=0)
    seen: tuple[int, int] | None = None

    def news() -> list[str]:
        nonlocal told, seen
        try:
            state = (folder / CURVE_NAME).stat()
        except OSError:
            return []
        # Asked at every step: the file is read when it changed.
        if (now := (state.st_mtime_ns, state.st_size)) == seen:
            return []
        seen = now
        points = [point for point in read_curve(folder) if point.step > told]
        told = max((point.step for point in points), default=told)
        return [line for point in points for line in point.lines()]

    return news
