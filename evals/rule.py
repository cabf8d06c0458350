"""What a rule of the policy is: a statistic of a metric, and what it is compared with."""

from dataclasses import dataclass

# Metrics of the persona itself: nothing is judged by them without its calibration.
PERSONA_METRICS = (
    "likeness", "skin_z", "copy_image", "copy_face", "nearest_photo", "training_photos", "likeness_second",
    "second_disagrees",
)  # fmt: skip
_OF_THE_BASE = ("difference_from_base", "spread_ratio")


@dataclass(frozen=True)
class Reference:
    """A number in a rule: fixed, or a key of the calibration plus a fixed offset.

    Args:
        number: the number itself when ``key`` is None, else the offset added to the calibration's value.
        key: one of ``CALIBRATION_KEYS``, or None.
    """

    number: float
    key: str | None = None

    @property
    def source(self) -> str:
        """Where the number comes from: ``"policy"`` or e.g. ``"calibration:tau-0.05"``."""
        if self.key is None:
            return "policy"
        return f"calibration:{self.key}" + (f"{self.number:+g}" if self.number else "")


@dataclass(frozen=True)
class Margin:
    """By how much a candidate may be worse than the champion on one metric.

    Args:
        metric: key of the image rows' ``metrics``.
        margin: how much worse is still not worse, in the metric's unit; at least 0.
        better: ``"higher"``, ``"lower"``, or ``"inside"``: nearer to the middle of ``band``.
        missing_value: what an image without the metric counts as; None: its pair is left out.
        left_out_share: more pairs left out than this share are not evaluated.
        band: two references, for ``"inside"``.
    """

    metric: str
    margin: float
    better: str = "higher"
    missing_value: float | None = None
    left_out_share: float = 0.0
    band: tuple[Reference, Reference] | None = None


@dataclass(frozen=True)
class Rule:
    """What one gate measures over the image rows and what it is compared with.

    Args:
        gate: id of the gate.
        statistic: one of ``evals.policy.STATISTICS``; the judge defines each.
        metric: key of the image rows' ``metrics``.
        direction: ``"at_least"`` or ``"at_most"``: on which side of the threshold the gate passes, the threshold
            itself included.
        threshold: what the statistic is compared with; for ``paired_difference`` minus the margin, and there the
            bound must lie strictly above it.
        compares: ``"point"`` compares the estimate, ``"bound"`` the one-sided confidence bound on the losing side.
        minimum_images: fewer distinct images than this are not evaluated.
        minimum_prompts: fewer prompts than this are not evaluated.
        equals: ``rate`` counts images whose metric is exactly this.
        requires: ``rate`` counts an image only if this second metric is there too.
        limit: ``share_below`` and ``share_above`` count images strictly beyond it.
        missing_value: what an image without the metric counts as in a mean; None: it is left out, and what is left
            must still be as many images and prompts as the rule asks for.
        scale: two references (zero, one); the mean is reported as ``(mean - zero) / (one - zero)``, a difference as
            ``difference / (one - zero)``.
        band: ``median_in_band`` wants the median within these two, both included.
        unscorable_share: more unscorable images than this share are not evaluated.
        by: second metric: what images are put into bins by, or what ``rank_correlation`` compares with.
        edges: rising ends of the bins; the first and the last bin are open.
        minimum_bin: images that a bin must hold to be compared.
        kinds: metric that says how many values there could be, equal in all images.
        even_factor: a share below this many times an even one is never too large.
        rows: ``"plan"`` judges the images of the plan, ``"class"`` those of prompts without the trigger.
        also: margins of further metrics, for ``paired_difference``.
        superior_on: metrics of which the candidate must be shown better on one; none: not to be worse is enough.
    """

    gate: str
    statistic: str
    metric: str
    direction: str
    threshold: Reference
    compares: str
    minimum_images: int
    minimum_prompts: int
    equals: float | None = None
    requires: str | None = None
    limit: Reference | None = None
    missing_value: float | None = None
    scale: tuple[Reference, Reference] | None = None
    band: tuple[Reference, Reference] | None = None
    unscorable_share: float | None = None
    by: str | None = None
    edges: tuple[float, ...] | None = None
    minimum_bin: int | None = None
    kinds: str | None = None
    even_factor: float | None = None
    rows: str = "plan"
    also: tuple[Margin, ...] = ()
    superior_on: tuple[str, ...] = ()

    @property
    def margins(self) -> tuple[Margin, ...]:
        """Every margin of a ``paired_difference``, the rule's own metric first."""
        own = Margin(self.metric, -self.threshold.number, missing_value=self.missing_value)
        return (own, *self.also)

    @property
    def can_stop(self) -> bool:
        """Whether early sampling can settle it: a share, or a mean that must be reached, of the plan's own images."""
        if self.rows != "plan" or self.compares != "point":
            return False
        if self.statistic == "mean_by_prompt":
            return self.direction == "at_least" and self.missing_value is not None and self.scale is None
        return self.statistic in ("rate", "share_below", "share_above", "median_in_band")

    @property
    def needs_calibration(self) -> bool:
        """True for every rule on a metric that is measured against the persona's references or compared with the
        base's, or with a number of the calibration.
        """
        compared = (self.threshold, self.limit, *(self.scale or ()), *(self.band or ()))
        measured = {self.metric, *(margin.metric for margin in self.also)}
        if measured & {*PERSONA_METRICS} or self.statistic in _OF_THE_BASE:
            return True
        return any(number is not None and number.key for number in compared)
