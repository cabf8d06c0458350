import dataclasses
import json

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from evals.decision import APPROVE, NO_DECISION, REJECT
from evals.judge import judge, judgement
from evals.verdict import Outcome
from tests.evals.conftest import listed_policy


def likeness_of(rows):
    return [row["metrics"]["likeness"] for row in rows]


def moved(rows, shifts, metric="likeness"):
    for row, shift in zip(rows, np.broadcast_to(shifts, (8, 3)).ravel(), strict=True):
        row["metrics"][metric] += float(shift)
    return rows


def without(rows, metric, count, reason):
    for row in rows[:count]:
        row["metrics"][metric] = None
        row["reasons"][metric] = reason
    return rows


def champion_policy(**changes):
    policy = listed_policy()
    rule = dataclasses.replace(policy.rules["champion"], **changes)
    return dataclasses.replace(policy, rules={"champion": rule})


@pytest.fixture
def decided(row_calibration):
    def run(rows, champion, policy=None):
        bound = {"backend": row_calibration.backend, "domain": row_calibration.domain}
        chosen = policy or champion_policy()
        verdicts, decision = judgement(rows, row_calibration, chosen, champion, **bound)
        verdict = verdicts["champion"]
        assert judge(rows, row_calibration, chosen, champion, **bound) == verdicts
        assert decision is None or decision.to_verdict() == verdict
        return decision, verdict

    return run


def test_better_on_the_named_metric_and_worse_on_none_is_approved(decided, healthy_rows):
    decision, verdict = decided(healthy_rows(), healthy_rows(0.84, "champion"))
    assert (decision.verdict, verdict.outcome, decision.more_prompts) == (APPROVE, Outcome.PASSED, None)
    likeness, skin = decision.metrics
    assert (likeness.metric, likeness.margin, likeness.superior, likeness.non_inferior) == (
        "likeness", 0.03, True, True,
    )  # fmt: skip
    assert (skin.metric, skin.margin, skin.superior, skin.non_inferior) == ("skin_z", 0.3, False, True)
    assert likeness.mean == pytest.approx(0.02)
    assert (verdict.threshold, verdict.threshold_source) == (-0.03, "policy")


def test_the_decision_is_json_with_the_keys_of_the_scorecard(decided, healthy_rows):
    made = decided(healthy_rows(), healthy_rows(0.84, "champion"))[0].to_json()
    assert json.loads(json.dumps(made, allow_nan=False)) == made
    assert set(made) == {
        "verdict", "reason", "prompts", "seeds_per_prompt", "level", "power", "more_prompts", "metrics",
    }  # fmt: skip
    assert (made["prompts"], made["seeds_per_prompt"], made["level"]) == (8, 3.0, 0.95)
    assert set(made["power"]) == {"difference", "power"}
    assert set(made["metrics"][0]) >= {"metric", "higher_is_better", "margin", "mean", "interval", "non_inferior"}


def test_a_champion_against_itself_is_no_decision_and_no_prompts_would_help(decided, healthy_rows):
    decision, verdict = decided(healthy_rows(), healthy_rows())
    assert (decision.verdict, decision.more_prompts) == (NO_DECISION, None)
    assert all(metric.non_inferior for metric in decision.metrics)
    assert verdict.outcome is Outcome.NOT_EVALUATED
    assert "no better" in verdict.reason


def test_where_nothing_need_be_better_not_worse_is_enough(decided, healthy_rows):
    assert decided(healthy_rows(), healthy_rows(), champion_policy(superior_on=()))[0].verdict == APPROVE


def test_bounds_and_p_are_those_of_scipy(decided, healthy_rows):
    shifts = np.random.default_rng(6).normal(0.01, 0.02, (8, 3))
    decision, _ = decided(moved(healthy_rows(), shifts), healthy_rows())
    means = shifts.mean(axis=1)
    found = decision.metrics[0]
    for above, p in ((-0.03, found.p_non_inferior), (0.0, found.p_superior)):
        by_t = scipy.stats.ttest_1samp(means, above, alternative="greater")
        by_signs = scipy.stats.permutation_test(
            (means - above,), np.mean, permutation_type="samples", alternative="greater", n_resamples=np.inf
        )
        assert p == pytest.approx(max(by_t.pvalue, by_signs.pvalue))
    assert found.interval.low == pytest.approx(by_t.confidence_interval(0.95).low)


