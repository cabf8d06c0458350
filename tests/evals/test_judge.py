import dataclasses
import random

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.judge import judge, statistics
from evals.policy import parse_policy
from evals.verdict import Outcome
from tests.evals.conftest import listed_policy

CALIBRATED = set(listed_policy().rules) - {"face_rate", "image_flat"}


def outcomes(verdicts):
    return {gate: verdict.outcome.value for gate, verdict in verdicts.items()}


def not_passed(verdicts):
    return {gate for gate, verdict in verdicts.items() if verdict.outcome is not Outcome.PASSED}


def likeness_of(rows):
    return [row["metrics"]["likeness"] for row in rows]


def test_statistics_in_verdicts_are_those_of_an_independent_computation(judged, healthy_rows):
    rows = healthy_rows()
    for number, row in enumerate(rows):
        row["metrics"]["likeness"] = 0.80 + 0.001 * (number % 9)
    verdicts = judged(rows)
    prompt_means = np.array(likeness_of(rows)).reshape(8, 3).mean(axis=1)
    likeness = verdicts["likeness"]
    assert likeness.value == pytest.approx(prompt_means.mean())
    expected = scipy.stats.ttest_1samp(prompt_means, 0).confidence_interval(0.95)
    assert (likeness.interval.low, likeness.interval.high) == pytest.approx((expected.low, expected.high))
    assert (likeness.threshold, likeness.threshold_source) == (0.80, "calibration:tau")
    assert verdicts["likeness_norm"].value == pytest.approx((prompt_means.mean() - 0.30) / (0.86 - 0.30))
    assert verdicts["worst_prompt"].value == pytest.approx(prompt_means.min() - prompt_means.mean())
    skin = np.array([row["metrics"]["skin_z"] for row in rows]).reshape(8, 3)
    assert verdicts["skin_realism"].value == pytest.approx(np.median(np.median(skin, axis=1)))
    assert verdicts["face_rate"].value == 1.0


def test_prompts_count_equally_however_many_seeds_they_have(judged, healthy_rows):
    rows = [row for row in healthy_rows() if row["prompt"] != "B01" or row["seed"] == 0]
    for row in rows:
        row["metrics"]["likeness"] = 0.90 if row["prompt"] == "B01" else 0.80
    rows += [{**row, "image": row["image"][::-1], "seed": row["seed"] + 3} for row in rows if row["prompt"] != "B01"]
    assert judged(rows)["likeness"].value == pytest.approx((0.90 + 7 * 0.80) / 8)


def test_order_of_rows_changes_nothing(judged, healthy_rows):
    shuffled = random.Random(4).sample(healthy_rows(), 24)
    assert judged(shuffled) == judged(healthy_rows())


@pytest.mark.parametrize(
    ("gate", "metric", "value", "count"),
    [
        ("likeness_norm", "likeness", 0.70, 24),
        ("worst_prompt", "likeness", 0.20, 1),
        ("ceiling", "likeness", 0.97, 24),
        ("copy_face", "copy_face", 0.20, 4),
        ("skin_realism", "skin_z", 9.0, 24),
        ("skin_realism", "skin_z", -9.0, 24),
    ],
)
def test_soft_gates_and_both_sides_of_the_skin_band_can_be_breached(judged, row_script, gate, metric, value, count):
    rows = row_script.rows()
    for row in rows if count == 24 else [row for row in rows if row["seed"] == 0][:count]:
        row["metrics"][metric] = value
    assert judged(rows)[gate].outcome is Outcome.FAILED


def test_a_median_outside_the_band_fails_and_names_the_end_it_left(judged, healthy_rows):
    rows = healthy_rows()
    for row in rows:
        row["metrics"]["skin_z"] = 3.0
    verdict = judged(rows)["skin_realism"]
    assert (verdict.value, verdict.threshold, verdict.threshold_source) == (3.0, 2.5, "calibration:skin_z_high")


def without(rows, metric, count, reason):
    for row in rows[:count]:
        row["metrics"][metric] = None
        row["reasons"][metric] = reason
    return rows


def test_a_missing_face_counts_against_likeness_and_is_never_dropped(judged, healthy_rows):
    verdicts = judged(without(healthy_rows(), "likeness", 3, "no face found"))
    assert verdicts["likeness"].value == pytest.approx(np.mean([0.0] + [0.86] * 7), abs=2e-3)
    assert "3 of 24 images have no likeness and count as 0 (3 no face found)" in verdicts["likeness"].reason
    assert {"face_rate", "likeness", "likeness_tail", "worst_prompt"} <= not_passed(verdicts)
    assert verdicts["face_rate"].value == pytest.approx(21 / 24)  # one face, but none that could be scored


