"""Charts of the report as inline SVG: colours told apart without red and green, text in the colour of the page."""

import io
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito 2008; both stand out on light and on dark paper.
CANDIDATE, CHAMPION, LIMIT = "#0072B2", "#E69F00", "#CC79A7"
INK = "#010203"
"""Replaced by the colour of the text around the picture."""
_MARKS = {"approved": ("o", CANDIDATE), "rejected": ("X", CHAMPION), "not_evaluated": ("s", "#999999")}
_BINS = 30


def distribution(
    name: str,
    candidate: Sequence[float],
    champion: Sequence[float],
    limits: Sequence[tuple[float, str]],
    names: tuple[str, str] = ("candidate", "champion"),
) -> str:
    """Return the histogram of one metric over images, candidate and champion, with the limits it was judged by.

    Args:
        name: of the metric, the axis' title.
        candidate, champion: finite values; the champion's may be none.
        limits: (value, meaning) of each vertical line.
        names: how the two are called.
    """
    import numpy as np

    figure, axes = _figure(4.0, 2.5)
    pooled = [*candidate, *champion, *(value for value, _ in limits)]
    low, high = min(pooled), max(pooled)
    edges = np.linspace(low, high if high > low else low + 1.0, _BINS + 1).tolist()
    groups = [(names[0], candidate, CANDIDATE), (names[1], champion, CHAMPION)]
    for words, values, colour in groups:
        if len(values):
            axes.hist(values, edges, color=colour, alpha=0.6, label=f"{words} (n = {len(values)})")
    for value, meaning in limits:
        axes.axvline(value, color=LIMIT, linewidth=1.6, linestyle="--", label=meaning)
    axes.set_xlabel(name)
    axes.set_ylabel("images")
    axes.legend(fontsize=7, frameon=False, labelcolor=INK)
    return inline_svg(figure, f"distribution of {name}")


def history(name: str, rows: Sequence[Mapping[str, Any]]) -> str | None:
    """Return one small multiple: the mean of a metric over all past releases with its interval; None with no value.

    Args:
        name: of the metric.
        rows: scorecards, oldest first; the last is the one of the report.
    """
    points = []
    for place, row in enumerate(rows, 1):
        found = (row.get("metrics") or {}).get(name) or {}
        if found.get("mean") is not None:
            points.append((place, float(found["mean"]), found.get("interval"), str(row.get("verdict"))))
    if not points:
        return None
    figure, axes = _figure(3.2, 1.9)
    axes.plot([place for place, *_ in points], [mean for _, mean, *_ in points], color=INK, linewidth=0.7, alpha=0.5)
    for place, mean, interval, verdict in points:
        mark, colour = _MARKS.get(verdict, _MARKS["not_evaluated"])
        if interval is not None:
            axes.plot([place, place], interval, color=colour, linewidth=1.2, alpha=0.7)
        axes.plot([place], [mean], mark, color=colour, markersize=7 if place == len(rows) else 5)
    axes.set_title(name, fontsize=9, color=INK)
    axes.set_xlim(0.5, len(rows) + 0.5)
    axes.set_xticks([1, len(rows)] if len(rows) > 1 else [1])
    return inline_svg(figure, f"history of {name}")


def _figure(width: float, height: float) -> tuple["Figure", Any]:
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.subplots()
    figure.patch.set_alpha(0.0)
    dress(axes)
    return figure, axes


def dress(axes: Any) -> None:
    """Give axes the colour of the text around the picture and no box."""
    axes.patch.set_alpha(0.0)
    axes.spines[["top", "right"]].set_visible(False)
    for spine in axes.spines.values():
        spine.set_color(INK)
    axes.tick_params(colors=INK, labelsize=7)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)


def small_png(figure: "Figure", dots: int) -> bytes:
    """Return a figure on white as PNG in 64 colours, a third of the bytes; ``dots`` an inch."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    FigureCanvasAgg(figure)
    figure.patch.set_alpha(1.0)
    buffer, small = io.BytesIO(), io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dots, facecolor="white")
    with Image.open(buffer) as image:
        image.convert("RGB").quantize(64, dither=Image.Dither.NONE).save(small, format="PNG", optimize=True)
    return small.getvalue()


def inline_svg(figure: "Figure", title: str) -> str:
    """Return a figure as an ``<svg>`` element for a page: ``INK`` becomes the page's own colour, ids are its own.

    Args:
        figure: with a canvas.
        title: what a screen reader says; different on one page.
    """
    import matplotlib as mpl

    buffer = io.StringIO()
    # Text stays text, and without date and salt two runs give the same bytes.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": title}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    # Several pictures share one page: their ids must not meet.
    prefix = re.sub(r"[^a-z0-9]+", "-", title.lower())
    text = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", text)
    text = re.sub(r'xlink:href="#([^"]+)"', rf'xlink:href="#{prefix}-\1"', text)
    return text.replace("<svg ", f'<svg role="img" aria-label="{title}" ', 1)
