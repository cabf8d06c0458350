"""How much a paired comparison over prompts can see: power of the cluster-t test, and prompts for a wanted power."""

import math

MOST_PROMPTS = 100_000


def paired_power(prompts: int, distance: float, deviation: float, level: float = 0.95) -> float | None:
    """Return the power of the one-sided cluster-t test: P(bound > 0) when the true mean lies ``distance`` above 0.

    The statistic then follows the noncentral t with ``prompts - 1`` degrees of freedom and noncentrality
    ``distance * sqrt(prompts) / deviation`` (Johnson and Welch 1940).

    Args:
        prompts: number of clusters.
        distance: of the true mean from the value under the hypothesis, in the metric's unit; 0 gives ``1 - level``.
        deviation: standard deviation between the prompts' mean differences, at least 0.
        level: one-sided confidence in (0, 1).

    Returns:
        Power in [0, 1], or None with fewer than two prompts.

    Raises:
        ValueError: ``distance`` or ``deviation`` is not finite, ``deviation`` is negative, or ``level`` is outside
            (0, 1).
    """
    if not (math.isfinite(distance) and math.isfinite(deviation) and deviation >= 0.0):
        raise ValueError(f"distance and deviation must be finite, deviation >= 0, but got {distance}, {deviation}")
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must be inside (0, 1), but got {level}")
    if prompts < 2:
        return None
    if deviation == 0.0:
        return 1.0 if distance > 0.0 else 0.0
    from scipy.special import nctdtr, stdtrit

    critical = float(stdtrit(prompts - 1, level))
    missed = float(nctdtr(prompts - 1, distance * math.sqrt(prompts) / deviation, critical))
    # Far in the tail the noncentral t comes back as NaN; there nothing is missed.
    return 1.0 if math.isnan(missed) and distance > 0.0 else min(1.0, max(0.0, 1.0 - missed))


def prompts_for_power(distance: float, deviation: float, level: float = 0.95, power: float = 0.80) -> int | None:
    """Return the fewest prompts at which ``paired_power`` reaches ``power``; None where ``MOST_PROMPTS`` do not.

    A sign-flip test cannot reach the level below ``log2(1 / (1 - level))`` clusters however clear they are, so no fewer
    are returned.

    Raises:
        ValueError: as ``paired_power``, or ``power`` is outside (0, 1).
    """
    if not 0.0 < power < 1.0:
        raise ValueError(f"power must be inside (0, 1), but got {power}")
    fewest = max(2, math.ceil(math.log2(1.0 / (1.0 - level)) - 1e-9))
    low, high = fewest, fewest
    while not (paired_power(high, distance, deviation, level) or 0.0) >= power:
        if high >= MOST_PROMPTS:
            return None
        low, high = high + 1, min(2 * high, MOST_PROMPTS)
    while low < high:
        middle = (low + high) // 2
        if (paired_power(middle, distance, deviation, level) or 0.0) >= power:
            high = middle
        else:
            low = middle + 1
    return low
