"""Image rows to statistics to policy to verdicts, in that order and nowhere else."""

from collections.abc import Iterable, Mapping
from statistics import median
from typing import Any

from evals.bench import Bench
from evals.calibration import Calibration
from evals.decision import Decision
from evals.errors import InputError
from evals.evidence import CannotJudgeError, Evidence, compare, interval_level, mean_of, require, tally
from evals.image_rows import ImageRow, parse_rows
from evals.inference import (
    cluster_means,
    cluster_t_interval,
    clustered_wilson_interval,
    quantile_bounds,
)
from evals.policy import Policy
from evals.rule import Rule
from evals.set_rules import SET_RULES
from evals.verdict import Interval, Outcome, Verdict, failed, not_evaluated, passed

_SHARES = ("rate", "share_below", "share_above")


def judge(
    rows: Iterable[Mapping[str, Any]],
    calibration: Calibration | None,
    policy: Policy,
    champion_rows: Iterable[Mapping[str, Any]] | None = None,
    *,
    backend: Mapping[str, Any] | None = None,
    domain: Mapping[str, Any] | None = None,
    base_rows: Iterable[Mapping[str, Any]] | None = None,
    class_rows: Iterable[Mapping[str, Any]] | None = None,
) -> dict[str, Verdict]:
    """Return one verdict for every gate that is judged from image rows, keyed and ordered as in the policy.

    Nothing here raises on bad evidence: rows that hold a NaN or are malformed, too few images or prompts, no
    calibration, one made for another backend or domain, or no champion or base rows all give ``not_evaluated`` with the
    reason.
    Distinct images are counted by content, so one image handed in many times is one image. Whether the champion gate
    applies at all is for the caller, who knows what was declared.

    Args:
        rows: image rows as JSON objects, in any order.
        calibration: of the persona; None where there is none.
        policy: rules a gate.
        champion_rows: the champion's image rows on the same prompts and seeds, same backend and domain.
        backend: identity of the face backend that measured ``rows``; None is never a match.
        domain: domain of ``rows``; None is never a match.
        base_rows: image rows of the base without a LoRA on the same prompts less the trigger; seeds may be others.
        class_rows: image rows of the LoRA on prompts less the trigger, for the rules that ask for them.
    """
    return judgement(
        rows, calibration, policy, champion_rows, backend=backend, domain=domain, base_rows=base_rows,
        class_rows=class_rows,
    )[0]  # fmt: skip


def judgement(
    rows: Iterable[Mapping[str, Any]],
    calibration: Calibration | None,
    policy: Policy,
    champion_rows: Iterable[Mapping[str, Any]] | None = None,
    *,
    backend: Mapping[str, Any] | None = None,
    domain: Mapping[str, Any] | None = None,
    base_rows: Iterable[Mapping[str, Any]] | None = None,
    class_rows: Iterable[Mapping[str, Any]] | None = None,
) -> tuple[dict[str, Verdict], Decision | None]:
    """Return what ``judge`` returns, and the decision behind the verdict on the champion.

    The decision is None where the policy has no ``paired_difference`` rule, or its gate is *not evaluated* for want of
    evidence.
    """
    try:
        bench = Bench.of(rows, calibration, policy, champion_rows, backend, domain, base_rows, class_rows)
    except InputError as error:
        return {gate: not_evaluated(str(error)) for gate in policy.rules}, None
    verdicts: dict[str, Verdict] = {}
    decision = None
    for gate, rule in policy.rules.items():
        try:
            evidence = bench.evidence(rule)
            if rule.statistic == "paired_difference":
                decision = bench.decision(evidence)
                verdicts[gate] = decision.to_verdict()
            else:
                verdicts[gate] = _single(evidence)
        except CannotJudgeError as missing:
            verdicts[gate] = not_evaluated(str(missing))
    return verdicts, decision


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
            "mean": mean_of(cluster_means(values, prompts).values()) if present else None,
            "interval": None if interval is None else [interval.low, interval.high],
            "n": len(present),
            "missing": len(parsed) - len(present),
            "prompts": len(set(prompts)),
        }
    return table


def _single(evidence: Evidence) -> Verdict:
    if evidence.rule.statistic in SET_RULES:
        return SET_RULES[evidence.rule.statistic](evidence)
    if evidence.rule.statistic in _SHARES:
        return _share(evidence)
    if evidence.rule.statistic == "mean_by_prompt":
        return _mean_by_prompt(evidence)
    if evidence.rule.statistic == "worst_prompt_gap":
        return _worst_prompt_gap(evidence)
    return _median_in_band(evidence)


