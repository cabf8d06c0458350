import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.inference import (
    clopper_pearson_interval,
    cluster_means,
    cluster_t_interval,
    clustered_wilson_interval,
    comparisons_needed,
    pearson,
    quantile_bounds,
    sign_flip_test,
    spearman,
    upper_quantile,
    wilson_interval,
)

finite = st.floats(-1, 1, allow_nan=False).map(lambda x: round(x, 6))


@given(st.lists(st.tuples(st.sampled_from("ABCDE"), finite), min_size=1, max_size=30))
def test_cluster_means_are_the_means_within_each_cluster(pairs):
    means = cluster_means([v for _, v in pairs], [c for c, _ in pairs])
    assert list(means) == sorted({c for c, _ in pairs})
    for name, mean in means.items():
        assert mean == pytest.approx(np.mean([v for c, v in pairs if c == name]), abs=1e-12)


@given(st.lists(finite, min_size=2, max_size=30), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_cluster_t_interval_agrees_with_scipy(means, level):
    names = [f"B{i:02}" for i in range(len(means))]
    interval = cluster_t_interval(means, names, level)
    if np.ptp(means) < 1e-9:
        assert interval.low == pytest.approx(interval.high, abs=1e-9)
        return
    expected = scipy.stats.ttest_1samp(means, 0.0).confidence_interval(level)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_cluster_t_interval_averages_seeds_before_it_counts():
    # Four copies of each image add nothing that was not known.
    once = cluster_t_interval([0.1, 0.4, 0.7], ["a", "b", "c"])
    copied = cluster_t_interval([0.1, 0.4, 0.7] * 4, ["a", "b", "c"] * 4)
    assert (copied.low, copied.high) == pytest.approx((once.low, once.high))


@pytest.mark.parametrize("function", [cluster_t_interval, clustered_wilson_interval])
def test_one_cluster_is_never_certain(function):
    assert function([1.0, 1.0, 1.0], ["a", "a", "a"]) is None
    assert function([], []) is None


def test_one_cluster_has_no_p_value():
    assert sign_flip_test([0.5]) is None
    assert sign_flip_test([]) is None


@settings(max_examples=25)
@given(st.lists(finite, min_size=2, max_size=9), st.sampled_from(["greater", "less", "two-sided"]))
def test_exact_sign_flip_agrees_with_scipy(differences, alternative):
    ours = sign_flip_test(differences, alternative)
    theirs = scipy.stats.permutation_test(
        (np.array(differences),),
        lambda x, axis: np.sum(x, axis=axis),
        permutation_type="samples",
        alternative=alternative,
        vectorized=True,
        n_resamples=np.inf,
    ).pvalue
    assert ours == pytest.approx(theirs, abs=1e-12)


def test_drawn_sign_flip_is_near_the_exact_one_repeatable_and_never_zero():
    rng = np.random.default_rng(3)
    differences = rng.normal(0.1, 0.3, 17)
    every = 1.0 - 2.0 * ((np.arange(1 << 17)[:, None] >> np.arange(17)) & 1)
    exact = float((every @ differences >= differences.sum() - 1e-12).mean())
    drawn = sign_flip_test(differences, "greater", seed=1)
    assert drawn == sign_flip_test(differences, "greater", seed=1)
    assert drawn == pytest.approx(exact, abs=0.01)
    assert sign_flip_test([1.0] * 40, "greater", resamples=99) == pytest.approx(0.01)


def test_sign_flip_on_clusters_holds_its_level_where_image_level_t_does_not():
    # 8 prompts x 4 seeds, no difference, prompts vary: the nominal 5 % must stay near 5 %.
    rng = np.random.default_rng(11)
    wrong_flip = wrong_image = 0
    trials = 600
    for _ in range(trials):
        prompts = rng.normal(0, 0.05, (8, 1))
        images = prompts + rng.normal(0, 0.05, (8, 4))
        wrong_flip += sign_flip_test(images.mean(axis=1), "greater") <= 0.05
        wrong_image += scipy.stats.ttest_1samp(images.ravel(), 0, alternative="greater").pvalue <= 0.05
    assert wrong_flip / trials < 0.065
    assert wrong_image / trials > 0.08


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.sampled_from([0.9, 0.95]))
def test_wilson_and_clopper_pearson_agree_with_scipy(counts, level):
    successes, n = counts
    test = scipy.stats.binomtest(successes, n)
    for ours, method in ((wilson_interval, "wilson"), (clopper_pearson_interval, "exact")):
        interval = ours(successes, n, level)
        expected = test.proportion_ci(level, method=method)
        assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_shares_of_nothing_are_unknown():
    assert wilson_interval(0, 0) is None
    assert clopper_pearson_interval(0, 0) is None


