"""A training run as the judge saw it: likeness, skin and copying over its steps, loss and pace below."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evals.atomic import write_bytes, write_text
from lifeos.report.charts import CANDIDATE, CHAMPION, INK, LIMIT, dress, inline_svg, small_png

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from evals.calibration import Calibration
    from lifeos.lora.training_log import LogEntry
    from lifeos.training_watch.curve import CurvePoint

PAGE_NAME, PICTURE_NAME = "training-curve.html", "training-curve.png"
TEMPLATE = Path(__file__).with_name("training_curve.html.j2")
_SIZE, _DOTS = (7.2, 8.6), 80
# The loss of one step is mostly that of its noise level: 30 steps of the demo in a row went from .004 to .135.
_LOSS_BINS = 60


@dataclass(frozen=True)
class CurveLimits:
    """What a look is held against; None where the calibration has no such limit.

    Args:
        tau: least likeness.
        skin: band of skin z.
        copy_distance: largest distance to a training image that is a copy.
    """

    tau: float | None
    skin: tuple[float, float] | None
    copy_distance: float | None

    @classmethod
    def of(cls, calibration: "Calibration") -> "CurveLimits":
        """Return the limits of a persona's calibration."""
        low, high = calibration.threshold("skin_z_low"), calibration.threshold("skin_z_high")
        skin = None if low is None or high is None else (low, high)
        return cls(calibration.threshold("tau"), skin, calibration.threshold("copy_image_distance"))


def write_training_curve(
    folder: Path, persona: str, points: "Sequence[CurvePoint]", log: "Sequence[LogEntry]", limits: CurveLimits
) -> None:
    """Write ``training-curve.html``, which needs no other file, and ``training-curve.png`` into a run's folder.

    Args:
        folder: of the run.
        persona: its name.
        points: looks in the order of their steps, at least one.
        log: steps done.
        limits: drawn as lines.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    figure = draw_training_curve(points, log, limits)
    page = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        persona=persona, points=points, limits=limits, chart=inline_svg(figure, "training curve")
    )
    write_text(folder / PAGE_NAME, page)
    write_bytes(folder / PICTURE_NAME, small_png(figure, _DOTS))


def draw_training_curve(
    points: "Sequence[CurvePoint]", log: "Sequence[LogEntry]", limits: CurveLimits
) -> "Figure":
    """Return the figure; arguments as for ``write_training_curve``. A cross is a look that a gate rules out."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE, layout="constrained")
    FigureCanvasSVG(figure)
    figure.patch.set_alpha(0.0)
    likeness, skin, copying, loss = figure.subplots(4, 1, sharex=True)
    for axes in (likeness, skin, copying, loss):
        dress(axes)
    steps = [point.step for point in points]
    low, high = zip(*(point.likeness_interval for point in points), strict=True)
    likeness.fill_between(steps, low, high, color=CANDIDATE, alpha=0.2, linewidth=0, label="95 % interval")
    _line(likeness, points, [point.likeness for point in points])
    _limit(likeness, limits.tau, "tau")
    likeness.set_ylabel("likeness")
    _line(skin, points, [point.skin_z for point in points])
    if limits.skin is not None:
        skin.axhspan(*limits.skin, color=LIMIT, alpha=0.12, linewidth=0, label="band of the references")
    skin.set_ylabel("skin z, median")
    _line(copying, points, [point.copy_nearest for point in points])
    _limit(copying, limits.copy_distance, "below: a copy")
    # Distances begin at a copy, 0, and the limit lies far below most of them.
    copying.set_ylim(0.0, 1.1 * max([0.01, *(point.copy_nearest or 0.0 for point in points)]))
    copying.set_ylabel("nearest training image")
    means = _binned(log)
    loss.plot([step for step, _ in means], [value for _, value in means], color=CANDIDATE, linewidth=0.9, label="loss")
    loss.set_ylabel("loss")
    loss.set_xlabel("steps")
    other = loss.twinx()
    dress(other)
    other.spines["right"].set_visible(True)
    rated = [(entry.step, entry.learning_rate * (1.0 if entry.d is None else entry.d)) for entry in log]
    size = "learning rate" if all(entry.d is None for entry in log) else "d x learning rate"
    other.plot([step for step, _ in rated], [rate for _, rate in rated], color=CHAMPION, linewidth=0.9, label=size)
    if any(entry.d is not None for entry in log) and len({rate for _, rate in rated if rate > 0.0}) > 1:
        # Prodigy's d grows by powers of ten.
        other.set_yscale("log")
    other.set_ylabel(size)
    for axes in (likeness, skin, copying):
        _legend(axes, *axes.get_legend_handles_labels())
    lines = [*loss.get_lines(), *other.get_lines()]
    _legend(loss, lines, [str(line.get_label()) for line in lines])
    return figure


def _legend(axes: Any, handles: Sequence[Any], labels: Sequence[str]) -> None:
    if handles:
        axes.legend(handles, labels, fontsize=7, frameon=False, labelcolor=INK)


def _line(axes: Any, points: "Sequence[CurvePoint]", values: Sequence[float | None]) -> None:
    known = [(point, value) for point, value in zip(points, values, strict=True) if value is not None]
    axes.plot([point.step for point, _ in known], [value for _, value in known], color=CANDIDATE, linewidth=1.2)
    for ruled_out, mark, colour, words in ((False, "o", CANDIDATE, "look"), (True, "X", CHAMPION, "ruled out")):
        chosen = [(point.step, value) for point, value in known if bool(point.ruled_out) is ruled_out]
        if chosen:
            axes.plot(*zip(*chosen, strict=True), mark, color=colour, markersize=5, linestyle="", label=words)


def _limit(axes: Any, value: float | None, words: str) -> None:
    if value is not None:
        axes.axhline(value, color=LIMIT, linewidth=1.4, linestyle="--", label=f"{words} {value:.4g}")


def _binned(log: "Sequence[LogEntry]") -> list[tuple[float, float]]:
    count = min(_LOSS_BINS, len(log))
    parts = [log[part * len(log) // count : (part + 1) * len(log) // count] for part in range(count)]
    return [(sum(e.step for e in part) / len(part), sum(e.loss for e in part) / len(part)) for part in parts]
