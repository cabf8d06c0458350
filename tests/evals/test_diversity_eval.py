import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import pdist

from evals.diversity_eval import mean_pairwise, self_similarity


def unit_rows(seed, n, d=16, spread=0.7):
    rows = np.eye(d)[0] + spread * np.random.default_rng(seed).normal(size=(n, d))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@given(seed=st.integers(0, 10_000), n=st.integers(2, 12))
def test_mean_pairwise_is_that_of_scipy(seed, n):
    rows = unit_rows(seed, n)
    assert mean_pairwise(rows) == pytest.approx(1 - pdist(rows, "cosine").mean(), abs=1e-9)


@given(seed=st.integers(0, 10_000), n=st.integers(2, 9), missing=st.sets(st.integers(0, 8)))
def test_each_face_is_held_against_the_others_and_missing_ones_are_told(seed, n, missing):
    rows = [None if number in missing else row for number, row in enumerate(unit_rows(seed, n))]
    present = [row for row in rows if row is not None]
    values = self_similarity(rows)
    assert len(values) == n
    for number, (row, value) in enumerate(zip(rows, values, strict=True)):
        if row is None or len(present) < 2:
            assert value is None
            continue
        others = [other for index, other in enumerate(rows) if other is not None and index != number]
        assert value == pytest.approx(np.mean([row @ other for other in others]), abs=1e-9)


def test_one_face_again_and_again_has_no_dispersion():
    row = unit_rows(1, 1)[0]
    assert self_similarity([row] * 4) == pytest.approx([1.0] * 4)
    assert self_similarity([]) == []
    assert self_similarity([row]) == [None]


@pytest.mark.parametrize("rows", [[[1.0, 0.0], [1.0, 0.0, 0.0]], [[1.0, 0.0], [2.0, 0.0]], [[1.0, 0.0], [np.nan, 1.0]]])
def test_other_rows_are_refused(rows):
    for one, other in itertools.permutations(rows):
        with pytest.raises(ValueError, match="embeddings must"):
            self_similarity([one, other])
    with pytest.raises(ValueError, match="embeddings must"):
        mean_pairwise([[1.0, 0.0]])
