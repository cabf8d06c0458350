"""What a peak is made of, as bars of text, and how memory went over the run, as a picture."""

import io
from collections.abc import Iterator
from pathlib import Path

from evals.atomic import write_bytes
from lifeos.pods.vram.replay import Usage
from lifeos.pods.vram.tracer import ACTIVATIONS, KINDS

GIB, MIB = 2**30, 2**20
_BAR, _NAME = 40, 34
_BLOCKS_SHOWN = 8
_STEPS = " ▁▂▃▄▅▆▇█"
_PLAIN_STEPS = " .:-=+*#@"


def explanation(name: str, usage: Usage, plain: bool = False) -> list[str]:
    """Return lines: the peak, its parts as bars, the largest blocks among its activations, and the course.

    Args:
        name: ``training`` or ``sampling``.
        usage: of it.
        plain: ASCII only, for a stream that cannot encode blocks.
    """
    where = f"in {usage.peak_phase or 'the run'}, at {usage.peak_operator}"
    lines = [f"{name}: peak {usage.peak_bytes / GIB:.2f} GiB {where}"]
    for kind in KINDS:
        if usage.parts.get(kind):
            lines.append(_bar(kind, usage.parts[kind], usage.peak_bytes, plain))
            if kind == ACTIVATIONS:
                lines += [_bar(f"  {block}", size, usage.peak_bytes, plain) for block, size in _blocks(usage)]
    return [*lines, *_course(usage, plain)]


def draw_timeline(usages: dict[str, Usage], limit: int, path: Path) -> None:
    """Write a PNG: allocated memory over each run, its phases, what is reserved, and the limit.

    Args:
        usages: name -> usage, one panel each.
        limit: bytes that may be reserved.
        path: file to write, whole or not at all.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 2.6 * len(usages)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(usages), 1, squeeze=False)
    for axes, (name, usage) in zip(panels[:, 0], usages.items(), strict=True):
        count = len(usage.timeline)
        axes.fill_between(range(count), [size / GIB for size in usage.timeline], step="mid", color="#0072B2", alpha=0.6)
        reserved = usage.reserved_bytes / GIB
        axes.axhline(reserved, color="#E69F00", label=f"reserved {reserved:.2f} GiB")
        axes.axhline(limit / GIB, color="#D55E00", linestyle="--", label=f"limit {limit / GIB:.2f} GiB")
        for phase in usage.phases:
            axes.axvline(phase.begins * count, color="#888888", linewidth=0.6)
            axes.text(phase.begins * count + 0.5, 0, phase.name, fontsize=7, va="bottom")
        axes.set_ylabel("allocated (GiB)")
        axes.set_xticks([])
        axes.set_title(f"{name}, predicted and unmeasured", fontsize=9)
        axes.legend(fontsize=7, frameon=False, loc="upper left")
        axes.spines[["top", "right"]].set_visible(False)
    buffer = io.BytesIO()
    # Without the software line two runs give the same bytes.
    figure.savefig(buffer, format="png", dpi=90, metadata={"Software": None})
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, buffer.getvalue())


def _bar(name: str, size: int, whole: int, plain: bool) -> str:
    filled = round(_BAR * size / whole)
    bar = ("#" if plain else "█") * filled
    amount = f"{size / GIB:6.2f} GiB" if size >= 0.01 * GIB else f"{size / MIB:6.2f} MiB"
    shown = name if len(name) <= _NAME else f"{name[: _NAME - 3]}..."
    return f"  {shown:<{_NAME}} {amount} {100 * size / whole:5.1f} % {bar}".rstrip()


def _blocks(usage: Usage) -> Iterator[tuple[str, int]]:
    named = [(block or "between blocks and backward", size) for block, size in usage.blocks.items()]
    yield from named[:_BLOCKS_SHOWN]
    rest = sum(size for _, size in named[_BLOCKS_SHOWN:])
    if rest:
        yield f"{len(named) - _BLOCKS_SHOWN} more", rest


def _course(usage: Usage, plain: bool) -> list[str]:
    steps, top = _PLAIN_STEPS if plain else _STEPS, max(usage.timeline)
    course = "".join(steps[min(len(steps) - 1, round((len(steps) - 1) * size / top))] for size in usage.timeline)
    places = [min(len(course) - 1, int(phase.begins * len(course))) for phase in usage.phases]
    marks = ""
    # The last name may stand beyond the course.
    ends = [*places[1:], len(course) + _NAME]
    for phase, place, end in zip(usage.phases, places, ends, strict=True):
        marks = marks.ljust(place) + f"|{phase.name}"[: max(0, end - place)]
    return [f"  {course}", f"  {marks}"]
