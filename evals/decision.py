"""Candidate against champion: paired on prompt and seed, clustered by prompt, one verdict with a stated error.

The candidate replaces the champion when it is shown not to be worse by a margin on *every* metric, and shown to be
better on one that was named beforehand. Both showings take the agreement of a sign-flip test and a cluster-t bound.
That all margins must hold needs no smaller level for each (Berger 1982); of several metrics to be better on, Holm's
step-down keeps the chance of one false claim at the level (Holm 1979).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import stdev
from typing import Any, Final, Literal

from evals.evidence import CannotJudgeError, Evidence, mean_of, require
from evals.image_rows import ImageRow
from evals.inference import cluster_means, cluster_t_interval, cluster_t_test, sign_flip_test
from evals.power import paired_power, prompts_for_power
from evals.rule import Margin
from evals.verdict import Interval, Outcome, Verdict

Word = Literal["approve", "reject", "no_decision"]
APPROVE: Final = "approve"
REJECT: Final = "reject"
NO_DECISION: Final = "no_decision"
POWER = 0.80
_OUTCOMES = {APPROVE: Outcome.PASSED, REJECT: Outcome.FAILED, NO_DECISION: Outcome.NOT_EVALUATED}


@dataclass(frozen=True)
class MetricDecision:
    """One metric compared; differences are candidate less champion, turned so that higher is better.

    Args:
        metric: its name.
        better: ``"higher"``, ``"lower"`` or ``"inside"`` (nearer to the middle of a band).
        margin: by how much the candidate may be worse, in the metric's unit.
        mean: mean over prompts of the mean over seeds of the differences.
        interval: two-sided cluster-t interval whose ends are the one-sided bounds at the level.
        p_non_inferior: larger p of the two tests that the mean lies above ``-margin``.
        non_inferior: both tests agree that it does.
        p_superior: larger p of the two tests that the mean lies above 0.
        superior: named beforehand, and shown better after Holm's correction.
        pairs, prompts: how much was compared.
        left_out: pairs without a value on one side.
        deviation: standard deviation of the differences between prompts.
    """

    metric: str
    better: str
    margin: float
    mean: float
    interval: Interval
    p_non_inferior: float
    non_inferior: bool
    p_superior: float
    superior: bool
    pairs: int
    prompts: int
    left_out: int
    deviation: float

    @property
    def is_worse(self) -> bool:
        """Whether the mean itself lies the margin or more on the wrong side."""
        return self.mean <= -self.margin

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as JSON types."""
        return {
            "metric": self.metric,
            "better": self.better,
            "higher_is_better": self.better == "higher",
            "margin": self.margin,
            "mean": self.mean,
            "interval": [self.interval.low, self.interval.high],
            "p_non_inferior": self.p_non_inferior,
            "non_inferior": self.non_inferior,
            "p_superior": self.p_superior,
            "superior": self.superior,
            "pairs": self.pairs,
            "prompts": self.prompts,
            "left_out": self.left_out,
        }


@dataclass(frozen=True)
class Decision:
    """The answer: ``approve``, ``reject`` or ``no_decision``, with everything it was read from.

    Args:
        verdict: one of the three words.
        reason: figures in words.
        metrics: one a metric, the rule's own first.
        prompts: of the plan.
        seeds_per_prompt: pairs a prompt, on average.
        level: one-sided confidence of every test.
        power: of telling a difference of the first metric's margin at this number of prompts and this spread.
        more_prompts: how many more give 80 % power for what was not shown; None where nothing is missing, or where no
            number would show it.
    """

    verdict: Word
    reason: str
    metrics: tuple[MetricDecision, ...]
    prompts: int
    seeds_per_prompt: float
    level: float
    power: float
    more_prompts: int | None

    def to_json(self) -> dict[str, Any]:
        """Return the decision as it stands in a scorecard."""
        return {
            "verdict": self.verdict,
            "reason": self.reason,
            "prompts": self.prompts,
            "seeds_per_prompt": self.seeds_per_prompt,
            "level": self.level,
            "power": {"difference": self.metrics[0].margin, "power": self.power},
            "more_prompts": self.more_prompts,
            "metrics": [metric.to_json() for metric in self.metrics],
        }

    def to_verdict(self) -> Verdict:
        """Return the verdict of the gate: approve passes, reject fails, no decision is *not evaluated*."""
        told = self._telling()
        outcome = _OUTCOMES[self.verdict]
        return Verdict(outcome, self.reason, told.mean, told.interval, -told.margin, "policy")

    def _telling(self) -> MetricDecision:
        """The metric that stands for the verdict: what was worse, what was not shown, else the first."""
        worse = [metric for metric in self.metrics if metric.is_worse]
        unshown = [metric for metric in self.metrics if not metric.non_inferior]
        return (worse or unshown or list(self.metrics))[0]


