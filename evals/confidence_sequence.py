"""Looking while sampling: betting tests of the mean of a finite population that stay valid at every look.

A plan has a fixed number of prompts, drawn in an order that knows nothing of the outcomes. A gambler who bets against
the hypothesis that the plan's mean is at most a bound cannot expect to win while it is true, so his capital exceeds
``1 / alpha`` at *any* time with chance ``alpha`` at most (Ville 1939; bets without replacement: Waudby-Smith and
Ramdas, arXiv 2010.09686). A test of a fixed size, looked at after every block, is wrong far more often than it says.
"""

import math
from collections.abc import Sequence

# Shares of the largest bet that cannot ruin; their capitals are averaged, so that no bet must be the right one.
_BETS = (0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.99)
_ROUNDING = 1e-9
_STEPS = 50


def mean_at_most_p(values: Sequence[float], population: int, bound: float) -> float:
    """Return an anytime-valid p-value of the hypothesis that the population's mean is at most ``bound``.

    It may be looked at after every value: the chance that it *ever* falls to ``alpha`` while the hypothesis is true is
    ``alpha`` at most. It is 0 where what was drawn settles it, whatever is left.

    Args:
        values: drawn without replacement in random order, each in [0, 1].
        population: how many values there are to draw, at least ``len(values)``.
        bound: in [0, 1].

    Raises:
        ValueError: a value lies outside [0, 1] or is not finite, or ``population`` or ``bound`` is out of range.
    """
    if population < max(1, len(values)) or not 0.0 <= bound <= 1.0:
        raise ValueError(f"accepted at least {len(values)} values and a bound in [0, 1], got {population} and {bound}")
    capitals, largest, total = [1.0] * len(_BETS), 1.0, 0.0
    for number, value in enumerate(values):
        if not 0.0 <= value <= 1.0:
            raise ValueError(f"values must lie in [0, 1], but got {value}")
        # The mean of what is left, were the population's mean on the bound.
        left = (population * bound - total) / (population - number)
        total += value
        if total > population * bound + _ROUNDING:
            return 0.0
        if left > 0.0:
            capitals = [
                capital * (1.0 - bet + bet * value / left) for capital, bet in zip(capitals, _BETS, strict=True)
            ]
        largest = max(largest, math.fsum(capitals) / len(capitals))
    return 1.0 / largest


def confidence_sequence(values: Sequence[float], population: int, level: float = 0.95) -> tuple[float, float]:
    """Return an interval of the population's mean that holds at every look at once, with chance ``level``.

    Args:
        values: drawn without replacement in random order, each in [0, 1].
        population: how many values there are to draw.
        level: two-sided confidence in (0, 1).

    Raises:
        ValueError: as ``mean_at_most_p``, or ``level`` is outside (0, 1).
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must be inside (0, 1), but got {level}")
    alpha = (1.0 - level) / 2.0
    return _lowest(values, population, alpha), 1.0 - _lowest([1.0 - value for value in values], population, alpha)


def _lowest(values: Sequence[float], population: int, alpha: float) -> float:
    """The largest bound that is refused, or 0: capital falls as the bound rises, so halving finds it."""
    low, high = 0.0, 1.0
    if mean_at_most_p(values, population, low) > alpha:
        return 0.0
    for _ in range(_STEPS):
        middle = (low + high) / 2.0
        if mean_at_most_p(values, population, middle) <= alpha:
            low = middle
        else:
            high = middle
    return low
