import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.policy import load_policy
from evals.selection import Candidate, expected_maximum, measured_candidate, select


def candidate(likeness, error=0.01, ruled_out=()):
    return Candidate("x", likeness, error, dict.fromkeys(ruled_out, "r"), 16)


def test_the_likest_that_nothing_rules_out_is_chosen_and_the_first_of_equals():
    assert select([candidate(0.7), candidate(0.8), candidate(0.8)]).chosen == 1
    assert select([candidate(0.7), candidate(0.9, ruled_out=["copy_image"])]).chosen == 0
    assert select([candidate(0.9, ruled_out=["face_rate"])] * 2).chosen is None
    with pytest.raises(ValueError, match="two candidates"):
        select([candidate(0.7)])


@pytest.mark.parametrize(("count", "known"), [(1, 0.0), (2, 1 / math.sqrt(math.pi)), (5, 1.16296), (10, 1.53875)])
def test_the_expected_maximum_is_the_known_one(count, known):
    assert expected_maximum(count) == pytest.approx(known, abs=1e-4)


def test_the_best_of_equals_flatters_itself_by_the_stated_optimism():
    generator = np.random.default_rng(2)
    drawn = generator.normal(0.7, 0.01, size=(4000, 5))
    stated = select([candidate(float(value)) for value in drawn[0]]).optimism
    assert drawn.max(axis=1).mean() - 0.7 == pytest.approx(stated, rel=0.03)


def test_those_that_left_before_count_in_the_optimism():
    pair = [candidate(0.7), candidate(0.8)]
    assert select(pair, looked_at=10).optimism == pytest.approx(0.0153875, abs=1e-6)
    assert select(pair, looked_at=1).optimism == select(pair).optimism == pytest.approx(0.01 / math.sqrt(math.pi))


@given(st.lists(st.tuples(st.floats(-1, 1), st.booleans()), min_size=2, max_size=8))
def test_what_is_ruled_out_is_never_chosen(given_candidates):
    made = [candidate(value, ruled_out=["face_rate"] if bad else []) for value, bad in given_candidates]
    found = select(made)
    if found.chosen is None:
        assert all(one.ruled_out for one in made)
    else:
        assert not made[found.chosen].ruled_out
        assert all(one.ruled_out or one.likeness <= made[found.chosen].likeness for one in made)


def test_a_candidate_is_measured_as_the_judge_would(healthy_rows, row_calibration):
    rows = [row for row in healthy_rows() if row["seed"] < 2]
    found = measured_candidate("v3", rows, row_calibration, load_policy())
    means = np.array([row["metrics"]["likeness"] for row in rows]).reshape(8, 2).mean(axis=1)
    assert found.likeness == pytest.approx(means.mean())
    assert found.standard_error == pytest.approx(means.std(ddof=1) / math.sqrt(8))
    assert (dict(found.ruled_out), found.images) == ({}, 16)
    for row in rows:
        row["metrics"]["skin_z"] = -9.0
    assert set(measured_candidate("v3", rows, row_calibration, load_policy()).ruled_out) == {"skin_realism"}


def test_a_face_that_is_lost_counts_as_no_likeness_and_what_was_not_measured_rules_out(healthy_rows, row_calibration):
    rows = healthy_rows()
    for row in rows[:12]:
        row["metrics"]["likeness"], row["reasons"]["likeness"] = None, "no face found"
    found = measured_candidate("v3", rows, row_calibration, load_policy())
    assert found.likeness == pytest.approx(0.43, abs=0.01)
    assert "face_rate" in found.ruled_out
    blind = healthy_rows()
    for row in blind:
        del row["metrics"]["copy_image"]
    assert "copy_image" in measured_candidate("v3", blind, row_calibration, load_policy()).ruled_out
    with pytest.raises(ValueError, match="none"):
        measured_candidate("v3", [], row_calibration, load_policy())
