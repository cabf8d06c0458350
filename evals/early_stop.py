"""When a plan need not be drawn to its end: a gate that its remaining prompts could not save.

Only a rejection may come early. The chance that a plan which would have passed is stopped is the policy's
``sequential.error``, split evenly over its gates and valid at every look (``evals.confidence_sequence``).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from evals.bench import Bench
from evals.calibration import Calibration
from evals.confidence_sequence import confidence_sequence, mean_at_most_p
from evals.errors import InputError
from evals.evidence import CannotJudgeError, Evidence
from evals.inference import cluster_means
from evals.policy import Policy
from evals.verdict import PASSED_SO_FAR, Outcome, Verdict


@dataclass(frozen=True)
class EarlyStop:
    """Why sampling stopped.

    Args:
        gates: anytime-valid p by gate that the plan would still pass it; 0 where what is left cannot change it.
        prompts: how many were drawn.
        planned: of how many.
        whole: by gate, what its mean or share is over all prompts of the plan: a 95 % interval that holds at every look
            at once. Of a median in a band it is the share outside of the band.
    """

    gates: Mapping[str, float]
    prompts: int
    planned: int
    whole: Mapping[str, tuple[float, float]]

    @property
    def note(self) -> str:
        """What is said beside every verdict."""
        return f"sampling stopped after {self.prompts} of {self.planned} prompts"


def early_stop(
    rows: Iterable[Mapping[str, Any]],
    calibration: Calibration | None,
    policy: Policy,
    order: Sequence[str],
    *,
    backend: Mapping[str, Any] | None = None,
    domain: Mapping[str, Any] | None = None,
) -> EarlyStop | None:
    """Return the gates that the plan can no longer pass, or None while it may.

    Args:
        rows: image rows of whole prompts, the first ones of ``order``; every prompt has as many seeds.
        calibration, policy, backend, domain: as ``evals.judge.judge``.
        order: ids of all prompts of the plan, as they are drawn: random, and known before anything was.

    Raises:
        ValueError: the rows are not those of the first prompts of ``order``.
    """
    if policy.sequential is None:
        return None
    try:
        bench = Bench.of(rows, calibration, policy, None, backend, domain)
    except InputError:
        return None
    drawn = len({row.prompt for row in bench.rows})
    if {row.prompt for row in bench.rows} != set(order[:drawn]):
        raise ValueError(f"accepted the first {drawn} prompts of the order, got others")
    alpha = policy.sequential.error / len(policy.sequential.gates)
    settled: dict[str, float] = {}
    whole: dict[str, tuple[float, float]] = {}
    for gate in policy.sequential.gates:
        try:
            rule = policy.rules[gate]
            against, bound = _against(bench.evidence(rule), order[:drawn])
        except CannotJudgeError:
            continue
        p = mean_at_most_p(against, len(order), bound)
        if p <= alpha:
            settled[gate] = p
            low, high = confidence_sequence(against, len(order))
            # What speaks against the LoRA is what is missing to 1 where more is better.
            turned = rule.statistic != "median_in_band" and rule.direction == "at_least"
            whole[gate] = (1.0 - high, 1.0 - low) if turned else (low, high)
    return EarlyStop(settled, drawn, len(order), whole) if settled and drawn < len(order) else None


def stopped_verdicts(verdicts: Mapping[str, Verdict], stop: EarlyStop) -> dict[str, Verdict]:
    """Return what the judge said of the images drawn, as it holds for a plan that was stopped.

    Gates that settled it have failed; others that failed say on how much; one that passed so far has proven nothing.
    """
    told: dict[str, Verdict] = {}
    for gate, verdict in verdicts.items():
        if verdict.outcome is Outcome.FAILED:
            why = _why(gate, stop)
            told[gate] = replace(verdict, reason=f"{verdict.reason}; {stop.note}{why}")
        elif verdict.outcome is Outcome.PASSED:
            so_far = f"{PASSED_SO_FAR}, but {stop.note}: {verdict.reason}"
            told[gate] = replace(verdict, outcome=Outcome.NOT_EVALUATED, reason=so_far)
        else:
            told[gate] = replace(verdict, reason=f"{verdict.reason}; {stop.note}")
    return told


def _why(gate: str, stop: EarlyStop) -> str:
    p = stop.gates.get(gate)
    if p is None:
        return ""
    low, high = stop.whole[gate]
    return (f", where the plan would still pass this gate with p {p:.2g}: over all its prompts it lies between "
            f"{low:.3g} and {high:.3g}, at any look")  # fmt: skip


def _against(evidence: Evidence, order: Sequence[str]) -> tuple[list[float], float]:
    """Per prompt, in the order drawn, a number in [0, 1] that speaks against the LoRA; and the mean it may reach."""
    rule = evidence.rule
    limit = evidence.number(rule.threshold)
    if rule.statistic == "mean_by_prompt":
        # Below 0 is cut off: the mean can only look better for it, so a rejection stays one.
        against = [1.0 - min(1.0, max(0.0, value)) for value in evidence.filled()]
        bound = 1.0 - limit
    elif rule.statistic == "median_in_band":
        assert rule.band is not None
        low, high = (evidence.number(reference) for reference in rule.band)
        # An unscorable image counts as inside, for the same reason.
        against = [
            0.0 if row.is_unscorable(rule.metric) else float(value is None or not low <= value <= high)
            for row, value in zip(evidence.rows, evidence.values(), strict=True)
        ]
        bound = limit
    else:
        at_least = rule.direction == "at_least"
        against = [float(hit != at_least) for hit in evidence.hits()]
        bound = 1.0 - limit if at_least else limit
    means = cluster_means(against, evidence.prompts)
    return [min(1.0, max(0.0, means[prompt])) for prompt in order], min(1.0, max(0.0, bound))
