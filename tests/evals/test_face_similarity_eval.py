import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.face_similarity_eval import centroid, largest_is_likest, leave_one_out, likeness, likenesses


def unit_rows(seed: int, n: int, d: int, spread: float = 0.7) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows = np.eye(d)[0] + spread * rng.normal(size=(n, d))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@given(seed=st.integers(0, 10_000), n=st.integers(2, 12), d=st.integers(2, 32))
@settings(max_examples=60, deadline=None)
def test_agrees_with_scipy(seed, n, d):
    from scipy.spatial.distance import cosine

    rows = unit_rows(seed, n, d)
    assert likeness(rows[0], centroid(rows)) == pytest.approx(1 - cosine(rows[0], rows.mean(axis=0)), abs=1e-9)
    left_out = leave_one_out(rows)
    expected = [1 - cosine(rows[i], np.delete(rows, i, axis=0).mean(axis=0)) for i in range(n)]
    assert left_out == pytest.approx(np.array(expected), abs=1e-9)


def test_likeness_is_one_for_the_same_direction_and_never_beyond():
    rows = unit_rows(0, 50, 128)
    assert all(likeness(row, row) == pytest.approx(1) and likeness(row, row) <= 1 for row in rows)
    assert likeness(rows[0], -rows[0]) == pytest.approx(-1)


def test_leaving_one_out_is_stricter_than_leaving_it_in():
    rows = unit_rows(1, 6, 64)
    inside = np.array([likeness(row, centroid(rows)) for row in rows])
    assert (leave_one_out(rows) < inside).all()


@pytest.mark.parametrize(
    "rows",
    [
        np.zeros((0, 4)),
        np.zeros((2, 4)),
        np.full((2, 4), np.nan),
        np.ones((2, 4)),
        np.array([1.0, 0.0]),
        np.zeros((2, 0)),
    ],
)
def test_rows_that_are_no_embeddings_are_refused(rows):
    with pytest.raises(ValueError, match="embeddings must"):
        centroid(rows)


def test_rows_that_cancel_out_have_no_centre():
    with pytest.raises(ValueError, match="common direction"):
        centroid(np.array([[1.0, 0.0], [-1.0, 0.0]]))


def test_one_reference_cannot_be_left_out():
    with pytest.raises(ValueError, match="at least 2 rows"):
        leave_one_out(np.array([[1.0, 0.0]]))


def test_embeddings_of_another_backend_are_refused():
    with pytest.raises(ValueError, match="of one size"):
        likeness(unit_rows(0, 1, 128)[0], unit_rows(0, 1, 512)[0])


@given(seed=st.integers(0, 10_000), n=st.integers(1, 6), d=st.integers(2, 16))
@settings(max_examples=40, deadline=None)
def test_the_largest_face_must_be_the_likest(seed, n, d):
    rows = unit_rows(seed, n + 1, d)
    centre = np.eye(d)[0]
    assert largest_is_likest(rows[0], rows[1:], centre) == (np.argmax(rows @ centre) == 0)
    assert largest_is_likest(rows[0], np.zeros((0, 0)), centre)
    # A tie is no contradiction: one person twice, in a mirror.
    assert largest_is_likest(rows[0], rows[:1], centre)


@given(seed=st.integers(0, 10_000), n=st.integers(1, 80), d=st.integers(2, 128))
@settings(max_examples=40, deadline=None)
def test_many_at_once_are_to_the_last_bit_what_they_are_alone(seed, n, d):
    one, *rows = unit_rows(seed, n + 1, d)
    assert likenesses(one, rows) == [likeness(one, row) for row in rows]


@pytest.mark.parametrize("rows", [np.zeros((0, 4)), np.ones((2, 4)), np.full((1, 4), np.nan), np.eye(3)])
def test_rows_that_cannot_be_compared_are_refused(rows):
    with pytest.raises(ValueError, match="rows must"):
        likenesses(np.eye(4)[0], rows)