def test_the_stricter_of_the_two_tests_decides_whichever_it_is(decided, healthy_rows):
    larger = set()
    for seed in range(30):
        shifts = np.random.default_rng(seed).standard_t(2, (8, 1)).clip(-9, 9) * 0.01
        found = decided(moved(healthy_rows(), shifts), healthy_rows())[0].metrics[0]
        means = np.broadcast_to(shifts, (8, 3)).mean(axis=1)
        by_t = scipy.stats.ttest_1samp(means, 0.0, alternative="greater").pvalue
        by_signs = scipy.stats.permutation_test(
            (means,), np.mean, permutation_type="samples", alternative="greater", n_resamples=np.inf
        ).pvalue
        assert found.p_superior == pytest.approx(max(by_t, by_signs))
        assert found.non_inferior == (found.p_non_inferior <= 0.05)
        assert not found.non_inferior or found.interval.low > -found.margin
        larger.add("t" if by_t > by_signs + 1e-6 else "signs" if by_signs > by_t + 1e-6 else "neither")
    assert {"t", "signs"} <= larger


def test_what_is_left_of_the_pairs_must_still_be_enough(decided, healthy_rows):
    few = without(healthy_rows(), "skin_z", 3, "unscorable: in the dark")  # all of one prompt: 21 pairs of 7
    decision, verdict = decided(few, healthy_rows(0.84, "champion"))
    assert (decision, verdict.outcome) == (None, Outcome.NOT_EVALUATED)
    assert "21 distinct pairs with skin_z of 7 prompts" in verdict.reason


def test_worse_by_the_margin_on_any_metric_is_rejected(decided, healthy_rows):
    decision, verdict = decided(moved(healthy_rows(), -0.04), healthy_rows())
    assert (decision.verdict, verdict.outcome) == (REJECT, Outcome.FAILED)
    assert "on likeness" in decision.reason
    plastic = moved(healthy_rows(), 1.6, "skin_z")
    decision, verdict = decided(plastic, healthy_rows(0.80, "champion"))
    assert decision.verdict == REJECT
    assert decision.metrics[0].superior
    assert "on skin_z" in decision.reason
    assert (verdict.threshold, verdict.value < -0.3) == (-0.3, True)


def test_skin_may_leave_the_middle_of_its_band_on_neither_side(decided, healthy_rows):
    # The band's middle is .25: moving everything by -1 takes most images as far from it as moving them by +1.
    for shift in (-1.2, 1.2):
        decision, _ = decided(moved(healthy_rows(), shift, "skin_z"), healthy_rows(0.80, "champion"))
        assert decision.verdict == REJECT


def test_what_cannot_be_told_says_how_many_more_prompts(decided, healthy_rows):
    shifts = np.tile([0.06, -0.05], 4)[:, None]
    decision, verdict = decided(moved(healthy_rows(), shifts), healthy_rows())
    assert (decision.verdict, verdict.outcome) == (NO_DECISION, Outcome.NOT_EVALUATED)
    needed = 8 + decision.more_prompts
    assert f"about {decision.more_prompts} more prompts for 80% power" in verdict.reason
    deviation = np.std(shifts.ravel(), ddof=1)
    critical = scipy.stats.t.ppf(0.95, needed - 1)
    power = scipy.stats.nct.sf(critical, needed - 1, 0.005 * np.sqrt(needed) / deviation)
    assert power == pytest.approx(0.80, abs=0.001)


def test_the_power_it_states_is_for_a_difference_of_the_margin(decided, healthy_rows):
    shifts = np.random.default_rng(8).normal(0.0, 0.04, (8, 1))
    decision, _ = decided(moved(healthy_rows(), shifts), healthy_rows())
    deviation = np.std(shifts.ravel(), ddof=1)
    expected = scipy.stats.nct.sf(scipy.stats.t.ppf(0.95, 7), 7, 0.03 * np.sqrt(8) / deviation)
    assert decision.power == pytest.approx(expected)
    assert f"a difference of 0.03 is told with {expected:.0%} power" in decision.reason


def test_of_several_metrics_to_be_better_on_holm_asks_more_of_the_clearest(decided, healthy_rows):
    rng = np.random.default_rng(1)
    clear, older = moved(healthy_rows(), rng.normal(0.007, 0.02, (8, 1))), healthy_rows()
    one, _ = decided(clear, older, champion_policy())
    both, _ = decided(clear, older, champion_policy(superior_on=("likeness", "skin_z")))
    p = one.metrics[0].p_superior
    assert 0.025 < p <= 0.05
    assert (one.metrics[0].superior, both.metrics[0].superior) == (True, False)


def test_missing_champion_rows_are_not_evaluated(decided, healthy_rows):
    for champion in (None, []):
        decision, verdict = decided(healthy_rows(), champion)
        assert (decision, verdict.outcome) == (None, Outcome.NOT_EVALUATED)


