"""A training search as a picture: likeness by trial, and by the value of each searched key."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from evals.content_hash import canonical_json
from lifeos.parameter_sweep.training_search import SearchedKey, TrainingSearch
from lifeos.parameter_sweep.training_trials import Trial
from lifeos.report.charts import CANDIDATE, CHAMPION, INK, LIMIT, dress, small_png

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURE_NAME = "trials.png"
_COLUMNS, _PANEL, _DOTS = 3, (3.1, 2.4), 80


def training_search_png(search: TrainingSearch, trials: Sequence[Trial]) -> bytes:
    """Return the picture as PNG; arguments as for ``draw_training_search``."""
    return small_png(draw_training_search(search, trials), _DOTS)


def draw_training_search(search: TrainingSearch, trials: Sequence[Trial]) -> "Figure":
    """Return the figure: a panel for the trials in their order, then one for each searched key.

    Dots are judged LoRAs, crosses those that a gate rules out; a short line at the bottom is a trial without a LoRA.

    Args:
        search: its keys give the panels their scales.
        trials: at least one.
    """
    from matplotlib.figure import Figure

    panels = 1 + len(search.search)
    columns = min(_COLUMNS, panels)
    rows = math.ceil(panels / columns)
    figure = Figure(figsize=(_PANEL[0] * columns, _PANEL[1] * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    for axes in grid:
        dress(axes)
    for axes in grid[panels:]:
        axes.set_visible(False)
    for place in range(0, panels, columns):
        grid[place].set_ylabel("likeness on set A")
    _points(grid[0], trials, [float(trial.number + 1) for trial in trials])
    _best_so_far(grid[0], trials)
    grid[0].set_xlabel("trial")
    grid[0].set_xlim(0.5, len(trials) + 0.5)
    if grid[0].get_legend_handles_labels()[0]:
        grid[0].legend(fontsize=7, frameon=False, labelcolor=INK)
    for axes, (key, entry) in zip(grid[1:], search.search.items(), strict=False):
        _points(axes, trials, [_place(entry, trial.parameters[key]) for trial in trials])
        axes.set_xlabel(key)
        if entry.choices is not None:
            axes.set_xticks(range(len(entry.choices)), [canonical_json(choice).strip('"') for choice in entry.choices])
            axes.set_xlim(-0.5, len(entry.choices) - 0.5)
        elif entry.log:
            axes.set_xscale("log")
    return figure


def _points(axes: Any, trials: Sequence[Trial], places: Sequence[float]) -> None:
    shown = [(place, trial.candidate) for place, trial in zip(places, trials, strict=True) if trial.candidate]
    for ruled_out, mark, colour, words in ((False, "o", CANDIDATE, "judged"), (True, "X", CHAMPION, "ruled out")):
        dots = [(place, each["likeness"]) for place, each in shown if bool(each["ruled_out"]) is ruled_out]
        if dots:
            axes.plot(*zip(*dots, strict=True), mark, color=colour, markersize=5, linestyle="", label=words)
    without = [place for place, trial in zip(places, trials, strict=True) if not trial.candidate]
    if without:
        axes.plot(without, [0.03] * len(without), "|", color=LIMIT, markersize=9, linestyle="",
                  transform=axes.get_xaxis_transform(), label="no LoRA")  # fmt: skip


def _best_so_far(axes: Any, trials: Sequence[Trial]) -> None:
    best, line = -math.inf, []
    for trial in trials:
        if trial.candidate and not trial.candidate["ruled_out"]:
            best = max(best, trial.candidate["likeness"])
        if best > -math.inf:
            line.append((trial.number + 1, best))
    if line:
        axes.step(*zip(*line, strict=True), where="post", color=INK, linewidth=0.8, alpha=0.6, label="best so far")


def _place(entry: SearchedKey, value: Any) -> float:
    if entry.choices is None:
        return float(value)
    written = [canonical_json(choice) for choice in entry.choices]
    return float(written.index(canonical_json(value)))
