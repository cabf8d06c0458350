"""Published measurements that the model was held against: which it was fitted to, which it had never seen."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_TABLE = Path(__file__).with_name("published.toml")
MISSED = 0.05
"""An error above this is a miss."""


@dataclass(frozen=True)
class Row:
    """One measurement and what the model says of it.

    Args:
        id: name.
        what: in words.
        gpu: where it was measured.
        run: how the benchmark repeats it, a name of its table.
        arguments: for that.
        quantity: ``allocated``, the peak; ``reserved_growth``, reserved above what loaded weights had reserved.
        measured_gib, predicted_gib: GiB; the prediction is of this code.
        fitted: whether a rule of ``scratch`` was fitted to it.
        source: who published it.
        note: what else is known of it.
    """

    id: str
    what: str
    gpu: str
    run: str
    arguments: dict[str, int | str]
    quantity: str
    measured_gib: float
    predicted_gib: float
    fitted: bool
    source: str
    note: str = ""

    @property
    def error(self) -> float:
        """How far the prediction is above the measurement, as a share of it."""
        return self.predicted_gib / self.measured_gib - 1.0


@cache
def published_rows() -> tuple[Row, ...]:
    """Return every row of ``published.toml``, in its order."""
    return tuple(Row(**row) for row in tomllib.loads(_TABLE.read_text(encoding="utf-8"))["row"])


def validation_lines() -> list[str]:
    """Return what the published rows say of the model: unfitted, fitted, missed, one line each."""
    rows = published_rows()
    lines = []
    for fitted, words in ((False, "not fitted to"), (True, "fitted to")):
        errors = [abs(row.error) for row in rows if row.fitted is fitted and abs(row.error) <= MISSED]
        lines.append(f"{len(errors)} published measurements it was {words}: worst error {100 * max(errors):.2f} %")
    for row in rows:
        if abs(row.error) > MISSED:
            lines.append(f"missed by {100 * row.error:+.0f} %: {row.what}, {row.gpu}, {row.quantity.replace('_', ' ')}")
    return lines
