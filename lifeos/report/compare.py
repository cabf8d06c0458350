"""Two recorded releases beside each other: metrics, gates, what they were made with, and the pairs they share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lifeos.report.release_data import Pair, ReleaseData, gather

# Numbers of photographs, not measures: a mean of them says nothing.
NAMES_OF_PHOTOS = ("nearest_photo", "training_photos")


@dataclass(frozen=True)
class Comparison:
    """Two rows compared.

    Args:
        one, other: the scorecards.
        metrics: (name, mean of one, mean of the other, difference), None where one has none.
        gates: (id, verdict of one, verdict of the other) of each gate of either.
        unequal: names of hashes that differ, the LoRA's own left out.
        pairs: images of equal prompt and seed, worst difference first; empty where the plans differ or images are gone.
        why_unpaired: in words, or None.
    """

    one: Mapping[str, Any]
    other: Mapping[str, Any]
    metrics: Sequence[tuple[str, float | None, float | None, float | None]]
    gates: Sequence[tuple[str, str, str]]
    unequal: Sequence[str]
    pairs: Sequence[Pair]
    why_unpaired: str | None

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as JSON types."""
        return {
            "one": self.one["id"], "other": self.other["id"],
            "metrics": [
                {"metric": name, "one": a, "other": b, "difference": difference}
                for name, a, b, difference in self.metrics
            ],
            "gates": [{"id": gate, "one": a, "other": b} for gate, a, b in self.gates],
            "unequal": list(self.unequal), "pairs": len(self.pairs), "why_unpaired": self.why_unpaired,
        }  # fmt: skip


def compare(
    one: Mapping[str, Any], other: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], artifacts: Path
) -> Comparison:
    """Compare two releases.

    Args:
        one, other: scorecards of phase release; differences are one less other.
        rows: of the history.
        artifacts: data folder.

    Raises:
        InputError: a row is no scorecard of a release.
    """
    left, right = gather(one, rows, artifacts), gather(other, rows, artifacts)
    pairs, why = _paired(left, right)
    names = sorted({*one["metrics"], *other["metrics"]} - {*NAMES_OF_PHOTOS})
    by_gate = [{gate["id"]: str(gate["verdict"]) for gate in row["gates"]} for row in (one, other)]
    return Comparison(
        one, other, [_metric(name, one, other) for name in names],
        [(gate, by_gate[0].get(gate, "absent"), by_gate[1].get(gate, "absent"))
         for gate in dict.fromkeys([*by_gate[0], *by_gate[1]])],
        [name for name in one["hashes"] if name != "lora" and one["hashes"][name] != other["hashes"].get(name)],
        pairs, why,
    )  # fmt: skip


def as_release(comparison: Comparison, rows: Sequence[Mapping[str, Any]]) -> ReleaseData:
    """Return the comparison as the page of a release shows it: one beside the other."""
    names = (f"one ({comparison.one['id']})", f"other ({comparison.other['id']})")
    return ReleaseData(comparison.one, rows, comparison.pairs, comparison.why_unpaired, names)


def _metric(
    name: str, one: Mapping[str, Any], other: Mapping[str, Any]
) -> tuple[str, float | None, float | None, float | None]:
    means = [(row["metrics"].get(name) or {}).get("mean") for row in (one, other)]
    difference = None if means[0] is None or means[1] is None else float(means[0]) - float(means[1])
    return name, means[0], means[1], difference


def _paired(left: ReleaseData, right: ReleaseData) -> tuple[list[Pair], str | None]:
    for data in (left, right):
        if data.missing is not None:
            return [], f"row {data.row['id']}: {data.missing}"
    if left.row["hashes"]["plan"] != right.row["hashes"]["plan"]:
        return [], "the plans differ: images of one prompt and seed do not share their noise"
    others = {(pair.candidate.prompt, pair.candidate.seed): pair.candidate for pair in right.pairs}
    pairs = [
        Pair(pair.candidate, others[cell])
        for pair in left.pairs if (cell := (pair.candidate.prompt, pair.candidate.seed)) in others
    ]  # fmt: skip
    pairs.sort(key=lambda pair: (pair.difference or 0.0, pair.candidate.prompt, pair.candidate.seed))
    return pairs, None if pairs else "they share no prompt and seed"
