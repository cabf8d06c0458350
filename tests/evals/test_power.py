import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from evals.power import MOST_PROMPTS, paired_power, prompts_for_power


@pytest.mark.parametrize(("prompts", "distance", "deviation"), [(24, 0.03, 0.05), (8, 0.02, 0.04), (2, 0.1, 0.1)])
def test_power_is_that_of_scipys_noncentral_t(prompts, distance, deviation):
    critical = scipy.stats.t.ppf(0.95, prompts - 1)
    expected = scipy.stats.nct.sf(critical, prompts - 1, distance * math.sqrt(prompts) / deviation)
    assert paired_power(prompts, distance, deviation) == pytest.approx(expected, abs=1e-9)


def test_power_is_how_often_the_test_really_says_so():
    generator = np.random.default_rng(5)
    drawn = generator.normal(0.03, 0.05, size=(20_000, 12))
    p = scipy.stats.ttest_1samp(drawn, 0.0, axis=1, alternative="greater").pvalue
    assert paired_power(12, 0.03, 0.05) == pytest.approx((p <= 0.05).mean(), abs=0.012)


def test_the_edges():
    assert paired_power(1, 0.1, 0.1) is None
    assert paired_power(24, 0.0, 0.05) == pytest.approx(0.05)
    assert (paired_power(24, 0.01, 0.0), paired_power(24, 0.0, 0.0)) == (1.0, 0.0)
    assert paired_power(1000, 5.0, 0.01) == pytest.approx(1.0)
    for wrong in ((math.nan, 0.1), (0.1, -0.1), (0.1, math.inf)):
        with pytest.raises(ValueError, match="finite"):
            paired_power(24, *wrong)
    with pytest.raises(ValueError, match="level"):
        paired_power(24, 0.1, 0.1, 1.0)
    with pytest.raises(ValueError, match="power"):
        prompts_for_power(0.1, 0.1, power=1.0)
    assert prompts_for_power(0.0, 0.05) is None
    assert prompts_for_power(-0.01, 0.05) is None
    assert prompts_for_power(1.0, 1e-9) == 5  # fewer patterns of signs than 1 / .05 below that


@given(st.floats(0.005, 0.2), st.floats(0.005, 0.2))
def test_the_number_of_prompts_is_the_fewest_that_do(distance, deviation):
    found = prompts_for_power(distance, deviation)
    if found is None:
        assert (paired_power(MOST_PROMPTS, distance, deviation) or 0.0) < 0.80
        return
    assert paired_power(found, distance, deviation) >= 0.80
    assert found == 5 or paired_power(found - 1, distance, deviation) < 0.80
