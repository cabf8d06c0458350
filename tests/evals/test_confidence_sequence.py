import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.confidence_sequence import confidence_sequence, mean_at_most_p

SHARES = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=24)


def capital(values, population, bound, bets=(0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.99)):
    """The same wealth, written with the fraction of it that is staked: 1 + stake * (value - mean of what is left)."""
    best, wealth = 1.0, np.ones(len(bets))
    for number in range(len(values)):
        left = (population * bound - sum(values[:number])) / (population - number)
        if sum(values[: number + 1]) > population * bound + 1e-9:
            return math.inf
        stakes = np.array(bets) / left if left > 0 else np.zeros(len(bets))
        wealth = wealth * (1.0 + stakes * (values[number] - left))
        best = max(best, wealth.mean())
    return best


@given(SHARES, st.integers(0, 20), st.floats(0.0, 1.0))
def test_p_is_one_over_the_largest_capital(values, more, bound):
    found = mean_at_most_p(values, len(values) + more, bound)
    assert found == pytest.approx(1.0 / capital(values, len(values) + more, bound), rel=1e-9)
    assert 0.0 <= found <= 1.0


@pytest.mark.parametrize("kind", ["half", "rare", "smooth"])
@pytest.mark.parametrize("bound_is", ["exact", "above"])
def test_a_true_hypothesis_is_ever_refused_no_more_often_than_stated(kind, bound_is):
    generator = np.random.default_rng([len(kind), len(bound_is)])
    population = {
        "half": np.repeat([0.0, 1.0], 12),
        "rare": np.array([0.0] * 22 + [1.0] * 2),
        "smooth": generator.beta(5, 3, 24),
    }[kind]
    bound = min(1.0, population.mean() + (0.05 if bound_is == "above" else 0.0))
    refused = sum(mean_at_most_p(list(generator.permutation(population)[:23]), 24, bound) <= 0.05 for _ in range(2000))
    assert refused / 2000 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 2000)


def test_clear_cases_are_settled_soon_and_a_close_one_is_not():
    assert mean_at_most_p([1.0] * 3, 24, 0.05) <= 0.002
    assert mean_at_most_p([0.6] * 24, 24, 0.55) == 0.0  # all drawn: certain
    assert mean_at_most_p([0.5] * 8, 24, 0.5) == 1.0
    assert mean_at_most_p([], 24, 0.5) == 1.0


@given(SHARES, st.integers(0, 20))
def test_more_is_never_less_sure_and_a_higher_bound_is_never_refused_sooner(values, more):
    population = len(values) + more
    path = [mean_at_most_p(values[:count], population, 0.3) for count in range(len(values) + 1)]
    assert path == sorted(path, reverse=True)
    by_bound = [mean_at_most_p(values, population, bound) for bound in (0.0, 0.1, 0.3, 0.6, 1.0)]
    assert all(one <= other + 1e-12 for one, other in pairwise(by_bound))


@given(SHARES)
def test_the_interval_of_a_whole_population_is_its_mean(values):
    low, high = confidence_sequence(values, len(values))
    assert low == pytest.approx(np.mean(values), abs=1e-6)
    assert high == pytest.approx(np.mean(values), abs=1e-6)


def test_the_interval_holds_at_every_look_at_once():
    generator = np.random.default_rng(3)
    population, missed = generator.beta(2, 2, 24), 0
    for _ in range(150):
        drawn = list(generator.permutation(population))
        looks = [confidence_sequence(drawn[:count], 24, 0.9) for count in (4, 8, 16, 20)]
        missed += any(not low - 1e-9 <= population.mean() <= high + 1e-9 for low, high in looks)
    assert missed / 150 <= 0.10 + 3 * math.sqrt(0.1 * 0.9 / 150)


@pytest.mark.parametrize(
    "wrong", [([0.5], 0, 0.5), ([0.5] * 3, 2, 0.5), ([1.1], 4, 0.5), ([math.nan], 4, 0.5), ([0.5], 4, -0.1)]
)
def test_what_is_no_share_is_refused(wrong):
    with pytest.raises(ValueError, match=r"accepted|values"):
        mean_at_most_p(*wrong)


def test_a_level_is_inside_0_and_1():
    with pytest.raises(ValueError, match="level"):
        confidence_sequence([0.5], 4, 1.0)