def test_clustered_wilson_widens_when_prompts_disagree_and_never_narrows():
    clusters = [name for name in "abcdefgh" for _ in range(4)]
    spread = [i % 4 == 0 for i in range(32)]
    lumped = [name in "ab" for name in clusters]
    plain = wilson_interval(8, 32)
    assert clustered_wilson_interval(spread, clusters).high == pytest.approx(plain.high)
    assert clustered_wilson_interval(lumped, clusters).high > plain.high + 0.05
    assert clustered_wilson_interval([True] * 32, clusters).low == pytest.approx(wilson_interval(8, 8).low)


@given(st.lists(finite, min_size=1, max_size=200), st.sampled_from([0.5, 0.9, 0.99]))
def test_upper_quantile_lets_no_more_than_its_share_above(values, share):
    tau = upper_quantile(values, share)
    assert tau in values
    assert sum(v > tau for v in values) <= (1 - share) * len(values) + 1e-9


def test_quantile_bounds_cover_the_true_quantile_as_often_as_stated():
    rng = np.random.default_rng(5)
    hits = 0
    for _ in range(500):
        low, high = quantile_bounds(rng.random(300), 0.9)
        hits += low <= 0.9 <= high
    assert 0.94 <= hits / 500 <= 0.985


def test_quantile_bounds_agree_with_scipy_quantile_test():
    values = np.random.default_rng(8).normal(size=500)
    expected = scipy.stats.quantile_test(values, p=0.9).confidence_interval(0.95)
    assert quantile_bounds(values, 0.9) == pytest.approx((expected.low, expected.high))


def test_quantile_bounds_say_when_a_side_cannot_be_bounded():
    low, high = quantile_bounds(np.arange(300.0), 0.99)
    assert low is not None
    assert high is None  # .99 ** 300 = .049: the largest of 300 may lie below the quantile
    assert quantile_bounds([0.5], 0.5) == (None, None)


def test_pooled_images_of_few_identities_do_not_tighten_the_bounds():
    values = np.repeat(np.linspace(0, 1, 300), 4)
    assert quantile_bounds(values, 0.9, independent=300) == pytest.approx(quantile_bounds(np.linspace(0, 1, 300), 0.9))


def test_comparisons_needed_is_about_three_over_the_rate():
    assert comparisons_needed(1e-2) == 299
    assert comparisons_needed(1e-3) == 2995
    n = comparisons_needed(0.05)
    assert 0.95**n <= 0.05 < 0.95 ** (n - 1)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_not_a_number_is_refused_everywhere(bad):
    for call in (
        lambda: cluster_means([bad], ["a"]),
        lambda: cluster_t_interval([bad, 1.0], ["a", "b"]),
        lambda: sign_flip_test([bad, 1.0]),
        lambda: wilson_interval(bad, 3),
        lambda: upper_quantile([bad], 0.5),
        lambda: quantile_bounds([bad, 1.0], 0.5),
    ):
        with pytest.raises(ValueError):
            call()


def test_arguments_are_validated_before_a_short_answer():
    with pytest.raises(ValueError, match="level"):
        cluster_t_interval([], [], level=2.0)
    with pytest.raises(ValueError, match="alternative"):
        sign_flip_test([], "sideways")
    with pytest.raises(ValueError, match="one length"):
        cluster_means([1.0], [])
    with pytest.raises(ValueError, match="within"):
        wilson_interval(3, 2)


@given(st.lists(st.tuples(finite, st.integers(-5, 5)), min_size=3, max_size=40))
def test_correlations_agree_with_scipy(pairs):
    one, other = ([float(x) for x in side] for side in zip(*pairs, strict=True))
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        assert pearson(one, other) is spearman(one, other) is None
        return
    if np.ptp(one) > 1e-3:  # below it scipy warns that its input is nearly constant
        assert pearson(one, other) == pytest.approx(scipy.stats.pearsonr(one, other).statistic, abs=1e-9)
    assert spearman(one, other) == pytest.approx(scipy.stats.spearmanr(one, other).statistic, abs=1e-9)


def test_correlations_of_nothing_are_unknown_and_of_nan_refused():
    for correlation in (pearson, spearman):
        assert correlation([], []) is correlation([1.0, 2.0], [2.0, 1.0]) is None
        with pytest.raises(ValueError, match="finite"):
            correlation([1.0, 2.0, math.nan], [1.0, 2.0, 3.0])
        with pytest.raises(ValueError, match="one length"):
            correlation([1.0, 2.0, 3.0], [1.0, 2.0])
