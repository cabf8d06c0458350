"""The tables of the battery as Markdown, and its picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.skin_battery.degrade import FAULTS, HARMLESS
from benchmarks.skin_battery.renders import TONES
from benchmarks.skin_battery.tables import COMBINED, FAIR_SPREAD


def markdown(found: Mapping[str, Any]) -> dict[str, str]:
    """Return each table of the page by name."""
    faults, drawn, flags = list(found["auc"][COMBINED]), found["through_base"], found["flags"]
    by_tone, dropped = found["auc_by_tone"], found["auc_dropped"]

    def fair(change: str) -> str:
        return "yes" if found["spread"][change] <= FAIR_SPREAD else "**MISSED**"

    def shares(row: Mapping[str, Sequence[float]], digits: int) -> list[str]:
        return [f"{row[tone][0]:.{digits}f}" for tone in TONES]

    tables = {
        "auc": _table(["feature", *faults], [[name, *_aucs(row, faults)] for name, row in found["auc"].items()]),
        "auc of what was dropped": _table(
            ["feature", *FAULTS], [[name, *_aucs(row, list(FAULTS))] for name, row in dropped.items()]
        ),
        "auc by tone": _table(["tone", *faults], [[tone, *_aucs(by_tone[tone], faults)] for tone in TONES]),
        "false flags": _table(
            ["change", *TONES, "spread", f"within {FAIR_SPREAD:g} points"],
            [[name, *shares(flags[name], 1), f"{found['spread'][name]:.1f}", fair(name)] for name in HARMLESS],
        ),
        "faults flagged": _table(["fault", *TONES], [[name, *shares(flags[name], 0)] for name in faults]),
        "unscorable": _table(
            ["change", *TONES], [[name, *(str(row[tone][2]) for tone in TONES)] for name, row in flags.items()]
        ),
        "signs": _table(
            ["change", *found["sign_flags"]],
            [
                [name, *(f"{row[name]:.0f}" if name in row else "-" for row in found["sign_flags"].values())]
                for name in flags
            ],
        ),
    }
    if drawn["auc"]:
        through = list(drawn["auc"][COMBINED])
        rows = [[name, *_aucs(row, through)] for name, row in drawn["auc"].items()]
        told = [[f"flagged, {tone}, %", *(f"{drawn['flags'][f][tone][0]:.0f}" for f in through)] for tone in TONES]
        tables["through the base"] = _table(["", *through], rows + told)
    return tables


def picture(found: Mapping[str, Any], path: Path) -> None:
    """Draw what is told of each fault by each feature, and false flags by tone."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import numpy as np

    faults = list(found["auc"][COMBINED])
    rows = {**found["auc"], **found["auc_dropped"]}
    values = np.array([[row[fault][0] if fault in row else np.nan for fault in faults] for row in rows.values()])
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 5.5), width_ratios=[1.5, 1], layout="constrained")
    shown = left.imshow(values, vmin=0.5, vmax=1.0, cmap="cividis", aspect="auto")
    left.set_xticks(range(len(faults)), faults, rotation=40, ha="right")
    left.set_yticks(range(len(rows)), [name if name in found["auc"] else f"({name})" for name in rows])
    for y, x in np.ndindex(*values.shape):
        if np.isfinite(values[y, x]):
            colour = "black" if values[y, x] > 0.8 else "white"
            left.text(x, y, f"{values[y, x]:.2f}".lstrip("0"), ha="center", va="center", fontsize=8, color=colour)
    left.set_title("AUC, all tones; features in parentheses were dropped")
    figure.colorbar(shown, ax=left, shrink=0.7)
    width = 0.8 / len(TONES)
    for number, tone in enumerate(TONES):
        heights = [found["flags"][change][tone][0] for change in HARMLESS]
        places = np.arange(len(HARMLESS)) + (number - 2) * width
        right.bar(places, heights, width, label=tone, color=plt.get_cmap("cividis")(number / (len(TONES) - 1)))
    right.set_xticks(range(len(HARMLESS)), list(HARMLESS), rotation=40, ha="right")
    right.set_ylabel("images outside the band, %")
    right.set_title("Harmless changes that are flagged, by skin tone")
    right.legend()
    figure.savefig(path, dpi=80)
    plt.close(figure)


def _aucs(row: Mapping[str, Sequence[float]], faults: Sequence[str]) -> list[str]:
    return [f"{row[fault][0]:.3f}" if fault in row else "-" for fault in faults]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
