"""When a training run need not be paid for to its end: it draws a copy, or likeness has stopped growing.

A mean of few images is too noisy to stop on. So two windows of looks are compared, every image with the one of the same
prompt and noise, and a run stops only where even the upper bound of what the later window gained lies under a margin.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import stdev

from evals.evidence import mean_of

SMALLEST_WINDOW = 2
"""One look has no spread."""
ERROR = 0.05
"""Chance, over all looks of a run, of stopping while the later window's likeness is still ``margin`` above."""


@dataclass(frozen=True)
class Look:
    """What the judge saw after some steps, on prompts and noise that are the same at every look.

    Args:
        step: steps done.
        likeness: mean over seeds by prompt, a missing face counting as 0; the same prompts at every look, two or more.
        copies: images that are near-duplicates of a training image.
        stands: nothing rules the LoRA of this step out.
    """

    step: int
    likeness: Mapping[str, float]
    copies: int
    stands: bool

    @property
    def mean(self) -> float:
        """Mean likeness over prompts."""
        return mean_of(self.likeness.values())


@dataclass(frozen=True)
class Gain:
    """By how much likeness grew from one window of looks to the next: the estimate and its one-sided upper bound."""

    mean: float
    high: float


@dataclass(frozen=True)
class TrainingStop:
    """Why training stops, and after how many steps the LoRA lies that is kept; None where there is none to keep."""

    reason: str
    step: int | None


def gain_of(looks: Sequence[Look], window: int, level: float) -> Gain | None:
    """Return by how much the last ``window`` looks are liker than the ``window`` before them; None with fewer looks.

    The bound is the higher of two by Student's t: over prompts (would others have gained as much?), and over looks
    (were these steps like their neighbours?), whose spread is pooled within the windows. Paired images share their
    noise, so what stays between two looks is what training did. A likeness that still rises within its windows spreads
    them and raises the bound.

    Args:
        looks: in the order of their steps.
        window: looks in each of the two windows, at least 2.
        level: one-sided confidence of the bound in (0, 1).

    Raises:
        ValueError: the window or the level is out of range, or looks differ in their prompts or have fewer than two.
    """
    if window < SMALLEST_WINDOW or not 0.0 < level < 1.0:
        raise ValueError(f"accepted a window of {SMALLEST_WINDOW} or more and a level in (0, 1), got {window}, {level}")
    if len(looks) < 2 * window:
        return None
    before, after = looks[-2 * window : -window], looks[-window:]
    prompts = sorted(before[0].likeness)
    if len(prompts) < 2 or any(sorted(look.likeness) != prompts for look in [*before, *after]):
        raise ValueError("accepted looks at the same two prompts or more, got others")
    from scipy.special import stdtrit

    gains = [
        mean_of(look.likeness[name] for look in after) - mean_of(look.likeness[name] for look in before)
        for name in prompts
    ]
    over_prompts = float(stdtrit(len(gains) - 1, level)) * stdev(gains) / math.sqrt(len(gains))
    spreads = [stdev([look.mean for look in part]) for part in (before, after)]
    # The mean of two variances of as many values, over as many looks on both sides.
    error = math.sqrt(sum(spread * spread for spread in spreads) / window)
    over_looks = float(stdtrit(2 * (window - 1), level)) * error
    mean = mean_of(gains)
    return Gain(mean, mean + max(over_prompts, over_looks))


def training_stop(looks: Sequence[Look], window: int, margin: float, planned: int) -> TrainingStop | None:
    """Return why training stops at the last of these looks, or None while it goes on.

    - A copy stops it at once; kept is the last look before it that nothing rules out.
    - A plateau stops it: the upper bound of ``gain_of`` lies under ``margin``, the last quarter of the looks compared
      with the quarter before, ``window`` of them at least. ``ERROR`` is split evenly over the looks of the run that can
      ask (Bonferroni), so looking often costs power, not truth. Kept is the likest look that nothing rules out; where
      each is ruled out, training goes on, for what is missing may still come.

    Args:
        looks: all so far, in the order of their steps.
        window: fewest looks in each window, at least 2.
        margin: likeness above 0 that a window must still be able to gain.
        planned: how many looks the whole run has, the one after its last step included: there is nothing left to stop.

    Raises:
        ValueError: as ``gain_of``; there are no looks, more than planned, or the margin is not above 0.
    """
    if not 0 < len(looks) <= planned or not margin > 0.0:
        raise ValueError(f"accepted 1 to {planned} looks and a margin above 0, got {len(looks)} and {margin}")
    last, standing = looks[-1], [look for look in looks if look.stands]
    if last.copies:
        before = [look for look in standing if look.step < last.step]
        images = "1 near-duplicate" if last.copies == 1 else f"{last.copies} near-duplicates"
        return TrainingStop(f"{images} of training images at step {last.step}", before[-1].step if before else None)
    askable = planned - 2 * window
    if len(looks) == planned or askable < 1 or not standing:
        return None
    # Windows grow with the run: of 150 flat runs of 32 looks 52 were stopped with three looks each, 114 with a quarter.
    size = max(window, len(looks) // 4)
    found = gain_of(looks, size, 1.0 - ERROR / askable)
    if found is None or found.high >= margin:
        return None
    best = max(standing, key=lambda look: (look.mean, -look.step))
    reason = (
        f"likeness gained {found.mean:+.4f}, at most {found.high:+.4f}, from the {size} looks up to step "
        f"{looks[-size - 1].step} to those up to step {last.step}: less than {margin:g}"
    )
    return TrainingStop(reason, best.step)
