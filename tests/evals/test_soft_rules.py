"""Each soft rule as it ships: seen to pass, to refuse, and not to answer without what it needs."""

import dataclasses

import pytest

from evals.judge import judge
from evals.verdict import Outcome
from tests.evals.conftest import shipped_policy

# Soft rules on the two-sided band of a metric family's metric.
BANDED = {"grain": "grain", "lattice": "lattice", "specular": "specular", "tone_drift": "tone_ita"}
# Metrics of image n of 24, three a prompt: those that a rule lets pass, those that it refuses, and the base's own.
SOFT_RULES = {
    "worst_pose": (
        lambda n: {"yaw": 20.0 * (n % 2), "likeness": 0.8},
        lambda n: {"yaw": 20.0 * (n % 2), "likeness": 0.8 - 0.4 * (n % 2)},
        None,
    ),
    "black_hole": (
        lambda n: {"nearest_photo": float(n % 12), "training_photos": 24.0},
        lambda n: {"nearest_photo": float(n % 12 if n % 3 else 0), "training_photos": 24.0},
        None,
    ),
    "face_diversity": (lambda n: {"self_similarity": 0.7}, lambda n: {"self_similarity": 0.97}, None),
    "yaw_diversity": (
        lambda n: {"yaw": n % 5 * 9.0},
        lambda n: {"yaw": n % 5 * 1.0},
        lambda n: {"yaw": n % 5 * 9.0},
    ),
    "adherence": (lambda n: {"adherence": 0.9}, lambda n: {"adherence": 0.5}, lambda n: {"adherence": 0.8}),
    **{
        gate: (
            lambda n, metric=metric: {metric: 0.1 * (n % 3)},
            lambda n, metric=metric: {metric: 0.1 * (n % 3) if n % 5 else 9.0},
            None,
        )
        for gate, metric in BANDED.items()
    },
    "second_agreement": (
        lambda n: {"likeness": 0.6 + n * 0.01, "likeness_second": 0.5 + n * 0.01},
        lambda n: {"likeness": 0.6 + n * 0.01, "likeness_second": 0.9 - n * 0.01},
        None,
    ),
    "second_disagreement": (
        lambda n: {"second_disagrees": 0.0},
        lambda n: {"second_disagrees": float(n % 3 == 0)},
        None,
    ),
}


@pytest.mark.parametrize("gate", SOFT_RULES)
def test_a_soft_rule_as_shipped_passes_refuses_and_needs_its_metric(gate, row_script, row_calibration):
    bands = {f"{metric}_{end}": value for metric in BANDED.values() for end, value in (("low", -0.5), ("high", 0.5))}
    later = {"genuine_pairwise": 0.7, **bands}
    known = dataclasses.replace(row_calibration, thresholds={**row_calibration.thresholds, **later})

    def outcome(metrics, base):
        def made(of):
            return [{**row, "metrics": of(n), "reasons": {}} for n, row in enumerate(row_script.rows())]

        verdicts = judge(
            made(metrics), known, shipped_policy(gate), backend=known.backend, domain=known.domain,
            base_rows=None if base is None else made(base),
        )  # fmt: skip
        return verdicts[gate].outcome

    good, bad, base = SOFT_RULES[gate]
    assert outcome(good, base) is Outcome.PASSED
    assert outcome(bad, base) is Outcome.FAILED
    assert outcome(lambda n: {"flat": 0.0}, base) is Outcome.NOT_EVALUATED
    if base is not None:
        assert outcome(good, None) is Outcome.NOT_EVALUATED


@pytest.mark.parametrize("gate", BANDED)
def test_a_band_that_is_younger_than_the_calibration_is_not_evaluated(gate, row_script, row_calibration):
    rows = [{**row, "metrics": {BANDED[gate]: 0.0}, "reasons": {}} for row in row_script.rows()]
    verdict = judge(
        rows, row_calibration, shipped_policy(gate), backend=row_calibration.backend, domain=row_calibration.domain
    )[gate]
    assert verdict.outcome is Outcome.NOT_EVALUATED
    assert f"the calibration holds no {BANDED[gate]}_low" in verdict.reason


class TestRowsWithoutTheTrigger:
    def run(self, row_calibration, class_rows, base):
        verdicts = judge(
            [], row_calibration, shipped_policy("drift"),
            backend=row_calibration.backend, domain=row_calibration.domain,
            base_rows=base, class_rows=class_rows,
        )  # fmt: skip
        return verdicts["drift"]

    def test_the_persona_in_place_of_anybody_is_drift(self, row_calibration, row_script):
        def of_class(likeness):
            return [row for row in row_script.rows(likeness) if row["seed"] == 0]

        strangers = row_script.rows(row_script.STRANGE)
        kept = self.run(row_calibration, of_class(row_script.STRANGE + 0.05), strangers)
        assert (kept.outcome, kept.value) == (Outcome.PASSED, pytest.approx(0.05 / 0.56))
        bled = self.run(row_calibration, of_class(row_script.USUAL), strangers)
        assert (bled.outcome, bled.value) == (Outcome.FAILED, pytest.approx(1.0))
        for missing in ((None, strangers), (of_class(0.3), None), (of_class(0.3)[:7], strangers)):
            assert self.run(row_calibration, *missing).outcome is Outcome.NOT_EVALUATED
