"""The Pareto front: what no other is at least as good as in everything and better than in something."""

import math
from collections.abc import Sequence


def pareto_front(points: Sequence[Sequence[float]], higher_is_better: Sequence[bool]) -> list[int]:
    """Return the places of the points that no other point dominates, ascending.

    One point dominates another when it is nowhere worse and somewhere better; of equal points none dominates the
    other, so they stand on the front together or not at all.

    Args:
        points: n rows of m finite numbers, n >= 0.
        higher_is_better: m directions, m >= 1.

    Raises:
        ValueError: no direction, a row of another length, or a number that is not finite.
    """
    if not higher_is_better:
        raise ValueError("accepted at least one direction, got none")
    turned = []
    for place, point in enumerate(points):
        if len(point) != len(higher_is_better) or not all(math.isfinite(value) for value in point):
            raise ValueError(f"accepted {len(higher_is_better)} finite numbers, got {list(point)} at place {place}")
        turned.append(tuple(v if up else -v for v, up in zip(point, higher_is_better, strict=True)))
    # From the best first number down, a point can only be dominated by one before it, and then by one of the front too.
    front: list[int] = []
    for place in sorted(range(len(turned)), key=lambda place: turned[place], reverse=True):
        if not any(_dominates(turned[other], turned[place]) for other in front):
            front.append(place)
    return sorted(front)


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    return one != other and all(a >= b for a, b in zip(one, other, strict=True))