def decide(evidence: Evidence, champion: Sequence[ImageRow]) -> Decision:
    """Compare the candidate's rows with the champion's under a ``paired_difference`` rule.

    Args:
        evidence: the candidate's rows, sorted by prompt and seed, with the rule and the level of its tests.
        champion: the champion's rows, sorted likewise, drawn from the same prompts and seeds.

    Raises:
        CannotJudgeError: a row has no partner, the champion was measured on too little to be a baseline, a metric was
            not measured, too many pairs lack it, or one prompt is all there is.
    """
    rule = evidence.rule
    require(champion, rule, "champion images")
    own, other = {row.cell for row in evidence.rows}, {row.cell for row in champion}
    if own != other:
        unpaired = sorted(own ^ other)
        raise CannotJudgeError(
            f"{len(unpaired)} images have no partner on prompt and seed, first {unpaired[0][0]} seed {unpaired[0][1]}"
        )
    # A champion that was itself measured on too little is no baseline: any candidate would be no worse.
    require(
        [row for row in champion if row.metrics[rule.metric] is not None], rule, f"champion images with {rule.metric}"
    )
    compared = [_compare(evidence, champion, margin) for margin in rule.margins]
    found = _with_holm(compared, rule.superior_on, evidence.level)
    prompts = len(set(evidence.prompts))
    verdict, reason, more = _verdict(found, rule.superior_on, evidence.level)
    power = paired_power(found[0].prompts, found[0].margin, found[0].deviation, evidence.level)
    assert power is not None
    return Decision(
        verdict=verdict,
        reason=f"{reason}; at {prompts} prompts a difference of {found[0].margin:g} is told with {power:.0%} power"
        f"{evidence.missing_note()}",
        metrics=found,
        prompts=prompts,
        seeds_per_prompt=len(evidence.rows) / prompts,
        level=evidence.level,
        power=power,
        more_prompts=more,
    )


def _compare(evidence: Evidence, champion: Sequence[ImageRow], margin: Margin) -> MetricDecision:
    """Compare one metric; ``superior`` is left for Holm."""
    rule = evidence.rule
    for rows in (evidence.rows, champion):
        if any(margin.metric not in row.metrics for row in rows):
            raise CannotJudgeError(f"{margin.metric} was not measured")
    # Both are sorted by prompt and seed and cover the same cells.
    ours, theirs = (_turned(rows, margin, evidence) for rows in (evidence.rows, champion))
    pairs = [
        (a - b, row)
        for a, b, row in zip(ours, theirs, evidence.rows, strict=True)
        if a is not None and b is not None
    ]
    left_out = len(ours) - len(pairs)
    if left_out > margin.left_out_share * len(ours):
        raise CannotJudgeError(
            f"{left_out} of {len(ours)} pairs lack {margin.metric} on one side, the policy accepts a share of "
            f"{margin.left_out_share:g}"
        )
    require([row for _, row in pairs], rule, f"pairs with {margin.metric}")
    differences, prompts = [value for value, _ in pairs], [row.prompt for _, row in pairs]
    means = list(cluster_means(differences, prompts).values())
    interval = cluster_t_interval(differences, prompts, 2.0 * evidence.level - 1.0)
    not_worse = _p_above(means, -margin.margin)
    better = _p_above(means, 0.0)
    if interval is None or not_worse is None or better is None:
        raise CannotJudgeError("one prompt says nothing about the spread between prompts")
    return MetricDecision(
        metric=margin.metric,
        better=margin.better,
        margin=margin.margin,
        mean=mean_of(means),
        interval=interval,
        p_non_inferior=not_worse,
        # The larger of two p is within the level where the t test is too: then the bound lies above the margin.
        non_inferior=not_worse <= 1.0 - evidence.level,
        p_superior=better,
        superior=False,
        pairs=len(pairs),
        prompts=len(means),
        left_out=left_out,
        deviation=stdev(means),
    )


