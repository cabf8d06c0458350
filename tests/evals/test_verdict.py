import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.verdict import Interval, Metric, Outcome, Verdict, failed, not_applicable, not_evaluated, passed

numbers = st.none() | st.floats(-1e6, 1e6)
intervals = st.none() | st.tuples(st.floats(-1, 0), st.floats(0, 1)).map(lambda b: Interval(*b, 0.95))


@given(st.sampled_from(Outcome), numbers, intervals, numbers)
def test_json_round_trip(outcome, value, interval, threshold):
    verdict = Verdict(outcome, "because", value, interval, threshold, "policy")
    row = json.loads(json.dumps({"id": "g", "severity": "hard", **verdict.to_json()}))
    assert list(row) == ["id", "severity", "verdict", "reason", "value", "interval", "threshold", "threshold_source"]
    assert Verdict.from_json(row) == verdict


@pytest.mark.parametrize("decide", [passed, failed])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_not_a_number_decides_nothing(decide, bad):
    assert decide("r", value=bad).outcome is Outcome.NOT_EVALUATED
    assert decide("r", value=1.0, threshold=bad).outcome is Outcome.NOT_EVALUATED
    with pytest.raises(ValueError, match="finite"):
        Verdict(Outcome.PASSED, "r", value=bad)


def test_only_passed_and_not_applicable_let_through():
    verdicts = [passed("r"), failed("r"), not_evaluated("r"), not_applicable("r")]
    assert [verdict.blocks for verdict in verdicts] == [False, True, True, False]


def test_a_verdict_needs_a_reason_and_a_known_outcome():
    with pytest.raises(ValueError, match="reason"):
        passed(" ")
    with pytest.raises(ValueError, match="Outcome"):
        Verdict("approved", "r")
    with pytest.raises(ValueError, match="Outcome"):
        Verdict.from_json({"verdict": "ok", "reason": "r"})
    with pytest.raises(ValueError, match="finite"):
        Verdict.from_json({"verdict": "passed", "reason": "r", "value": math.nan})


@pytest.mark.parametrize("bounds", [(1.0, 0.0, 0.95), (math.nan, 1.0, 0.95), (0.0, math.inf, 0.95), (0.0, 1.0, 1.0)])
def test_an_interval_is_finite_ordered_and_has_a_level(bounds):
    with pytest.raises(ValueError):
        Interval(*bounds)


def test_a_metric_has_a_value_or_a_reason():
    assert Metric("likeness", True, "cosine", 0.5).value == 0.5
    assert Metric("likeness", True, "cosine", None, "no face found").value is None
    for value, reason in ((None, None), (None, ""), (math.nan, None), (0.5, "no face")):
        with pytest.raises(ValueError):
            Metric("likeness", True, "cosine", value, reason)
