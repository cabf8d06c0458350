"""Pairs stacked into one and split again: the same effect, and what was stacked comes apart as it was."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifeos.lora.stacked import Pair, split, stack, swap_halves

INPUTS = 5


def pair(generator, outputs, rank, alpha, dora=False):
    down, up = generator.normal(size=(rank, INPUTS)), generator.normal(size=(outputs, rank))
    norm = generator.uniform(1, 2, outputs).astype(np.float32) if dora else None
    return Pair(down.astype(np.float32), up.astype(np.float32), alpha, norm)


def effect(found, outputs):
    if found is None:
        return np.zeros((outputs, INPUTS))
    return found.scale * (found.up.astype(np.float64) @ found.down.astype(np.float64))


def same(left, right):
    return (left is None and right is None) or (
        left.alpha == right.alpha
        and all(np.array_equal(a, b) for a, b in zip(left[:2] + left[3:], right[:2] + right[3:], strict=True))
    )


ranks = st.one_of(st.none(), st.integers(1, 4))
weights = st.lists(st.tuples(st.integers(1, 6), ranks), min_size=2, max_size=4).filter(
    lambda each: any(rank for _, rank in each)
)


@settings(max_examples=60, deadline=None)
@given(weights=weights, scale=st.sampled_from([0.25, 1.0, 2.0]), seed=st.integers(0, 99))
def test_what_was_stacked_comes_apart_as_it_was(weights, scale, seed):
    generator = np.random.default_rng(seed)
    sizes = [size for size, _ in weights]
    pairs = [None if rank is None else pair(generator, size, rank, scale * rank) for size, rank in weights]
    made = stack(pairs, sizes)
    expected = np.concatenate([effect(each, size) for each, size in zip(pairs, sizes, strict=True)])
    # The same products; BLAS adds them up in another order.
    np.testing.assert_allclose(effect(made, sum(sizes)), expected, rtol=1e-12, atol=1e-12)
    assert all(same(*both) for both in zip(split(made, sizes), pairs, strict=True))


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(1, 6), min_size=2, max_size=4), rank=st.integers(1, 6), zeros=st.data())
def test_any_stacked_pair_is_split_with_the_effect_it_has(sizes, rank, zeros):
    """Whatever in B is zero: whole rows of a weight, whole ranks, or all of it."""
    generator = np.random.default_rng(rank)
    whole = pair(generator, sum(sizes), rank, 3.0)
    rows = np.repeat(np.arange(len(sizes)), sizes)
    dead = zeros.draw(st.lists(st.tuples(st.integers(0, len(sizes) - 1), st.integers(0, rank - 1))))
    for weight, column in dead:
        whole.up[rows == weight, column] = 0.0
    parts = split(whole, sizes)
    found = np.concatenate([effect(part, size) for part, size in zip(parts, sizes, strict=True)])
    np.testing.assert_allclose(found, effect(whole, sum(sizes)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dead", [0, 1, 2])
def test_a_pair_that_is_still_zero_comes_back_too(dead):
    generator = np.random.default_rng(0)
    pairs = [pair(generator, 3, 2, 4.0) for _ in range(3)]
    pairs[dead].up[:] = 0.0
    assert all(same(*both) for both in zip(split(stack(pairs, [3, 3, 3]), [3, 3, 3]), pairs, strict=True))


def test_pairs_that_share_a_keep_their_rank():
    generator = np.random.default_rng(0)
    whole = pair(generator, 9, 2, 4.0)
    parts = split(whole, [3, 3, 3])
    assert [len(part.down) for part in parts] == [2, 2, 2]
    assert same(stack(parts, [3, 3, 3]), whole)


def test_scales_that_differ_by_a_power_of_two_go_into_b_exactly():
    generator = np.random.default_rng(0)
    pairs = [pair(generator, 3, 2, 1.0), pair(generator, 4, 2, 8.0)]
    made = stack(pairs, [3, 4])
    assert made.scale == 0.5
    expected = np.concatenate([effect(pairs[0], 3), effect(pairs[1], 4)])
    np.testing.assert_allclose(effect(made, 7), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("alphas", [(1.0, 3.0), (0.0, 1.0), (1.0, -1.0)])
def test_scales_that_would_round_are_refused(alphas):
    generator = np.random.default_rng(0)
    with pytest.raises(ValueError, match="no power of two"):
        stack([pair(generator, 3, 2, alpha) for alpha in alphas], [3, 3])


def test_magnitudes_are_stacked_and_never_made_up():
    generator = np.random.default_rng(0)
    pairs = [pair(generator, size, 2, 2.0, dora=True) for size in (3, 4)]
    made = stack(pairs, [3, 4])
    assert all(same(*both) for both in zip(split(made, [3, 4]), pairs, strict=True))
    for other in (None, pair(generator, 4, 2, 2.0)):
        with pytest.raises(ValueError, match="only some of them have a DoRA magnitude"):
            stack([pairs[0], other], [3, 4])
    # A weight that B leaves alone still has a magnitude, which is not dropped with it.
    made.up[3:] = 0.0
    parts = split(made, [3, 4])
    np.testing.assert_array_equal(parts[1].magnitude, pairs[1].magnitude)


def test_halves_are_exchanged_and_exchanged_back():
    values = np.arange(12, dtype=np.float32).reshape(6, 2)
    np.testing.assert_array_equal(swap_halves(values), np.concatenate([values[3:], values[:3]]))
    np.testing.assert_array_equal(swap_halves(swap_halves(values)), values)