def _turned(rows: Sequence[ImageRow], margin: Margin, evidence: Evidence) -> list[float | None]:
    """The metric of each row, turned so that higher is better; None where it is missing and has no stand-in."""
    values = [margin.missing_value if (v := row.metrics[margin.metric]) is None else v for row in rows]
    if margin.better == "higher":
        return values
    if margin.better == "lower":
        return [None if value is None else -value for value in values]
    assert margin.band is not None
    low, high = (evidence.number(reference) for reference in margin.band)
    if not low < high:
        raise CannotJudgeError(f"the band of {margin.metric} from {low:.4g} to {high:.4g} is empty")
    middle = (low + high) / 2.0
    return [None if value is None else -abs(value - middle) for value in values]


def _p_above(means: Sequence[float], value: float) -> float | None:
    shifted = [mean - value for mean in means]
    by_signs, by_t = sign_flip_test(shifted, "greater"), cluster_t_test(shifted)
    return None if by_signs is None or by_t is None else max(by_signs, by_t)


def _with_holm(found: Sequence[MetricDecision], named: Sequence[str], level: float) -> tuple[MetricDecision, ...]:
    waiting = sorted((metric for metric in found if metric.metric in named), key=lambda metric: metric.p_superior)
    shown: set[str] = set()
    for number, metric in enumerate(waiting):
        if metric.p_superior > (1.0 - level) / (len(waiting) - number) or not metric.mean > 0.0:
            break
        shown.add(metric.metric)
    return tuple(replace(metric, superior=metric.metric in shown) for metric in found)


def _verdict(
    found: Sequence[MetricDecision], named: Sequence[str], level: float
) -> tuple[Word, str, int | None]:
    figures = "; ".join(_figures(metric, level) for metric in found)
    worse = [metric.metric for metric in found if metric.is_worse]
    if worse:
        return REJECT, f"worse by the margin or more on {', '.join(worse)}: {figures}", None
    unshown = [metric.metric for metric in found if not metric.non_inferior]
    better = [metric.metric for metric in found if metric.superior]
    if not unshown and (better or not named):
        said = f", better on {', '.join(better)}" if better else ""
        return APPROVE, f"not worse on any metric{said}: {figures}", None
    missing = [f"not shown to be within the margin on {', '.join(unshown)}"] if unshown else []
    missing += [] if better or not named else [f"not shown to be better on {' or '.join(named)}"]
    more = _more_prompts(found, named if not better else (), level)
    if more is not None:
        advice = f"about {more} more prompts for {POWER:.0%} power"
    elif unshown:
        advice = "no number of prompts in sight would show it"
    else:
        advice = "it is no better, and no number of prompts would show that it is"
    return NO_DECISION, f"no decision, {' and '.join(missing)}: {advice} ({figures})", more


def _figures(metric: MetricDecision, level: float) -> str:
    about = {"higher": "", "lower": " (lower is better)", "inside": " (distance from the middle of its band)"}
    left_out = f", {metric.left_out} pairs left out" if metric.left_out else ""
    return (
        f"{metric.metric}{about[metric.better]} {metric.mean:+.4f} over {metric.prompts} prompts, one-sided "
        f"{level:.0%} bound {metric.interval.low:+.4f}, margin {metric.margin:g}, p {metric.p_non_inferior:.4f} "
        f"for not worse and {metric.p_superior:.4f} for better{left_out}"
    )


def _more_prompts(found: Sequence[MetricDecision], named: Sequence[str], level: float) -> int | None:
    """How many prompts are missing until all that was not shown would be, with 80 % power; None where none suffice."""
    now = found[0].prompts
    asked: list[int | None] = [
        prompts_for_power(metric.mean + metric.margin, metric.deviation, level, POWER)
        for metric in found
        if not metric.non_inferior
    ]
    if named:
        ways = [
            prompts_for_power(metric.mean, metric.deviation, level, POWER)
            for metric in found
            if metric.metric in named and metric.mean > 0.0
        ]
        asked.append(min((way for way in ways if way is not None), default=None))
    known = [way for way in asked if way is not None]
    if len(known) < len(asked):
        return None
    # A near miss can lie beyond the number that has 80 % power: one more is the least that may change the answer.
    return max(max(known, default=0) - now, 1)
