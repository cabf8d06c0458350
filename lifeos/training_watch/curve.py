"""The training curve: one line of JSON a look, in the run's folder."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from evals.atomic import write_text
from evals.content_hash import canonical_json
from evals.training_stop import Look

CURVE_NAME = "curve.jsonl"
SLOW = 2.0
"""A step that takes as many times what was expected is told."""


@dataclass(frozen=True)
class CurvePoint:
    """What a look saw, and what training was like since the one before.

    Args:
        step: steps done.
        lora: SHA-256 of the LoRA file that was looked at.
        images: how many were drawn.
        likeness: mean over prompts of the mean over seeds, a missing face counting as 0.
        likeness_interval: 95 % cluster-t interval of it over prompts.
        likeness_by_prompt: the mean over seeds by prompt id.
        face_rate: share of images with exactly one face.
        skin_z: median over the images whose skin can be scored, ``skin_scored`` of them; None without any.
        skin_scored: see there.
        copy_nearest: distance of the nearest image to a training image, 0 to 2; None where none could be compared.
        copies: images nearer than the calibrated limit.
        ruled_out: gates that rule this LoRA out, with their reasons.
        loss: mean since the look before.
        gradient_norm, weight_norm, learning_rate, d: of the last step; d is Prodigy's alone.
        seconds_per_step: median since the look before.
        expected_seconds_per_step: median of the run's first steps; None where they are too few.
    """

    step: int
    lora: str
    images: int
    likeness: float
    likeness_interval: tuple[float, float]
    likeness_by_prompt: Mapping[str, float]
    face_rate: float
    skin_z: float | None
    skin_scored: int
    copy_nearest: float | None
    copies: int
    ruled_out: Mapping[str, str]
    loss: float | None
    gradient_norm: float | None
    weight_norm: float | None
    learning_rate: float | None
    d: float | None
    seconds_per_step: float | None
    expected_seconds_per_step: float | None

    @property
    def look(self) -> Look:
        """What the rules of an early stop read."""
        return Look(self.step, self.likeness_by_prompt, self.copies, not self.ruled_out)

    @property
    def slowdown(self) -> float | None:
        """How many times as long as expected a step took; None where nothing is expected."""
        if self.seconds_per_step is None or not self.expected_seconds_per_step:
            return None
        return self.seconds_per_step / self.expected_seconds_per_step

    def lines(self) -> list[str]:
        """Return one line for the terminal, and a second where steps became slow."""
        half = (self.likeness_interval[1] - self.likeness_interval[0]) / 2
        skin = "no skin to score" if self.skin_z is None else f"skin z {self.skin_z:+.2f}"
        nearest = "" if self.copy_nearest is None else f", nearest {self.copy_nearest:.4f}"
        rest = [] if self.loss is None else [f"loss {self.loss:.4f}"]
        rest += [] if self.d is None else [f"d {self.d:.2e}"]
        rest += [] if self.seconds_per_step is None else [f"{self.seconds_per_step:.3g} s a step"]
        rest += [f"ruled out by {', '.join(sorted(self.ruled_out))}"] if self.ruled_out else []
        head = f"step {self.step}: likeness {self.likeness:.3f} +- {half:.3f}, {skin}, {self.copies} copies{nearest}, "
        lines = [head + ", ".join([f"one face in {self.face_rate:.0%}", *rest])]
        if self.slowdown is not None and self.slowdown > SLOW:
            lines.append(f"step {self.step}: a step takes {self.slowdown:.1f} times what the run's first steps took; "
                         "look for other work on the machine, or heat")  # fmt: skip
        return lines


def read_curve(folder: Path) -> list[CurvePoint]:
    """Return the points in a run's folder up to the first line that is not whole; none where there is no curve."""
    try:
        lines = (Path(folder) / CURVE_NAME).read_bytes().split(b"\n")[:-1]
    except OSError:
        return []
    points = []
    for line in lines:
        try:
            values = json.loads(line)
            points.append(CurvePoint(**{**values, "likeness_interval": tuple(values["likeness_interval"])}))
        except (ValueError, TypeError, KeyError):
            break
    return points


def write_curve(folder: Path, points: Sequence[CurvePoint]) -> None:
    """Write all points, whole or not at all: a resumed run counts on what stands here."""
    write_text(Path(folder) / CURVE_NAME, "".join(canonical_json(asdict(point)) + "\n" for point in points))
