"""Metric families: what a module of this package measures on one picture, found by name and listed nowhere else.

A module ``evals/*_eval.py`` that defines ``FAMILY`` is a family. Its metrics stand in every image row, the policy may
name them, and a calibration holds a band for each: what the references measure after the base's autoencoder gave them
back. The steps to add one: docs/metric-families.md.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evals.faces.protocol import Points
    from evals.images import RgbImage


@dataclass(frozen=True, eq=False)
class Picture:
    """What a family may look at.

    Args:
        image: uint8 RGB ``[h, w, 3]``, sRGB, 0..255.
        points: float32 ``[5, 2]``, pixels, of the face that counts; None where there is none.
        reason: why there are no points; None when there are.
        minimum_inter_ocular: pixels between the eyes below which skin is unscorable in images of this size.

    Raises:
        ValueError: points and reason are both given or both missing.
    """

    image: "RgbImage"
    points: "Points | None"
    reason: str | None
    minimum_inter_ocular: float

    def __post_init__(self) -> None:
        if (self.points is None) != bool(self.reason):
            raise ValueError(f"a picture has points or a reason, but got {self.points} and {self.reason!r}")


@dataclass(frozen=True)
class Measured:
    """Values by metric, finite or None, and for each None its reason (with ``unscorable`` in it where the picture
    cannot be scored, so that it does not count as bad).
    """

    values: Mapping[str, float | None]
    reasons: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class MetricFamily:
    """One family.

    Args:
        metrics: names of its metrics, as rows and policy write them: ``[a-z0-9_]+``, unlike every other metric's.
        measure: picture to a value or a reason for each of ``metrics``; asks for no persona and no calibration.
    """

    metrics: tuple[str, ...]
    measure: Callable[[Picture], Measured]

    @property
    def calibration_keys(self) -> tuple[str, ...]:
        """``NAME_low`` and ``NAME_high`` of each metric: the band of ``calibration_statistics.metric_bands``."""
        return tuple(f"{name}_{end}" for name in self.metrics for end in ("low", "high"))


@cache
def families() -> tuple[MetricFamily, ...]:
    """Return the ``FAMILY`` of every module ``evals/*_eval.py`` that has one, in the order of the modules' names.

    Raises:
        ValueError: two families share the name of a metric.
    """
    found = []
    for path in sorted(Path(__file__).parent.glob("*_eval.py")):
        family = getattr(import_module(f"{__package__}.{path.stem}"), "FAMILY", None)
        if family is not None:
            found.append(family)
    names = [name for family in found for name in family.metrics]
    shared = sorted({name for name in names if names.count(name) > 1})
    if shared:
        raise ValueError(f"a metric belongs to one family, but {shared[0]} is shared")
    return tuple(found)


def measure_families(picture: Picture) -> Measured:
    """Return what all families measure on a picture, in one.

    Raises:
        ValueError: a family leaves one of its metrics out, adds another, or gives a NaN, an infinity, or a None without
            a reason.
    """
    values: dict[str, float | None] = {}
    reasons: dict[str, str] = {}
    for family in families():
        measured = family.measure(picture)
        if set(measured.values) != set(family.metrics):
            raise ValueError(f"a family must measure {family.metrics}, but got {sorted(measured.values)}")
        for name, value in measured.values.items():
            values[name] = None if value is None else float(value)
            if value is not None and not math.isfinite(value):
                raise ValueError(f"{name} must be finite or None, but got {value}")
            if value is None and not measured.reasons.get(name):
                raise ValueError(f"{name}: a missing value needs a reason")
            if value is None:
                reasons[name] = measured.reasons[name]
    return Measured(values, reasons)
