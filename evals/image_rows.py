"""Image rows: what was measured on each image, read and checked before anything is judged from it."""

import itertools
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.errors import InputError

# A missing value whose reason holds this word says that the image cannot be scored (a face too small, say), not that
# the LoRA did something wrong.
UNSCORABLE = "unscorable"

_FLAGS = (
    "copy_image", "flat", "pose_follows", "background_follows", "expression_follows", "second_disagrees",
)  # fmt: skip
_COUNTS = ("face_count", "nearest_photo", "training_photos")
_COSINES = ("likeness", "self_similarity", "likeness_second")
_KEYS = {"image", "file", "prompt", "seed", "strength", "metrics", "reasons"}
_COSINE_SLACK = 1e-3


@dataclass(frozen=True)
class ImageRow:
    """One image and what was measured on it.

    Args:
        image: SHA-256 of the PNG bytes.
        file: name of the file, relative.
        prompt: id of the prompt; the cluster of every statistic.
        seed: seed of the initial noise.
        strength: at which the LoRA was applied.
        metrics: finite number or None by metric name.
        reasons: why a metric is None, for each that is.
    """

    image: str
    file: str
    prompt: str
    seed: int
    strength: float
    metrics: Mapping[str, float | None]
    reasons: Mapping[str, str]

    @property
    def cell(self) -> tuple[str, int]:
        """Prompt and seed: what candidate and champion are paired on."""
        return self.prompt, self.seed

    def is_unscorable(self, metric: str) -> bool:
        """True if the metric is missing because the image cannot be scored for it."""
        return self.metrics[metric] is None and UNSCORABLE in self.reasons[metric]


def parse_rows(rows: Iterable[Mapping[str, Any]]) -> list[ImageRow]:
    """Check image rows and return them sorted by prompt and seed, so that their order decides nothing.

    Raises:
        InputError: a key is missing or unknown, a metric is NaN, infinite or outside its range, a missing metric has no
            reason, one prompt and seed comes twice, rows mix strengths, or rows do not measure the same metrics.
    """
    parsed = sorted((_parse_row(number, row) for number, row in enumerate(rows, 1)), key=lambda row: row.cell)
    for one, other in itertools.pairwise(parsed):
        if one.cell == other.cell:
            raise _refused(f"prompt {one.prompt} seed {one.seed}", "one row a prompt and seed", "two")
    strengths = sorted({row.strength for row in parsed})
    if len(strengths) > 1:
        raise _refused("strength", "one strength in all rows", ", ".join(f"{s:g}" for s in strengths))
    names = {frozenset(row.metrics) for row in parsed}
    if len(names) > 1:
        uneven = sorted(frozenset.union(*names) - frozenset.intersection(*names))
        raise _refused("metrics", "the same metrics in all rows", f"some rows without {', '.join(uneven)}")
    return parsed


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read a metrics file, one JSON object a line, unchecked; blank lines are skipped.

    Raises:
        InputError: the file cannot be read, or a line is not a JSON object.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: accepted a readable metrics file, got {error}; next: judge the images again"
        ) from error
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InputError(
                f"{path}: line {number}: accepted JSON, got {error}; next: judge the images again"
            ) from error
        if not isinstance(row, dict):
            raise InputError(f"{path}: line {number}: accepted an object, got {row!r}; next: judge the images again")
        rows.append(row)
    return rows


def _parse_row(number: int, row: Mapping[str, Any]) -> ImageRow:
    where = f"row {number}"
    if not isinstance(row, Mapping) or set(row) - {"reasons"} != _KEYS - {"reasons"}:
        got = ", ".join(sorted(map(str, row))) if isinstance(row, Mapping) else repr(row)
        raise _refused(where, f"the keys {', '.join(sorted(_KEYS))}", got)
    metrics, reasons = row["metrics"], row.get("reasons", {})
    if not isinstance(metrics, Mapping) or not isinstance(reasons, Mapping):
        raise _refused(where, "metrics and reasons as objects", repr(metrics))
    for name in ("image", "file", "prompt"):
        if not isinstance(row[name], str) or not row[name]:
            raise _refused(f"{where}: {name}", "a text", repr(row[name]))
    if isinstance(row["seed"], bool) or not isinstance(row["seed"], int):
        raise _refused(f"{where}: seed", "a whole number", repr(row["seed"]))
    values = {name: _metric(f"{where}: {name}", name, value) for name, value in metrics.items()}
    for name, value in values.items():
        reason = reasons.get(name)
        if value is None and not (isinstance(reason, str) and reason.strip()):
            raise _refused(f"{where}: {name}", "a reason for a missing value", "none")
    return ImageRow(
        image=row["image"],
        file=row["file"],
        prompt=row["prompt"],
        seed=row["seed"],
        strength=_number(f"{where}: strength", row["strength"]),
        metrics=values,
        reasons={str(name): str(reason) for name, reason in reasons.items()},
    )


def _metric(where: str, name: str, value: object) -> float | None:
    if value is None:
        return None
    number = _number(where, value)
    if name in _FLAGS and number not in (0.0, 1.0):
        raise _refused(where, "0 or 1", str(number))
    if name in _COUNTS and (number < 0 or number != int(number)):
        raise _refused(where, "a count", str(number))
    if name in _COSINES and abs(number) > 1.0 + _COSINE_SLACK:
        raise _refused(where, "a cosine in [-1, 1]", str(number))
    if name == "adherence" and not 0.0 <= number <= 1.0:
        raise _refused(where, "a share in [0, 1]", str(number))
    return number


def _number(where: str, value: object) -> float:
    try:
        number = math.nan if isinstance(value, bool) or not isinstance(value, int | float) else float(value)
    except OverflowError:
        number = math.nan
    if not math.isfinite(number):
        raise _refused(where, "a finite number", repr(value))
    return number


def _refused(where: str, accepted: str, got: str) -> InputError:
    return InputError(f"image rows: {where}: accepted {accepted}, got {got}; next: judge the images again")