def test_absent_small_and_several_faces_all_count_and_are_told_apart(judged, healthy_rows):
    rows = without(healthy_rows(), "likeness", 2, "no face found")
    rows[2]["metrics"]["likeness"] = rows[3]["metrics"]["likeness"] = None
    rows[2]["reasons"]["likeness"] = "face too small, unscorable: 7.0 of 12.0 pixels between the eyes"
    rows[3]["reasons"]["likeness"] = "several faces: the likest is not the largest"
    rows[4]["metrics"]["face_count"] = 2.0
    verdicts = judged(rows)
    why = "(2 no face found, 1 face too small, unscorable, 1 several faces)"
    assert why in verdicts["likeness"].reason
    assert verdicts["likeness"].value == pytest.approx(sum(likeness_of(rows[4:])) / 24)
    assert verdicts["face_rate"].value == pytest.approx(19 / 24)
    assert "1 face too small, unscorable, 1 face_count 2, 1 several faces)" in verdicts["face_rate"].reason
    assert verdicts["likeness_tail"].value == pytest.approx(4 / 24)


def test_missing_measurements_count_against_shares(judged, healthy_rows):
    assert judged(without(healthy_rows(), "copy_image", 1, "unreadable"))["copy_image"].outcome is Outcome.FAILED
    assert judged(without(healthy_rows(), "flat", 1, "unreadable"))["image_flat"].outcome is Outcome.FAILED
    assert judged(without(healthy_rows(), "copy_face", 4, "no face"))["copy_face"].outcome is Outcome.FAILED


def test_missing_faces_hide_no_likeness_above_the_ceiling(judged, healthy_rows):
    rows = healthy_rows() + [
        {**row, "seed": row["seed"] + 3, "image": row["image"][::-1], "metrics": dict(row["metrics"]), "reasons": {}}
        for row in healthy_rows()
    ]
    for row in rows:
        row["metrics"]["likeness"] = 0.97
    found = judged(without(rows, "likeness", 20, "no face found"), None)["ceiling"]
    assert (found.outcome, found.value) == (Outcome.FAILED, pytest.approx(0.97))
    assert "20 of 48 images are left out (20 no face found)" in found.reason
    assert judged(without(rows, "likeness", 25, "no face found"), None)["ceiling"].outcome is Outcome.NOT_EVALUATED


def test_skin_without_a_face_counts_as_outside_and_unscorable_faces_as_not_evaluated(judged, healthy_rows):
    no_face = judged(without(healthy_rows(), "skin_z", 4, "no face found"))["skin_realism"]
    assert no_face.outcome is Outcome.FAILED
    assert no_face.value == pytest.approx(4 / 24)
    none = judged(without(healthy_rows(), "skin_z", 24, "no face found"))["skin_realism"]
    assert (none.outcome, none.value) == (Outcome.FAILED, 1.0)
    small = judged(without(healthy_rows(), "skin_z", 7, "unscorable: small face"))["skin_realism"]
    assert small.outcome is Outcome.NOT_EVALUATED
    assert "7 of 24 images are unscorable" in small.reason


def test_a_few_unscorable_faces_are_left_out_of_enough_images(judged, healthy_rows):
    rows = healthy_rows() + [
        {**row, "seed": row["seed"] + 3, "image": row["image"][::-1], "metrics": dict(row["metrics"]), "reasons": {}}
        for row in healthy_rows()
    ]
    assert judged(without(rows, "skin_z", 6, "unscorable: small face"), None)["skin_realism"].outcome is Outcome.PASSED


def test_no_rows_are_not_evaluated(judged):
    assert set(outcomes(judged([])).values()) == {"not_evaluated"}


def test_too_few_images_or_prompts_are_not_evaluated(judged, healthy_rows):
    for rows in (healthy_rows()[:23], [{**row, "prompt": "B01", "seed": n} for n, row in enumerate(healthy_rows())]):
        assert set(outcomes(judged(rows)).values()) == {"not_evaluated"}


def test_one_image_many_times_is_one_image(judged, healthy_rows):
    rows = [{**row, "image": "a" * 64} for row in healthy_rows()]
    assert set(outcomes(judged(rows)).values()) == {"not_evaluated"}
    assert "1 distinct images" in judged(rows)["face_rate"].reason


@settings(max_examples=30)
@given(st.data())
def test_not_a_number_anywhere_lets_nothing_pass(judged, healthy_rows, data):
    rows = healthy_rows()
    row = data.draw(st.sampled_from(rows))
    metric = data.draw(st.sampled_from([*row["metrics"], "another"]))
    row["metrics"][metric] = data.draw(st.sampled_from([float("nan"), float("inf"), -float("inf")]))
    assert set(outcomes(judged(rows)).values()) == {"not_evaluated"}
    assert set(outcomes(judged(healthy_rows(), champion_rows=rows)).values()) == {"not_evaluated"}


