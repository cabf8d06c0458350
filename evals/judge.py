"""Image rows to statistics to policy to verdicts, in that order and nowhere else."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, median
from typing import Any

from evals.calibration import Calibration
from evals.errors import InputError
from evals.image_rows import ImageRow, parse_rows
from evals.inference import (
    cluster_means,
    cluster_t_interval,
    clustered_wilson_interval,
    quantile_bounds,
    sign_flip_test,
)
from evals.policy import Policy, Reference, Rule
from evals.verdict import Interval, Outcome, Verdict, failed, not_evaluated, passed

_POWER = 0.80
_SHARES = ("rate", "share_below", "share_above")


class _CannotJudgeError(Exception):
    """Evidence for a rule is missing; its text is the reason of a ``not_evaluated`` verdict."""


@dataclass(frozen=True)
class _Evidence:
    rows: Sequence[ImageRow]
    rule: Rule
    level: float
    number: Callable[[Reference], float]

    @property
    def prompts(self) -> list[str]:
        return [row.prompt for row in self.rows]

    def values(self) -> list[float | None]:
        return [row.metrics[self.rule.metric] for row in self.rows]

    def filled(self) -> list[float]:
        assert self.rule.missing_value is not None
        return [self.rule.missing_value if value is None else value for value in self.values()]

    def missing_note(self) -> str:
        missing = sum(value is None for value in self.values())
        if not missing:
            return ""
        counted = "against" if self.rule.missing_value is None else f"as {self.rule.missing_value:g}"
        why = _tally(row.reasons[self.rule.metric] for row in self.rows if row.metrics[self.rule.metric] is None)
        return f"; {missing} of {len(self.rows)} images have no {self.rule.metric} and count {counted} ({why})"


def judge(
    rows: Iterable[Mapping[str, Any]],
    calibration: Calibration | None,
    policy: Policy,
    champion_rows: Iterable[Mapping[str, Any]] | None = None,
    *,
    backend: Mapping[str, Any] | None = None,
    domain: Mapping[str, Any] | None = None,
) -> dict[str, Verdict]:
    """Return one verdict for every gate that is judged from image rows, keyed and ordered as in the policy.

    Nothing here raises on bad evidence: rows that hold a NaN or are malformed, too few images or prompts, no
    calibration, one made for another backend or domain, or no champion rows all give ``not_evaluated`` with the reason.
    Distinct images are counted by content, so one image handed in many times is one image. Whether the champion gate
    applies at all is for the caller, who knows what was declared.

    Args:
        rows: image rows as JSON objects, in any order.
        calibration: of the persona; None where there is none.
        policy: rules a gate.
        champion_rows: the champion's image rows on the same prompts and seeds, same backend and domain.
        backend: identity of the face backend that measured ``rows``; None is never a match.
        domain: domain of ``rows``; None is never a match.
    """
    try:
        parsed = parse_rows(rows)
        champion = None if champion_rows is None else parse_rows(champion_rows)
    except InputError as error:
        return {gate: not_evaluated(str(error)) for gate in policy.rules}
    binding = "there is no calibration" if calibration is None else calibration.mismatch(backend, domain)

    def number(reference: Reference) -> float:
        if reference.key is None:
            return reference.number
        value = None if calibration is None else calibration.threshold(reference.key)
        if value is None:
            raise _CannotJudgeError(f"the calibration holds no {reference.key}")
        return value + reference.number

    verdicts: dict[str, Verdict] = {}
    for gate, rule in policy.rules.items():
        try:
            _require(parsed, rule, "images")
            if rule.needs_calibration and binding is not None:
                raise _CannotJudgeError(binding)
            evidence = _Evidence(parsed, rule, policy.level, number)
            verdicts[gate] = _paired(evidence, champion) if rule.statistic == "paired_difference" else _single(evidence)
        except _CannotJudgeError as missing:
            verdicts[gate] = not_evaluated(str(missing))
    return verdicts


def statistics(rows: Iterable[Mapping[str, Any]], level: float = 0.95) -> dict[str, dict[str, Any]]:
    """Return per metric ``{"mean", "interval", "n", "missing", "prompts"}`` for the scorecard.

    ``mean`` is the mean over prompts of the mean over seeds of the images that have the metric (``n`` of them);
    ``interval`` is its cluster-t interval ``[low, high]`` at ``level``; both are None where they are not known.

    Raises:
        InputError: as ``evals.image_rows.parse_rows``.
        ValueError: ``level`` is outside (0, 1).
    """
    parsed = parse_rows(rows)
    table: dict[str, dict[str, Any]] = {}
    for name in sorted({name for row in parsed for name in row.metrics}):
        present = [(value, row.prompt) for row in parsed if (value := row.metrics[name]) is not None]
        values, prompts = [value for value, _ in present], [prompt for _, prompt in present]
        interval = cluster_t_interval(values, prompts, level)
        table[name] = {
            "mean": _mean(cluster_means(values, prompts).values()) if present else None,
            "interval": None if interval is None else [interval.low, interval.high],
            "n": len(present),
            "missing": len(parsed) - len(present),
            "prompts": len(set(prompts)),
        }
    return table


def _require(rows: Sequence[ImageRow], rule: Rule, what: str) -> None:
    images, prompts = len({row.image for row in rows}), len({row.prompt for row in rows})
    if images < rule.minimum_images or prompts < rule.minimum_prompts:
        raise _CannotJudgeError(
            f"{images} distinct {what} of {prompts} prompts, "
            f"the policy asks for {rule.minimum_images} of {rule.minimum_prompts}"
        )
    for name in filter(None, (rule.metric, rule.requires)):
        if any(name not in row.metrics for row in rows):
            raise _CannotJudgeError(f"{name} was not measured")


def _single(evidence: _Evidence) -> Verdict:
    if evidence.rule.statistic in _SHARES:
        return _share(evidence)
    if evidence.rule.statistic == "mean_by_prompt":
        return _mean_by_prompt(evidence)
    if evidence.rule.statistic == "worst_prompt_gap":
        return _worst_prompt_gap(evidence)
    return _median_in_band(evidence)


def _share(evidence: _Evidence) -> Verdict:
    rule = evidence.rule
    if rule.statistic == "rate":
        against = rule.direction == "at_most"
        hits = [against if value is None else value == rule.equals for value in evidence.values()]
        if rule.requires is not None:
            hits = [h and row.metrics[rule.requires] is not None for h, row in zip(hits, evidence.rows, strict=True)]
        what = f"{rule.metric} is {rule.equals:g}"
        against_it = [_why_not(row, rule) for row, hit in zip(evidence.rows, hits, strict=True) if not hit]
        others = f" ({_tally(against_it)})" if against_it and not against else ""
    else:
        assert rule.limit is not None
        limit, below = evidence.number(rule.limit), rule.statistic == "share_below"
        hits = [v is None or (v < limit if below else v > limit) for v in evidence.values()]
        what, others = f"{rule.metric} {'below' if below else 'above'} {limit:.4g} ({rule.limit.source})", ""
    share = sum(hits) / len(hits)
    interval = clustered_wilson_interval(hits, evidence.prompts, _interval_level(evidence))
    counted = f"{what} in {sum(hits)} of {len(hits)} images{others}{evidence.missing_note()}"
    return _compare(evidence, share, interval, counted)


def _why_not(row: ImageRow, rule: Rule) -> str:
    value = row.metrics[rule.metric]
    if rule.requires is not None and row.metrics[rule.requires] is None:
        return row.reasons[rule.requires]
    return row.reasons[rule.metric] if value is None else f"{rule.metric} {value:g}"


def _tally(reasons: Iterable[str]) -> str:
    """Return how often each reason stands, the most frequent first; figures behind a colon are left out."""
    counts = Counter(reason.split(":", 1)[0].strip() for reason in reasons)
    return ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items(), key=lambda kind: (-kind[1], kind)))


def _mean_by_prompt(evidence: _Evidence) -> Verdict:
    rule = evidence.rule
    zero, one = (0.0, 1.0) if rule.scale is None else (evidence.number(rule.scale[0]), evidence.number(rule.scale[1]))
    if not one > zero:
        raise _CannotJudgeError(f"the scale from {zero:.4g} to {one:.4g} does not rise")
    values = [(value - zero) / (one - zero) for value in evidence.filled()]
    mean = _mean(cluster_means(values, evidence.prompts).values())
    interval = cluster_t_interval(values, evidence.prompts, _interval_level(evidence))
    scaled = "" if rule.scale is None else ", scaled"
    prompts = len(set(evidence.prompts))
    return _compare(
        evidence, mean, interval, f"mean {rule.metric}{scaled} of {prompts} prompts{evidence.missing_note()}"
    )


def _worst_prompt_gap(evidence: _Evidence) -> Verdict:
    means = cluster_means(evidence.filled(), evidence.prompts)
    worst = min(means, key=lambda prompt: (means[prompt], prompt))
    gap = means[worst] - _mean(means.values())
    what = (
        f"lowest {evidence.rule.metric} is {means[worst]:.4g} at prompt {worst}, less the mean{evidence.missing_note()}"
    )
    return _compare(evidence, gap, None, what)


def _median_in_band(evidence: _Evidence) -> Verdict:
    rule = evidence.rule
    assert rule.band is not None
    assert rule.unscorable_share is not None
    ends = [(evidence.number(reference), reference.source) for reference in rule.band]
    (low, _), (high, _) = ends
    if not low < high:
        raise _CannotJudgeError(f"the band from {low:.4g} to {high:.4g} is empty")
    scorable = [row for row in evidence.rows if not row.is_unscorable(rule.metric)]
    unscorable = len(evidence.rows) - len(scorable)
    if unscorable > rule.unscorable_share * len(evidence.rows):
        raise _CannotJudgeError(
            f"{unscorable} of {len(evidence.rows)} images are unscorable for {rule.metric}, "
            f"the policy accepts a share of {rule.unscorable_share:g}"
        )
    _require(scorable, rule, f"images scorable for {rule.metric}")
    seen = _Evidence(scorable, rule, evidence.level, evidence.number)
    outside = [value is None or not low <= value <= high for value in seen.values()]
    interval = clustered_wilson_interval(outside, seen.prompts, _interval_level(seen))
    counted = f"{sum(outside)} of {len(outside)} images outside {low:.4g} to {high:.4g}{seen.missing_note()}"
    shared = _compare(seen, sum(outside) / len(outside), interval, f"{rule.metric}: {counted}")

    by_prompt: dict[str, list[float]] = {}
    for row in scorable:
        if (value := row.metrics[rule.metric]) is not None:
            by_prompt.setdefault(row.prompt, []).append(value)
    if not by_prompt:
        return shared
    medians = [median(values) for values in by_prompt.values()]
    centre = median(medians)
    bounds = quantile_bounds(medians, 0.5, evidence.level)
    spread = None if bounds[0] is None or bounds[1] is None else Interval(bounds[0], bounds[1], evidence.level)
    nearer = min(ends, key=lambda end: abs(centre - end[0]))
    figures = f"median {rule.metric} {centre:.4g}, band {low:.4g} to {high:.4g}; {counted}"
    if not low <= centre <= high:
        return failed(f"{figures}: outside", centre, spread, *nearer)
    if shared.outcome is not Outcome.PASSED:
        return shared
    return passed(f"{figures}: inside", centre, spread, *nearer)


def _paired(evidence: _Evidence, champion: Sequence[ImageRow] | None) -> Verdict:
    rule, margin = evidence.rule, -evidence.rule.threshold.number
    if champion is None:
        raise _CannotJudgeError("there are no champion rows to compare with")
    _require(champion, rule, "champion images")
    own, other = {row.cell for row in evidence.rows}, {row.cell for row in champion}
    if own != other:
        unpaired = sorted(own ^ other)
        raise _CannotJudgeError(
            f"{len(unpaired)} images have no partner on prompt and seed, first {unpaired[0][0]} seed {unpaired[0][1]}"
        )
    # A champion that was itself measured on too little is no baseline: any candidate would be no worse.
    _require(
        [row for row in champion if row.metrics[rule.metric] is not None], rule, f"champion images with {rule.metric}"
    )
    theirs = _Evidence(champion, rule, evidence.level, evidence.number).filled()
    # Both are sorted by prompt and seed and cover the same cells.
    differences = [a - b for a, b in zip(evidence.filled(), theirs, strict=True)]
    means = list(cluster_means(differences, evidence.prompts).values())
    mean = _mean(means)
    interval = cluster_t_interval(differences, evidence.prompts, _interval_level(evidence))
    p = sign_flip_test([value + margin for value in means], "greater")
    if interval is None or p is None:
        raise _CannotJudgeError("one prompt says nothing about the spread between prompts")
    figures = (
        f"{rule.metric} differs from the champion's by {mean:+.4f} over {len(means)} prompts, one-sided "
        f"{evidence.level:.0%} bound {interval.low:+.4f}, sign-flip p {p:.4f}, margin {margin:g}"
        f"{evidence.missing_note()}"
    )
    source = rule.threshold.source
    if interval.low > -margin and p <= 1.0 - evidence.level:
        return passed(f"{figures}: not inferior", mean, interval, -margin, source)
    if mean <= -margin:
        return failed(f"{figures}: worse by the margin or more", mean, interval, -margin, source)
    more = _prompts_needed(means, mean + margin, evidence.level) - len(means)
    return Verdict(
        Outcome.NOT_EVALUATED,
        f"{figures}: no decision, about {more} more prompts needed",
        mean,
        interval,
        -margin,
        source,
    )


def _prompts_needed(means: Sequence[float], distance: float, level: float) -> int:
    """Return the prompts at which the bound would clear a true ``distance`` from the margin with 80 % power."""
    centre = _mean(means)
    deviation = math.sqrt(math.fsum((value - centre) ** 2 for value in means) / (len(means) - 1))
    normal = NormalDist()
    needed = ((normal.inv_cdf(level) + normal.inv_cdf(_POWER)) * deviation / distance) ** 2
    # Below this count even a unanimous sign-flip test cannot reach the level.
    fewest = math.ceil(math.log2(1.0 / (1.0 - level)))
    return max(math.ceil(needed), fewest, len(means) + 1)


def _compare(evidence: _Evidence, value: float, interval: Interval | None, what: str) -> Verdict:
    rule = evidence.rule
    threshold, source = evidence.number(rule.threshold), rule.threshold.source
    at_least = rule.direction == "at_least"
    compared, name = value, "value"
    if rule.compares == "bound":
        if interval is None:
            raise _CannotJudgeError(f"there is no interval to take the bound from: {what}")
        compared, name = (interval.low if at_least else interval.high), f"one-sided {evidence.level:.0%} bound"
    good = compared >= threshold if at_least else compared <= threshold
    relation = ("at least" if at_least else "at most") if good else ("below" if at_least else "above")
    reason = f"{what}: {name} {compared:.4g} is {relation} {threshold:.4g} ({source})"
    return (passed if good else failed)(reason, value, interval, threshold, source)


def _interval_level(evidence: _Evidence) -> float:
    # One end of the two-sided interval at 2 * level - 1 is the one-sided bound at the level.
    return 2.0 * evidence.level - 1.0 if evidence.rule.compares == "bound" else evidence.level


def _mean(values: Iterable[float]) -> float:
    members = list(values)
    return math.fsum(members) / len(members)
