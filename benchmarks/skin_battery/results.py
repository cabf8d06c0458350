"""All results of the battery in one JSON object, and where each number comes from."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.skin_battery.degrade import BENIGN, CLEAN, DEGRADATIONS, SMOOTHER
from benchmarks.skin_battery.measure import KEPT, METRICS, SIGNS, Measured
from benchmarks.skin_battery.photographs import shifts
from benchmarks.skin_battery.plain_skimage import DROPPED
from benchmarks.skin_battery.renders import CHANGES, TONES
from benchmarks.skin_battery.statistics import (
    OUTSIDE,
    Bands,
    Values,
    area_under_curve,
    bands_of,
    clean_of,
    column,
    flagged,
    limits,
    scores,
)

SCHEMA = "lifeos.skin-battery/1"
# What stands in a row of flags, in this order: ``statistics.flagged``.
FLAGS = ("share", "low", "high", "below", "n", "unscorable")
# Which change each sign is there to see.
SIGN_CHANGES = {
    "specular": ("oil x2.5",),
    "tone_ita": ("tone +10 degrees", "tone -10 degrees"),
    "grain": ("gaussian .02 + grain 2", "beauty filter + grain 4"),
    "lattice": ("lattice of 8 pixels",),
}
# Points between the tones with the most and the fewest false flags.
SPREAD = 3.0
COMBINED = "skin_z"


def kind_of(change: str) -> str:
    """Return what a change is: a kind of ``degrade``; the renderer's own are told by their names."""
    if change in DEGRADATIONS:
        return DEGRADATIONS[change].kind
    return SMOOTHER if change.startswith("plastic") else "another sign"


def results(halves: tuple[Measured, Measured], drawn: tuple[Measured, Measured], folder: Path | None) -> dict[str, Any]:
    """Return everything that the tables say.

    Args:
        halves: pictures of calibration and judged ones.
        drawn: the same for pictures that went through the base's autoencoder.
        folder: more photographs; None: the shipped ones alone.
    """
    calibration, judged = halves
    changes = [*DEGRADATIONS, *CHANGES]
    return {
        "schema": SCHEMA,
        "outside": OUTSIDE,
        "flag_columns": FLAGS,
        "counts": _counts(calibration, judged),
        "auc": {
            **{name: _areas(judged, name, changes) for name in (*KEPT, *DROPPED, *SIGNS)},
            COMBINED: _combined_areas(judged, bands_of(calibration), changes),
        },
        "by_tone": {tone: _tone(calibration, judged, tone, changes) for tone in TONES},
        "flags": {
            "one band for all tones": _flags(calibration, judged, changes, own=False),
            "a band for each tone": _flags(calibration, judged, changes, own=True),
        },
        "autoencoder": _through_autoencoder(*drawn),
        "photographs": shifts(folder, bands_of(calibration)),
    }


def spread(shares: Sequence[float]) -> float:
    """Return the largest less the smallest share, in points."""
    return 100.0 * (max(shares) - min(shares))


def _counts(calibration: Measured, judged: Measured) -> dict[str, Any]:
    counts: dict[str, Any] = {}
    for tone in TONES:
        both = [half.chosen((half.tones == tone) & (half.change == CLEAN)) for half in (calibration, judged)]
        reasons = np.concatenate([half.missing for half in both])
        counts[tone] = {
            "renders": len(reasons),
            "calibration": len(both[0].people),
            "judged": len(both[1].people),
            "no face": int((reasons == "no face found").sum()),
            "unscorable": int(np.char.startswith(reasons, "skin unscorable").sum()),
        }
    counts["people"] = [len(set(half.people.tolist())) for half in (calibration, judged)]
    return counts


def _areas(measured: Measured, metric: str, changes: Sequence[str]) -> dict[str, list[float | int] | None]:
    """Area (that a changed picture measures higher), standard error and number of changed pictures, by change."""
    has = measured.chosen(np.isfinite(column(measured, metric)))
    found: dict[str, list[float | int] | None] = {}
    for change in changes:
        if change == CLEAN or change not in has.change:
            continue
        changed = column(has.chosen(has.change == change), metric)
        found[change] = _area(changed, column(clean_of(has, change), metric))
    return found


def _combined_areas(measured: Measured, bands: Bands, changes: Sequence[str]) -> dict[str, list[float | int] | None]:
    given = scores(measured, bands)
    found: dict[str, list[float | int] | None] = {}
    for change in changes:
        rows = measured.change == change
        if change == CLEAN or not rows.any():
            continue
        people = sorted(set(measured.people[rows].tolist()))
        clean = (measured.change == CLEAN) & np.isin(measured.people, people)
        found[change] = _area(given[rows], given[clean])
    return found


def _area(changed: Values, clean: Values) -> list[float | int] | None:
    area = area_under_curve(changed, clean)
    return None if area is None else [round(area[0], 4), round(area[1], 4), int(np.isfinite(changed).sum())]


def _of_tone(measured: Measured, tone: str) -> Measured:
    return measured.chosen(measured.tones == tone)


def _tone(calibration: Measured, judged: Measured, tone: str, changes: Sequence[str]) -> dict[str, Any]:
    own = _of_tone(judged, tone)
    return {
        "auc": _combined_areas(own, bands_of(_of_tone(calibration, tone)), changes),
        "signs": {sign: _areas(own, sign, seen) for sign, seen in SIGN_CHANGES.items()},
    }


def _flags(calibration: Measured, judged: Measured, changes: Sequence[str], own: bool) -> dict[str, Any]:
    """Flags of ``skin_z`` by change and tone, and by benign change the spread between tones."""
    table: dict[str, Any] = {change: {} for change in changes}
    for tone in TONES:
        reference = _of_tone(calibration, tone) if own else calibration
        bands = bands_of(reference)
        band = limits(scores(reference, bands))
        rows = _of_tone(judged, tone)
        given = scores(rows, bands)
        for change in changes:
            table[change][tone] = _row(flagged(given[rows.change == change], band))
    spreads: dict[str, float | None] = {}
    for change in (name for name in changes if kind_of(name) == BENIGN):
        shares = [table[change][tone][0] for tone in TONES]
        spreads[change] = None if None in shares else round(spread(shares), 2)
    return {"shares": table, "spread": spreads}


def _row(flags: Mapping[str, float | int | None]) -> list[float | int | None]:
    values = [flags[key] for key in FLAGS]
    return [round(value, 4) if isinstance(value, float) else value for value in values]


def _through_autoencoder(calibration: Measured, judged: Measured) -> dict[str, Any]:
    bands = bands_of(calibration)
    band = limits(scores(calibration, bands))
    given = scores(judged, bands)
    changes = list(dict.fromkeys(judged.change.tolist()))
    return {
        "pictures": {"calibration": len(calibration.people), "judged": int((judged.change == CLEAN).sum())},
        "auc": {
            **{name: _areas(judged, name, changes) for name in METRICS if name in (*KEPT, *SIGNS)},
            COMBINED: _combined_areas(judged, bands, changes),
        },
        "flags": {change: _row(flagged(given[judged.change == change], band)) for change in changes},
    }
