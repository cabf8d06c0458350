"""Which measured values go with which reason of reviewers: where thresholds could learn from eyes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

FEWEST_IMAGES = 5
LEVEL = 0.05


@dataclass(frozen=True)
class Association:
    """A metric that differs between images with a reason and the other images that were rated.

    Args:
        reason: of the reviewers.
        metric: measured on each image.
        auc: chance that a random image with the reason has a higher value than a random one without; .5 says nothing.
        with_reason, without: how many images of each had a value.
        p: two-sided Mann-Whitney p, times the number of metrics and reasons that were looked at (Bonferroni).
    """

    reason: str
    metric: str
    auc: float
    with_reason: int
    without: int
    p: float

    @property
    def side(self) -> str:
        """Return ``"higher"`` or ``"lower"``: how the value is where the reason was given."""
        return "higher" if self.auc >= 0.5 else "lower"


def associations(
    images: Sequence[tuple[Mapping[str, float | None], frozenset[str]]], *, fewest: int = FEWEST_IMAGES,
    level: float = LEVEL,
) -> list[Association]:  # fmt: skip
    """Return the associations that chance does not explain, the strongest of each reason first.

    Args:
        images: of every rated image its measured values and the reasons that were given against it; an image that was
            rated without a reason counts as one without.
        fewest: images with and without a reason that a comparison takes.
        level: of the corrected p.

    Raises:
        ValueError: ``fewest`` is below 2 or ``level`` outside (0, 1).
    """
    from scipy.stats import mannwhitneyu

    if fewest < 2 or not 0.0 < level < 1.0:
        raise ValueError(f"accepted fewest of at least 2 and a level inside (0, 1), got {fewest} and {level}")
    reasons = sorted({reason for _, given in images for reason in given})
    metrics = sorted({metric for values, _ in images for metric in values})
    compared: list[tuple[str, str, float, int, int, float]] = []
    for reason in reasons:
        for metric in metrics:
            known = [(value, reason in given) for values, given in images if (value := values.get(metric)) is not None]
            inside = [value for value, has in known if has]
            outside = [value for value, has in known if not has]
            if min(len(inside), len(outside)) < fewest or len({*inside, *outside}) < 2:
                continue
            found = mannwhitneyu(inside, outside, alternative="two-sided")
            auc = float(found.statistic) / (len(inside) * len(outside))
            compared.append((reason, metric, auc, len(inside), len(outside), float(found.pvalue)))
    # Only what was compared was a chance to be fooled.
    told = [Association(*each[:5], min(1.0, each[5] * len(compared))) for each in compared]
    kept = [each for each in told if each.p <= level]
    return sorted(kept, key=lambda each: (each.reason, -abs(each.auc - 0.5), each.metric))
