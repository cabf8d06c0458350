"""The words of the house: outcome, interval, metric, verdict."""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

PASSED_SO_FAR = "passed so far"
"""How the reason of a gate begins that had nothing against it when sampling stopped."""


class Outcome(StrEnum):
    """What a gate says. Only ``PASSED`` lets through; ``NOT_EVALUATED`` blocks like ``FAILED``."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_EVALUATED = "not_evaluated"
    NOT_APPLICABLE = "not_applicable"


@dataclass(frozen=True)
class Interval:
    """A two-sided confidence interval ``[low, high]`` at ``level`` in (0, 1).

    Raises:
        ValueError: a bound is NaN or infinite, ``low`` is above ``high``, or ``level`` is not strictly inside (0, 1).
    """

    low: float
    high: float
    level: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise ValueError(f"interval must be finite with low <= high, but got [{self.low}, {self.high}]")
        if not 0.0 < self.level < 1.0:
            raise ValueError(f"level must be inside (0, 1), but got {self.level}")


@dataclass(frozen=True)
class Metric:
    """One measured number of one image, or None with the reason why there is none.

    Args:
        name: key of the metric in an image row.
        higher_is_better: direction as data; None where both directions are bad (a two-sided band).
        unit: e.g. ``"cosine"``, ``"share"``, ``"z"``.
        value: a finite number, or None.
        reason: why ``value`` is None; None exactly when there is a value.

    Raises:
        ValueError: the value is NaN or infinite, or a missing value has no reason, or a present one has one.
    """

    name: str
    higher_is_better: bool | None
    unit: str
    value: float | None
    reason: str | None = None

    def __post_init__(self) -> None:
        if self.value is None and not self.reason:
            raise ValueError(f"metric {self.name}: a missing value needs a reason")
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError(f"metric {self.name}: value must be finite, but got {self.value}")
        if self.value is not None and self.reason is not None:
            raise ValueError(f"metric {self.name}: a present value takes no reason, but got {self.reason!r}")


@dataclass(frozen=True)
class Verdict:
    """What one gate found: outcome, reason in words, and the figures behind it.

    Args:
        outcome: one of ``Outcome``.
        reason: one sentence; never empty.
        value: the measured statistic, finite, or None where none was obtained.
        interval: its confidence interval, or None.
        threshold: what the statistic was compared with, finite, or None.
        threshold_source: where the threshold came from, e.g. ``"policy"`` or ``"calibration:tau"``.

    Raises:
        ValueError: the reason is empty, or value or threshold is NaN or infinite: such a verdict cannot exist, so a NaN
            can never pass. The functions ``passed`` and ``failed`` below turn one into ``not_evaluated`` instead.
    """

    outcome: Outcome
    reason: str
    value: float | None = None
    interval: Interval | None = None
    threshold: float | None = None
    threshold_source: str | None = None

    def __post_init__(self) -> None:
        if not self.reason.strip():
            raise ValueError("a verdict needs a reason")
        for name in ("value", "threshold"):
            number = getattr(self, name)
            if number is not None and not math.isfinite(number):
                raise ValueError(f"verdict {name} must be finite, but got {number}")
        object.__setattr__(self, "outcome", Outcome(self.outcome))

    @property
    def blocks(self) -> bool:
        """True unless the outcome is passed or not applicable."""
        return self.outcome not in (Outcome.PASSED, Outcome.NOT_APPLICABLE)

    def to_json(self) -> dict[str, Any]:
        """Return the fields of a gate row: ``verdict, reason, value, interval, threshold, threshold_source``.

        ``interval`` is ``[low, high]`` or None. A gate row's keys are fixed, so the level is not among them; a gate
        whose interval is not at 95 % names the level in its reason.
        """
        return {
            "verdict": self.outcome.value,
            "reason": self.reason,
            "value": self.value,
            "interval": None if self.interval is None else [self.interval.low, self.interval.high],
            "threshold": self.threshold,
            "threshold_source": self.threshold_source,
        }

    @classmethod
    def from_json(cls, row: dict[str, Any], level: float = 0.95) -> Self:
        """Read what ``to_json`` wrote; other keys (``id``, ``severity``) are ignored.

        Args:
            row: the fields of ``to_json``.
            level: confidence level that the interval was computed at.

        Raises:
            ValueError: the outcome is unknown, or a figure is NaN.
            KeyError: ``verdict`` or ``reason`` is missing.
        """
        bounds = row.get("interval")
        interval = None if bounds is None else Interval(bounds[0], bounds[1], level)
        return cls(
            outcome=Outcome(row["verdict"]),
            reason=row["reason"],
            value=row.get("value"),
            interval=interval,
            threshold=row.get("threshold"),
            threshold_source=row.get("threshold_source"),
        )


def passed(
    reason: str,
    value: float | None = None,
    interval: Interval | None = None,
    threshold: float | None = None,
    threshold_source: str | None = None,
) -> Verdict:
    """Return a passed verdict; a NaN or infinite value or threshold makes it ``not_evaluated`` instead."""
    return _decided(Outcome.PASSED, reason, value, interval, threshold, threshold_source)


def failed(
    reason: str,
    value: float | None = None,
    interval: Interval | None = None,
    threshold: float | None = None,
    threshold_source: str | None = None,
) -> Verdict:
    """Return a failed verdict; a NaN or infinite value or threshold makes it ``not_evaluated`` instead."""
    return _decided(Outcome.FAILED, reason, value, interval, threshold, threshold_source)


def not_evaluated(reason: str, threshold: float | None = None, threshold_source: str | None = None) -> Verdict:
    """Return a verdict that could not be reached; it blocks."""
    return Verdict(Outcome.NOT_EVALUATED, reason, threshold=threshold, threshold_source=threshold_source)


def not_applicable(reason: str) -> Verdict:
    """Return the verdict of a gate whose input was not declared; it is listed and does not block."""
    return Verdict(Outcome.NOT_APPLICABLE, reason)


def _decided(
    outcome: Outcome,
    reason: str,
    value: float | None,
    interval: Interval | None,
    threshold: float | None,
    threshold_source: str | None,
) -> Verdict:
    for name, number in (("value", value), ("threshold", threshold)):
        if number is not None and not math.isfinite(number):
            return not_evaluated(f"{name} is {number}, not a number to decide on: {reason}")
    return Verdict(
        outcome,
        reason,
        None if value is None else float(value),
        interval,
        None if threshold is None else float(threshold),
        threshold_source,
    )
