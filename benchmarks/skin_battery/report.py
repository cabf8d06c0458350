"""The battery's results as Markdown tables and one picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.skin_battery.degrade import BENIGN, CLEAN, DEGRADATIONS, SMOOTHER
from benchmarks.skin_battery.measure import KEPT, SIGNS
from benchmarks.skin_battery.plain_skimage import DROPPED
from benchmarks.skin_battery.renders import CHANGES, TONES
from benchmarks.skin_battery.results import COMBINED, SIGN_CHANGES, SPREAD, kind_of, spread

ORDER = (*DEGRADATIONS, *CHANGES)
TEXTURE = (COMBINED, *KEPT, *DROPPED)


def tables(found: Mapping[str, Any]) -> dict[str, str]:
    """Return every table of docs/skin-battery.md by the name that stands in the comment above it."""
    return {
        "counts": _counts(found),
        "texture": _areas(found["auc"], TEXTURE),
        "signs": _areas(found["auc"], SIGNS),
        "tones": _tones(found),
        "flags-own": _flags(found, "a band for each tone"),
        "flags-one": _flags(found, "one band for all tones"),
        "signs-tones": _signs_by_tone(found),
        "autoencoder": _autoencoder(found),
        "photographs": _photographs(found["photographs"]),
    }


def verdict(points: float | None) -> str:
    """Return ``within`` or ``MISSED`` of the allowed spread between tones; ``not measured`` without a number."""
    if points is None:
        return "not measured"
    return "within" if points <= SPREAD else "MISSED"


def draw(found: Mapping[str, Any], path: Path) -> None:
    """Draw the areas of every feature against every change as a small PNG."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    import numpy as np
    from PIL import Image

    names = [*TEXTURE, *SIGNS]
    changes = [name for name in ORDER if name != CLEAN]
    grid = np.array([[_number(found["auc"][name].get(change)) for change in changes] for name in names], float)
    figure, axes = plt.subplots(figsize=(10.5, 6.2), layout="constrained")
    drawn = axes.imshow(grid, cmap="RdBu_r", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(changes)), changes, rotation=60, ha="right", fontsize=7)
    axes.set_yticks(range(len(names)), names, fontsize=7)
    for row, column in np.ndindex(*grid.shape):
        value = grid[row, column]
        dark = abs(value - 0.5) > 0.3
        text = "-" if np.isnan(value) else f"{100 * value:.0f}"
        axes.text(column, row, text, ha="center", va="center", fontsize=5.5, color="white" if dark else "black")
    figure.colorbar(drawn, shrink=0.6, label="AUC: changed above unchanged")
    figure.savefig(path, dpi=100)
    plt.close(figure)
    with Image.open(path) as image:
        small = image.convert("RGB").quantize(64)
    small.save(path, optimize=True)


def _number(area: Sequence[float] | None) -> float:
    return float("nan") if area is None else float(area[0])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _area(area: Sequence[float] | None) -> str:
    return "-" if area is None else f"{area[0]:.2f}"


def _share(row: Sequence[float | None]) -> str:
    return "-" if row[0] is None else f"{100 * row[0]:.1f}"


def _counts(found: Mapping[str, Any]) -> str:
    columns = ("renders", "calibration", "judged", "no face", "unscorable")
    rows = [[tone, *(str(found["counts"][tone][name]) for name in columns)] for tone in TONES]
    return _table(["tone", *columns], rows)


def _areas(areas: Mapping[str, Any], names: Sequence[str]) -> str:
    """Rows are changes; in the last column twice the largest standard error of the row."""
    rows = []
    for change in ORDER:
        cells = [areas[name].get(change) for name in names]
        present = [cell for cell in cells if cell is not None]
        if present:
            rows.append([change, *map(_area, cells), f"{2 * max(cell[1] for cell in present):.2f}"])
    return _table(["change", *names, "+-"], rows)


def _tones(found: Mapping[str, Any]) -> str:
    rows = []
    for change in ORDER:
        if change == CLEAN:
            continue
        cells = [found["by_tone"][tone]["auc"].get(change) for tone in TONES]
        worst = max((2 * cell[1] for cell in cells if cell is not None), default=float("nan"))
        rows.append([change, *map(_area, cells), f"{worst:.2f}"])
    return _table(["change", *TONES, "+-"], rows)


def _flags(found: Mapping[str, Any], bands: str) -> str:
    """Rows are changes; +- is half of the widest Wilson interval of the row, in points."""
    shares, spreads = found["flags"][bands]["shares"], found["flags"][bands]["spread"]
    rows = []
    for change in ORDER:
        cells = [shares[change][tone] for tone in TONES]
        known = [cell for cell in cells if cell[0] is not None]
        if not known:
            continue
        points = f"{spread([cell[0] for cell in known]):.1f}" if len(known) == len(cells) else "-"
        word = verdict(spreads[change]) if kind_of(change) == BENIGN else ""
        half = max(50 * (cell[2] - cell[1]) for cell in known)
        rows.append([change, *map(_share, cells), f"{half:.1f}", points, word, str(sum(cell[5] for cell in cells))])
    return _table(["flagged, %", *TONES, "+-", "spread", f"<= {SPREAD:g} points", "unscorable"], rows)


def _signs_by_tone(found: Mapping[str, Any]) -> str:
    rows = []
    for sign, changes in SIGN_CHANGES.items():
        for change in changes:
            cells = [found["by_tone"][tone]["signs"][sign].get(change) for tone in TONES]
            worst = max((2 * cell[1] for cell in cells if cell is not None), default=float("nan"))
            rows.append([f"{sign}: {change}", *map(_area, cells), f"{worst:.2f}"])
    return _table(["sign and change", *TONES, "+-"], rows)


def _autoencoder(found: Mapping[str, Any]) -> str:
    drawn = found["autoencoder"]
    names = (COMBINED, *KEPT, *SIGNS)
    rows = []
    for change, flags in drawn["flags"].items():
        cells = [drawn["auc"][name].get(change) for name in names]
        worst = max((2 * cell[1] for cell in cells if cell is not None), default=None)
        error = "" if worst is None else f"{worst:.2f}"
        rows.append([change, *("" if change == CLEAN else _area(cell) for cell in cells), error, _share(flags)])
    return _table(["after the autoencoder", *names, "+-", "flagged, %"], rows)


def _photographs(found: Mapping[str, Any]) -> str:
    names = list(found["distance"])
    rows = []
    for change, shifts in found["shift"].items():
        if change == CLEAN:
            continue
        cells = ["-" if shifts.get(name) is None else f"{shifts[name]:+.1f}" for name in names]
        side = "smoother" if kind_of(change) == SMOOTHER else kind_of(change)
        rows.append([change, *cells, side])
    head = [f"{name} ({found['distance'][name]:g} px between the eyes)" for name in names]
    return _table([f"shift of {COMBINED}, n = {len(names)}", *head, "should be"], rows)