@pytest.mark.parametrize("side", ["candidate", "champion"])
def test_unpaired_images_are_not_evaluated(decided, healthy_rows, side):
    more = [*healthy_rows(), {**healthy_rows()[0], "seed": 9, "image": "b" * 64}]
    pair = (more, healthy_rows()) if side == "candidate" else (healthy_rows(), more)
    decision, verdict = decided(*pair)
    assert (decision, verdict.outcome) == (None, Outcome.NOT_EVALUATED)
    assert "no partner" in verdict.reason


def test_a_champion_without_faces_is_no_baseline(decided, healthy_rows):
    decision, verdict = decided(healthy_rows(), without(healthy_rows(), "likeness", 1, "no face found"))
    assert (decision, verdict.outcome) == (None, Outcome.NOT_EVALUATED)


def test_losing_faces_is_losing_likeness(decided, healthy_rows):
    assert decided(without(healthy_rows(), "likeness", 12, "no face found"), healthy_rows())[0].verdict == REJECT


@pytest.mark.parametrize(("count", "is_decided"), [(0, True), (6, True), (7, False)])
def test_pairs_without_skin_are_left_out_up_to_the_policys_share(decided, healthy_rows, count, is_decided):
    few = without(healthy_rows(), "skin_z", count, "unscorable: in the dark")
    policy = champion_policy(minimum_images=12, minimum_prompts=4)
    decision, verdict = decided(few, healthy_rows(0.84, "champion"), policy)
    assert (decision is not None) is is_decided
    if is_decided:
        assert (decision.verdict, decision.metrics[1].left_out) == (APPROVE, count)
    else:
        assert "7 of 24 pairs lack skin_z" in verdict.reason


def test_a_metric_that_nobody_measured_decides_nothing(decided, healthy_rows):
    rows = healthy_rows()
    for row in rows:
        del row["metrics"]["skin_z"]
    decision, verdict = decided(rows, healthy_rows(0.84, "champion"))
    assert (decision, verdict.outcome) == (None, Outcome.NOT_EVALUATED)
    assert "skin_z was not measured" in verdict.reason


def test_a_calibration_without_the_band_decides_nothing(healthy_rows, row_calibration):
    lacking = dataclasses.replace(row_calibration, thresholds={**row_calibration.thresholds, "skin_z_low": None})
    bound = {"backend": lacking.backend, "domain": lacking.domain}
    pair = (healthy_rows(), healthy_rows(0.84, "champion"))
    assert judgement(pair[0], lacking, champion_policy(), pair[1], **bound)[1] is None


def test_too_few_prompts_for_any_p_decide_nothing(decided, healthy_rows):
    policy = champion_policy(minimum_images=4, minimum_prompts=2)
    few, older = ([row for row in rows if row["prompt"] <= "B04"] for rows in (healthy_rows(), healthy_rows(0.84, "c")))
    decision, _ = decided(few, older, policy)
    assert (decision.verdict, decision.more_prompts) == (NO_DECISION, 1)  # 4 prompts: p is 1/16 at best


@pytest.mark.parametrize(("named", "truth"), [((), -0.03), (("likeness",), 0.0)])
def test_a_false_promotion_is_no_more_frequent_than_stated(decided, healthy_rows, named, truth):
    rng = np.random.default_rng(12)
    policy, older, promoted, trials = champion_policy(superior_on=named, also=()), healthy_rows(), 0, 150
    for _ in range(trials):
        noise = rng.normal(0, 0.02, (8, 1)) + rng.normal(0, 0.02, (8, 3)) + truth
        promoted += decided(moved(healthy_rows(), noise), older, policy)[0].verdict == APPROVE
    assert promoted / trials <= 0.11  # 5 % stated; three standard errors of 150 trials are 5 %


@given(st.lists(st.floats(-0.1, 0.1), min_size=24, max_size=24), st.randoms())
def test_the_order_of_rows_decides_nothing_and_turning_both_round_turns_the_means(shifts, shuffler):
    from evals.calibration import Calibration
    from tests.must_block import build_fixtures as script

    calibration = Calibration.from_json(script.CALIBRATION)
    bound = {"backend": calibration.backend, "domain": calibration.domain}
    rows, older = moved(script.rows(), np.reshape(shifts, (8, 3))), script.rows()
    one = judgement(rows, calibration, champion_policy(), older, **bound)[1]
    shuffled = shuffler.sample(rows, len(rows))
    assert judgement(shuffled, calibration, champion_policy(), older, **bound)[1] == one
    turned = judgement(older, calibration, champion_policy(), rows, **bound)[1]
    assert turned.metrics[0].mean == pytest.approx(-one.metrics[0].mean)
    assert not (one.verdict == APPROVE and turned.verdict == APPROVE)
