"""Successive halving over prompts: after each block of them the worst of those that stand leave.

All that stand have drawn the same prompts with the same noise, so what is compared is paired: how hard a prompt is and
what its noise does cancels. After Jamieson and Talwalkar, "Non-stochastic best arm identification and hyperparameter
optimization" (2016), with blocks of equal length instead of budgets that double. How often the truly best is lost:
benchmarks/halving_simulation.py.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import stdev

from evals.evidence import mean_of

_SHARE_SLACK = 1e-9


@dataclass(frozen=True)
class Standing:
    """What one that still stands has shown so far.

    Args:
        likeness: mean over seeds by prompt, a missing face counting as 0; the same prompts for all.
        ruled_out: a gate already speaks against it.
    """

    likeness: Mapping[str, float]
    ruled_out: bool


@dataclass(frozen=True)
class Departure:
    """One that leaves.

    Args:
        place: among those that stood.
        behind: mean over prompts of the likeness of the last one that stays less its own; below 0 where it leaves
            because it is ruled out.
        standard_error: of that mean, over prompts; None with fewer than two.
        ruled_out: it leaves ruled out, from behind those that are not.
    """

    place: int
    behind: float
    standard_error: float | None
    ruled_out: bool


def blocks_of(prompts: Sequence[str], size: int) -> list[tuple[str, ...]]:
    """Return the prompts in their order, ``size`` a block; the last block may be shorter.

    Raises:
        ValueError: ``size`` is below 1.
    """
    if size < 1:
        raise ValueError(f"accepted a block of at least 1 prompt, got {size}")
    return [tuple(prompts[start : start + size]) for start in range(0, len(prompts), size)]


def number_kept(standing: int, keep: float, fewest: int) -> int:
    """Return how many of ``standing`` stay: the share ``keep`` of them rounded up, and never fewer than ``fewest``.

    Raises:
        ValueError: ``keep`` is outside (0, 1], or a count is below 1.
    """
    if not 0.0 < keep <= 1.0 or standing < 1 or fewest < 1:
        raise ValueError(f"accepted counts of at least 1 and keep in (0, 1], got {standing}, {fewest} and {keep}")
    # .07 * 100 is 7.000000000000001.
    return min(standing, max(fewest, math.ceil(keep * standing - _SHARE_SLACK)))


def departures(field: Sequence[Standing], keep: float, fewest: int) -> list[Departure]:
    """Return who leaves after a block, by place.

    Those that are ruled out stand behind all that are not; within each group the likest stand first, and of equals the
    first. The last of this order leave, until ``number_kept`` are left.

    Args:
        field: all that stand, at least one.
        keep: share that stays, in (0, 1].
        fewest: that stay in any case, at least 1.

    Raises:
        ValueError: as ``number_kept``; or not all have shown the same prompts, at least one.
    """
    count = number_kept(len(field), keep, fewest)
    prompts = list(field[0].likeness)
    if not prompts or any(set(one.likeness) != set(prompts) for one in field):
        raise ValueError("accepted the same prompts of all, at least one, got others")
    means = [mean_of(one.likeness[prompt] for prompt in prompts) for one in field]
    order = sorted(range(len(field)), key=lambda place: (field[place].ruled_out, -means[place], place))
    last = field[order[count - 1]].likeness
    left = []
    for place in sorted(order[count:]):
        own = field[place].likeness
        differences = [last[prompt] - own[prompt] for prompt in prompts]
        error = stdev(differences) / math.sqrt(len(differences)) if len(differences) > 1 else None
        left.append(Departure(place, mean_of(differences), error, field[place].ruled_out))
    return left
