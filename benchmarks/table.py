"""One line a measure, with its verdict: met, MISSED or not measured; and the table of them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Verdict = Literal["met", "MISSED", "not measured", "no target"]

MET: Verdict = "met"
MISSED: Verdict = "MISSED"
NOT_MEASURED: Verdict = "not measured"
NO_TARGET: Verdict = "no target"
_HEADINGS = ("measure", "measured", "target", "")


@dataclass(frozen=True)
class Line:
    """One line of the table.

    Args:
        benchmark: name of the benchmark, as the command line takes it.
        measure: what was measured.
        value: finite, in ``unit``; None when it was not measured, and then ``reason`` says why.
        unit: ``s``, ``%``, ``x`` (a ratio of times), ``images/s`` or ``levels`` (of 255).
        target: in ``unit``; None for a line that only informs.
        at_least: True when more is better; a value equal to the target meets it either way.
        reason: why there is no value; None when there is one.
        note: what a reader must know to trust the value.

    Raises:
        ValueError: a value that is not finite, or not exactly one of value and reason.
    """

    benchmark: str
    measure: str
    value: float | None
    unit: str
    target: float | None = None
    at_least: bool = False
    reason: str | None = None
    note: str = ""

    def __post_init__(self) -> None:
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError(f"value must be finite, but got {self.value!r}")
        if (self.value is None) == (not self.reason):
            raise ValueError(f"exactly one of value and reason, but got {self.value!r} and {self.reason!r}")

    @property
    def verdict(self) -> Verdict:
        """What came out, judged by the value before rounding."""
        if self.value is None:
            return NOT_MEASURED
        if self.target is None:
            return NO_TARGET
        reached = self.value >= self.target if self.at_least else self.value <= self.target
        return MET if reached else MISSED

    def to_json(self) -> dict[str, Any]:
        """Return the line as JSON values, verdict included."""
        return {
            "benchmark": self.benchmark,
            "measure": self.measure,
            "value": self.value,
            "unit": self.unit,
            "target": self.target,
            "direction": "at least" if self.at_least else "at most",
            "verdict": self.verdict,
            "reason": self.reason,
            "note": self.note,
        }


def all_met(lines: Sequence[Line]) -> bool:
    """Return whether something was measured and every line with a target met it; what was not measured did not."""
    judged = [line for line in lines if line.verdict != NO_TARGET]
    return bool(judged) and all(line.verdict == MET for line in judged)


def format_table(lines: Sequence[Line]) -> str:
    """Return the lines as aligned text columns; reasons and notes stand numbered below, each once."""
    rows: list[tuple[str, str, str, str]] = [_HEADINGS]
    remarks: list[str] = []
    for line in lines:
        verdict: str = "" if line.verdict == NO_TARGET else line.verdict
        remark = "; ".join(part for part in (line.reason or "", line.note) if part)
        if remark:
            if remark not in remarks:
                remarks.append(remark)
            verdict = f"{verdict} [{remarks.index(remark) + 1}]".strip()
        rows.append((line.measure, _measured(line), _target(line), verdict))
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    rows.insert(1, ("-" * widths[0], "-" * widths[1], "-" * widths[2], "-" * widths[3]))
    text = [
        f"{row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]}".rstrip() for row in rows
    ]
    return "\n".join([*text, "", *(f"[{number}] {remark}" for number, remark in enumerate(remarks, 1))]).rstrip()


def number(value: float) -> str:
    """Return a number with three digits that count, never as a power of ten: ``0.301``, ``5.42``, ``361``."""
    if value == 0.0:
        return "0"
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def _measured(line: Line) -> str:
    return "-" if line.value is None else f"{number(line.value)} {line.unit}"


def _target(line: Line) -> str:
    return "" if line.target is None else f"{'>=' if line.at_least else '<='} {line.target:g} {line.unit}"
