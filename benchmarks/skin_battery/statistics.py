"""From numbers to shares: areas under the curve, the two-sided rule, and how often it flags."""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from benchmarks.skin_battery.degrade import CLEAN
from benchmarks.skin_battery.measure import KEPT, METRICS, Measured
from evals.calibration_statistics import skin_bands
from evals.inference import wilson_interval
from evals.skin_realism_eval import skin_z

Values = NDArray[np.float64]
Bands = Mapping[str, Mapping[str, float]]
# The share of unchanged pictures of the calibration half that the two-sided rule leaves outside.
OUTSIDE = 0.05
LEVEL = 0.95


def area_under_curve(changed: Values, clean: Values) -> tuple[float, float] | None:
    """Chance that a changed picture measures higher than an unchanged one, ties half, and its standard error.

    Mann and Whitney's statistic; the error as Hanley and McNeil (Radiology 143, 1982), which takes the pictures for
    independent: here the same people are on both sides, so it errs on the wide side.

    Args:
        changed, clean: f64 ``[n]``; NaN is left out.

    Returns:
        Both in 0..1; None where a side is empty.
    """
    changed, clean = changed[np.isfinite(changed)], clean[np.isfinite(clean)]
    m, n = len(changed), len(clean)
    if not m or not n:
        return None
    ranks = rankdata(np.concatenate([changed, clean]))
    area = float(ranks[:m].sum() - m * (m + 1) / 2) / (m * n)
    one, two = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area) + (m - 1) * (one - area**2) + (n - 1) * (two - area**2)
    return area, math.sqrt(max(variance, 0.0) / (m * n))


def bands_of(clean: Measured) -> Bands:
    """Return the bands of the kept features over unchanged pictures, as a calibration makes them of references."""
    columns = [METRICS.index(name) for name in KEPT]
    rows = [dict(zip(KEPT, map(_maybe, row), strict=True)) for row in clean.values[:, columns].tolist()]
    return skin_bands(rows)


def scores(measured: Measured, bands: Bands) -> Values:
    """Return ``skin_z`` of each picture, NaN where there is none."""
    columns = [METRICS.index(name) for name in KEPT]
    rows = [dict(zip(KEPT, map(_maybe, row), strict=True)) for row in measured.values[:, columns].tolist()]
    given = [skin_z(row, bands) for row in rows]
    return np.array([math.nan if value is None else value for value in given], np.float64)


def limits(clean: Values) -> tuple[float, float]:
    """Return the two-sided rule: quantiles of unchanged calibration pictures that leave ``OUTSIDE`` outside."""
    present = clean[np.isfinite(clean)]
    low, high = np.quantile(present, [OUTSIDE / 2, 1 - OUTSIDE / 2])
    return float(low), float(high)


def flagged(values: Values, band: tuple[float, float]) -> dict[str, float | int | None]:
    """Count the pictures outside a band.

    Returns:
        ``n`` scorable pictures, ``unscorable`` ones (neither good nor bad), ``share`` outside with ``low`` and ``high``
        of its Wilson interval, and ``below``, the share under the band; None with nothing to count.
    """
    present = values[np.isfinite(values)]
    unscorable = len(values) - len(present)
    if not len(present):
        return {"n": 0, "unscorable": unscorable, "share": None, "low": None, "high": None, "below": None}
    below, above = int((present < band[0]).sum()), int((present > band[1]).sum())
    interval = wilson_interval(below + above, len(present), LEVEL)
    assert interval is not None
    return {
        "n": len(present),
        "unscorable": unscorable,
        "share": (below + above) / len(present),
        "low": interval.low,
        "high": interval.high,
        "below": below / len(present),
    }


def column(measured: Measured, metric: str) -> Values:
    """Return one metric of each picture."""
    return measured.values[:, METRICS.index(metric)]


def clean_of(measured: Measured, change: str) -> Measured:
    """Return the unchanged pictures of just the people and tones that were changed that way."""
    having = set(measured.people[measured.change == change].tolist())
    return measured.chosen((measured.change == CLEAN) & np.isin(measured.people, sorted(having)))


def _maybe(value: float) -> float | None:
    return value if math.isfinite(value) else None