@settings(max_examples=40)
@given(st.data())
def test_breaking_rows_never_turns_a_failing_gate_to_passed(judged, row_script, data):
    gate = data.draw(st.sampled_from(["face_rate", "likeness_tail", "skin_realism", "copy_image", "image_flat"]))
    fixture = row_script.fixtures()[gate]
    rows = fixture["rows"]
    for row in data.draw(st.lists(st.sampled_from(rows), max_size=6)):
        change = data.draw(st.sampled_from(["no face", "drop", "unscorable"]))
        for metric in ("likeness", "skin_z", "copy_face"):
            if change == "drop":
                row["metrics"].pop(metric, None)
            elif metric in row["metrics"]:
                row["metrics"][metric] = None
                row["reasons"][metric] = "no face found" if change == "no face" else "unscorable: small face"
    assert judged(rows, fixture["champion_rows"])[gate].outcome is not Outcome.PASSED


def test_without_a_fitting_calibration_only_what_needs_none_is_judged(healthy_rows, row_calibration, base_rows):
    def run(calibration, backend, domain):
        rows, older, base = healthy_rows(), healthy_rows(0.84, "champion"), base_rows()
        return not_passed(
            judge(rows, calibration, listed_policy(), older, backend=backend, domain=domain, base_rows=base)
        )

    backend, domain = row_calibration.backend, row_calibration.domain
    assert run(row_calibration, backend, domain) == set()
    assert run(None, backend, domain) == CALIBRATED
    assert run(row_calibration, {**backend, "name": "other"}, domain) == CALIBRATED
    assert run(row_calibration, backend, {**domain, "size": 256}) == CALIBRATED
    assert run(row_calibration, None, domain) == CALIBRATED
    assert run(row_calibration, backend, None) == CALIBRATED
    assert not_passed(judge(healthy_rows(), row_calibration, listed_policy())) == CALIBRATED


def test_a_calibration_that_lacks_a_threshold_judges_nothing_by_it(judged, healthy_rows, row_calibration):
    gaps = {**row_calibration.thresholds, "skin_z_low": None, "tau": None, "copy_face_p95": None}
    verdicts = judged(healthy_rows(), calibration=dataclasses.replace(row_calibration, thresholds=gaps))
    assert not_passed(verdicts) == {"skin_realism", "likeness", "likeness_tail", "copy_face", "champion"}
    assert verdicts["likeness"].outcome is Outcome.NOT_EVALUATED
    empty = {**row_calibration.thresholds, "skin_z_low": 3.0, "genuine_mean": 0.1}
    verdicts = judged(healthy_rows(), calibration=dataclasses.replace(row_calibration, thresholds=empty))
    assert not_passed(verdicts) == {"skin_realism", "likeness_norm", "champion"}


def test_a_metric_that_nobody_measured_is_not_evaluated(judged, healthy_rows):
    rows = healthy_rows()
    for row in rows:
        del row["metrics"]["copy_image"]
    assert outcomes(judged(rows))["copy_image"] == "not_evaluated"


def test_base_rows_that_are_missing_malformed_or_of_other_prompts_are_not_evaluated(judged, healthy_rows, base_rows):
    assert judged(healthy_rows())["clip_score"].outcome is Outcome.PASSED
    rows = healthy_rows()
    for others in ([], base_rows()[:21], [{**row, "metrics": {"yaw": 1.0}} for row in base_rows()]):
        verdicts = judged(rows, given_base=others)
        assert verdicts["clip_score"].outcome is Outcome.NOT_EVALUATED
        assert verdicts["likeness"].outcome is Outcome.PASSED
    broken = base_rows()
    broken[0]["metrics"]["clip_score"] = float("nan")
    assert set(outcomes(judged(rows, given_base=broken)).values()) == {"not_evaluated"}


def test_a_bound_is_harder_to_pass_than_a_point(judged, healthy_rows):
    import tomllib

    from evals.policy import DEFAULT_POLICY

    data = tomllib.loads(DEFAULT_POLICY.read_text(encoding="utf-8"))
    data["gates"]["face_rate"]["compares"] = "bound"
    data["sequential"]["gates"].remove("face_rate")  # an early stop knows no bounds
    verdict = judged(healthy_rows(), policy=parse_policy(data))["face_rate"]
    assert verdict.outcome is Outcome.FAILED  # 24 of 24 faces do not show a rate of .95
    assert verdict.interval.low < 0.95 < verdict.value


def test_statistics_give_means_intervals_and_counts(healthy_rows):
    table = statistics(without(healthy_rows(), "skin_z", 3, "no face found"))
    assert set(table) == set(healthy_rows()[0]["metrics"])
    assert table["skin_z"]["n"] == 21
    assert table["skin_z"]["missing"] == 3
    assert table["skin_z"]["prompts"] == 7
    means = np.array(likeness_of(healthy_rows())).reshape(8, 3).mean(axis=1)
    assert table["likeness"]["mean"] == pytest.approx(means.mean())
    assert table["likeness"]["interval"] == pytest.approx(list(scipy.stats.ttest_1samp(means, 0).confidence_interval()))
    none = statistics(without(healthy_rows(), "skin_z", 24, "no face found"))["skin_z"]
    assert none == {"mean": None, "interval": None, "n": 0, "missing": 24, "prompts": 0}
    assert statistics([]) == {}
