import dataclasses

import numpy as np
import pytest

from evals.bench import Bench
from evals.evidence import CannotJudgeError
from evals.null_decisions import LARGEST_RATE, REPEATS, NullDecisions, null_decisions, with_null_decisions
from evals.policy import load_policy
from evals.verdict import Outcome, failed, passed

POLICY = load_policy()
CONTROLS = passed("answered as known", value=0.0, threshold=0.0, threshold_source="design")


@pytest.fixture
def noisy_rows(row_script):
    """24 prompts by 4 seeds, .03 between prompts and .08 between seeds: more than the demo's own spread."""

    def make(seed=1, skin=0.0):
        generator = np.random.default_rng(seed)
        rows, one = [], row_script.rows()[0]
        for prompt in range(24):
            level = 0.75 + generator.normal(0, 0.03)
            for number in range(4):
                metrics = {**one["metrics"], "likeness": min(0.99, level + generator.normal(0, 0.08))}
                metrics["skin_z"] = generator.normal(0, 0.4) + skin * (number % 2)
                cell = {"prompt": f"P{prompt:02}", "seed": number, "image": f"{prompt:032}{number:032}"}
                rows.append({**one, **cell, "metrics": metrics})
        return rows

    return make


@pytest.fixture
def evidence(row_calibration):
    def of(rows):
        bound = (row_calibration.backend, row_calibration.domain)
        return Bench.of(rows, row_calibration, POLICY, None, *bound).evidence(POLICY.rules["champion"])

    return of


@pytest.fixture
def joined(row_calibration):
    def of(rows, decides=True, instrument=CONTROLS):
        bound = {"backend": row_calibration.backend, "domain": row_calibration.domain}
        return with_null_decisions(instrument, rows, row_calibration, POLICY, **bound, decides=decides)

    return of


def test_one_lora_is_called_different_about_as_often_as_stated(evidence, noisy_rows):
    rates = [null_decisions(evidence(noisy_rows(seed))).rate for seed in range(6)]
    assert np.mean(rates) <= 0.07
    assert max(rates) <= LARGEST_RATE
    assert np.mean(rates) > 0.01  # a decision that can never be wrong would not be one


def test_the_same_seed_gives_the_same_rate(evidence, noisy_rows):
    rows = evidence(noisy_rows())
    assert null_decisions(rows) == null_decisions(rows)
    assert null_decisions(rows, seed=1) != null_decisions(rows)
    assert null_decisions(rows).repeats == REPEATS >= 200


def test_too_few_partings_or_images_are_refused(evidence, noisy_rows):
    with pytest.raises(ValueError, match="200"):
        null_decisions(evidence(noisy_rows()), repeats=199)
    lonely = [row for row in noisy_rows() if row["seed"] == 0 or row["prompt"] != "P03"]
    with pytest.raises(CannotJudgeError, match="first P03"):
        null_decisions(evidence(lonely))


def test_an_honest_decision_adds_its_rate_and_changes_nothing_else(joined, noisy_rows):
    verdict = joined(noisy_rows())
    assert dataclasses.replace(verdict, reason=CONTROLS.reason) == CONTROLS
    assert f"parted at random {REPEATS} times" in verdict.reason


def test_a_rate_above_a_tenth_fails_the_instrument_where_a_champion_is_compared_with(joined, noisy_rows):
    wild = noisy_rows(skin=0.0)
    generator = np.random.default_rng(0)
    for row in wild:
        row["metrics"]["skin_z"] = float(generator.normal(0, 4))
    verdict = joined(wild)
    assert verdict.outcome is Outcome.FAILED
    assert (verdict.value > LARGEST_RATE, verdict.threshold) == (True, LARGEST_RATE)
    assert joined(wild, decides=False).outcome is Outcome.PASSED


def test_a_test_that_cannot_be_done_blocks_only_where_a_champion_is_compared_with(joined, noisy_rows):
    lonely = [row for row in noisy_rows() if row["seed"] == 0]
    assert joined(lonely).outcome is Outcome.NOT_EVALUATED
    told = joined(lonely, decides=False)
    assert told.outcome is Outcome.PASSED
    assert "no A/A test" in told.reason


def test_an_instrument_that_blocks_already_is_left_as_it_is(joined, noisy_rows):
    broken = failed("blurred must be refused", value=1.0, threshold=0.0, threshold_source="design")
    assert joined(noisy_rows(), instrument=broken) is broken


def test_the_limit_itself_is_still_honest():
    assert NullDecisions(400, 30, 10).is_honest
    assert not NullDecisions(400, 30, 11).is_honest
