import dataclasses

import pytest

from evals.early_stop import early_stop, stopped_verdicts
from evals.judge import judge
from evals.policy import load_policy
from evals.verdict import Outcome

ORDER = [f"B{number:02}" for number in (3, 1, 8, 2, 7, 4, 6, 5)] + [f"B{number:02}" for number in range(9, 25)]


@pytest.fixture
def stop(row_calibration):
    def run(rows, policy=None, order=ORDER, **changes):
        bound = {"backend": row_calibration.backend, "domain": row_calibration.domain, **changes}
        return early_stop(rows, row_calibration, policy or load_policy(), order, **bound)

    return run


def with_all(rows, metric, value):
    for row in rows:
        row["metrics"][metric] = value
    return rows


def test_healthy_rows_go_on(stop, healthy_rows):
    assert stop(healthy_rows()) is None


@pytest.mark.parametrize(
    ("metric", "value", "gates"),
    [
        ("likeness", 0.30, {"likeness", "likeness_tail"}),
        ("face_count", 2.0, {"face_rate"}),
        ("skin_z", -7.0, {"skin_realism"}),
        ("copy_image", 1.0, {"copy_image"}),
    ],
)
def test_a_clear_case_stops_after_a_third_of_the_prompts(stop, healthy_rows, metric, value, gates):
    found = stop(with_all(healthy_rows(), metric, value))
    assert set(found.gates) == gates
    assert (found.prompts, found.planned) == (8, 24)
    assert all(0.0 <= p <= 0.01 / 5 for p in found.gates.values())
    assert set(found.whole) == gates
    low, high = found.whole[min(gates)]
    assert 0.0 <= low < high <= 1.0
    # A third is drawn, all of it bad: at least a third of the whole is, and it stands in the gate's own direction.
    if metric == "likeness":
        assert found.whole["likeness"][0] <= 0.30 <= found.whole["likeness"][1] < 0.8
        assert found.whole["likeness_tail"][0] >= 1 / 3
    elif metric == "face_count":
        assert high <= 2 / 3
    else:
        assert low >= 1 / 3


def test_a_case_that_the_rest_could_still_save_goes_on(stop, healthy_rows):
    rows = healthy_rows()
    for row in rows[:3]:
        row["metrics"]["likeness"] = 0.5  # 3 of 24 are too many, but 3 of 72 would not be
    assert stop(rows) is None


def test_unscorable_skin_stops_nothing(stop, healthy_rows):
    rows = with_all(healthy_rows(), "skin_z", None)
    for row in rows:
        row["reasons"]["skin_z"] = "unscorable: in the dark"
    assert stop(rows) is None


def test_nothing_is_stopped_on_less_than_the_rules_ask_for_or_without_a_fitting_calibration(stop, healthy_rows):
    bad = with_all(healthy_rows(), "likeness", 0.3)
    assert stop(bad) is not None
    assert stop([row for row in bad if row["prompt"] in ORDER[:7]]) is None
    assert stop(bad, backend={"name": "other"}) is None
    assert stop(bad, policy=dataclasses.replace(load_policy(), sequential=None)) is None
    assert stop(bad, order=ORDER[:8]) is None  # all is drawn: there is nothing to stop


def test_rows_that_are_not_the_first_of_the_order_are_a_mistake(stop, healthy_rows):
    with pytest.raises(ValueError, match="first 8 prompts"):
        stop(healthy_rows(), order=list(reversed(ORDER)))


def test_what_passed_so_far_has_proven_nothing(stop, healthy_rows, row_calibration):
    rows = with_all(healthy_rows(), "likeness", 0.30)
    found = stop(rows)
    policy = load_policy()
    verdicts = judge(rows, row_calibration, policy, backend=row_calibration.backend, domain=row_calibration.domain)
    told = stopped_verdicts(verdicts, found)
    assert set(told) == set(verdicts)
    assert not [gate for gate, verdict in told.items() if verdict.outcome is Outcome.PASSED]
    assert told["likeness"].outcome is Outcome.FAILED
    assert "sampling stopped after 8 of 24 prompts, where the plan would still pass" in told["likeness"].reason
    low, high = found.whole["likeness"]
    assert f"over all its prompts it lies between {low:.3g} and {high:.3g}, at any look" in told["likeness"].reason
    assert told["image_flat"].outcome is Outcome.NOT_EVALUATED
    assert told["image_flat"].reason.startswith("passed so far, but sampling stopped after 8 of 24 prompts")
    assert told["image_flat"].value == verdicts["image_flat"].value
