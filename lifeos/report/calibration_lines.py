"""A calibration in words: what it was made from, and what it cannot say."""

from typing import TYPE_CHECKING

from evals.calibration_statistics import MINIMUM_REFERENCES

if TYPE_CHECKING:
    from evals.calibration import Calibration


def calibration_lines(calibration: "Calibration") -> list[str]:
    """Return the counts, every threshold and the notes, a line each."""
    counts = dict(calibration.counts)
    seeds = counts.pop("null_seeds", None)
    words = [f"{name} {count}" for name, count in counts.items() if name != "nulls"]
    drawn = "" if seeds is None else f" in {seeds} null seeds"
    return [
        f"false accept rate {calibration.far:g} (95 % sure of at most {calibration.far_upper:.2g}); "
        f"{', '.join(words)}, nulls {counts['nulls']}{drawn}",
        *(
            f"  {name:24} {'not derived' if value is None else format(value, '.4f')}"
            for name, value in calibration.thresholds.items()
        ),
        *(f"note: {note}" for note in calibration_notes(calibration)),
    ]


def calibration_notes(calibration: "Calibration") -> list[str]:
    """Return what a reader must know before trusting the thresholds; empty when nothing is out of the ordinary."""
    counts, notes = calibration.counts, []
    if counts["impostors"] == 0:
        seeds = counts.get("null_seeds", counts["nulls"])
        notes.append(
            f"the strangers are {counts['nulls']} faces of the base without a LoRA ({seeds} null seeds) and nobody "
            "else: tau says how seldom the bare base passes for the persona, not how seldom another person does; next: "
            "--impostors FOLDER, where you have pictures of others"
        )
    if calibration.thresholds["skin_z_low"] is None:
        size = f"{calibration.domain['width']} x {calibration.domain['height']}"
        notes.append(
            f"no band of skin: {counts['skin']} of {counts['references']} references can be compared with the others "
            f"at {size}, {MINIMUM_REFERENCES} must (of {MINIMUM_REFERENCES + 1} references or more), so skin_realism "
            "will not be evaluated; next: add references with a large, sharp face"
        )
    if counts["held_out_copy"] == 0:
        notes.append("no limit for copies: there are no training images to hold references against")
    return notes
