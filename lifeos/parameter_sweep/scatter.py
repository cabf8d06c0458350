"""Likeness against what it is bought with: one small chart a scale, the front marked."""

from typing import TYPE_CHECKING, Any

from lifeos.parameter_sweep.outcome import SweepOutcome
from lifeos.parameter_sweep.scores import SCALES
from lifeos.report.charts import CANDIDATE, CHAMPION, INK, dress, inline_svg

if TYPE_CHECKING:
    from collections.abc import Sequence


def draw_scatter(outcome: SweepOutcome) -> list[str]:
    """Return an SVG element for each scale beside likeness that any cell with all prompts has a score on."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    # Cells that left have other prompts: their scores cannot be set beside these.
    whole = [place for place, cell in enumerate(outcome.cells) if cell.left is None]
    drawn = []
    for scale in SCALES[1:]:
        known = [place for place in whole if outcome.cells[place].scores[scale.name] is not None]
        if not known:
            continue
        figure = Figure(figsize=(4.0, 3.0), layout="constrained")
        FigureCanvasSVG(figure)
        figure.patch.set_alpha(0.0)
        axes = figure.subplots()
        dress(axes)
        out = [place for place in known if outcome.cells[place].candidate.ruled_out]
        front = [place for place in known if place in outcome.front.places]
        others = [place for place in known if place not in front and place not in out]
        _marks(axes, outcome, scale.name, out, "ruled out", {"marker": "x", "c": "#888888", "s": 26})
        hollow = {"marker": "o", "facecolors": "none", "edgecolors": INK}
        _marks(axes, outcome, scale.name, others, "all prompts", hollow)
        _marks(axes, outcome, scale.name, front, "on the front", {"marker": "o", "c": CANDIDATE})
        best = [place for place in known if place == outcome.chosen]
        _marks(axes, outcome, scale.name, best, "chosen", {"marker": "*", "c": CHAMPION, "s": 150, "edgecolors": INK})
        axes.margins(0.1)
        axes.set_xlabel("likeness, more is better")
        axes.set_ylabel(f"{scale.name.replace('_', ' ')}, {'more' if scale.higher_is_better else 'less'} is better")
        axes.legend(fontsize=7, frameon=False, labelcolor=INK)
        drawn.append(inline_svg(figure, f"likeness against {scale.name.replace('_', ' ')}"))
    return drawn


def _marks(
    axes: Any, outcome: SweepOutcome, scale: str, places: "Sequence[int]", label: str, style: dict[str, Any]
) -> None:
    if places:
        scores = [outcome.cells[place].scores for place in places]
        axes.scatter([own["likeness"] for own in scores], [own[scale] for own in scores], label=label, linewidths=0.8,
                     **style)  # fmt: skip
