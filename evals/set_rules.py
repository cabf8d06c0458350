"""Statistics of a whole set of images: how it spreads, where it is weakest, what it keeps of the base alone."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from evals.evidence import CannotJudgeError, Evidence, compare, interval_level, mean_of, require, tally
from evals.image_rows import ImageRow
from evals.inference import cluster_means, cluster_t_interval, clustered_wilson_interval, pearson, spearman
from evals.rule import Reference
from evals.verdict import Verdict

# A bin of one prompt says more about the prompt than about the bin.
_FEWEST_PROMPTS_A_BIN = 2


def worst_bin_gap(evidence: Evidence) -> Verdict:
    """The lowest bin's mean less the mean over prompts of all images in bins.

    Images are put into bins of a second metric; a bin is compared when it holds ``minimum_bin`` images of two prompts
    or more, and each mean is one over prompts. Fewer than two such bins are not evaluated.

    Raises:
        CannotJudgeError: as said, or too few images have the second metric.
    """
    rule = evidence.rule
    assert rule.by is not None
    assert rule.edges is not None
    assert rule.minimum_bin is not None
    kept, left_out = evidence.present(rule.by)
    bounds = [-math.inf, *rule.edges, math.inf]
    values = list(zip(kept.filled(), kept.rows, strict=True))
    compared: list[tuple[float, str, int]] = []
    small = 0
    for low, high in pairwise(bounds):
        inside = [(value, row.prompt) for value, row in values if low <= _number(row, rule.by) < high]
        prompts = [prompt for _, prompt in inside]
        if len(inside) < rule.minimum_bin or len(set(prompts)) < _FEWEST_PROMPTS_A_BIN:
            small += bool(inside)
            continue
        mean = mean_of(cluster_means([value for value, _ in inside], prompts).values())
        compared.append((mean, _span(rule.by, low, high), len(inside)))
    if len(compared) < 2:
        raise CannotJudgeError(
            f"{len(compared)} bins of {rule.by} hold {rule.minimum_bin} images of {_FEWEST_PROMPTS_A_BIN} prompts, "
            f"it takes 2 to compare{left_out}"
        )
    mean, span, count = min(compared)
    gap = mean - mean_of(cluster_means([value for value, _ in values], kept.prompts).values())
    few = f"; {small} bins hold too few images to compare" if small else ""
    what = f"lowest {rule.metric} is {mean:.4g} where {span} ({count} images), less the mean{few}{left_out}"
    return compare(evidence, gap, None, what)


def largest_share(evidence: Evidence) -> Verdict:
    """The share of the commonest value; the threshold is never below ``even_factor`` times an even share.

    Raises:
        CannotJudgeError: too few images have the metric, or there are so few kinds that no share is too large.
    """
    rule = evidence.rule
    assert rule.kinds is not None
    assert rule.even_factor is not None
    kept, left_out = evidence.present()
    kinds = {_number(row, rule.kinds) for row in kept.rows}
    if len(kinds) != 1 or min(kinds) < 1:
        raise CannotJudgeError(f"{rule.kinds} must be one number for all images, but got {sorted(kinds)}")
    number = kinds.pop()
    limit = max(evidence.number(rule.threshold), rule.even_factor / number)
    if limit >= 1.0:
        raise CannotJudgeError(f"{number:g} {rule.kinds} are too few for a share to be too large")
    values = [_number(row, rule.metric) for row in kept.rows]
    common, count = min(Counter(values).items(), key=lambda item: (-item[1], item[0]))
    hits = [value == common for value in values]
    judged = replace(kept, rule=replace(rule, threshold=Reference(limit)))
    interval = clustered_wilson_interval(hits, kept.prompts, interval_level(kept))
    what = f"{rule.metric} is {common:g} in {count} of {len(values)} images, of {number:g} {rule.kinds}{left_out}"
    return compare(judged, count / len(values), interval, what)


def difference_from_base(evidence: Evidence) -> Verdict:
    """Mean over prompts of a prompt's mean less the base's own on that prompt.

    Where the base has every cell (prompt and seed) of the images, only those are taken: noise is shared then. With
    ``missing_value`` an image that is unscorable is left out, up to ``unscorable_share``; any other missing metric
    counts as that value. Without it every missing metric is left out.

    Raises:
        CannotJudgeError: there are no base rows, they lack a prompt, or too few images are left on either side.
    """
    rule = evidence.rule
    ours, left_out = _scorable(evidence)
    theirs, base_left_out = _scorable(evidence.of(_base(evidence)))
    own, other = _by_prompt(ours), _by_prompt(theirs)
    lacking = sorted(set(own) - set(other))
    if lacking:
        raise CannotJudgeError(f"the base was not measured on {len(lacking)} prompts, first {lacking[0]}")
    zero, one = (0.0, 1.0) if rule.scale is None else (evidence.number(rule.scale[0]), evidence.number(rule.scale[1]))
    if not one > zero:
        raise CannotJudgeError(f"the scale from {zero:.4g} to {one:.4g} does not rise")
    differences = {prompt: (own[prompt] - other[prompt]) / (one - zero) for prompt in own}
    interval = cluster_t_interval(list(differences.values()), list(differences), interval_level(evidence))
    base_note = f"; of the base{base_left_out[1:]}" if base_left_out else ""
    scaled = "" if rule.scale is None else ", scaled"
    what = (
        f"mean {rule.metric}{scaled} of {len(own)} prompts is {mean_of(own.values()):.4g}, "
        f"the base's without a LoRA {mean_of(other[prompt] for prompt in own):.4g}{left_out}{base_note}: difference"
    )
    return compare(evidence, mean_of(differences.values()), interval, what)


def spread_ratio(evidence: Evidence) -> Verdict:
    """Standard deviation of a metric over all images, over the base's own on the same prompts.

    Raises:
        CannotJudgeError: there are no base rows, too few images on either side, or the base does not vary.
    """
    ours, left_out = evidence.present()
    prompts = set(evidence.prompts)
    base = [row for row in _base(evidence) if row.prompt in prompts]
    lacking = sorted(prompts - {row.prompt for row in base})
    if lacking:
        raise CannotJudgeError(f"the base was not measured on {len(lacking)} prompts, first {lacking[0]}")
    theirs, base_left_out = evidence.of(base).present()
    own, other = (_deviation([v for v in side.values() if v is not None]) for side in (ours, theirs))
    if other == 0.0:
        raise CannotJudgeError(f"{evidence.rule.metric} of the base without a LoRA does not vary")
    base_note = f"; of the base{base_left_out[1:]}" if base_left_out else ""
    what = (
        f"{evidence.rule.metric} deviates by {own:.4g}, the base's without a LoRA by {other:.4g}{left_out}{base_note}"
    )
    return compare(evidence, own / other, None, f"{what}: ratio")


def rank_correlation(evidence: Evidence) -> Verdict:
    """Spearman's correlation of two metrics over the images that have both; Pearson's is told beside it.

    Raises:
        CannotJudgeError: too few images have both, or one metric does not vary.
    """
    rule = evidence.rule
    assert rule.by is not None
    kept, left_out = evidence.present(rule.by)
    pairs = [(_number(row, rule.metric), _number(row, rule.by)) for row in kept.rows]
    one, other = [a for a, _ in pairs], [b for _, b in pairs]
    ranks, linear = spearman(one, other), pearson(one, other)
    if ranks is None or linear is None:
        raise CannotJudgeError(f"{rule.metric} or {rule.by} does not vary, nothing can be said of their agreement")
    what = f"{rule.metric} and {rule.by} of {len(pairs)} images correlate by {linear:.4g}, their ranks{left_out}"
    return compare(evidence, ranks, None, what)


SET_RULES: Mapping[str, Callable[[Evidence], Verdict]] = {
    "worst_bin_gap": worst_bin_gap,
    "largest_share": largest_share,
    "difference_from_base": difference_from_base,
    "spread_ratio": spread_ratio,
    "rank_correlation": rank_correlation,
}


def _number(row: ImageRow, metric: str) -> float:
    value = row.metrics[metric]
    assert value is not None  # rows without it were left out
    return value


def _span(metric: str, low: float, high: float) -> str:
    if low == -math.inf:
        return f"{metric} is below {high:g}"
    return f"{metric} is {low:g} or more" if high == math.inf else f"{metric} is {low:g} to {high:g}"


def _base(evidence: Evidence) -> Sequence[ImageRow]:
    if evidence.base is None:
        raise CannotJudgeError("the calibration knows nothing of the base without a LoRA on these prompts")
    require(evidence.base, replace(evidence.rule, minimum_images=1, minimum_prompts=1), "images of the base")
    cells = {row.cell for row in evidence.rows}
    shared = [row for row in evidence.base if row.cell in cells]
    return shared if len(shared) == len(cells) else evidence.base


def _scorable(evidence: Evidence) -> tuple[Evidence, str]:
    rule = evidence.rule
    if rule.missing_value is None:
        return evidence.present()
    unscorable = [row for row in evidence.rows if row.is_unscorable(rule.metric)]
    if not unscorable:
        return evidence, evidence.missing_note()
    why = tally(row.reasons[rule.metric] for row in unscorable)
    if len(unscorable) > (rule.unscorable_share or 0.0) * len(evidence.rows):
        raise CannotJudgeError(
            f"{len(unscorable)} of {len(evidence.rows)} images are unscorable for {rule.metric} ({why}), "
            f"the policy accepts a share of {rule.unscorable_share or 0.0:g}"
        )
    kept = evidence.of([row for row in evidence.rows if not row.is_unscorable(rule.metric)])
    require(kept.rows, rule, f"images scorable for {rule.metric}")
    return kept, f"; {len(unscorable)} of {len(evidence.rows)} images are left out ({why}){kept.missing_note()}"


def _by_prompt(evidence: Evidence) -> dict[str, float]:
    filled = evidence.rule.missing_value is not None
    values = evidence.filled() if filled else [value for value in evidence.values() if value is not None]
    return cluster_means(values, evidence.prompts)


def _deviation(values: Sequence[float]) -> float:
    centre = mean_of(values)
    return math.sqrt(math.fsum((value - centre) ** 2 for value in values) / (len(values) - 1))