def _share(evidence: Evidence) -> Verdict:
    rule = evidence.rule
    hits = evidence.hits()
    if rule.statistic == "rate":
        what = f"{rule.metric} is {rule.equals:g}"
        against_it = [_why_not(row, rule) for row, hit in zip(evidence.rows, hits, strict=True) if not hit]
        others = f" ({tally(against_it)})" if against_it and rule.direction != "at_most" else ""
    else:
        assert rule.limit is not None
        limit, below = evidence.number(rule.limit), rule.statistic == "share_below"
        what, others = f"{rule.metric} {'below' if below else 'above'} {limit:.4g} ({rule.limit.source})", ""
    share = sum(hits) / len(hits)
    interval = clustered_wilson_interval(hits, evidence.prompts, interval_level(evidence))
    counted = f"{what} in {sum(hits)} of {len(hits)} images{others}{evidence.missing_note()}"
    return compare(evidence, share, interval, counted)


def _why_not(row: ImageRow, rule: Rule) -> str:
    value = row.metrics[rule.metric]
    if rule.requires is not None and row.metrics[rule.requires] is None:
        return row.reasons[rule.requires]
    return row.reasons[rule.metric] if value is None else f"{rule.metric} {value:g}"


def _mean_by_prompt(evidence: Evidence) -> Verdict:
    rule = evidence.rule
    zero, one = (0.0, 1.0) if rule.scale is None else (evidence.number(rule.scale[0]), evidence.number(rule.scale[1]))
    if one == zero:
        raise CannotJudgeError(f"the scale from {zero:.4g} to {one:.4g} has no length")
    if rule.scale is not None and rule.scale[0].key is not None and not one > zero:
        raise CannotJudgeError(f"the scale from {zero:.4g} to {one:.4g} does not rise")
    kept, left_out = evidence.present()
    plain = kept.filled() if rule.missing_value is not None else [value for value in kept.values() if value is not None]
    values = [(value - zero) / (one - zero) for value in plain]
    mean = mean_of(cluster_means(values, kept.prompts).values())
    interval = cluster_t_interval(values, kept.prompts, interval_level(kept))
    scaled = "" if rule.scale is None else ", scaled"
    note = left_out if rule.missing_value is None else evidence.missing_note()
    return compare(kept, mean, interval, f"mean {rule.metric}{scaled} of {len(set(kept.prompts))} prompts{note}")


def _worst_prompt_gap(evidence: Evidence) -> Verdict:
    means = cluster_means(evidence.filled(), evidence.prompts)
    worst = min(means, key=lambda prompt: (means[prompt], prompt))
    gap = means[worst] - mean_of(means.values())
    what = (
        f"lowest {evidence.rule.metric} is {means[worst]:.4g} at prompt {worst}, less the mean{evidence.missing_note()}"
    )
    return compare(evidence, gap, None, what)


def _median_in_band(evidence: Evidence) -> Verdict:
    rule = evidence.rule
    assert rule.band is not None
    assert rule.unscorable_share is not None
    ends = [(evidence.number(reference), reference.source) for reference in rule.band]
    (low, _), (high, _) = ends
    if not low < high:
        raise CannotJudgeError(f"the band from {low:.4g} to {high:.4g} is empty")
    scorable = [row for row in evidence.rows if not row.is_unscorable(rule.metric)]
    unscorable = len(evidence.rows) - len(scorable)
    if unscorable > rule.unscorable_share * len(evidence.rows):
        raise CannotJudgeError(
            f"{unscorable} of {len(evidence.rows)} images are unscorable for {rule.metric}, "
            f"the policy accepts a share of {rule.unscorable_share:g}"
        )
    require(scorable, rule, f"images scorable for {rule.metric}")
    seen = evidence.of(scorable)
    outside = [value is None or not low <= value <= high for value in seen.values()]
    interval = clustered_wilson_interval(outside, seen.prompts, interval_level(seen))
    counted = f"{sum(outside)} of {len(outside)} images outside {low:.4g} to {high:.4g}{seen.missing_note()}"
    shared = compare(seen, sum(outside) / len(outside), interval, f"{rule.metric}: {counted}")

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
